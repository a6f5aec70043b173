"""SIMD vectors as LLVM instructions, for the tile of matmul.py."""

from collections.abc import Iterable
from typing import Any

from llvmlite import ir
from numba.core import cgutils


class Lanes:
    """Emits instructions on vectors of `width` elements of a Numba type into a kernel that is being compiled."""

    def __init__(self, context: Any, builder: Any, scalar: Any, width: int) -> None:
        self.builder, self.width, self.bytes = builder, width, scalar.bitwidth // 8
        self.element = context.get_data_type(scalar)
        self.vector = ir.VectorType(self.element, width)
        name, function = f"llvm.fma.v{width}f{scalar.bitwidth}", ir.FunctionType(self.vector, [self.vector] * 3)
        self._fma = cgutils.get_or_insert_function(builder.module, function, name)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, rounded once."""
        return self.builder.call(self._fma, [a, b, c])

    def load(self, pointer: Any, count: int) -> Any:
        return self.builder.load(self.builder.bitcast(pointer, self._type(count).as_pointer()), align=self.bytes)

    def store(self, vector: Any, pointer: Any) -> None:
        self.builder.store(vector, self.builder.bitcast(pointer, vector.type.as_pointer()), align=self.bytes)

    def load_first(self, pointer: Any, count: int, wanted: Any) -> Any:
        """Load only the first `wanted` lanes from memory; the others are 0."""
        pointer = self.builder.bitcast(pointer, self._type(count).as_pointer())
        arguments = [pointer, ir.IntType(32)(self.bytes), self._first(count, wanted), self.zeros(count)]
        return self._masked("load", self._type(count), pointer.type, arguments)

    def store_first(self, vector: Any, pointer: Any, wanted: Any) -> None:
        """Store only the first `wanted` lanes."""
        count, pointer = vector.type.count, self.builder.bitcast(pointer, vector.type.as_pointer())
        arguments = [vector, pointer, ir.IntType(32)(self.bytes), self._first(count, wanted)]
        self._masked("store", ir.VoidType(), pointer.type, arguments)

    def _first(self, count: int, wanted: Any) -> Any:
        """Mask of the first `wanted` of `count` lanes; `wanted` is known at run time."""
        indices = ir.VectorType(wanted.type, count)
        one = self.builder.insert_element(ir.Constant(indices, ir.Undefined), wanted, ir.Constant(ir.IntType(32), 0))
        return self.builder.icmp_signed("<", ir.Constant(indices, list(range(count))), self.pick(one, one, [0] * count))

    def _masked(self, what: str, result: Any, pointer: Any, arguments: list[Any]) -> Any:
        kind = f"v{pointer.pointee.count}f{8 * self.bytes}"
        function = ir.FunctionType(result, [argument.type for argument in arguments])
        name = f"llvm.masked.{what}.{kind}.p0"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function, name), arguments)

    def pick(self, one: Any, two: Any, lanes: Iterable[int]) -> Any:
        """The vector of these lanes; lanes of `two` are numbered after those of `one`."""
        order = list(lanes)
        return self.builder.shuffle_vector(one, two, ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order))

    def repeated(self, pointer: Any, count: int) -> Any:
        """The `count` elements at the pointer, repeated over all lanes."""
        few = self.load(pointer, count)
        return self.pick(few, few, [lane % count for lane in range(self.width)])

    def zeros(self, count: int) -> Any:
        return ir.Constant(self._type(count), None)

    def at_least(self, floor: Any, vector: Any) -> Any:
        """max(floor, vector) lane by lane; NaN stays NaN."""
        lane0, few = ir.Constant(ir.IntType(32), 0), self._type(vector.type.count)
        one = self.builder.insert_element(ir.Constant(few, ir.Undefined), floor, lane0)
        floors = self.pick(one, one, [0] * few.count)
        return self.builder.select(self.builder.fcmp_ordered("<", vector, floors), floors, vector)

    def hidden(self, pointer: Any) -> Any:
        """The same pointer, with its computation hidden from LLVM."""
        return self.builder.asm(ir.FunctionType(pointer.type, [pointer.type]), "", "=r,0", [pointer], False)

    def _type(self, count: int) -> ir.VectorType:
        return ir.VectorType(self.element, count)
