"""Run a CUDA kernel without a GPU and watch every memory access.

    report = trace(kernel, grid, block, *arguments)      like kernel[grid, block](*arguments)
    report.require_clean()                               AssertionError with every fault
    print(report.counts)                                 reads and writes of the launch, the cost of the kernel
    report.requests("x")                                 what each warp reads and writes of x at a time

The kernel runs as Python. Only the names that mean the GPU are replaced: `cuda`, device functions, arrays. The threads
of a block run one after the other, each up to its next barrier. So every run is the same, and a race is found in the
accesses themselves, whatever the schedule. Numba's simulator is not used, and `numba.cuda` may be Numba's own or that
of the package numba-cuda.

Faults:

    races            two threads access one address, one of them writes, and no barrier lies between (within a block) or
                     they are in different blocks
    divergence       not all threads of a block reach the same barrier
    uninitialised    reads of shared or local memory that was not written since the block, or the array, began
    out_of_range     indices below 0 or past the end. Numba wraps negative indices; here they are faults
    launch           a block, a grid or shared memory larger than a GPU allows

The tracer cannot see what a compiler does (types, rounding, whether it compiles at all), faults that other input values
cause, and wrong results without a fault: compare them with a reference implementation. An access takes about 2 µs, a
barrier 10 to 40 µs for each thread.

launch     shape of the grid and the blocks        link      the kernel with the names of the GPU replaced
module     what replaces `cuda`                    arrays    what replaces an array
blocks     runs the threads of a block             log       records accesses and faults
races      finds races in the log                  report    faults and counts
drawing    who reads and writes which element
"""

import inspect
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchser.tracer.arrays import Array, Memory
from scratchser.tracer.blocks import Workers, run_block
from scratchser.tracer.launch import Launch
from scratchser.tracer.link import Linker
from scratchser.tracer.log import Log
from scratchser.tracer.module import Cuda
from scratchser.tracer.races import races
from scratchser.tracer.report import Report


def trace(kernel: Any, grid: Any, block: Any, *arguments: Any, shared_bytes: int = 0) -> Report:
    """Launch a kernel and record what it does. Arrays are changed as by a real launch.

    kernel        decorated by numba.cuda.jit
    grid, block   number of blocks, and of threads in a block: an integer or up to three of them, x first
    arguments     NumPy arrays and scalars
    shared_bytes  dynamic shared memory, for `cuda.shared.array(0, ...)`

    A launch that no GPU accepts is reported and not run. Raises what the kernel raises, NotImplementedError if it uses
    what the tracer does not support (atomics, warp intrinsics), TypeError for other arguments.
    """
    launch = Launch(grid, block)
    log = Log(launch)
    cuda = Cuda(launch, log, shared_bytes)
    for reason in launch.refusals():
        log.launch_fault(reason)
    if not log.faults:
        given = _traced(kernel.py_func, arguments, log)
        body = Linker(cuda, log).link(kernel.py_func)
        workers = Workers()
        try:
            for number in range(launch.blocks):
                cuda.enter_block(number)
                run_block(lambda: body(*given), number, workers, cuda, log)
        finally:
            workers.end()
    cuda.shared.check_size()
    accesses = log.accesses()
    return Report([*log.faults.values(), *races(log, accesses)], log.counts(accesses), log)


def _traced(function: Callable[..., None], arguments: tuple, log: Log) -> list:
    """The arguments with traced arrays, which have the names of the kernel's parameters."""
    bound = inspect.signature(function).bind(*arguments).arguments
    for name, value in bound.items():
        if isinstance(value, np.ndarray):
            bound[name] = Array(Memory(log, "global", name, value))
        elif not isinstance(value, numbers.Number | np.generic):
            raise TypeError(f"argument {name} is neither a NumPy array nor a scalar but a {type(value).__name__}")
    return list(bound.values())
