"""A kernel's Python text with the names that mean the GPU exchanged: `cuda`, device functions, constant arrays.

Functions are copied, never changed: a name found among the globals or in a closure is looked up in the copy's own.
"""

from collections.abc import Callable
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher

from scratchser.tracer.arrays import Array, Memory
from scratchser.tracer.log import Log
from scratchser.tracer.module import Cuda

CUDA_MODULES = "numba.cuda", "scratchser.kernels.machine.no_cuda"  # whether Numba has a CUDA target or not


class Linker:
    def __init__(self, cuda: Cuda, log: Log) -> None:
        self.cuda, self.log = cuda, log
        self._done: dict[FunctionType, FunctionType] = {}

    def link(self, function: FunctionType) -> FunctionType:
        """The copy. Its code is a copy too, since sites are told apart by it: two device functions made by one
        factory would otherwise share their shared arrays."""
        if function not in self._done:
            names = dict(function.__globals__)
            cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
            closure = tuple(CellType(self._exchanged(name, cell.cell_contents)) for name, cell in cells)
            code = function.__code__.replace()
            copy = FunctionType(code, names, function.__name__, function.__defaults__, closure)
            copy.__kwdefaults__ = function.__kwdefaults__
            self._done[function] = copy
            for name in _names(code) & names.keys():
                names[name] = self._exchanged(name, names[name])
        return self._done[function]

    def _exchanged(self, name: str, value: Any) -> Any:
        if isinstance(value, ModuleType) and value.__name__ in CUDA_MODULES:
            return self.cuda
        if isinstance(value, np.ndarray):
            return Array(Memory(self.log, "constant", name, value))
        if isinstance(value, CPUDispatcher):
            return self._shared_maths(value)
        if hasattr(value, "py_func"):
            return self.link(value.py_func)
        return value

    def _shared_maths(self, compiled: Any) -> Callable:
        """A function compiled for the CPU does as it is, and rounds like the device's, unless it is to read arrays."""

        def call(*arguments: Any) -> Any:
            if any(isinstance(argument, Array) for argument in arguments):
                return self.link(compiled.py_func)(*arguments)
            return compiled(*arguments)

        return call


def _names(code: CodeType) -> set[str]:
    """Global names that a function uses, those of its comprehensions and lambdas included."""
    return set(code.co_names).union(*(_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))
