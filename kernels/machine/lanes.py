"""Vectors of numbers as LLVM's instructions, for the tile of matmul.py, where Numba's loops are not enough."""

from collections.abc import Iterable
from typing import Any

from llvmlite import ir
from numba.core import cgutils


class Lanes:
    """Writes instructions on vectors of `width` numbers of a Numba type into a kernel that is being compiled."""

    def __init__(self, context: Any, builder: Any, scalar: Any, width: int) -> None:
        self.builder, self.width, self.bytes = builder, width, scalar.bitwidth // 8
        self.number = context.get_data_type(scalar)
        self.vector = ir.VectorType(self.number, width)
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
        """As `load`, but memory is touched for the first `wanted` lanes alone; the others are 0."""
        pointer = self.builder.bitcast(pointer, self._type(count).as_pointer())
        arguments = [pointer, ir.IntType(32)(self.bytes), self._first(count, wanted), self.zeros(count)]
        return self._masked("load", self._type(count), pointer.type, arguments)

    def store_first(self, vector: Any, pointer: Any, wanted: Any) -> None:
        """As `store`, of the first `wanted` lanes alone."""
        count, pointer = vector.type.count, self.builder.bitcast(pointer, vector.type.as_pointer())
        arguments = [vector, pointer, ir.IntType(32)(self.bytes), self._first(count, wanted)]
        self._masked("store", ir.VoidType(), pointer.type, arguments)

    def _first(self, count: int, wanted: Any) -> Any:
        """Which of `count` lanes are among the first `wanted`, an integer at run time."""
        numbers = ir.VectorType(wanted.type, count)
        one = self.builder.insert_element(ir.Constant(numbers, ir.Undefined), wanted, ir.Constant(ir.IntType(32), 0))
        return self.builder.icmp_signed("<", ir.Constant(numbers, list(range(count))), self.pick(one, one, [0] * count))

    def _masked(self, what: str, result: Any, pointer: Any, arguments: list[Any]) -> Any:
        kind = f"v{pointer.pointee.count}f{8 * self.bytes}"
        function = ir.FunctionType(result, [argument.type for argument in arguments])
        name = f"llvm.masked.{what}.{kind}.p0"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function, name), arguments)

    def pick(self, one: Any, two: Any, lanes: Iterable[int]) -> Any:
        """The vector of these lanes of `one` and, counted on from its last, of `two`."""
        order = list(lanes)
        return self.builder.shuffle_vector(one, two, ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order))

    def repeated(self, pointer: Any, count: int) -> Any:
        """The `count` numbers at the pointer, in all lanes again and again."""
        few = self.load(pointer, count)
        return self.pick(few, few, [lane % count for lane in range(self.width)])

    def zeros(self, count: int) -> Any:
        return ir.Constant(self._type(count), None)

    def at_least(self, floor: Any, vector: Any) -> Any:
        """The number `floor` in the lanes that are below it; NaN is not."""
        lane0, few = ir.Constant(ir.IntType(32), 0), self._type(vector.type.count)
        one = self.builder.insert_element(ir.Constant(few, ir.Undefined), floor, lane0)
        floors = self.pick(one, one, [0] * few.count)
        return self.builder.select(self.builder.fcmp_ordered("<", vector, floors), floors, vector)

    def hidden(self, pointer: Any) -> Any:
        """The same pointer, but LLVM does not see from what it was calculated."""
        return self.builder.asm(ir.FunctionType(pointer.type, [pointer.type]), "", "=r,0", [pointer], False)

    def _type(self, count: int) -> ir.VectorType:
        return ir.VectorType(self.number, count)
