"""Every CUDA kernel compiled without a GPU: by Numba to PTX, by NVIDIA's ptxas from there to machine code (SASS).

No driver is needed, the compilers are wheels (the extra `ptx`). The package numba-cuda does it and not the CUDA target
inside Numba: it is what a GPU gets its kernels from through the extras cuda12 and cuda13, and later releases of Numba
leave CUDA to it. Types are those of recorded launches, as _device.launch_by_numba would pass them. What is left out of
a real launch's way is the last link, of the one PTX file to itself; the driver's compiler may be of another version.

ptxas tells registers, shared memory, spills, and every instruction in double precision.
"""

import importlib.util
import os
import re
import subprocess
import tempfile
from collections import Counter
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
from scratchser.bench.cuda.occupancy import (
    MULTIPROCESSORS,
    REGISTERS,
    SHARED_OF_A_BLOCK,
    THREADS_OF_A_BLOCK,
    Capability,
    Occupancy,
    occupancy,
)
from scratchser.kernels.machine import device

CAPABILITIES = tuple(MULTIPROCESSORS)
WHEELS = ("numba-cuda", "nvidia-cuda-nvcc-cu12")
REMEDY = "pip install -e '.[ptx]'"


class PtxError(RuntimeError):
    """The compilers are missing, or a kernel does not compile; the message says which."""


@dataclass(frozen=True)
class Variant:
    """A kernel as it is launched: what it is compiled for, and with what it runs."""

    kernel: Any
    name: str  # "softmax.loss_cuda"
    dtype: str  # of the floats in the run that launched it
    types: tuple[tuple[str, int], ...]  # dtype and dimensions of each argument; 0 for a number
    threads: int  # of a block
    dynamic: int  # bytes of shared memory that the launch asks for


@dataclass(frozen=True)
class Build:
    """What came out for one compute capability."""

    registers: int  # of a thread
    static: int  # bytes of shared memory in the kernel's text
    stack: int  # bytes of a thread in local memory, which lies where global memory lies
    spilled: int  # bytes stored and loaded because registers ran out
    doubles: int  # warnings of instructions in double precision
    accesses: dict[str, dict[str, int]]  # "ld", "st": how many on global memory in the PTX, by type: "f32", "v4.f32"


def variants(launches: Iterable[RecordedLaunch], dtype: type) -> list[Variant]:
    """Each that differs in what is compiled or in its block, once."""
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


