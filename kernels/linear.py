"""Dense layer, the last one in section 3: from the read-out of the Bi-LSTM to one score per class.

    forward    y[b, k]   = b[k] + Σ_d x[b, d] W[d, k]
    backward   dx[b, d]  = Σ_k dy[b, k] W[d, k]
               dW[d, k] += Σ_b x[b, d] dy[b, k]
               db[k]    += Σ_b dy[b, k]

x, dx   (B, D)   one row per utterance            W, dW   (D, K)   weights
y, dy   (B, K)   scores before the softmax        b, db   (K,)     biases
All of one dtype, float32 or float64; no units.

K is four in the paper, too few columns for the tiles of matmul.py, so these are plain loops. Sums run in the order of
their index, one utterance after the other, so a row of y does not depend on the rows beside it.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, jit
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

THREADS = 128  # of a block

# ---- CPU ------------------------------------------------------------------------------------------------------------


@jit
def forward_cpu(x, W, b, y):
    """y (B, K) is written."""
    for u in range(x.shape[0]):
        for k in range(W.shape[1]):
            y[u, k] = b[k]
        for d in range(W.shape[0]):
            for k in range(W.shape[1]):
                y[u, k] += x[u, d] * W[d, k]


@jit
def backward_cpu(dy, x, W, dW, db, dx):
    """dx (B, D) is written; dW and db are added to."""
    for u in range(x.shape[0]):
        for k in range(W.shape[1]):
            db[k] += dy[u, k]
        for d in range(W.shape[0]):
            dx[u, d] = 0
            for k in range(W.shape[1]):
                dx[u, d] += dy[u, k] * W[d, k]
                dW[d, k] += x[u, d] * dy[u, k]


# ---- CUDA -----------------------------------------------------------------------------------------------------------


@cuda_jit
def forward_cuda(x, W, b, y):
    """A thread per score."""
    i = cuda.grid(1)
    K = W.shape[1]
    u, k = i // K, i % K
    if u < x.shape[0]:
        total = b[k]
        for d in range(W.shape[0]):
            total += x[u, d] * W[d, k]
        y[u, k] = total


@cuda_jit
def backward_cuda(dy, x, W, dW, db, dx):
    """A thread per feature d, which loops over the utterances: no two threads write one element. The last one: db."""
    d = cuda.grid(1)
    D, K = W.shape
    if d < D:
        for u in range(x.shape[0]):
            total = x.dtype.type(0)
            for k in range(K):
                total += dy[u, k] * W[d, k]
                dW[d, k] += x[u, d] * dy[u, k]
            dx[u, d] = total
    elif d == D:
        for u in range(x.shape[0]):
            for k in range(K):
                db[k] += dy[u, k]


# ---- entry points ---------------------------------------------------------------------------------------------------


def forward(x: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scores (B, K) of x (B, D), W (D, K), b (K,). Raises ValueError where shapes or dtypes differ."""
    B, (D, K) = x.shape[0], W.shape
    expect("x", x, (B, D), W.dtype)
    expect("b", b, (K,), W.dtype)
    y = device_of(x).empty((B, K), W.dtype)
    if on_cpu(x):
        forward_cpu(x, W, b, y)
    else:
        launch(forward_cuda, blocks(B * K, THREADS), THREADS, x, W, b, y)
    return y


def backward(dy: np.ndarray, x: np.ndarray, W: np.ndarray, dW: np.ndarray, db: np.ndarray) -> np.ndarray:
    """dx (B, D); adds to dW (D, K) and db (K,). Raises ValueError where shapes or dtypes differ."""
    B, (D, K) = x.shape[0], W.shape
    expect("dy", dy, (B, K), W.dtype)
    expect("x", x, (B, D), W.dtype)
    expect("dW", dW, (D, K), W.dtype)
    expect("db", db, (K,), W.dtype)
    dx = device_of(x).empty(x.shape, x.dtype)
    if on_cpu(x):
        backward_cpu(dy, x, W, dW, db, dx)
    else:
        launch(backward_cuda, blocks(D + 1, THREADS), THREADS, dy, x, W, dW, db, dx)
    return dx
