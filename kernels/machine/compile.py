"""How kernels are compiled: one place for the flags and for the compile cache.

    jit         for the CPU, one thread; CUDA kernels may call a function of scalars too, it is compiled again for them
    pjit        for the CPU, the cores share the loops written with `prange`
    cuda_jit    a CUDA kernel, compiled at its first launch for the types of its arguments
    cuda_device a function that CUDA kernels call, for arrays or with barriers
    cuda        the module numba.cuda: cuda.threadIdx, cuda.shared.array ...

On the CPU no fast-math flag is set, not even contraction of a * b + c * d into fused instructions. The compiler would
choose which product to fuse, and its choice differed between a process that had compiled an LSTM cell and one that had
loaded it from the cache: another last bit. Where fused instructions matter, parts/tile.py requests them explicitly.
Division follows NumPy, x / 0 is inf or NaN: Python's exception would put a branch into every loop that divides.
"""

import hashlib
import os
import re
from collections.abc import Callable
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit, prange

from scratchser.kernels.machine import cache_files

try:
    from numba import cuda
except (ImportError, AttributeError, RuntimeError, OSError) as error:  # missing, or its version does not fit Numba's
    from scratchser.kernels.machine import no_cuda as cuda

    cuda.reason = f"{type(error).__name__}: {error}"

if not hasattr(np, "row_stack"):  # NumPy 2.5 removed it; numba-cuda 0.30.4 reads it at its first launch
    np.row_stack = np.vstack  # type: ignore[attr-defined]

__all__ = ["cuda", "cuda_device", "cuda_jit", "jit", "pjit", "prange"]


def _sources(file: Path) -> set[Path]:
    """This file and the kernel files that it imports, directly or not.

    They are in the folder `kernels` that contains this file, or in the package's for a file elsewhere, such as a
    learner's.
    """
    kernels = next((folder for folder in file.parents if (folder / "machine" / "compile.py").exists()), None)
    kernels = kernels or Path(__file__).parents[1]
    found, new = set[Path](), {file}
    while new:
        found |= new
        imports = (
            re.findall(r"^from scratchser\.kernels([\w.]*) import (.*)", one.read_text("utf-8"), re.M) for one in new
        )
        candidates = {
            kernels / f"{module.replace('.', '/')}{name}.py".lstrip("/")
            for module, names in chain.from_iterable(imports)
            for name in ["", *(f"/{name}" for name in re.findall(r"\w+", names))]
        }
        new = {file for file in candidates if file.exists()} - found
    return found


@cache
def _cache_folder(file: str) -> str | None:
    """The compile cache of a file, named after its text and the texts of the kernel files that it imports.

    Numba checks the time stamp of one file only, but kernels of one file are inlined into those of another: editing
    matmul.py would leave an old conv2d in the cache. None if no folder can be written.
    """
    texts = (source.read_bytes() for source in sorted(_sources(Path(file))))
    digest = hashlib.sha256(b"".join(texts)).hexdigest()[:16]
    home = cache_files.home()
    return home and os.path.join(home, digest)


def is_compiled(file: str) -> bool:
    """True if the compile cache holds kernels of this file."""
    folder = _cache_folder(file)
    return folder is not None and any(Path(folder).rglob("*.nbi"))


def _cached(compiler: Callable[..., Any], function: Callable[..., Any], **options: Any) -> Any:
    folder = _cache_folder(function.__code__.co_filename)
    if folder is None:
        return compiler(**options)(function)
    # Numba, and numba-cuda too, reads the folder while it decorates: setting it here does not move other packages'
    # caches
    before, config.CACHE_DIR = config.CACHE_DIR, folder
    try:
        compiled = compiler(cache=True, **options)(function)
    finally:
        config.CACHE_DIR = before
    cache_files.check(compiled)
    return compiled


def jit(function: Callable[..., Any]) -> Any:
    """Compile for one thread."""
    return _cached(njit, function, error_model="numpy")


def pjit(function: Callable[..., Any]) -> Any:
    """Compile for several threads, which share the `prange` loops."""
    return _cached(njit, function, error_model="numpy", parallel=True)


def cuda_jit(function: Callable[..., Any]) -> Any:
    """Compile as a CUDA kernel. device.launch passes its integers as int32, its floats in the arrays' dtype."""
    return _cached(cuda.jit, function)


def cuda_device(function: Callable[..., Any]) -> Any:
    """Compile as part of the CUDA kernels that call it."""
    return cuda.jit(device=True)(function)
