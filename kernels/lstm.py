"""Bi-LSTM over utterances of unequal lengths, with full backprop through time (section 3).

Gates as in Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000). One direction; the other walks
from an utterance's own last frame to its first. n counts the steps of the walk, h[-1] = h0, c[-1] = c0:

    forward    i, f, o = σ(·), g = tanh(·) of the four parts of   z[n] = x[n] Wx + h[n-1] Wh + b
               c[n] = f c[n-1] + i g          h[n] = o tanh c[n]
    backward   dh      = dy[n] + dz[n+1] Whᵀ                            what comes from above and from the step after
               dc      = dh o (1 - tanh² c[n]) + f[n+1] dc[n+1]
               dz[n]   = ( dc g i (1-i),  dc c[n-1] f (1-f),  dc i (1-g²),  dh tanh c[n] o (1-o) )
               dx[n]   = dz[n] Wxᵀ             dh0 = dz[0] Whᵀ          dc0 = f[0] dc[0]
               dWx    += Σ x[n]ᵀ dz[n]         dWh += Σ h[n-1]ᵀ dz[n]   db += Σ dz[n]   over utterances and steps

x, dx      (B, T, D)     frames of the padded batch; past an utterance's end nothing is read
lengths    (B,)  int64   1 ... T
Wx         (D, 2, 4H)    input weights, [direction, gate i f g o]: one product serves both directions
Wh         (2, H, 4H)    recurrent weights;   b (2, 4H)
h0, c0     (2, B, H)     initial states, zero if not given
y, dy      (B, T, 2H)    forward state, then backward state; zero past the end

All of one dtype, float32 or float64. The real frames of all utterances lie one after the other (N frames), so that
the input part and all weight gradients are one product each; the cell itself is in _cell.py; what is left inside the
time loop is h Wh, done for ROWS
utterances at a time: a tile of matmul.py. Groups are cut from the utterances sorted by length, so the rows of a tile
that still run are always its first ones.
"""

from dataclasses import dataclass

import numpy as np

from scratchser.kernels._cell import cell, cell_gradient
from scratchser.kernels._launch import jit, pjit, prange
from scratchser.kernels._runs import add_run, copy_run, fill_run
from scratchser.kernels._shapes import expect
from scratchser.kernels._tile import COLS, ROWS
from scratchser.kernels.matmul import add_product, multiply_along, pack_all, panel_width

# ---- frames of a padded batch <-> real frames one after the other ---------------------------------------------------


@pjit
def gather_frames(x, lengths, starts, frames):
    (_, T, D), flat, target = x.shape, x.reshape(x.size), frames.reshape(frames.size)
    for b in prange(len(lengths)):
        copy_run(flat, b * T * D, target, starts[b] * D, lengths[b] * D)


@pjit
def scatter_frames(frames, lengths, starts, x):
    """Zeros past the utterances' ends."""
    (_, T, D), flat, source = x.shape, x.reshape(x.size), frames.reshape(frames.size)
    for b in prange(len(lengths)):
        copy_run(source, starts[b] * D, flat, b * T * D, lengths[b] * D)
        fill_run(x.dtype.type(0), flat, (b * T + lengths[b]) * D, (T - lengths[b]) * D)


# ---- the time loop --------------------------------------------------------------------------------------------------


