"""What replaces the module `cuda` in a traced kernel: indices, barriers, shared and local arrays, and nothing else."""

import dis
import sys
from functools import cache
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

import numpy as np

from scratchser.tracer.arrays import POISON, Array, Memory
from scratchser.tracer.blocks import Thread
from scratchser.tracer.launch import SHARED, Dim3, Launch
from scratchser.tracer.log import Log, SourceLine, source_line


class Cuda:
    thread: Thread  # that runs now

    def __init__(self, launch: Launch, log: Log, shared_bytes: int) -> None:
        self.launch = launch
        self.gridDim, self.blockDim = launch.grid, launch.block
        self.blockIdx = self.threadIdx = Dim3(0, 0, 0)
        self.shared, self.local = Shared(log, shared_bytes), Local(log)
        self.const = SimpleNamespace(array_like=lambda array: array)

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(f"cuda.{name} is not supported by the tracer")

    def enter_block(self, number: int) -> None:
        self.blockIdx = self.launch.grid.at(number)
        self.shared.clear()

    def enter_thread(self, thread: Thread) -> None:
        self.thread = thread
        self.threadIdx = self.launch.block.at(thread.number % self.launch.threads)

    def grid(self, dimensions: int) -> int | tuple[int, ...]:
        axes = zip(self.blockIdx, self.blockDim, self.threadIdx, strict=True)
        index = tuple(block * size + thread for block, size, thread in axes)
        return index[0] if dimensions == 1 else index[:dimensions]

    def gridsize(self, dimensions: int) -> int | tuple[int, ...]:
        size = tuple(blocks * n for blocks, n in zip(self.gridDim, self.blockDim, strict=True))
        return size[0] if dimensions == 1 else size[:dimensions]

    def syncthreads(self) -> None:
        self.thread.wait(sys._getframe(1))

    @staticmethod
    def fma(a: Any, b: Any, c: Any) -> Any:
        """a b + c, but rounded twice; the device rounds once."""
        return a * b + c


class Shared:
    """Shared arrays: one for each declaration, common to all threads of a block, unwritten when a block begins."""

    def __init__(self, log: Log, dynamic_bytes: int) -> None:
        self.log = log
        self.bytes = dynamic_bytes
        self.dynamic = unwritten(dynamic_bytes)
        self._declared: dict[SourceLine, Memory] = {}

    def array(self, shape: Any, dtype: Any) -> Array:
        """Shape 0 is all of the dynamic shared memory. Raises ValueError if the shape of a declaration changes."""
        frame = sys._getframe(1)
        key = source_line(frame)
        shape = shape if isinstance(shape, tuple) else (shape,)
        if key not in self._declared:
            self._declared[key] = self._declare(shape, dtype, variable(frame))
        memory = self._declared[key]
        if shape != (0,) and memory.data.shape != shape:
            raise ValueError(f"shared array {memory.name} has shape {memory.data.shape} first and {shape} later")
        return Array(memory)

    def _declare(self, shape: tuple, dtype: Any, name: str) -> Memory:
        if shape != (0,):
            memory = declare(self.log, "shared", shape, dtype, name)
            self.bytes += memory.data.nbytes
            return memory
        data, written = self.dynamic
        whole = len(data) - len(data) % _dtype(dtype).itemsize
        return Memory(self.log, "shared", name, data[:whole].view(_dtype(dtype)), written)

    def clear(self) -> None:
        for memory in self._declared.values():
            memory.clear()

    def check_size(self) -> None:
        if self.bytes > SHARED:
            self.log.launch_fault(f"{self.bytes} bytes of shared memory in a block: Numba allows at most {SHARED}")


class Local:
    """Local arrays: unwritten each time when a thread reaches the declaration."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def array(self, shape: Any, dtype: Any) -> Array:
        return Array(declare(self.log, "local", shape, dtype, variable(sys._getframe(1))))


def declare(log: Log, space: str, shape: Any, dtype: Any, name: str) -> Memory:
    dtype = _dtype(dtype)
    data, written = unwritten(int(np.prod(shape)) * dtype.itemsize)
    return Memory(log, space, name, data.view(dtype).reshape(shape), written)


def unwritten(size: int) -> tuple[np.ndarray, bytearray]:
    """Bytes, and for each of them whether it is written."""
    return np.full(size, POISON, np.uint8), bytearray(size)


def _dtype(dtype: Any) -> np.dtype:
    """For a NumPy type, or for a Numba type, which has a name."""
    return np.dtype(getattr(dtype, "name", dtype))


def variable(frame: FrameType) -> str:
    """The variable to which the result of the running call is assigned, or the source line if it is none."""
    return _assigned_to(frame.f_code, frame.f_lasti) or f"declared at {source_line(frame)}"


@cache
def _assigned_to(code: CodeType, call: int) -> str | None:
    after = next(step for step in dis.get_instructions(code) if step.offset > call)
    if not after.opname.startswith("STORE_"):
        return None
    return after.argval if isinstance(after.argval, str) else after.argval[0]  # Python 3.13 stores and loads in one
