"""The LSTM cell, forward and backward, for one step of one utterance; lstm.py has the equations and the time loop.

    i, f, g, o, c, h      ()      of one unit: the formulas, shared by both devices
    gates, dgates         (4H,)   of i f g o, before or after their σ and tanh
    h, c, dh, dc          (H,)    states and their gradients

A CUDA thread computes one unit, all formulas one after the other: `unit` and `unit_gradient`. The CPU computes H units,
one formula per loop, since LLVM vectorises loops over few arrays only. Its slices belong to one core, so counting their
references costs little (see machine/contiguous.py).
"""

from scratchser.kernels.machine.compile import jit
from scratchser.kernels.machine.expm1 import expm1

# ---- maths of one unit; constants have the argument's type, so that nothing becomes float64 --------------------------


@jit
def sigmoid(z):
    """σ(z) = 1 / (1 + exp(-z))."""
    one = type(z)(1)
    return one / (one + one + expm1(-z))


@jit
def tanh(z):
    """tanh z."""
    e = expm1(z + z)
    return e / (e + type(z)(2))


@jit
def next_c(i, f, g, c):
    """c of this step: f c + i g."""
    return f * c + i * g


@jit
def d_state(dh, dc, o, squashed):
    """dc of this step, from the dc that the step after passed on; squashed = tanh c."""
    return dc + dh * o * (type(o)(1) - squashed * squashed)


@jit
def d_output(dh, o, squashed):
    """dz of the output gate o; squashed = tanh c."""
    return dh * squashed * o * (type(o)(1) - o)


@jit
def d_gate(dc, factor, gate):
    """dz of gate i or f, which multiplies `factor`."""
    return dc * factor * gate * (type(gate)(1) - gate)


@jit
def d_candidate(dc, i, g):
    """dz of the candidate g."""
    return dc * i * (type(g)(1) - g * g)


@jit
def unit(zi, zf, zg, zo, c):
    """i, f, g, o, c, h of this step from z of the four gates and the c before."""
    i, f, g, o = sigmoid(zi), sigmoid(zf), tanh(zg), sigmoid(zo)
    c = next_c(i, f, g, c)
    return i, f, g, o, c, o * tanh(c)


@jit
def unit_gradient(dh, dc, i, f, g, o, c, before):
    """dz of i, f, g, o, and the dc that is passed to the step before; `before` is the c of that step."""
    squashed = tanh(c)
    dc = d_state(dh, dc, o, squashed)
    return d_gate(dc, g, i), d_gate(dc, before, f), d_candidate(dc, i, g), d_output(dh, o, squashed), dc * f


# ---- CPU: a cell of H units ------------------------------------------------------------------------------------------


@jit
def apply_sigmoid(z):
    """z = σ(z)."""
    for k in range(len(z)):
        z[k] = sigmoid(z[k])


@jit
def squash(z):
    """z = tanh z."""
    for k in range(len(z)):
        z[k] = tanh(z[k])


@jit
def apply_tanh(z, y):
    """y = tanh z."""
    for k in range(len(z)):
        y[k] = tanh(z[k])


@jit
def next_state(i, f, g, o, c, h):
    """c (H,) becomes f c + i g, and h (H,) becomes o tanh c."""
    for u in range(len(c)):
        c[u] = next_c(i[u], f[u], g[u], c[u])
    apply_tanh(c, h)
    for u in range(len(c)):
        h[u] *= o[u]


@jit
def cell(gates, c, h):
    """Activate the gates (4H,); c and h (H,) of the step before become those of this one."""
    H = len(c)
    apply_sigmoid(gates[: 2 * H])
    squash(gates[2 * H : 3 * H])
    apply_sigmoid(gates[3 * H :])
    next_state(gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :], c, h)


@jit
def output_gradients(dh, dc, o, squashed, dzo):
    """dc (H,) becomes that of this step, and dzo (H,) the dz of the output gate."""
    for u in range(len(dc)):
        dc[u] = d_state(dh[u], dc[u], o[u], squashed[u])
    for u in range(len(dc)):
        dzo[u] = d_output(dh[u], o[u], squashed[u])


@jit
def gate_gradient(dc, factor, gate, dz):
    """dz (H,) of gate i or f, which multiplies `factor`."""
    for u in range(len(dc)):
        dz[u] = d_gate(dc[u], factor[u], gate[u])


@jit
def candidate_gradient(dc, i, g, dzg):
    """dzg (H,) of the candidate g."""
    for u in range(len(dc)):
        dzg[u] = d_candidate(dc[u], i[u], g[u])


@jit
def cell_gradient(dh, dc, gates, c, c_before, dgates, squashed):
    """Write dgates (4H,). dc (H,) comes from the step after and becomes that for the step before.

    squashed (H,) is workspace.
    """
    H = len(dc)
    i, f, g, o = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    apply_tanh(c, squashed)
    output_gradients(dh, dc, o, squashed, dgates[3 * H :])
    gate_gradient(dc, g, i, dgates[:H])
    gate_gradient(dc, c_before, f, dgates[H : 2 * H])
    candidate_gradient(dc, i, g, dgates[2 * H : 3 * H])
    for u in range(H):
        dc[u] *= f[u]
