"""How kernels are compiled: one place for the flags and for the compile cache.

    jit         for the CPU, one thread; a function of scalars may be called by CUDA kernels: it is compiled anew there
    pjit        for the CPU, the loops written with `prange` are shared among the cores
    cuda_jit    a CUDA kernel, compiled at its first launch for the types that it gets
    cuda_device a function that CUDA kernels call, for arrays or with barriers
    cuda        the module numba.cuda: cuda.threadIdx, cuda.shared.array ...

On the CPU no fast-math flag is set, not even contraction of a * b + c * d into fused instructions: which product is
fused is then the compiler's choice, and it chose differently in a process that had compiled an LSTM cell and in one
that had loaded it from the cache: another last bit. Where fused instructions matter, matmul.py asks for them by name.
Division follows NumPy, x / 0 is inf or NaN: Python's exception would put a branch into every loop that divides.

Numba's cache looks at the time stamp of one file only, but kernels of one file are inlined into those of another:
editing matmul.py would leave an old conv2d in the cache. So a file's cache folder is named after its text together
with the texts of the kernel files that it imports.
"""

import hashlib
import os
import re
from collections.abc import Callable
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from numba import config, njit, prange

try:
    from numba import cuda
except ImportError:
    from scratchser.kernels.machine import no_cuda as cuda

__all__ = ["cuda", "cuda_device", "cuda_jit", "jit", "pjit", "prange"]


def _sources(file: Path) -> set[Path]:
    """This file and the kernel files that it imports, directly or not.

    They lie in the folder `kernels` that holds this file; a file elsewhere, such as a learner's, imports the package's.
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
def _cache_folder(file: str) -> str:
    texts = (source.read_bytes() for source in sorted(_sources(Path(file))))
    digest = hashlib.sha256(b"".join(texts)).hexdigest()[:16]
    home = config.CACHE_DIR or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "scratchser"
    )
    return os.path.join(home, digest)


def is_compiled(file: str) -> bool:
    """True if the compile cache holds kernels of this file."""
    return any(Path(_cache_folder(file)).rglob("*.nbi"))


def _cached(compiler: Callable[..., Any], function: Callable[..., Any], **options: Any) -> Any:
    # numba reads the folder while it decorates, so setting it here leaves other packages' caches where they are;
    # numba-cuda reads this very config
    before, config.CACHE_DIR = config.CACHE_DIR, _cache_folder(function.__code__.co_filename)
    try:
        return compiler(**options)(function)
    finally:
        config.CACHE_DIR = before


def jit(function: Callable[..., Any]) -> Any:
    """Compile for one thread."""
    return _cached(njit, function, cache=True, error_model="numpy")


def pjit(function: Callable[..., Any]) -> Any:
    """Compile with its `prange` loops shared among the cores."""
    return _cached(njit, function, cache=True, error_model="numpy", parallel=True)


def cuda_jit(function: Callable[..., Any]) -> Any:
    """Compile as a CUDA kernel. Its integers are int32 (device.launch sees to it), its floats of the arrays' dtype."""
    return _cached(cuda.jit, function, cache=True)


def cuda_device(function: Callable[..., Any]) -> Any:
    """Compile as a part of the CUDA kernels that call it."""
    return cuda.jit(device=True)(function)
