"""Stochastic gradient descent with Nesterov momentum and L2, section 3: one pass over all parameters of the network.

    g = dW + λ W
    v = μ v + g
    W = W - ρ (g + μ v)

W    (n,)   all parameters, one after the other          ρ, λ   (G,)   learning rate and L2 of each segment
dW   (n,)   gradient of the loss without L2              μ      ()     momentum, 0 <= μ < 1, no unit
v    (n,)   velocity, 0 before the first step            ends   (G,)   segment s is [ends[s-1], ends[s]), int64

Section 3.2 gives the convolutional layers a higher ρ and a higher λ than the rest. Biases have λ = 0 (our reading: L2
is for weights). W is the textbook's look-ahead point θ - ρ μ v, at which the gradient is computed; θ is not stored.
There is no backward. The operations are fused, so that each array is read once per step. dW is 0 afterwards, and the
next step's gradients are added to it.
"""

import numpy as np

from scratchser.kernels.machine.chunks import cut_segments
from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

CHUNK = 16384  # parameters for one core at a time
THREADS = 256  # of a block
EACH = 8  # parameters of a thread, which reads its segment's learning rate once for them

# ---- maths, shared by both devices ----------------------------------------------------------------------------------


@jit
def update(w, v, dw, learning_rate, l2, momentum):
    """(w, v) of one parameter after the step."""
    g = dw + l2 * w
    v = momentum * v + g
    return w - learning_rate * (g + momentum * v), v


# ---- CPU: a core per chunk ------------------------------------------------------------------------------------------


@jit
def update_all(W, V, dW, learning_rate, l2, momentum):
    """Update parameters of one segment. Slices with indices from 0 let the loop become vector instructions."""
    for i in range(len(W)):
        W[i], V[i] = update(W[i], V[i], dW[i], learning_rate, l2, momentum)
        dW[i] = 0


@pjit
def step_cpu(W, V, dW, ends, learning_rate, l2, momentum):
    """One step for all parameters: W and V (n,) change, and dW (n,) becomes 0."""
    n = len(W)
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        i, last, s = chunk * CHUNK, min(n, (chunk + 1) * CHUNK), 0
        while i < last:
            while ends[s] <= i:
                s += 1
            end = min(last, ends[s])
            update_all(W[i:end], V[i:end], dW[i:end], learning_rate[s], l2[s], momentum)
            i = end


# ---- CUDA: a block per chunk of a segment; neighbouring threads access neighbouring elements -------------------------


@cuda_jit
def step_cuda(W, V, dW, chunks, segments, learning_rate, l2, momentum):
    """chunks (P, 2) int32: begin and end of each; segments (P,) int32: its segment."""
    p = cuda.blockIdx.x
    s = segments[p]
    ρ, λ = learning_rate[s], l2[s]
    for i in range(chunks[p, 0] + cuda.threadIdx.x, chunks[p, 1], THREADS):
        W[i], V[i] = update(W[i], V[i], dW[i], ρ, λ, momentum)
        dW[i] = 0


# ---- entry points ---------------------------------------------------------------------------------------------------


def step(
    W: np.ndarray,
    V: np.ndarray,
    dW: np.ndarray,
    ends: np.ndarray,
    learning_rate: np.ndarray,
    l2: np.ndarray,
    momentum: float,
) -> None:
    """Update W (n,) and V (n,) in place from dW (n,), which becomes 0.

    ends, learning_rate and l2 (G,), NumPy's, and momentum as in the module's text. Raises ValueError where shapes or
    dtypes differ, or where the segments do not cover 0 ... n in ascending order.
    """
    n, G, dtype = len(W), len(ends), W.dtype
    expect("W", W, (n,), dtype)
    expect("V", V, (n,), dtype)
    expect("dW", dW, (n,), dtype)
    expect("learning_rate", learning_rate, (G,), learning_rate.dtype)
    expect("l2", l2, (G,), l2.dtype)
    if G == 0 or ends[0] < 0 or np.any(np.diff(ends) < 0) or ends[-1] != n:
        raise ValueError(f"the segments' ends {np.asarray(ends).tolist()} do not cover 0 ... {n} in ascending order")
    learning_rate, l2, momentum = learning_rate.astype(dtype), l2.astype(dtype), dtype.type(momentum)
    if on_cpu(W):
        step_cpu(W, V, dW, ends, learning_rate, l2, momentum)
    else:
        chunks, segments = cut_segments(ends, THREADS * EACH)
        tables = map(device_of(W).resident, (chunks, segments, learning_rate, l2))
        launch(step_cuda, len(chunks), THREADS, W, V, dW, *tables, momentum)
