"""Every CUDA kernel compiled without a GPU: by Numba to PTX, by NVIDIA's ptxas from there to machine code (SASS).

The compilers are wheels (the extra `ptx`) and need no driver. For a real GPU, numba-cuda compiles to LTO-IR instead,
which nvJitLink links to machine code; the registers were compared once, and one differed. The argument types are those
of recorded launches. ptxas reports registers, shared memory, spills and instructions in double precision.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module, metadata
from itertools import repeat
from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from numba import config

from scratchser.bench.cuda.costs import RecordedLaunch
from scratchser.kernels.machine import device
from scratchser.support.errors import ProcessingError

Types = Sequence[tuple[str, int]]  # dtype and dimensions of each argument; 0 dimensions for a number

CAPABILITIES = ("7.5", "8.0", "9.0", "10.0", "12.0")
WHEELS = ("numba-cuda", "nvidia-cuda-nvcc-cu12")

# Limits of a block, for all of these capabilities
THREADS = 1024
SHARED = 48 * 1024  # bytes, static and dynamic; a launch gets more only if it asks the driver
REGISTERS = 65536


@dataclass(frozen=True)
class Variant:
    """A kernel as it is launched: what it is compiled for, and with what it runs."""

    kernel: Any
    name: str  # "softmax.loss_cuda"
    dtype: str  # of the floats in the run that launched it
    types: tuple[tuple[str, int], ...]
    threads: int  # of a block
    dynamic: int  # bytes of shared memory that the launch requests


@dataclass(frozen=True)
class Build:
    """What ptxas reports for one compute capability."""

    registers: int  # of a thread
    static: int  # bytes of shared memory that the kernel declares
    stack: int  # bytes of a thread in local memory, which is as slow as global memory
    spilled: int  # bytes stored and loaded because there were too few registers
    doubles: int  # instructions in double precision


def variants(launches: Iterable[RecordedLaunch], dtype: type) -> list[Variant]:
    """Launches that differ in what is compiled or in their block, once each."""
    found = []
    for launch in launches:
        types = tuple(map(_type, launch.arguments.values()))
        found.append(
            Variant(launch.kernel, launch.name, np.dtype(dtype).name, types, launch.threads, launch.shared_bytes)
        )
    return list(dict.fromkeys(found))


def _type(argument: Any) -> tuple[str, int]:
    if isinstance(argument, np.ndarray):
        return argument.dtype.name, argument.ndim
    return np.asarray(device.for_gpu(argument)).dtype.name, 0


# ---- one kernel -----------------------------------------------------------------------------------------------------


def build(kernel: Any, types: Types, capability: str) -> Build:
    """Raises ProcessingError if the kernel does not compile."""
    from numba.core.errors import NumbaError  # without the compilers this is another Numba

    ptxas = f"{import_module('nvidia.cuda_nvcc').__path__[0]}/bin/ptxas"
    where = f"{kernel.py_func.__name__} for {capability}"
    try:
        code = to_ptx(kernel, types, capability)
    except NumbaError as error:
        raise ProcessingError(f"Numba does not compile {where}: {error}") from error
    flags = [f"-arch=sm_{capability.replace('.', '')}", "-v", "--warn-on-double-precision-use"]
    done = subprocess.run([ptxas, *flags, "-", "-o", os.devnull], input=code, capture_output=True, text=True)
    output = done.stdout + done.stderr
    if done.returncode:
        raise ProcessingError(f"ptxas does not compile {where}: {output}")
    return read(output)


def to_ptx(kernel: Any, types: Types, capability: str) -> str:
    from numba import cuda, from_dtype
    from numba.core import types as numba_types

    signature = []
    for dtype, dimensions in types:
        scalar = from_dtype(np.dtype(dtype))
        signature.append(numba_types.Array(scalar, dimensions, "C") if dimensions else scalar)
    cc = tuple(map(int, capability.split(".")))
    # compile_ptx(cc=...) covers only the kernel itself: for the functions that it calls, Numba asks the current GPU
    gpu = SimpleNamespace(compute_capability=cc)
    with mock.patch("numba.cuda.dispatcher.get_current_device", lambda: gpu):
        return cuda.compile_ptx(kernel.py_func, tuple(signature), cc=cc)[0]


def read(output: str) -> Build:
    """Parse what ptxas printed. Raises ProcessingError if a figure is missing, instead of taking it for 0."""
    used = re.search(r"Used (\d+) registers", output)
    frame = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", output)
    if used is None or frame is None:
        raise ProcessingError(f"ptxas did not report registers and stack, but: {output}")
    shared = re.search(r"(\d+) bytes smem", output)  # not printed if there is none
    stack, *spilled = map(int, frame.groups())
    return Build(
        registers=int(used[1]),
        static=int(shared[1]) if shared else 0,
        stack=stack,
        spilled=sum(spilled),
        doubles=output.count("double precision computations"),
    )


# ---- all of them ----------------------------------------------------------------------------------------------------

Builds = dict[Variant, dict[str, Build]]  # by compute capability


def build_all(record: Callable[[], Sequence[Variant]]) -> Builds:
    """Compile the variants for all capabilities, on all cores. Each process calls `record`, a function of a module."""
    compilers()  # raises before processes start
    if config.ENABLE_CUDASIM:
        raise ProcessingError("NUMBA_ENABLE_CUDASIM is set, and the simulator does not compile")
    variants = record()
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return dict(zip(variants, pool.map(_build_variant, repeat(record), range(len(variants))), strict=True))


def _build_variant(record: Callable[[], Sequence[Variant]], number: int) -> dict[str, Build]:
    variant = record()[number]
    return {capability: build(variant.kernel, variant.types, capability) for capability in CAPABILITIES}


def faults(builds: Builds) -> list[str]:
    """A sentence for each thing that a GPU does not accept, or that must not happen in our kernels."""
    found = []
    for variant, by_capability in builds.items():
        for capability, build in by_capability.items():
            shared = build.static + variant.dynamic
            # a GPU reserves registers for four warps at a time, and for each thread in units of eight
            registers = device.blocks(variant.threads, 128) * 128 * device.blocks(build.registers, 8) * 8
            is_fault = {
                f"{build.doubles} instructions in double precision": build.doubles and variant.dtype == "float32",
                f"{build.spilled} bytes of registers spilled": build.spilled,
                f"{build.stack} bytes of local memory a thread": build.stack,
                f"{variant.threads} threads a block, at most {THREADS}": variant.threads > THREADS,
                f"{shared} bytes of shared memory a block, at most {SHARED}": shared > SHARED,
                f"{registers} registers a block, at most {REGISTERS}": registers > REGISTERS,
            }
            where = f"{variant.name}, {variant.dtype}, {capability}"
            found += [f"{where}: {fault}" for fault in is_fault if is_fault[fault]]
    return found


# ---- the compilers --------------------------------------------------------------------------------------------------


def compilers() -> str:
    """The versions, as a phrase. Raises ProcessingError with the remedy if a wheel is missing."""
    try:
        numba_cuda, nvcc = map(metadata.version, WHEELS)
    except metadata.PackageNotFoundError as error:
        remedy = "pip install -e '.[ptx]'"
        raise ProcessingError(f"--ptx needs the compilers, and {error.name} is not installed: {remedy}") from error
    return f"numba-cuda {numba_cuda} on Numba {metadata.version('numba')}, NVVM and ptxas {nvcc}"
