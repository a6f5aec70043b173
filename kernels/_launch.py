"""How kernels are compiled: one place for the flags and for the compile cache.

    jit     one thread          pjit    the loops written with `prange` are shared among the cores

No fast-math flag is set, not even contraction of a * b + c * d into fused instructions: which product is fused is
then the compiler's choice, and it chose differently in a process that had compiled an LSTM cell and in one that had
loaded it from the cache: another last bit. Where fused instructions matter, matmul.py asks for them by name. Division
follows NumPy, x / 0 is inf or NaN: Python's exception would put a branch into every loop that divides.

Numba's cache looks at the time stamp of one file only, but kernels of one file are inlined into those of another:
editing matmul.py would leave an old conv2d in the cache. So the cache folder is named after all kernel sources
together.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit, prange

__all__ = ["jit", "pjit", "prange"]


def _cache_folder() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    home = config.CACHE_DIR or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "scratchser"
    )
    return os.path.join(home, digest)


_FOLDER = _cache_folder()


def _compiled(function: Callable[..., Any], parallel: bool) -> Any:
    # numba reads the folder while it decorates, so setting it here leaves other packages' caches where they are
    before, config.CACHE_DIR = config.CACHE_DIR, _FOLDER
    try:
        return njit(function, cache=True, error_model="numpy", parallel=parallel)
    finally:
        config.CACHE_DIR = before


def jit(function: Callable[..., Any]) -> Any:
    """Compile for one thread."""
    return _compiled(function, parallel=False)


def pjit(function: Callable[..., Any]) -> Any:
    """Compile with its `prange` loops shared among the cores."""
    return _compiled(function, parallel=True)