def build(kernel: Any, types: Sequence[tuple[str, int]], capability: Capability) -> Build:
    """Raises PtxError where the kernel does not compile or the compilers are missing."""
    assembler = ptxas()
    from numba.core.errors import NumbaError  # not before: where a wheel is missing, this is the wrong Numba

    name, (major, minor) = kernel.py_func.__name__, capability
    try:
        text = to_ptx(kernel, types, capability)
    except NumbaError as error:
        raise PtxError(f"Numba does not compile {name} for {major}.{minor}: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kernel.ptx").write_text(text)
        done = subprocess.run(
            [
                *(assembler, f"-arch=sm_{major}{minor}", "-v"),
                *("--warn-on-double-precision-use", "--warn-on-spills", "--warn-on-local-memory-usage"),
                *("kernel.ptx", "-o", "kernel.cubin"),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise PtxError(f"ptxas does not take {name} for {major}.{minor}: {done.stdout}{done.stderr}")
    return read(text, done.stdout + done.stderr)


def to_ptx(kernel: Any, types: Sequence[tuple[str, int]], capability: Capability) -> str:
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
    """Numba asks the GPU at hand for its capability when a kernel calls a function: here it is told one.

    The one place where something of Numba is exchanged. It has compile_ptx(cc=...) for the kernel itself, and nothing
    of that kind for the functions that it calls.
    """
    from numba.cuda import dispatcher

    before = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = before


def read(ptx: str, said: str) -> Build:
    """From the PTX and what ptxas said of it. Raises PtxError where a figure is not there: it is not taken for 0."""
    used = re.search(r"Used (\d+) registers", said)
    frame = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", said)
    if used is None or frame is None:
        raise PtxError(f"ptxas did not say how many registers or how large a stack it uses, but: {said}")
    shared = re.search(r"(\d+) bytes smem", said)  # not said where there is none
    stack, *spilled = map(int, frame.groups())
    return Build(
        registers=int(used[1]),
        static=int(shared[1]) if shared else 0,
        stack=stack,
        spilled=sum(spilled),
        doubles=said.count("double precision computations"),
        accesses={word: _accesses(ptx, word) for word in ("ld", "st")},
    )


def _accesses(ptx: str, word: str) -> dict[str, int]:
    """By type, and vectors with their width: "ld.global.nc.v4.f32" counts as "v4.f32"."""
    instructions = re.findall(rf"^\s*(?:@!?%p\d+\s+)?{word}((?:\.\w+)*\.global(?:[.:\w]*))\s", ptx, re.MULTILINE)
    widths = (re.search(r"(?:v\d\.)?\w\d+$", instruction) for instruction in instructions)
    return dict(Counter(width[0] for width in widths if width))


# ---- all of them ----------------------------------------------------------------------------------------------------

Record = Callable[[], Sequence[Variant]]  # a module's function, which every process calls for itself


def build_all(record: Record, capabilities: Sequence[Capability] = CAPABILITIES) -> list[dict[Capability, Build]]:
    """For each variant in its order, on all cores. Raises PtxError as `build` does."""
    ptxas()  # missing wheels are told before processes start
    if config.ENABLE_CUDASIM:
        raise PtxError("NUMBA_ENABLE_CUDASIM is set, and the simulator does not compile")
    shares = os.cpu_count() or 1
    with ProcessPoolExecutor(shares, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(_share, [record] * shares, range(shares), [shares] * shares, [capabilities] * shares))
    return [parts[n % shares][n // shares] for n in range(sum(map(len, parts)))]


def _share(record: Record, first: int, step: int, capabilities: Sequence[Capability]) -> list[dict[Capability, Build]]:
    return [
        {capability: build(variant.kernel, variant.types, capability) for capability in capabilities}
        for variant in record()[first::step]
    ]


# ---- what a GPU, or we, would not take ------------------------------------------------------------------------------


def occupancy_of(variant: Variant, build: Build, capability: Capability) -> Occupancy:
    return occupancy(capability, variant.threads, build.registers, build.static + variant.dynamic)


def faults(variant: Variant, build: Build, capability: Capability) -> list[str]:
    """A sentence each."""
    shared = build.static + variant.dynamic
    found = []
    if build.doubles and variant.dtype == "float32":
        found.append(f"{build.doubles} instructions in double precision")
    if build.spilled:
        found.append(f"{build.spilled} bytes of registers spilled")
    if build.stack:
        found.append(f"{build.stack} bytes of local memory a thread")
    if variant.threads > THREADS_OF_A_BLOCK:
        found.append(f"{variant.threads} threads a block, of {THREADS_OF_A_BLOCK}")
    if shared > SHARED_OF_A_BLOCK:
        found.append(f"{shared} bytes of shared memory a block, of {SHARED_OF_A_BLOCK}")
    if build.registers * variant.threads > REGISTERS:
        found.append(f"{build.registers} registers a thread for {variant.threads} threads, of {REGISTERS} together")
    if not found and not occupancy_of(variant, build, capability).blocks:
        found.append(f"{build.registers} registers for {variant.threads} threads do not fit once rounded up")
    where = f"{variant.name}, {variant.dtype}, {capability[0]}.{capability[1]}"
    return [f"{where}: {fault}" for fault in found]


# ---- the compilers --------------------------------------------------------------------------------------------------


def ptxas() -> str:
    """Where it is. Raises PtxError where a wheel is missing, with the remedy."""
    missing = [wheel for wheel in WHEELS if not _installed(wheel)]
    if missing:
        raise PtxError(f"{' and '.join(missing)} not installed, which compile without a GPU: {REMEDY}")
    package = importlib.util.find_spec("nvidia.cuda_nvcc")
    places = [] if package is None else list(package.submodule_search_locations or ())
    found = [file for place in places if (file := Path(place) / "bin" / "ptxas").exists()]
    if not found:
        raise PtxError(f"nvidia-cuda-nvcc-cu12 is installed without its ptxas: {REMEDY}")
    return str(found[0])


def compilers() -> str:
    """Their versions, in words."""
    ptxas()
    numba_cuda, nvcc = map(metadata.version, WHEELS)
    return f"numba-cuda {numba_cuda} on Numba {metadata.version('numba')}, NVVM and ptxas {nvcc}"


def _installed(wheel: str) -> bool:
    try:
        return bool(metadata.version(wheel))
    except metadata.PackageNotFoundError:
        return False
