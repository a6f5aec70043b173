"""A launch of a CUDA kernel, watched access by access, without a GPU.

    report = trace(kernel, grid, block, *arguments)      kernel[grid, block](*arguments), and what happened in it
    report.require_clean()                               AssertionError with every fault found
    print(report.counts)                                 what the launch reads and writes: the kernel's cost score

The kernel's Python text runs as it stands; only the names in it that mean the GPU are exchanged: `cuda`, the device
functions, the arrays. The threads of a block run one after the other, each alone up to its next barrier, so two runs
are alike to the last access, and a race is found in what was accessed and not by the luck of a schedule. Numba's
simulator is not involved; whether it is switched on (NUMBA_ENABLE_CUDASIM) and whether `numba.cuda` is Numba's own or
the package numba-cuda makes no difference.

What it finds:

    races            two threads, one address, at least one of them writing: within a block if no barrier lies between,
                     in different blocks always
    divergence       threads of a block that reach different barriers, or not all of them
    uninitialised    reads of shared or local memory that nobody has written since the block, or the array, began
    out_of_range     indices below 0 or past the end. Numba wraps negative ones, here they are faults
    launch           block, grid or shared memory larger than a GPU takes

What it cannot see: what a compiler makes of the text (its types, its rounding, whether it compiles at all); faults that
need other input values; results that are wrong without a fault, which only a comparison with a truth finds. An access
costs about 2 µs, a barrier 10 to 40 µs for each thread.
"""

import inspect
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchser.tracer.arrays import Array, Memory
from scratchser.tracer.blocks import Workers, run_block
from scratchser.tracer.counts import counts
from scratchser.tracer.launch import Launch
from scratchser.tracer.link import Linker
from scratchser.tracer.log import Log
from scratchser.tracer.module import Cuda
from scratchser.tracer.races import races
from scratchser.tracer.report import Report

__all__ = ["Report", "trace"]


def trace(kernel: Any, grid: Any, block: Any, *arguments: Any, shared_bytes: int = 0) -> Report:
    """Launch a kernel under watch; its arrays come back changed as after a real launch.

    kernel        decorated by numba.cuda.jit
    grid, block   blocks, and threads of a block: an integer or up to three, x first
    arguments     NumPy arrays and scalars
    shared_bytes  dynamic shared memory, what `cuda.shared.array(0, ...)` shares out

    A launch that no GPU accepts is reported and not run. Raises what the kernel raises, NotImplementedError where it
    uses what the tracer does not know (atomics, warp intrinsics), TypeError for other arguments.
    """
    launch = Launch(grid, block)
    log = Log(launch)
    cuda = Cuda(launch, log, shared_bytes)
    linker = Linker(cuda, log)
    if launch.accepted(log):
        given = _arguments(kernel.py_func, arguments, log)
        body = linker.link(kernel.py_func)
        with Workers() as workers:
            for number in range(launch.blocks):
                cuda.enter_block(number)
                run_block(lambda: body(*given), number, workers, cuda, log)
    launch.accept_shared(cuda.shared.bytes, log)
    accesses = log.accesses()
    return Report(
        races=races(log, accesses),
        divergence=log.seen("divergence"),
        uninitialised=log.seen("uninitialised"),
        out_of_range=log.seen("out of range"),
        launch=log.seen("launch"),
        counts=counts(log, accesses),
    )


def _arguments(function: Callable[..., None], arguments: tuple, log: Log) -> list:
    """The arrays among them exchanged for traced ones, under the names of the kernel's parameters."""
    bound = inspect.signature(function).bind(*arguments).arguments
    for name, value in bound.items():
        if isinstance(value, np.ndarray):
            bound[name] = Array(Memory(log, "global", name, value))
        elif not isinstance(value, numbers.Number | np.generic):
            raise TypeError(f"argument {name} is neither a NumPy array nor a scalar but a {type(value).__name__}")
    return list(bound.values())