@jit
def group_of(task, order, lengths):
    """Direction and utterances of a task: first all groups of direction 0, so that two cores get equal shares."""
    groups = (len(order) + ROWS - 1) // ROWS
    direction, group = task // groups, task % groups
    members = order[group * len(order) // groups : (group + 1) * len(order) // groups]
    return direction, members, lengths[members[0]]


@jit
def running(members, lengths, n):
    """How many of the group's utterances, longest first, still run at step n."""
    count = 0
    while count < len(members) and lengths[members[count]] > n:
        count += 1
    return count


@jit
def frame_at(direction, n, length):
    return n if direction == 0 else length - 1 - n


@jit
def place(start, direction, n, length):
    """Which of the rows (frame, direction) of z, c and so on step n writes."""
    return 2 * (start + frame_at(direction, n, length)) + direction


@pjit
def forward_cpu(z, Wh, h0, c0, lengths, starts, order, c, y):
    """z (N, 2, 4H): x Wx + b comes in, the activated gates i f g o go out. c (N, 2, H) and y (B, T, 2H) are written."""
    T, H = y.shape[1], Wh.shape[1]
    nothing = z.dtype.type(-np.inf)
    flat_z, flat_c, flat_y = z.reshape(z.size), c.reshape(c.size), y.reshape(y.size)
    panels = [pack_all(Wh[direction].reshape(H * 4 * H), 0, 4 * H, 1, H, 4 * H, H) for direction in range(2)]
    for task in prange(2 * ((len(order) + ROWS - 1) // ROWS)):
        direction, members, steps = group_of(task, order, lengths)
        h, cell_state = np.empty((ROWS, H), z.dtype), np.empty((ROWS, H), z.dtype)
        gates, panel = np.empty((ROWS, 4 * H), z.dtype), panels[direction]
        for r in range(len(members)):
            h[r], cell_state[r] = h0[direction, members[r]], c0[direction, members[r]]
        flat_h, flat_cell, flat_gates = h.reshape(ROWS * H), cell_state.reshape(ROWS * H), gates.reshape(ROWS * 4 * H)
        for n in range(steps):
            rows = running(members, lengths, n)
            for r in range(rows):
                at = place(starts[members[r]], direction, n, lengths[members[r]])
                copy_run(flat_z, at * 4 * H, flat_gates, r * 4 * H, 4 * H)
            for j in range(0, 4 * H, COLS):
                count = min(COLS, 4 * H - j)
                multiply_along(
                    flat_h, 0, H, 0, 1, H, rows, panel, j * H, count, panel_width(count, H),
                    flat_gates, j, 4 * H, nothing, flat_gates, j, 4 * H,
                )  # fmt: skip
            for r in range(rows):
                cell(gates[r], cell_state[r], h[r])
                at = place(starts[members[r]], direction, n, lengths[members[r]])
                copy_run(flat_gates, r * 4 * H, flat_z, at * 4 * H, 4 * H)
                copy_run(flat_cell, r * H, flat_c, at * H, H)
                t = frame_at(direction, n, lengths[members[r]])
                copy_run(flat_h, r * H, flat_y, (2 * (members[r] * T + t) + direction) * H, H)


@pjit
def backward_cpu(dy, gates, Wh, c0, c, lengths, starts, order, dz, dh0, dc0):
    """dz (N, 2, 4H), dh0 and dc0 (2, B, H) are written."""
    B, T, H = dy.shape[0], dy.shape[1], Wh.shape[1]
    nothing, zero = dz.dtype.type(-np.inf), dz.dtype.type(0)
    flat_dy, flat_z, flat_dz = dy.reshape(dy.size), gates.reshape(gates.size), dz.reshape(dz.size)
    flat_c, flat_c0 = c.reshape(c.size), c0.reshape(c0.size)
    panels = [pack_all(Wh[direction].reshape(H * 4 * H), 0, 1, 4 * H, 4 * H, H, 4 * H) for direction in range(2)]
    for task in prange(2 * ((len(order) + ROWS - 1) // ROWS)):
        direction, members, steps = group_of(task, order, lengths)
        dh, dc = np.zeros((ROWS, H), dz.dtype), np.zeros((ROWS, H), dz.dtype)
        gate, now = np.empty(4 * H, dz.dtype), np.empty(H, dz.dtype)
        before, squashed = np.empty(H, dz.dtype), np.empty(H, dz.dtype)
        dgates, panel = np.empty((ROWS, 4 * H), dz.dtype), panels[direction]
        flat_dh, flat_dgates = dh.reshape(ROWS * H), dgates.reshape(ROWS * 4 * H)
        for n in range(steps - 1, -1, -1):
            rows = running(members, lengths, n)
            for r in range(rows):
                utterance = members[r]
                length, start = lengths[utterance], starts[utterance]
                at, t = place(start, direction, n, length), frame_at(direction, n, length)
                copy_run(flat_z, at * 4 * H, gate, 0, 4 * H)
                copy_run(flat_c, at * H, now, 0, H)
                if n > 0:
                    copy_run(flat_c, place(start, direction, n - 1, length) * H, before, 0, H)
                else:
                    copy_run(flat_c0, (direction * B + utterance) * H, before, 0, H)
                add_run(flat_dy, (2 * (utterance * T + t) + direction) * H, flat_dh, r * H, H)
                cell_gradient(dh[r], dc[r], gate, now, before, dgates[r], squashed)
                copy_run(flat_dgates, r * 4 * H, flat_dz, at * 4 * H, 4 * H)
                fill_run(zero, flat_dh, r * H, H)
            for j in range(0, H, COLS):
                count = min(COLS, H - j)
                multiply_along(
                    flat_dgates, 0, 4 * H, 0, 1, 4 * H, rows, panel, j * 4 * H, count, panel_width(count, 4 * H),
                    flat_dh, j, H, nothing, flat_dh, j, H,
                )  # fmt: skip
        for r in range(len(members)):
            dh0[direction, members[r]], dc0[direction, members[r]] = dh[r], dc[r]


@pjit
def states_before(y, h0, lengths, starts, before):
    """before (2, N, H): h[n-1] of every frame, h0 in front of an utterance's first step."""
    (B, T, _), (_, N, H) = y.shape, before.shape
    flat_y, flat_h0, target = y.reshape(y.size), h0.reshape(h0.size), before.reshape(before.size)
    for b in prange(B):
        length = lengths[b]
        for direction in range(2):
            for n in range(length):
                at = (direction * N + starts[b] + frame_at(direction, n, length)) * H
                if n == 0:
                    copy_run(flat_h0, (direction * B + b) * H, target, at, H)
                else:
                    t = frame_at(direction, n - 1, length)
                    copy_run(flat_y, (2 * (b * T + t) + direction) * H, target, at, H)


@pjit
def add_column_sums(dz, db):
    """db (M,) += Σ of the rows of dz (N, M), in the order of the rows."""
    (N, M), flat = dz.shape, dz.reshape(dz.size)
    for j in prange((M + COLS - 1) // COLS):
        for n in range(N):
            add_run(flat, n * M + j * COLS, db, j * COLS, min(COLS, M - j * COLS))


# ---- entry points ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cache:
    """What backward needs of forward. N real frames: frames (N, D), gates (N, 2, 4H), c (N, 2, H)."""

    shape: tuple[int, int, int]
    lengths: np.ndarray
    starts: np.ndarray
    order: np.ndarray
    frames: np.ndarray
    gates: np.ndarray
    c: np.ndarray
    y: np.ndarray
    h0: np.ndarray
    c0: np.ndarray


def forward(x, lengths, Wx, Wh, b, h0=None, c0=None):
    """y (B, T, 2H) and the cache for `backward`; shapes as in the module's text.

    Raises ValueError where shapes, dtypes or lengths do not fit or an array is not C-contiguous.
    """
    (B, T, D), H = x.shape, Wh.shape[1]
    expect("x", x, (B, T, D), Wx.dtype)
    expect("lengths", lengths, (B,), np.dtype(np.int64))
    expect("Wx", Wx, (D, 2, 4 * H), Wx.dtype)
    expect("Wh", Wh, (2, H, 4 * H), Wx.dtype)
    expect("b", b, (2, 4 * H), Wx.dtype)
    if not 1 <= lengths.min() <= lengths.max() <= T:
        raise ValueError(f"lstm: lengths must lie in 1 ... {T}, got {lengths.min()} ... {lengths.max()}")
    h0 = np.zeros((2, B, H), x.dtype) if h0 is None else h0
    c0 = np.zeros((2, B, H), x.dtype) if c0 is None else c0
    expect("h0", h0, (2, B, H), Wx.dtype)
    expect("c0", c0, (2, B, H), Wx.dtype)
    N = int(lengths.sum())
    starts = np.cumsum(lengths) - lengths
    order = np.argsort(-lengths, kind="stable")
    frames = np.empty((N, D), x.dtype)
    gather_frames(x, lengths, starts, frames)
    z = np.empty((N, 2, 4 * H), x.dtype)
    z[:] = b
    add_product(frames.ravel(), D, 1, Wx.ravel(), 8 * H, 1, z.ravel(), N, 8 * H, D)
    c = np.empty((N, 2, H), x.dtype)
    y = np.zeros((B, T, 2 * H), x.dtype)
    forward_cpu(z, Wh, h0, c0, lengths, starts, order, c, y)
    return y, Cache((B, T, D), lengths, starts, order, frames, z, c, y, h0, c0)


def backward(dy, cache, Wx, Wh, dWx, dWh, db):
    """dx (B, T, D), zero past the ends, dh0 and dc0 (2, B, H); dWx, dWh and db are added to. Errors as in `forward`."""
    (N, D), H, dtype = cache.frames.shape, cache.c.shape[2], cache.y.dtype
    expect("dy", dy, cache.y.shape, dtype)
    expect("Wx", Wx, (D, 2, 4 * H), dtype)
    expect("Wh", Wh, (2, H, 4 * H), dtype)
    expect("dWx", dWx, (D, 2, 4 * H), dtype)
    expect("dWh", dWh, (2, H, 4 * H), dtype)
    expect("db", db, (2, 4 * H), dtype)
    dz = np.empty((N, 2, 4 * H), dy.dtype)
    dh0, dc0 = np.empty_like(cache.h0), np.empty_like(cache.c0)
    backward_cpu(dy, cache.gates, Wh, cache.c0, cache.c, cache.lengths, cache.starts, cache.order, dz, dh0, dc0)
    before = np.empty((2, N, H), dy.dtype)
    states_before(cache.y, cache.h0, cache.lengths, cache.starts, before)

    flat = dz.ravel()
    add_product(cache.frames.ravel(), 1, D, flat, 8 * H, 1, dWx.ravel(), D, 8 * H, N)
    for direction in range(2):
        add_product(
            before[direction].ravel(), 1, H, flat[direction * 4 * H :], 8 * H, 1, dWh[direction].ravel(), H, 4 * H, N
        )
    add_column_sums(dz.reshape(N, 8 * H), db.ravel())
    dframes = np.zeros((N, D), dy.dtype)
    add_product(flat, 8 * H, 1, Wx.ravel(), 1, 8 * H, dframes.ravel(), N, D, 8 * H)
    dx = np.empty(cache.shape, dy.dtype)
    scatter_frames(dframes, cache.lengths, cache.starts, dx)
    return dx, dh0, dc0


def readout_forward(y, lengths):
    """r (B, 2H), what each direction knows at its end: the forward state at length - 1, the backward state at 0."""
    H = y.shape[2] // 2
    return np.concatenate([y[np.arange(len(lengths)), lengths - 1, :H], y[:, 0, H:]], axis=1)


def readout_backward(dr, lengths, T):
    """dy (B, T, 2H) of dr (B, 2H): zero but for the two frames that were read."""
    B, H = len(lengths), dr.shape[1] // 2
    dy = np.zeros((B, T, 2 * H), dr.dtype)
    dy[np.arange(B), lengths - 1, :H] = dr[:, :H]
    dy[:, 0, H:] = dr[:, H:]
    return dy
