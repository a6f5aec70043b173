"""Runs of neighbouring numbers of flat arrays: copied, filled, added.

Two habits of Numba make the obvious slices slow in a loop that several cores share: each slice counts its array's
owners in one place for all cores (4 % of a training step, by a profile), and an index that might be negative is looked
at every time, which keeps a loop from becoming vector instructions. Whole arrays and unsigned indices have neither.
"""

import numpy as np

from scratchser.kernels.machine.compile import jit


@jit
def copy_run(source, s0, target, t0, n):
    """target[t0 ... t0 + n - 1] = source[s0 ... s0 + n - 1]"""
    s, t = np.uint64(s0), np.uint64(t0)
    for k in range(np.uint64(n)):
        target[t + k] = source[s + k]


@jit
def fill_run(value, target, t0, n):
    t = np.uint64(t0)
    for k in range(np.uint64(n)):
        target[t + k] = value


@jit
def add_run(source, s0, target, t0, n):
    """target[t0 ... t0 + n - 1] += source[s0 ... s0 + n - 1]"""
    s, t = np.uint64(s0), np.uint64(t0)
    for k in range(np.uint64(n)):
        target[t + k] += source[s + k]
