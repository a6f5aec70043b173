"""Sums of squares of the segments of a flat buffer, for the gradient norms of figure 4, and gradient clipping.

    s[g] = Σ dW[i]²                         over segment g = [ends[g-1], ends[g])
    dW   = dW limit / max(limit, sqrt(Σ s)) clipping, Pascanu et al. 2013; not in the paper

dW    (n,)          all gradients, one after the other; float32 or float64
ends  (G,)  int64   s (G,) of dW's dtype
limit ()            largest norm of all gradients together

Chunks of CHUNK elements are added up, and then their sums: a single float32 sum over a million squares would lose its
last digits. The order is fixed, so the bits do not depend on the number of threads. There is no backward.
"""

import numpy as np

from scratchser.kernels.machine.block_sum import block_sum
from scratchser.kernels.machine.chunks import cut_segments
from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu

CHUNK = 4096
THREADS = 256  # of a block: a power of two, for block_sum

# ---- CPU: a core per chunk ------------------------------------------------------------------------------------------


@jit
def sum_of_squares(values):
    """Sixteen sums side by side, one vector register; then the sum of these."""
    lanes = np.zeros(16, values.dtype)
    full = len(values) // 16 * 16
    for i in range(0, full, 16):
        for lane in range(16):
            lanes[lane] += values[i + lane] * values[i + lane]
    for i in range(full, len(values)):
        lanes[i - full] += values[i] * values[i]
    total = lanes[0]
    for lane in range(1, 16):
        total += lanes[lane]
    return total


@pjit
def squares_cpu(dW, ends, sums):
    """sums (G,): the sum of squares of each segment of dW (n,)."""
    start = 0
    for g in range(len(ends)):
        chunks = np.zeros((ends[g] - start + CHUNK - 1) // CHUNK, dW.dtype)
        for p in prange(len(chunks)):
            chunks[p] = sum_of_squares(dW[start + p * CHUNK : min(ends[g], start + (p + 1) * CHUNK)])
        sums[g] = 0
        for p in range(len(chunks)):
            sums[g] += chunks[p]
        start = ends[g]


@pjit
def scale_cpu(dW, factor):
    """dW (n,) *= factor."""
    for i in prange(len(dW)):
        dW[i] *= factor


# ---- CUDA: a block per chunk, then a thread per segment -------------------------------------------------------------


@cuda_jit
def chunks_cuda(dW, chunks, sums):
    """sums (P,): the sum of squares of each chunk; chunks (P, 2) int32: begin and end of each."""
    part = cuda.shared.array(THREADS, dW.dtype)
    i, p = cuda.threadIdx.x, cuda.blockIdx.x
    total = dW.dtype.type(0)
    for n in range(chunks[p, 0] + i, chunks[p, 1], THREADS):
        g = dW[n]
        total += g * g
    part[i] = total
    block_sum(part, i)
    if i == 0:
        sums[p] = part[0]


@cuda_jit
def segments_cuda(sums, ends, squares):
    """squares (G,): the sum over the chunks ends[g-1] ... ends[g] - 1 of segment g."""
    g = cuda.grid(1)
    if g < ends.size:
        total = sums.dtype.type(0)
        for p in range(ends[g - 1] if g > 0 else 0, ends[g]):
            total += sums[p]
        squares[g] = total


@cuda_jit
def scale_cuda(dW, factor):
    """As scale_cpu."""
    i = cuda.grid(1)
    if i < dW.size:
        dW[i] *= factor


# ---- entry points ---------------------------------------------------------------------------------------------------


def squares(dW: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Sum of squares of each segment, (G,) on the device of dW; ends is NumPy's.

    Raises ValueError where the segments do not cover dW.
    """
    if len(ends) == 0 or ends[-1] != len(dW):
        raise ValueError(f"the segments' ends {np.asarray(ends).tolist()} do not cover 0 ... {len(dW)}")
    device = device_of(dW)
    sums = device.empty(len(ends), dW.dtype)
    if on_cpu(dW):
        squares_cpu(dW, ends, sums)
        return sums
    chunks, segments = cut_segments(ends, CHUNK)
    chunk_ends = np.searchsorted(segments, np.arange(len(ends)), side="right").astype(np.int32)
    parts = device.empty(len(chunks), dW.dtype)
    if len(chunks):
        launch(chunks_cuda, len(chunks), THREADS, dW, device.resident(chunks), parts)
    launch(segments_cuda, blocks(len(ends), THREADS), THREADS, parts, device.resident(chunk_ends), sums)
    return sums


def clip(dW: np.ndarray, ends: np.ndarray, limit: float) -> None:
    """Scale dW in place so that its norm is at most `limit`, which must be positive. Errors as in `squares`."""
    if not limit > 0:
        raise ValueError(f"limit is {limit}, expected a positive number")
    norm = float(np.sqrt(device_of(dW).download(squares(dW, ends)).sum()))
    factor = dW.dtype.type(limit / max(limit, norm))
    if on_cpu(dW):
        scale_cpu(dW, factor)
    else:
        launch(scale_cuda, blocks(dW.size, THREADS), THREADS, dW, factor)
