"""The name `cuda` where Numba has no CUDA target: later releases leave it to numba-cuda, which not every system has.

Kernels can be imported, and the tracer runs their Python text. Launching one raises RuntimeError.
"""

from collections.abc import Callable
from typing import Any

reason = ""  # why numba.cuda cannot be imported


class Uncompiled:
    """A kernel or device function that is not compiled: its Python text only."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.py_func = function
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __getitem__(self, configuration: Any) -> Any:
        raise RuntimeError(f"{self.__name__} cannot be launched without numba-cuda ({reason})")


def jit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """In place of numba.cuda.jit."""
    return Uncompiled if function is None else Uncompiled(function)
