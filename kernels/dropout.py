"""Inverted dropout: each element becomes 0 with probability p, and the others are scaled up so that the mean stays.

    forward    y[b, d]  = x[b, d]  m[b, d] / (1 - p)
    backward   dx[b, d] = dy[b, d] m[b, d] / (1 - p)
    mask       m[b, d]  = 0 if word d mod 4 of philox(⌊d / 4⌋, rows[b], 0, 0; key) < ⌊2³² p⌋, else 1

x, y, dx, dy   (B, D)   activations of B utterances and their gradients; float32 or float64
m              (B, D)   the mask; it is not stored, backward computes it again
rows           (B,)     number of each utterance, such as its position in the epoch, 0 <= rows[b] < 2³²; int64, NumPy's
key            ()       selects the masks, such as one per epoch; 0 <= key < 2⁶⁴
p              ()       0 <= p < 1; p = 0 leaves every value as it is

philox is Philox 4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011. It turns a counter of four
words of 32 bits into four random words, with 10 rounds of

    c0, c1, c2, c3 = hi(M1 c2) ⊕ c1 ⊕ k0,  lo(M1 c2),  hi(M0 c0) ⊕ c3 ⊕ k1,  lo(M0 c0)
    k0, k1         = k0 + W0,  k1 + W1     modulo 2³²

where hi and lo are the halves of a product of 64 bits, and k0 and k1 those of the key. A word depends on its counter
and key only: the mask is the same for any batch, device and number of threads.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

THREADS = 128  # of a block: any number works
M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)  # 64 bits, so that their products with 32 bits keep both halves
W0, W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
HALF = np.uint64(32)

# ---- maths, shared by both devices ----------------------------------------------------------------------------------


@jit
def philox(c0, c1, c2, c3, k0, k1):
    """The four words of a counter and a key. Numba makes the sum of two uint32 64 bits wide, hence np.uint32(...)."""
    c0, c1, c2, c3 = np.uint32(c0), np.uint32(c1), np.uint32(c2), np.uint32(c3)
    k0, k1 = np.uint32(k0), np.uint32(k1)
    for _ in range(10):
        u, v = M0 * np.uint64(c0), M1 * np.uint64(c2)
        c0, c2 = np.uint32(np.uint32(v >> HALF) ^ c1 ^ k0), np.uint32(np.uint32(u >> HALF) ^ c3 ^ k1)
        c1, c3 = np.uint32(v), np.uint32(u)
        k0, k1 = np.uint32(k0 + W0), np.uint32(k1 + W1)
    return c0, c1, c2, c3


@jit
def factor(word, threshold, scale):
    """m / (1 - p), where threshold = ⌊2³² p⌋ and scale = 1 / (1 - p)."""
    return type(scale)(0) if np.uint32(word) < np.uint32(threshold) else scale


# ---- CPU: the cores share the rows ----------------------------------------------------------------------------------


@pjit
def apply_cpu(x, rows, k0, k1, threshold, scale, y):
    B, D = x.shape
    for b in prange(B):
        for q in range((D + 3) // 4):
            words = philox(q, rows[b], 0, 0, k0, k1)
            for d in range(4 * q, min(4 * q + 4, D)):
                y[b, d] = x[b, d] * factor(words[d - 4 * q], threshold, scale)


# ---- CUDA: a thread for the four elements of a counter --------------------------------------------------------------


@cuda_jit
def apply_cuda(x, rows, k0, k1, threshold, scale, y):
    """k0, k1 and threshold have the bits of a uint32."""
    b, q = cuda.blockIdx.x, cuda.blockIdx.y * THREADS + cuda.threadIdx.x
    words = philox(q, rows[b], 0, 0, k0, k1)
    for i in range(4):
        d = 4 * q + i
        if d < x.shape[1]:
            y[b, d] = x[b, d] * factor(words[i], threshold, scale)


# ---- entry points ---------------------------------------------------------------------------------------------------


def forward(x: np.ndarray, rows: np.ndarray, key: int, p: float) -> np.ndarray:
    """Returns y (B, D) of x's dtype, on its device. Raises ValueError for arguments unlike those at the top."""
    if x.ndim != 2 or x.dtype not in (np.float32, np.float64):
        raise ValueError(f"x is {x.dtype} {x.shape}, expected float32 or float64 (B, D)")
    B, D = x.shape
    expect("x", x, (B, D), x.dtype)
    expect("rows", rows, (B,), np.dtype(np.int64))
    if not 0 <= p < 1 or not 0 <= key < 2**64 or (rows < 0).any() or (rows >= 2**32).any():
        raise ValueError(f"p is {p}, key {key}: expected 0 <= p < 1, 0 <= key < 2**64 and 0 <= rows < 2**32")
    y, scale = device_of(x).empty((B, D), x.dtype), x.dtype.type(1 / (1 - p))
    words = np.array([key % 2**32, key >> 32, int(p * 2**32)], np.uint32).view(np.int32)  # `launch` passes int32
    if on_cpu(x):
        apply_cpu(x, rows, *words, scale, y)
    else:
        on_device = device_of(x).resident(rows.astype(np.uint32))
        launch(apply_cuda, (B, blocks(D, 4 * THREADS)), THREADS, x, on_device, *words, scale, y)
    return y


def backward(dy: np.ndarray, rows: np.ndarray, key: int, p: float) -> np.ndarray:
    """Returns dx (B, D) for dy (B, D) and the arguments of `forward`: both multiply by the same mask and scale."""
    return forward(dy, rows, key, p)
