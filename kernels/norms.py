"""Sums of squares of the segments of a flat buffer: what the gradient norms of figure 4 are made of.

    s[g] = Σ dW[i]²    over segment g = [ends[g-1], ends[g])

dW   (n,)          all gradients, one after the other; float32 or float64
ends (G,)  int64   s (G,) of dW's dtype

Added up in pieces of PIECE numbers and then piece by piece: a single float32 sum over a million squares would lose
its last digits. The order is fixed, so the bits do not depend on the number of threads. Nothing to differentiate.
"""

import numpy as np

from scratchser.kernels._launch import jit, pjit, prange

PIECE = 4096


@jit
def sum_of_squares(values):
    """Sixteen sums side by side, a vector register's worth, then those."""
    lanes = np.zeros(16, values.dtype)
    whole = len(values) // 16 * 16
    for i in range(0, whole, 16):
        for lane in range(16):
            lanes[lane] += values[i + lane] * values[i + lane]
    for i in range(whole, len(values)):
        lanes[i - whole] += values[i] * values[i]
    total = lanes[0]
    for lane in range(1, 16):
        total += lanes[lane]
    return total


@pjit
def squares_cpu(dW, ends, sums):
    start = 0
    for g in range(len(ends)):
        pieces = np.zeros((ends[g] - start + PIECE - 1) // PIECE, dW.dtype)
        for p in prange(len(pieces)):
            pieces[p] = sum_of_squares(dW[start + p * PIECE : min(ends[g], start + (p + 1) * PIECE)])
        sums[g] = 0
        for p in range(len(pieces)):
            sums[g] += pieces[p]
        start = ends[g]


def squares(dW: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Sum of squares of each segment, (G,). Raises ValueError where the segments do not cover dW."""
    if len(ends) == 0 or ends[-1] != len(dW):
        raise ValueError(f"the segments' ends {np.asarray(ends).tolist()} do not cover 0 ... {len(dW)}")
    sums = np.empty(len(ends), dW.dtype)
    squares_cpu(dW, ends, sums)
    return sums
