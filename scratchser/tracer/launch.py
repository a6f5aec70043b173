"""The shape of a launch: how its threads are numbered and named, and what a GPU accepts.

Blocks and threads are counted x first, as CUDA counts them; thread n of the launch is thread n % threads of block
n // threads. The limits are those of every compute capability from 7.5 on; 48 KB of shared memory is what a block
gets without asking the driver for more, which Numba cannot do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from scratchser.tracer.log import Log

THREADS = 1024
BLOCK = (1024, 1024, 64)
GRID = (2**31 - 1, 65535, 65535)
SHARED = 48 * 1024


class Dim3(NamedTuple):
    x: int
    y: int = 1
    z: int = 1

    def size(self) -> int:
        return self.x * self.y * self.z

    def at(self, number: int) -> Dim3:
        return Dim3(number % self.x, number // self.x % self.y, number // (self.x * self.y))


class Launch:
    """Grid and block, given as an integer or as up to three."""

    def __init__(self, grid: Any, block: Any) -> None:
        self.shapes = tuple(tuple(shape) if isinstance(shape, tuple | list) else (shape,) for shape in (grid, block))
        self.grid, self.block = (Dim3(*shape) for shape in self.shapes)
        self.blocks, self.threads = self.grid.size(), self.block.size()

    def accepted(self, log: Log) -> bool:
        """Whether a GPU takes this grid and this block; what it does not take is logged."""
        faults = [
            f"{what} {shape}: each side must be 1 to {most}"
            for what, shape, most in (("grid", self.grid, GRID), ("block", self.block, BLOCK))
            if not all(1 <= side <= limit for side, limit in zip(shape, most, strict=True))
        ]
        if self.threads > THREADS:
            faults.append(f"{self.threads} threads in a block: a GPU takes at most {THREADS}")
        for fault in faults:
            log.launch_fault(fault)
        return not faults

    def accept_shared(self, size: int, log: Log) -> None:
        """size   shared memory of a block, in bytes"""
        if size > SHARED:
            log.launch_fault(f"{size} bytes of shared memory in a block: Numba gives at most {SHARED}")

    def block_name(self, number: int) -> str:
        return f"block {self._name(self.grid.at(number), self.shapes[0])}"

    def thread_name(self, thread: int) -> str:
        """Of a thread of the launch, within its block."""
        return f"thread {self._name(self.block.at(thread % self.threads), self.shapes[1])}"

    def who(self, thread: int) -> str:
        return f"{self.thread_name(thread)} of {self.block_name(thread // self.threads)}"

    @staticmethod
    def _name(place: Dim3, shape: tuple) -> str:
        return str(place.x if len(shape) == 1 else tuple(place[: len(shape)]))
