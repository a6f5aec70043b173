"""A copy of a kernel in which the names that mean the GPU are replaced: `cuda`, device functions, constant arrays."""

from collections.abc import Callable
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher

from scratchser.tracer.arrays import Array, Memory
from scratchser.tracer.log import Log
from scratchser.tracer.module import Cuda

CUDA_MODULES = "numba.cuda", "scratchser.kernels.machine.no_cuda"  # the second one if Numba has no CUDA target


class Module:
    """A module of kernels; its attributes are replaced when a kernel first uses them."""

    def __init__(self, module: ModuleType, replacement: Callable[[str, Any], Any]) -> None:
        self._module, self._replacement = module, replacement

    def __getattr__(self, name: str) -> Any:
        value = self._replacement(name, getattr(self._module, name))
        setattr(self, name, value)
        return value


class Linker:
    def __init__(self, cuda: Cuda, log: Log) -> None:
        self.cuda, self.log = cuda, log
        self._copies: dict[FunctionType, FunctionType] = {}

    def link(self, function: FunctionType) -> FunctionType:
        """The copy, with its own globals and closure. Its code is a copy too, because it identifies source lines: two
        device functions made by one factory would otherwise share their shared arrays."""
        if function not in self._copies:
            names = dict(function.__globals__)
            cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
            closure = tuple(CellType(self._replacement(name, cell.cell_contents)) for name, cell in cells)
            code = function.__code__.replace()
            copy = FunctionType(code, names, function.__name__, function.__defaults__, closure)
            copy.__kwdefaults__ = function.__kwdefaults__
            self._copies[function] = copy
            for name in _names(code) & names.keys():
                names[name] = self._replacement(name, names[name])
        return self._copies[function]

    def _replacement(self, name: str, value: Any) -> Any:
        if isinstance(value, ModuleType) and value.__name__ in CUDA_MODULES:
            return self.cuda
        if isinstance(value, ModuleType) and value.__name__.startswith("scratchser.kernels."):
            return Module(value, self._replacement)
        if isinstance(value, np.ndarray):
            return Array(Memory(self.log, "constant", name, value))
        if isinstance(value, CPUDispatcher):
            return self._shared_maths(value)
        if hasattr(value, "py_func"):
            return self.link(value.py_func)
        return value

    def _shared_maths(self, compiled: Any) -> Callable:
        """Call a function compiled for the CPU as it is, since it rounds like the device's, but trace its arrays."""

        def call(*arguments: Any) -> Any:
            if any(isinstance(argument, Array) for argument in arguments):
                return self.link(compiled.py_func)(*arguments)
            return compiled(*arguments)

        return call


def _names(code: CodeType) -> set[str]:
    """Global names that a function uses, also in its comprehensions and lambdas."""
    return set(code.co_names).union(*(_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))
