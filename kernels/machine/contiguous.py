"""Contiguous ranges of flat arrays: copied, filled, added.

Two habits of Numba make plain slices slow in a loop that several cores share. Each slice counts its array's references
in one place for all cores (a profile shows 4 % of a training step). And every index is checked for a negative sign,
which keeps a loop from becoming vector instructions. Whole arrays and unsigned indices avoid both.
"""

import numpy as np

from scratchser.kernels.machine.compile import jit


@jit
def copy_range(source, s0, target, t0, n):
    """target[t0 ... t0 + n - 1] = source[s0 ... s0 + n - 1]"""
    s, t = np.uint64(s0), np.uint64(t0)
    for k in range(np.uint64(n)):
        target[t + k] = source[s + k]


@jit
def fill_range(value, target, t0, n):
    """target[t0 ... t0 + n - 1] = value"""
    t = np.uint64(t0)
    for k in range(np.uint64(n)):
        target[t + k] = value


@jit
def add_range(source, s0, target, t0, n):
    """target[t0 ... t0 + n - 1] += source[s0 ... s0 + n - 1]"""
    s, t = np.uint64(s0), np.uint64(t0)
    for k in range(np.uint64(n)):
        target[t + k] += source[s + k]
