"""Stochastic gradient descent with Nesterov momentum and L2, section 3: one pass over all parameters of the network.

    g = dW + λ W
    v = μ v + g
    W = W - ρ (g + μ v)

W    (n,)   all parameters, one after the other          ρ, λ   (G,)   learning rate and L2 of each segment
dW   (n,)   gradient of the loss without L2              μ      ()     momentum, 0 <= μ < 1, no unit
v    (n,)   velocity, 0 before the first step            ends   (G,)   segment s is [ends[s-1], ends[s]), int64

Section 3.2 gives the convolutional layers a higher ρ and a higher λ than the rest; biases have λ = 0 (our reading: L2
is for weights). W is the textbook's look-ahead point θ - ρ μ v, where the gradient is taken anyway; θ is not stored.
There is nothing to differentiate. Fused, so that each array is read once per step and not once per operation; dW is 0
afterwards, for the next step's gradients to be added to.
"""

import numpy as np

from scratchser.kernels.machine.chunks import cut
from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

PIECE = 16384  # parameters that a core does at a time
THREADS, EACH = (
    256,
    8,
)  # of a block, and parameters that a thread does: it reads its segment's learning rate once for them

# ---- maths: one text for both devices -------------------------------------------------------------------------------


@jit
def update(w, v, dw, learning_rate, l2, momentum):
    """(w, v) of one parameter after the step."""
    g = dw + l2 * w
    v = momentum * v + g
    return w - learning_rate * (g + momentum * v), v


# ---- CPU: a core per piece ------------------------------------------------------------------------------------------


@jit
def update_all(W, V, dW, learning_rate, l2, momentum):
    """Parameters with one learning rate: arrays of their own, with indices from 0, which makes the loop vector instructions."""
    for i in range(len(W)):
        W[i], V[i] = update(W[i], V[i], dW[i], learning_rate, l2, momentum)
        dW[i] = 0


@pjit
def step_cpu(W, V, dW, ends, learning_rate, l2, momentum):
    n = len(W)
    for piece in prange((n + PIECE - 1) // PIECE):
        i, last, s = piece * PIECE, min(n, (piece + 1) * PIECE), 0
        while i < last:
            while ends[s] <= i:
                s += 1
            end = min(last, ends[s])
            update_all(W[i:end], V[i:end], dW[i:end], learning_rate[s], l2[s], momentum)
            i = end


# ---- CUDA: a block per piece of a segment; neighbouring threads read neighbouring numbers ----------------------------


@cuda_jit
def step_cuda(W, V, dW, pieces, segments, learning_rate, l2, momentum):
    """pieces (P, 2) int32: where each begins and ends; segments (P,) int32: which it is of."""
    p = cuda.blockIdx.x
    s = segments[p]
    ρ, λ = learning_rate[s], l2[s]
    for i in range(pieces[p, 0] + cuda.threadIdx.x, pieces[p, 1], THREADS):
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
    """Update W (n,) and V (n,) in place from dW (n,), which becomes 0; ends, learning_rate, l2 (G,), NumPy's
    wherever W lives, and momentum as above.

    Raises ValueError where shapes or dtypes differ, or where the segments do not cover 0 ... n in ascending order.
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
        pieces, segments = cut(ends, THREADS * EACH)
        tables = map(device_of(W).resident, (pieces, segments, learning_rate, l2))
        launch(step_cuda, len(pieces), THREADS, W, V, dW, *tables, momentum)
