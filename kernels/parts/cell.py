"""One LSTM cell, forward and backward, one utterance and one step of it; lstm.py has equations and loop.

    i, f, g, o, c, h      ()      of one unit: the formulas, one text for both devices
    gates, dgates         (4H,)   of i f g o, before or behind their σ and tanh
    h, c, dh, dc          (H,)    states and their gradients

A CUDA thread does one unit, all formulas one after the other: `unit` and `unit_gradient`. The CPU does H units, one
formula a loop, since LLVM makes vectors of loops over few arrays only. The slices are of arrays that belong to one
core, so that counting their owners costs little (see _runs.py).
"""

from scratchser.kernels.machine.compile import jit
from scratchser.kernels.machine.expm1 import expm1

# ---- maths of one unit; all numbers are made of the argument, so that nothing turns into float64 ---------------------


@jit
def sigmoid(z):
    one = type(z)(1)
    return one / (one + one + expm1(-z))


@jit
def tanh(z):
    e = expm1(z + z)
    return e / (e + type(z)(2))


@jit
def next_c(i, f, g, c):
    return f * c + i * g


@jit
def d_state(dh, dc, o, squashed):
    """dc of this step, from what the step after left in dc; squashed = tanh c."""
    return dc + dh * o * (type(o)(1) - squashed * squashed)


@jit
def d_output(dh, o, squashed):
    return dh * squashed * o * (type(o)(1) - o)


@jit
def d_gate(dc, factor, gate):
    """dz of a gate i or f, which multiplied `factor`."""
    return dc * factor * gate * (type(gate)(1) - gate)


@jit
def d_candidate(dc, i, g):
    return dc * i * (type(g)(1) - g * g)


@jit
def unit(zi, zf, zg, zo, c):
    """i, f, g, o, c, h of this step from the gates' sums and the c before."""
    i, f, g, o = sigmoid(zi), sigmoid(zf), tanh(zg), sigmoid(zo)
    c = next_c(i, f, g, c)
    return i, f, g, o, c, o * tanh(c)


@jit
def unit_gradient(dh, dc, i, f, g, o, c, before):
    """dz of i, f, g, o, and the dc that is left to the step before; `before` is its c."""
    squashed = tanh(c)
    dc = d_state(dh, dc, o, squashed)
    return d_gate(dc, g, i), d_gate(dc, before, f), d_candidate(dc, i, g), d_output(dh, o, squashed), dc * f


# ---- CPU: a cell of H units ------------------------------------------------------------------------------------------


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
        c[u] = next_c(i[u], f[u], g[u], c[u])
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
    for u in range(len(dc)):
        dc[u] = d_state(dh[u], dc[u], o[u], squashed[u])
    for u in range(len(dc)):
        dzo[u] = d_output(dh[u], o[u], squashed[u])


@jit
def gate_gradient(dc, factor, gate, dz):
    for u in range(len(dc)):
        dz[u] = d_gate(dc[u], factor[u], gate[u])


@jit
def candidate_gradient(dc, i, g, dzg):
    for u in range(len(dc)):
        dzg[u] = d_candidate(dc[u], i[u], g[u])


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
