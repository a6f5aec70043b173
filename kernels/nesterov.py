"""Stochastic gradient descent with Nesterov momentum and L2, section 3: one pass over all parameters of the network.

    g = dW + λ W
    v = μ v + g
    W = W - ρ (g + μ v)

W    (n,)   all parameters, one after the other          ρ, λ   (G,)   learning rate and L2 of each segment
dW   (n,)   gradient of the loss without L2              μ      ()     momentum, 0 <= μ < 1, no unit
v    (n,)   velocity, 0 before the first step            ends   (G,)   segment s is [ends[s-1], ends[s]), int64

Section 3.2 gives the convolutional layers a higher ρ and a higher λ than the rest; biases have λ = 0 (our reading: L2
is for weights). W is the textbook's look-ahead point θ - ρ μ v, where the gradient is taken anyway; θ is not stored.
There is nothing to differentiate. Fused, so that each array is read once per step and not once per operation.
"""

import numpy as np

from scratchser.kernels._launch import jit, pjit, prange
from scratchser.kernels._shapes import expect


@jit
def update(w, v, dw, rate, l2, momentum):
    """(w, v) of one parameter after the step."""
    g = dw + l2 * w
    v = momentum * v + g
    return w - rate * (g + momentum * v), v


@pjit
def step_cpu(W, V, dW, ends, rate, l2, momentum):
    start = 0
    for s in range(len(ends)):
        for i in prange(start, ends[s]):
            W[i], V[i] = update(W[i], V[i], dW[i], rate[s], l2[s], momentum)
        start = ends[s]


def step(
    W: np.ndarray,
    V: np.ndarray,
    dW: np.ndarray,
    ends: np.ndarray,
    rate: np.ndarray,
    l2: np.ndarray,
    momentum: float,
) -> None:
    """Update W (n,) and V (n,) in place from dW (n,), all of one dtype; ends, rate, l2 (G,) and momentum as above.

    Raises ValueError where shapes or dtypes differ, or where the segments do not cover 0 ... n in ascending order.
    """
    n, G, dtype = len(W), len(ends), W.dtype
    expect("W", W, (n,), dtype)
    expect("V", V, (n,), dtype)
    expect("dW", dW, (n,), dtype)
    expect("rate", rate, (G,), rate.dtype)
    expect("l2", l2, (G,), l2.dtype)
    if G == 0 or ends[0] < 0 or np.any(np.diff(ends) < 0) or ends[-1] != n:
        raise ValueError(f"the segments' ends {np.asarray(ends).tolist()} do not cover 0 ... {n} in ascending order")
    step_cpu(W, V, dW, ends, rate.astype(dtype), l2.astype(dtype), dtype.type(momentum))
