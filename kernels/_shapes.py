"""Compiled kernels do not check indices: a wrong shape would read foreign memory, so the entry points ask first."""

import numpy as np


def expect(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise ValueError unless the array has this shape and dtype (a second one would bring in float64)."""
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
