"""One LSTM cell of H units, forward and backward, one utterance and one step of it; lstm.py has equations and loop.

    gates, dgates         (4H,)   of i f g o, before or behind their σ and tanh
    h, c, dh, dc          (H,)    states and their gradients

One formula a loop, since LLVM makes vectors of loops over few arrays only. The slices are of arrays that belong to one
core, so that counting their owners costs little (see _runs.py).
"""

from scratchser.kernels._expm1 import expm1
from scratchser.kernels._launch import jit

# ---- maths of one unit; all numbers are made of the argument, so that nothing turns into float64 ---------------------


@jit
def sigmoid(z):
    one = type(z)(1)
    return one / (one + one + expm1(-z))


@jit
def tanh(z):
    e = expm1(z + z)
    return e / (e + type(z)(2))


# ---- a cell of H units ---------------------------------------------------------------------------------------------


@jit
def apply_sigmoid(z):
    for k in range(len(z)):
        z[k] = sigmoid(z[k])


@jit
def squash(z):
    for k in range(len(z)):
        z[k] = tanh(z[k])


@jit
def apply_tanh(z, y):
    for k in range(len(z)):
        y[k] = tanh(z[k])


@jit
def next_state(i, f, g, o, c, h):
    for u in range(len(c)):
        c[u] = f[u] * c[u] + i[u] * g[u]
    apply_tanh(c, h)
    for u in range(len(c)):
        h[u] *= o[u]


@jit
def cell(gates, c, h):
    """Activates the gates (4H,); c and h (H,) go from the step before to this one."""
    H = len(c)
    apply_sigmoid(gates[: 2 * H])
    squash(gates[2 * H : 3 * H])
    apply_sigmoid(gates[3 * H :])
    next_state(gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :], c, h)


@jit
def output_gradients(dh, dc, o, squashed, dzo):
    one = dh.dtype.type(1)
    for u in range(len(dc)):
        dc[u] += dh[u] * o[u] * (one - squashed[u] * squashed[u])
    for u in range(len(dc)):
        dzo[u] = dh[u] * squashed[u] * o[u] * (one - o[u])


@jit
def gate_gradient(dc, factor, gate, dz):
    """dz of a gate i or f, which multiplied `factor`."""
    one = dc.dtype.type(1)
    for u in range(len(dc)):
        dz[u] = dc[u] * factor[u] * gate[u] * (one - gate[u])


@jit
def candidate_gradient(dc, i, g, dzg):
    one = dc.dtype.type(1)
    for u in range(len(dc)):
        dzg[u] = dc[u] * i[u] * (one - g[u] * g[u])


@jit
def cell_gradient(dh, dc, gates, c, c_before, dgates, squashed):
    """dgates (4H,), and dc (H,) from what the step after left there to what this one does; squashed (H,): workspace."""
    H = len(dc)
    i, f, g, o = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    apply_tanh(c, squashed)
    output_gradients(dh, dc, o, squashed, dgates[3 * H :])
    gate_gradient(dc, g, i, dgates[:H])
    gate_gradient(dc, c_before, f, dgates[H : 2 * H])
    candidate_gradient(dc, i, g, dgates[2 * H : 3 * H])
    for u in range(H):
        dc[u] *= f[u]
