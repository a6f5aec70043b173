"""Sums of squares of the segments of a flat buffer: what the gradient norms of figure 4 are made of.

    s[g] = Σ dW[i]²    over segment g = [ends[g-1], ends[g])

dW   (n,)          all gradients, one after the other; float32 or float64
ends (G,)  int64   s (G,) of dW's dtype

Added up in pieces of PIECE numbers and then piece by piece: a single float32 sum over a million squares would lose
its last digits. The order is fixed, so the bits do not depend on the number of threads. Nothing to differentiate.
"""

import numpy as np

from scratchser.kernels.machine.block_sum import fold
from scratchser.kernels.machine.chunks import cut
from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu

PIECE = 4096
THREADS = 256  # of a block: a power of two, for _fold.py

# ---- CPU: a core per piece ------------------------------------------------------------------------------------------


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


# ---- CUDA: a block per piece, then a thread per segment -------------------------------------------------------------


@cuda_jit
def pieces_cuda(dW, pieces, sums):
    """pieces (P, 2) int32: where each begins and ends; sums (P,): of its squares."""
    part = cuda.shared.array(THREADS, dW.dtype)
    i, p = cuda.threadIdx.x, cuda.blockIdx.x
    total = dW.dtype.type(0)
    for n in range(pieces[p, 0] + i, pieces[p, 1], THREADS):
        g = dW[n]
        total += g * g
    part[i] = total
    fold(part, i)
    if i == 0:
        sums[p] = part[0]


@cuda_jit
def segments_cuda(sums, ends, squares):
    """squares (G,): sums of the pieces ends[g-1] ... ends[g] - 1 of segment g."""
    g = cuda.grid(1)
    if g < ends.size:
        total = sums.dtype.type(0)
        for p in range(ends[g - 1] if g > 0 else 0, ends[g]):
            total += sums[p]
        squares[g] = total


# ---- entry point ----------------------------------------------------------------------------------------------------


def squares(dW: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Sum of squares of each segment, (G,), where dW lives; ends is NumPy's.

    Raises ValueError where the segments do not cover dW.
    """
    if len(ends) == 0 or ends[-1] != len(dW):
        raise ValueError(f"the segments' ends {np.asarray(ends).tolist()} do not cover 0 ... {len(dW)}")
    device = device_of(dW)
    sums = device.empty(len(ends), dW.dtype)
    if on_cpu(dW):
        squares_cpu(dW, ends, sums)
        return sums
    pieces, segments = cut(ends, PIECE)
    piece_ends = np.searchsorted(segments, np.arange(len(ends)), side="right").astype(np.int32)
    parts = device.empty(len(pieces), dW.dtype)
    if len(pieces):
        launch(pieces_cuda, len(pieces), THREADS, dW, device.resident(pieces), parts)
    launch(segments_cuda, blocks(len(ends), THREADS), THREADS, parts, device.resident(piece_ends), sums)
    return sums
