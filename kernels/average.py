"""Running mean of the parameters over the last epochs, for weight averaging: the mean is often a better model.

    mean = mean + (W - mean) / count,   count = 1, 2, ...

mean    (n,)   mean of the first `count` W after the update; float32 or float64
W       (n,)   all parameters of the network after an epoch, of the same dtype
count   ()     number of the update

The first update makes mean = W exactly, whatever mean held. It has no backward pass.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import blocks, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

THREADS = 256  # of a block: any number works

# ---- maths, shared by both devices ----------------------------------------------------------------------------------


@jit
def updated(mean, w, count):
    return w if count == 1 else mean + (w - mean) / count


# ---- CPU: the cores share the parameters ----------------------------------------------------------------------------


@pjit
def update_cpu(mean, W, count):
    for i in prange(len(W)):
        mean[i] = updated(mean[i], W[i], count)


# ---- CUDA: a thread per parameter -----------------------------------------------------------------------------------


@cuda_jit
def update_cuda(mean, W, count):
    i = cuda.grid(1)
    if i < W.size:
        mean[i] = updated(mean[i], W[i], count)


# ---- entry point ----------------------------------------------------------------------------------------------------


def update(mean: np.ndarray, W: np.ndarray, count: int) -> None:
    """Update mean (n,) in place. Raises ValueError where shapes or dtypes differ, and for a count below 1."""
    n = len(W)
    expect("mean", mean, (n,), W.dtype)
    expect("W", W, (n,), W.dtype)
    if count < 1:
        raise ValueError(f"count is {count}, must be at least 1")
    if on_cpu(W):
        update_cpu(mean, W, W.dtype.type(count))
    else:
        launch(update_cuda, blocks(n, THREADS), THREADS, mean, W, W.dtype.type(count))
