"""Every CUDA kernel compiled without a GPU: by Numba to PTX, by NVIDIA's ptxas from there to machine code (SASS).

This needs no driver: the compilers are wheels (the extra `ptx`). Numba here is the package numba-cuda, which also
compiles the kernels for a real GPU. The argument types are those of recorded launches. Two things differ from a real
launch: the last step, which links the single PTX file, is left out, and the driver's own compiler may have another
version.

ptxas reports registers, shared memory, spills and every instruction in double precision.
"""

import importlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import config

from scratchser.bench.cuda.costs import RecordedLaunch
from scratchser.kernels.machine import device
from scratchser.support.errors import ProcessingError

Capability = tuple[int, int]
Types = Sequence[tuple[str, int]]  # dtype and dimensions of each argument; 0 dimensions for a number

CAPABILITIES: tuple[Capability, ...] = ((7, 5), (8, 0), (9, 0), (10, 0), (12, 0))
WHEELS = ("numba-cuda", "nvidia-cuda-nvcc-cu12")
REMEDY = "pip install -e '.[ptx]'"

# Limits of a block, for all of these capabilities
THREADS = 1024
SHARED = 48 * 1024  # bytes, static and dynamic; a launch gets more only if it asks the driver
REGISTERS = 65536
WARP, REGISTER_UNIT, PARTITIONS = 32, 256, 4  # registers are given by warp, in these units, in each of four partitions


class PtxError(ProcessingError):
    """The compilers are missing, or a kernel does not compile; the message says which."""


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
    found = (
        Variant(
            launch.kernel,
            launch.name,
            np.dtype(dtype).name,
            tuple(map(_type, launch.arguments.values())),
            launch.threads,
            launch.shared_bytes,
        )
        for launch in launches
    )
    return list(dict.fromkeys(found))


def _type(argument: Any) -> tuple[str, int]:
    if isinstance(argument, np.ndarray):
        return argument.dtype.name, argument.ndim
    return np.asarray(device.for_gpu(argument)).dtype.name, 0


# ---- one kernel -----------------------------------------------------------------------------------------------------


def build(kernel: Any, types: Types, capability: Capability) -> Build:
    """Raises PtxError if the kernel does not compile or the compilers are missing."""
    assembler = ptxas()
    from numba.core.errors import NumbaError  # after ptxas(): without the wheels this is another Numba

    name, (major, minor) = kernel.py_func.__name__, capability
    try:
        text = to_ptx(kernel, types, capability)
    except NumbaError as error:
        raise PtxError(f"Numba does not compile {name} for {major}.{minor}: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kernel.ptx").write_text(text)
        flags = [f"-arch=sm_{major}{minor}", "-v", "--warn-on-double-precision-use"]
        command = [str(assembler), *flags, "kernel.ptx", "-o", "kernel.cubin"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise PtxError(f"ptxas does not compile {name} for {major}.{minor}: {done.stdout}{done.stderr}")
    return read(done.stdout + done.stderr)


def to_ptx(kernel: Any, types: Types, capability: Capability) -> str:
    from numba import cuda, from_dtype
    from numba.core import types as numba_types

    scalars = (from_dtype(np.dtype(dtype)) for dtype, _ in types)
    signature = tuple(
        numba_types.Array(scalar, dimensions, "C") if dimensions else scalar
        for scalar, (_, dimensions) in zip(scalars, types, strict=True)
    )
    with no_gpu(capability):
        text, _ = cuda.compile_ptx(kernel.py_func, signature, cc=capability)
    return text


@contextmanager
def no_gpu(capability: Capability) -> Iterator[None]:
    """Give Numba this compute capability for the functions that a kernel calls.

    compile_ptx(cc=...) covers only the kernel itself. For the functions Numba asks the current GPU, so this function
    replaces get_current_device. Nothing else of Numba is replaced.
    """
    from numba.cuda import dispatcher

    before = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = before


def read(output: str) -> Build:
    """Parse what ptxas printed. Raises PtxError if a figure is missing, instead of taking it for 0."""
    used = re.search(r"Used (\d+) registers", output)
    frame = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", output)
    if used is None or frame is None:
        raise PtxError(f"ptxas did not report registers and stack, but: {output}")
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

Record = Callable[[], Sequence[Variant]]  # a function of a module, which each process calls again


def build_all(record: Record) -> list[dict[Capability, Build]]:
    """Compile each variant for all capabilities, on all cores. Raises PtxError as `build` does."""
    ptxas()  # raises before processes start
    if config.ENABLE_CUDASIM:
        raise PtxError("NUMBA_ENABLE_CUDASIM is set, and the simulator does not compile")
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(_build_share, [record] * cores, range(cores), [cores] * cores))
    return [parts[n % cores][n // cores] for n in range(sum(map(len, parts)))]


def _build_share(record: Record, first: int, step: int) -> list[dict[Capability, Build]]:
    return [
        {capability: build(variant.kernel, variant.types, capability) for capability in CAPABILITIES}
        for variant in record()[first::step]
    ]


# ---- faults ---------------------------------------------------------------------------------------------------------


def faults(variant: Variant, build: Build, capability: Capability) -> list[str]:
    """A sentence for each thing that a GPU does not accept, or that must not happen in our kernels."""
    shared, registers = build.static + variant.dynamic, block_registers(variant.threads, build.registers)
    found = {
        f"{build.doubles} instructions in double precision": build.doubles and variant.dtype == "float32",
        f"{build.spilled} bytes of registers spilled": build.spilled,
        f"{build.stack} bytes of local memory a thread": build.stack,
        f"{variant.threads} threads a block, at most {THREADS}": variant.threads > THREADS,
        f"{shared} bytes of shared memory a block, at most {SHARED}": shared > SHARED,
        f"{registers} registers a block, at most {REGISTERS}": registers > REGISTERS,
    }
    where = f"{variant.name}, {variant.dtype}, {capability[0]}.{capability[1]}"
    return [f"{where}: {fault}" for fault, is_fault in found.items() if is_fault]


def block_registers(threads: int, registers: int) -> int:
    """Registers that a launch reserves, rounded up as in NVIDIA's header cuda_occupancy.h."""
    of_a_warp = device.blocks(registers * WARP, REGISTER_UNIT) * REGISTER_UNIT
    warps = device.blocks(device.blocks(threads, WARP), PARTITIONS) * PARTITIONS
    return of_a_warp * warps


# ---- the compilers --------------------------------------------------------------------------------------------------


def ptxas() -> Path:
    """The path of ptxas. Raises PtxError with the remedy if a wheel is missing."""
    compilers()
    folders = importlib.import_module("nvidia.cuda_nvcc").__path__
    return Path(folders[0]) / "bin" / "ptxas"


def compilers() -> str:
    """The versions, as a phrase. Raises PtxError with the remedy if a wheel is missing."""
    try:
        numba_cuda, nvcc = map(metadata.version, WHEELS)
    except metadata.PackageNotFoundError as error:
        raise PtxError(f"--ptx needs the compilers, and {error.name} is not installed: {REMEDY}") from error
    return f"numba-cuda {numba_cuda} on Numba {metadata.version('numba')}, NVVM and ptxas {nvcc}"
