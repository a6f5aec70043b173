"""Launches that are recorded instead of run, and the table of their costs."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchser.kernels.machine import device


@dataclass(frozen=True)
class RecordedLaunch:
    """One launch; `launch["x"]` is the argument that the kernel calls x. Arrays are NumPy's."""

    kernel: Any
    grid: int | tuple[int, ...]
    block: int | tuple[int, ...]
    shared_bytes: int
    arguments: dict[str, Any]

    @staticmethod
    def of(kernel: Any, grid: Any, block: Any, shared_bytes: int, arguments: tuple) -> "RecordedLaunch":
        """Takes the arguments of a launcher of scratchser.kernels.machine.device."""
        bound = inspect.signature(kernel.py_func).bind(*map(device.plain, arguments)).arguments
        return RecordedLaunch(kernel, grid, block, shared_bytes, bound)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def name(self) -> str:
        return name_of(self.kernel)

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return int(np.prod(self.block))

    @property
    def all_threads(self) -> int:
        return int(np.prod(self.grid, dtype=np.int64)) * self.threads


def recorded(function: Callable[[], Any]) -> list[RecordedLaunch]:
    """Record the launches of a function. No kernel runs, so the results are arbitrary."""
    launches: list[RecordedLaunch] = []
    with device.launched_by(lambda *launch: launches.append(RecordedLaunch.of(*launch))):
        function()
    return launches


def name_of(kernel: Any) -> str:
    """The name with its module: "softmax.loss_cuda"."""
    return f"{kernel.py_func.__module__.rpartition('.')[2]}.{kernel.py_func.__name__}"


# ---- the table of costs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Needed:
    bytes: int
    operations: int


@dataclass(frozen=True)
class Issued:
    """Elements that all threads of the launch read and write."""

    global_reads: int
    global_writes: int
    shared_reads: int = 0
    shared_writes: int = 0


Cost = tuple[Needed, Issued]
_FORMULAS: dict[Any, Callable[..., Cost]] = {}


def costs_of(*kernels: Any) -> Callable:
    """Decorate the formula of one or more kernels.

    The formula's parameters have the names of the kernel's arguments that it uses; `launch` is the launch itself.
    """

    def register(formula: Callable[..., Cost]) -> Callable[..., Cost]:
        _FORMULAS.update(dict.fromkeys(kernels, formula))
        return formula

    return register


def kernel_names() -> list[str]:
    """The names of all CUDA kernels, in order."""
    return sorted(map(name_of, _FORMULAS))


def needed(launch: RecordedLaunch) -> Needed:
    """What any implementation of this launch needs. Raises KeyError for a kernel without a formula."""
    return _cost(launch)[0]


def issued(launch: RecordedLaunch) -> Issued:
    """What our kernel issues. Raises KeyError for a kernel without a formula."""
    return _cost(launch)[1]


def _cost(launch: RecordedLaunch) -> Cost:
    formula = _FORMULAS[launch.kernel]
    names = inspect.signature(formula).parameters
    return formula(**{name: launch if name == "launch" else launch[name] for name in names})
