"""The shape of a launch, the names of its threads, and what a GPU accepts.

Blocks and threads are numbered with x first, as CUDA does: thread n of the launch is thread n % threads of block
n // threads. The limits hold for every compute capability from 7.5 on. A block gets 48 KB of shared memory without a
request to the driver, which Numba cannot make.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

THREADS = 1024
BLOCK = (1024, 1024, 64)
GRID = (2**31 - 1, 65535, 65535)
SHARED = 48 * 1024


class Dim3(NamedTuple):
    x: int
    y: int = 1
    z: int = 1

    def at(self, number: int) -> Dim3:
        return Dim3(number % self.x, number // self.x % self.y, number // (self.x * self.y))


class Launch:
    """Grid and block, each given as an integer or up to three of them."""

    def __init__(self, grid: Any, block: Any) -> None:
        self.shapes = tuple(tuple(shape) if isinstance(shape, tuple | list) else (shape,) for shape in (grid, block))
        self.grid, self.block = (Dim3(*shape) for shape in self.shapes)
        self.blocks, self.threads = prod(self.grid), prod(self.block)

    def refusals(self) -> list[str]:
        """Why a GPU does not accept this grid and block."""
        reasons = [
            f"{name} {shape}: each side must be 1 to {limits}"
            for name, shape, limits in (("grid", self.grid, GRID), ("block", self.block, BLOCK))
            if not all(1 <= side <= limit for side, limit in zip(shape, limits, strict=True))
        ]
        if self.threads > THREADS:
            reasons.append(f"{self.threads} threads in a block: a GPU allows at most {THREADS}")
        return reasons

    def block_name(self, number: int) -> str:
        return f"block {self._name(self.grid.at(number), self.shapes[0])}"

    def thread_name(self, thread: int) -> str:
        """The name within its block; `thread` counts through the launch."""
        return f"thread {self._name(self.block.at(thread % self.threads), self.shapes[1])}"

    def full_name(self, thread: int) -> str:
        return f"{self.thread_name(thread)} of {self.block_name(thread // self.threads)}"

    @staticmethod
    def _name(index: Dim3, shape: tuple) -> str:
        return str(index.x if len(shape) == 1 else tuple(index[: len(shape)]))
