"""Statistics pooling: the frames of each utterance become one vector of their mean, standard deviation and maximum.

    mean[b, d]      = 1/n Σ x[t]                           over the n = lengths[b] frames t of utterance b;
    deviation[b, d] = √(1/n Σ (x[t] - mean)² + EPSILON)    x[t] is short for x[b, t, d]
    maximum[b, d]   = max x[t]
    backward   dx[b, t, d] = dmean / n + ddeviation (x[t] - mean) / (n deviation) + (dmaximum if t is the first maximum)

x, dx     (B, T, D)         frames; what lies past an utterance's end is not read, and dx is 0 there
y, dy     (B, 3 D)          mean, deviation and maximum, or their gradients, side by side
lengths   (B,)   int64      frames of each utterance, NumPy's

All arrays of one dtype, float32 or float64, C-contiguous, without unit. The paper has no such layer. Two passes over
the frames: Σ x² - n mean² would lose its digits. EPSILON keeps the gradient finite where all frames are equal, as in an
utterance of one frame. Each sum runs from the first frame to the last, so the bits of an utterance depend neither on
the batch nor on the number of threads.
"""

import math

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, pjit, prange
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

EPSILON = 1e-4
THREADS = 128  # of a block: any number works

# ---- CPU: a core per utterance --------------------------------------------------------------------------------------
#
# epsilon is a scalar of the arrays' dtype: a constant in a kernel would be float64


@pjit
def forward_cpu(x, lengths, epsilon, y):
    """y (B, 3 D) is written."""
    D = x.shape[2]
    for b in prange(len(x)):
        n = x.dtype.type(lengths[b])
        mean, deviation, maximum = y[b, :D], y[b, D : 2 * D], y[b, 2 * D :]
        mean[:] = 0
        deviation[:] = 0
        maximum[:] = x[b, 0]
        for t in range(lengths[b]):
            for d in range(D):
                mean[d] += x[b, t, d]
                maximum[d] = x[b, t, d] if x[b, t, d] > maximum[d] else maximum[d]
        for d in range(D):
            mean[d] /= n
        for t in range(lengths[b]):
            for d in range(D):
                deviation[d] += (x[b, t, d] - mean[d]) * (x[b, t, d] - mean[d])
        for d in range(D):
            deviation[d] = math.sqrt(deviation[d] / n + epsilon)


@pjit
def backward_cpu(dy, x, y, lengths, dx):
    """dx (B, T, D) is written, 0 past the end."""
    D = x.shape[2]
    for b in prange(len(x)):
        n = x.dtype.type(lengths[b])
        dmaximum = dy[b, 2 * D :].copy()
        for t in range(lengths[b]):
            for d in range(D):
                dx[b, t, d] = (dy[b, d] + dy[b, D + d] * (x[b, t, d] - y[b, d]) / y[b, D + d]) / n
                if x[b, t, d] == y[b, 2 * D + d]:
                    dx[b, t, d] += dmaximum[d]
                    dmaximum[d] = 0  # for the frames after the first maximum
        dx[b, lengths[b] :] = 0


# ---- CUDA: a thread per utterance and feature, neighbouring threads for neighbouring features -----------------------


@cuda_jit
def forward_cuda(x, lengths, epsilon, y):
    """As forward_cpu, a thread for each utterance and feature."""
    i, D = cuda.grid(1), x.shape[2]
    b, d = i // D, i % D
    if b < x.shape[0]:
        n = x.dtype.type(lengths[b])
        total, maximum = x.dtype.type(0), x[b, 0, d]
        for t in range(lengths[b]):
            value = x[b, t, d]
            total += value
            maximum = value if value > maximum else maximum
        mean, squares = total / n, x.dtype.type(0)
        for t in range(lengths[b]):
            squares += (x[b, t, d] - mean) * (x[b, t, d] - mean)
        y[b, d] = mean
        y[b, D + d] = math.sqrt(squares / n + epsilon)
        y[b, 2 * D + d] = maximum


@cuda_jit
def backward_cuda(dy, x, y, lengths, dx):
    """As backward_cpu, a thread for each utterance and feature."""
    i, D = cuda.grid(1), x.shape[2]
    b, d = i // D, i % D
    if b < x.shape[0]:
        n = x.dtype.type(lengths[b])
        mean, deviation, maximum = y[b, d], y[b, D + d], y[b, 2 * D + d]
        dmean, ddeviation, dmaximum = dy[b, d], dy[b, D + d], dy[b, 2 * D + d]
        for t in range(lengths[b]):
            value = x[b, t, d]
            gradient = (dmean + ddeviation * (value - mean) / deviation) / n
            if value == maximum:
                gradient += dmaximum
                dmaximum = x.dtype.type(0)  # for the frames after the first maximum
            dx[b, t, d] = gradient
        for t in range(lengths[b], x.shape[1]):
            dx[b, t, d] = x.dtype.type(0)


# ---- entry points ---------------------------------------------------------------------------------------------------


def _expect_fit(x: np.ndarray, lengths: np.ndarray) -> tuple[int, int]:
    """Check the arguments of both entry points and return B and D."""
    B, T, D = x.shape
    expect("x", x, (B, T, D), x.dtype)
    expect("lengths", lengths, (B,), np.dtype(np.int64))
    if B and not 1 <= lengths.min() <= lengths.max() <= T:
        raise ValueError(f"statistics_pool: lengths must lie in 1 ... {T}, got {lengths.min()} ... {lengths.max()}")
    return B, D


def forward(x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """y (B, 3D) of x (B, T, D). Raises ValueError where shapes, dtypes or lengths do not fit."""
    B, D = _expect_fit(x, lengths)
    device, epsilon = device_of(x), x.dtype.type(EPSILON)
    y = device.empty((B, 3 * D), x.dtype)
    if on_cpu(x):
        forward_cpu(x, lengths, epsilon, y)
    else:
        on_device = device.resident(lengths.astype(np.int32))
        launch(forward_cuda, blocks(B * D, THREADS), THREADS, x, on_device, epsilon, y)
    return y


def backward(dy: np.ndarray, x: np.ndarray, y: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """dx (B, T, D) for dy (B, 3D), the x and lengths of `forward` and the y it returned; errors as there."""
    B, D = _expect_fit(x, lengths)
    expect("y", y, (B, 3 * D), x.dtype)
    expect("dy", dy, (B, 3 * D), x.dtype)
    device = device_of(x)
    dx = device.empty(x.shape, x.dtype)
    if on_cpu(x):
        backward_cpu(dy, x, y, lengths, dx)
    else:
        on_device = device.resident(lengths.astype(np.int32))
        launch(backward_cuda, blocks(B * D, THREADS), THREADS, dy, x, y, on_device, dx)
    return dx
