"""Shape checks of the entry points: compiled kernels check no index, so a wrong shape would read foreign memory."""

import numpy as np


def expect(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise ValueError unless the array is C-contiguous and has this shape and dtype.

    Mixed dtypes would bring float64 into a float32 kernel. A flat view of an array that is not contiguous is a copy: a
    gradient added to it would be lost.
    """
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous: pass np.ascontiguousarray({name})")
