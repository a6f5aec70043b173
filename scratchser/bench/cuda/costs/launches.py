"""Launches as they are asked for: recorded instead of run, so that those of a training step of any size are counted,
compiled and accounted for without a GPU."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchser.kernels.machine import device


@dataclass(frozen=True)
class Launch:
    """One launch; `launch["x"]` is the argument that the kernel calls x, arrays being NumPy's."""

    kernel: Any
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int
    arguments: dict[str, Any]

    @staticmethod
    def of(kernel: Any, grid: Any, block: Any, shared_bytes: int, arguments: tuple) -> "Launch":
        """From what a launcher of scratchser.kernels.machine.device gets."""
        bound = inspect.signature(kernel.py_func).bind(*map(device.plain, arguments)).arguments
        return Launch(kernel, _three(grid), _three(block), shared_bytes, bound)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def name(self) -> str:
        return name_of(self.kernel)

    @property
    def blocks(self) -> int:
        return int(np.prod(self.grid, dtype=np.int64))

    @property
    def threads(self) -> int:
        """Of a block."""
        return int(np.prod(self.block))


@dataclass(frozen=True)
class Needed:
    bytes: int
    operations: int


@dataclass(frozen=True)
class Issued:
    global_reads: int
    global_writes: int
    shared_reads: int = 0
    shared_writes: int = 0


def recorded(function: Callable[[], Any]) -> list[Launch]:
    """The launches that a function asks for. None is run: its results are whatever lies in the memory."""
    launches: list[Launch] = []
    with device.launched_by(lambda *launch: launches.append(Launch.of(*launch))):
        function()
    return launches


def name_of(kernel: Any) -> str:
    """With its op: "softmax.loss_cuda"."""
    return f"{kernel.py_func.__module__.rpartition('.')[2]}.{kernel.py_func.__name__}"


def _three(shape: Any) -> tuple[int, int, int]:
    sides = tuple(int(side) for side in (shape if isinstance(shape, tuple) else (shape,)))
    x, y, z = (*sides, 1, 1)[:3]
    return x, y, z
