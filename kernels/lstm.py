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
the input part and all weight gradients are one product each; the cell itself is in _cell.py, copies are in _frames.py.
What is left inside the time loop is h Wh. Groups are cut from the utterances sorted by length, so those of a group that
still run are always its first ones.

    CPU    a core per direction and group of ROWS utterances, h Wh being a tile of matmul.py
    CUDA   a block per direction and group of U utterances, h Wh being the stream of _stream.py. One launch does all
           steps: blocks need nothing of each other, and the threads of a block wait for each other twice a step:

        h (H, U)  ──▶  slices of h Wh  ──▶ barrier ──▶  cell, a thread per utterance and unit  ──▶ barrier
        shared         shared                         writes the gates over z, c, y, and h
"""

from dataclasses import dataclass

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.contiguous import add_run, copy_run, fill_run
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect
from scratchser.kernels.matmul import add_product, multiply_along, pack_all, product
from scratchser.kernels.parts.cell import cell, cell_gradient, unit, unit_gradient
from scratchser.kernels.parts.frames import (
    add_columns,
    c_before,
    flat,
    frame_at,
    gather,
    row_of,
    running,
    scatter,
    states_before,
    walks_of,
)
from scratchser.kernels.parts.stream import multiply, product_of, transposed, whole
from scratchser.kernels.parts.tile import COLS, ROWS, panel_width

THREADS = 512  # of a block, at most
SHAPES = (4, 4), (4, 2), (2, 2), (1, 2)  # utterances of a block, slices of h Wh: the first that SHARED has room for
SHARED = 48 * 1024  # bytes of a block

# ---- CPU: the time loop ----------------------------------------------------------------------------------------------


@jit
def group_of(task, order, lengths):
    """Direction and utterances of a task: first all groups of direction 0, so that two cores get equal shares."""
    groups = (len(order) + ROWS - 1) // ROWS
    direction, group = task // groups, task % groups
    members = order[group * len(order) // groups : (group + 1) * len(order) // groups]
    return direction, members, lengths[members[0]]


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
                at = row_of(starts[members[r]], direction, n, lengths[members[r]])
                copy_run(flat_z, at * 4 * H, flat_gates, r * 4 * H, 4 * H)
            for j in range(0, 4 * H, COLS):
                count = min(COLS, 4 * H - j)
                multiply_along(
                    flat_h, 0, H, 0, 1, H, rows, panel, j * H, count, panel_width(count, H),
                    flat_gates, j, 4 * H, nothing, flat_gates, j, 4 * H,
                )  # fmt: skip
            for r in range(rows):
                cell(gates[r], cell_state[r], h[r])
                at = row_of(starts[members[r]], direction, n, lengths[members[r]])
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
                at, t = row_of(start, direction, n, length), frame_at(direction, n, length)
                copy_run(flat_z, at * 4 * H, gate, 0, 4 * H)
                copy_run(flat_c, at * H, now, 0, H)
                if n > 0:
                    copy_run(flat_c, row_of(start, direction, n - 1, length) * H, before, 0, H)
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


# ---- CUDA: a block walks with U utterances of one direction ---------------------------------------------------------


@cuda_jit
def forward_cuda(z, Wh, h0, c0, walks, U, slices, c, y):
    """As forward_cpu, all steps in one launch; y is zero before. Wh (2 H 4H,), walks (B, 3): see `walks_of`."""
    shared = cuda.shared.array(0, z.dtype)
    H = c.shape[2]
    h, sums = shared[: H * U], shared[H * U :]  # (H, U) and (slices, U, 4H)
    thread, threads, direction = cuda.threadIdx.x, cuda.blockDim.x, cuda.blockIdx.y
    first = cuda.blockIdx.x * U
    members = min(U, walks.shape[0] - first)
    for e in range(thread, H * U, threads):
        u, r = e // U, e % U
        if r < members:
            h[e] = h0[direction, walks[first + r, 0], u]
        else:
            h[e] = 0
    cuda.syncthreads()  # the states are there
    for n in range(walks[first, 2]):
        multiply(U, h, Wh, direction * H * 4 * H, H, 4 * H, slices, sums)
        cuda.syncthreads()  # the sums are there, and the states have been read
        for e in range(thread, members * H, threads):
            r, u = e // H, e % H
            b, start, length = walks[first + r, 0], walks[first + r, 1], walks[first + r, 2]
            if n < length:
                t = frame_at(direction, n, length)
                at = start + t
                i, f, g, o, now, state = unit(
                    z[at, direction, u] + product_of(sums, U, 4 * H, slices, r, u),
                    z[at, direction, H + u] + product_of(sums, U, 4 * H, slices, r, H + u),
                    z[at, direction, 2 * H + u] + product_of(sums, U, 4 * H, slices, r, 2 * H + u),
                    z[at, direction, 3 * H + u] + product_of(sums, U, 4 * H, slices, r, 3 * H + u),
                    c_before(c0, c, direction, n, b, start, length, u),
                )
                z[at, direction, u] = i
                z[at, direction, H + u] = f
                z[at, direction, 2 * H + u] = g
                z[at, direction, 3 * H + u] = o
                c[at, direction, u] = now
                y[b, t, direction * H + u] = state
                h[u * U + r] = state
        cuda.syncthreads()  # the states are those of step n, and the sums have been read


@cuda_jit
def backward_cuda(dy, gates, Wt, c0, c, walks, U, slices, dz, dh0, dc0):
    """As backward_cpu, all steps in one launch. Wt (2 4H M,): Wh transposed, M = whole(H); dc0 is dc on the way.

    An utterance that does not run yet has zeros for its dz, and so for its dh.
    """
    shared = cuda.shared.array(0, dz.dtype)
    H = c.shape[2]
    M = Wt.size // (8 * H)
    dgates, sums = shared[: 4 * H * U], shared[4 * H * U :]  # (4H, U) and (slices, U, M)
    thread, threads, direction = cuda.threadIdx.x, cuda.blockDim.x, cuda.blockIdx.y
    first = cuda.blockIdx.x * U
    members = min(U, walks.shape[0] - first)
    for e in range(thread, (4 * H + slices * M) * U, threads):
        shared[e] = 0
    for e in range(thread, members * H, threads):
        dc0[direction, walks[first + e // H, 0], e % H] = 0
    cuda.syncthreads()  # the zeros are there
    for n in range(walks[first, 2] - 1, -1, -1):
        for e in range(thread, members * H, threads):
            r, u = e // H, e % H
            b, start, length = walks[first + r, 0], walks[first + r, 1], walks[first + r, 2]
            if n < length:
                t = frame_at(direction, n, length)
                at = start + t
                di, df, dg, do, dc0[direction, b, u] = unit_gradient(
                    dy[b, t, direction * H + u] + product_of(sums, U, M, slices, r, u),
                    dc0[direction, b, u],
                    gates[at, direction, u],
                    gates[at, direction, H + u],
                    gates[at, direction, 2 * H + u],
                    gates[at, direction, 3 * H + u],
                    c[at, direction, u],
                    c_before(c0, c, direction, n, b, start, length, u),
                )
                dz[at, direction, u], dgates[u * U + r] = di, di
                dz[at, direction, H + u], dgates[(H + u) * U + r] = df, df
                dz[at, direction, 2 * H + u], dgates[(2 * H + u) * U + r] = dg, dg
                dz[at, direction, 3 * H + u], dgates[(3 * H + u) * U + r] = do, do
        cuda.syncthreads()  # dz of step n is there, and the sums have been read
        multiply(U, dgates, Wt, direction * 4 * H * M, 4 * H, M, slices, sums)
        cuda.syncthreads()  # the sums are there, and dz has been read
    for e in range(thread, members * H, threads):
        r, u = e // H, e % H
        dh0[direction, walks[first + r, 0], u] = product_of(sums, U, M, slices, r, u)


@cuda_jit
def readout_forward_cuda(y, lengths, r):
    i = cuda.grid(1)
    B, width = r.shape
    b, j = i // width, i % width
    if b < B:
        r[b, j] = y[b, lengths[b] - 1 if j < width // 2 else 0, j]


@cuda_jit
def readout_backward_cuda(dr, lengths, dy):
    """dy is zero before."""
    i = cuda.grid(1)
    B, width = dr.shape
    b, j = i // width, i % width
    if b < B:
        dy[b, lengths[b] - 1 if j < width // 2 else 0, j] = dr[b, j]


# ---- CUDA: shapes of launches ---------------------------------------------------------------------------------------


def shape_of(H, dtype):
    """Utterances of a block and slices, and the bytes that forward and backward take. ValueError where nothing fits."""
    for U, slices in SHAPES:
        forward, backward = (U * numbers * dtype.itemsize for numbers in numbers_of(H, slices))
        if max(forward, backward) <= SHARED:
            return U, slices, forward, backward
    largest = max(h for h in range(H) if max(numbers_of(h, slices)) * U * dtype.itemsize <= SHARED)
    raise ValueError(f"lstm: {H} units of {dtype} do not fit into a GPU's shared memory, at most {largest} do")


def numbers_of(H, slices):
    """Shared memory for one utterance, forward and backward, where Wh has four times as many rows: and slices."""
    return H + slices * 4 * H, 4 * H + 4 * slices * whole(H)


def launch_walks(kernel, cache, U, slices, shared_bytes, before, after):
    """A walk of all groups of U utterances in both directions; `before` and `after` are its arguments around those that
    are alike."""
    (B, _, _), H, device = cache.shape, cache.c.shape[2], device_of(cache.c)
    walks = device.resident(walks_of(cache.lengths, cache.starts, cache.order))
    threads = min(THREADS, 32 * blocks(U * H, 32))
    launch(kernel, (blocks(B, U), 2), threads, *before, walks, U, slices, *after, shared_bytes=shared_bytes)


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
    cache = begin(x, lengths, Wx, Wh, h0, c0)
    expect("b", b, (2, Wh.shape[2]), Wx.dtype)
    expect_room(x, Wh)
    add_input(x, cache, Wx, b)
    walk(cache, Wh)
    return cache.y, cache


def backward(dy, cache, Wx, Wh, dWx, dWh, db):
    """dx (B, T, D), zero past the ends, dh0 and dc0 (2, B, H); dWx, dWh and db are added to. Errors as in `forward`."""
    expect_gradients(dy, cache, Wx, Wh, dWx, dWh)
    expect("db", db, (2, Wh.shape[2]), dy.dtype)
    dz, dh0, dc0 = walk_back(dy, cache, Wh)
    add_columns(dz.reshape(len(dz), db.size), flat(db))
    return add_gradients(dz, dz, cache, Wx, dWx, dWh), dh0, dc0


# ---- their parts, which batchnorm.py puts together in another way ----------------------------------------------------


def begin(x, lengths, Wx, Wh, h0, c0):
    """A cache with memory for what is to come; nothing is launched yet."""
    (B, T, D), H = x.shape, Wh.shape[1]
    expect("x", x, (B, T, D), Wx.dtype)
    expect("lengths", lengths, (B,), np.dtype(np.int64))
    expect("Wx", Wx, (D, 2, 4 * H), Wx.dtype)
    expect("Wh", Wh, (2, H, 4 * H), Wx.dtype)
    if not 1 <= lengths.min() <= lengths.max() <= T:
        raise ValueError(f"lstm: lengths must lie in 1 ... {T}, got {lengths.min()} ... {lengths.max()}")
    device = device_of(x)
    h0 = device.zeros((2, B, H), x.dtype) if h0 is None else h0
    c0 = device.zeros((2, B, H), x.dtype) if c0 is None else c0
    expect("h0", h0, (2, B, H), Wx.dtype)
    expect("c0", c0, (2, B, H), Wx.dtype)
    N = int(lengths.sum())
    starts = np.cumsum(lengths) - lengths
    order = np.argsort(-lengths, kind="stable")
    frames, z = device.empty((N, D), x.dtype), device.empty((N, 2, 4 * H), x.dtype)
    c, y = device.empty((N, 2, H), x.dtype), device.zeros((B, T, 2 * H), x.dtype)
    return Cache((B, T, D), lengths, starts, order, frames, z, c, y, h0, c0)


def expect_room(x, Wh):
    """Raise ValueError where x lives on a GPU and a block of `walk` has no room."""
    if not on_cpu(x):
        shape_of(Wh.shape[1], x.dtype)


def add_input(x, cache, Wx, b):
    """The real frames come to their place, and the gates become b + x Wx."""
    (N, D), M = cache.frames.shape, Wx.shape[1] * Wx.shape[2]
    if on_cpu(x):
        gather(x, cache.lengths, cache.starts, cache.frames)
        cache.gates[:] = b
        add_product(flat(cache.frames), D, 1, flat(Wx), M, 1, flat(cache.gates), N, M, D)
    else:
        gather(x, *resident(device_of(x), cache.lengths, cache.starts), cache.frames)
        product(flat(cache.frames), D, 1, flat(Wx), M, 1, flat(cache.gates), N, M, D, bias=flat(b), split=False)


def walk(cache, Wh):
    """From the gates' input part to the activated gates, c and y."""
    z, h0, c0, H = cache.gates, cache.h0, cache.c0, Wh.shape[1]
    if on_cpu(z):
        forward_cpu(z, Wh, h0, c0, cache.lengths, cache.starts, cache.order, cache.c, cache.y)
    else:
        U, slices, shared_bytes, _ = shape_of(H, z.dtype)
        launch_walks(forward_cuda, cache, U, slices, shared_bytes, (z, flat(Wh), h0, c0), (cache.c, cache.y))


def walk_back(dy, cache, Wh):
    """dz (N, 2, 4H), dh0 and dc0 (2, B, H)."""
    device, dtype = device_of(dy), dy.dtype
    dz = device.empty(cache.gates.shape, dtype)
    dh0, dc0 = device.empty(cache.h0.shape, dtype), device.empty(cache.c0.shape, dtype)
    if on_cpu(dy):
        ordered = cache.lengths, cache.starts, cache.order
        backward_cpu(dy, cache.gates, Wh, cache.c0, cache.c, *ordered, dz, dh0, dc0)
    else:
        U, slices, _, shared_bytes = shape_of(Wh.shape[1], dtype)
        known = dy, cache.gates, flat(transposed(Wh)), cache.c0, cache.c
        launch_walks(backward_cuda, cache, U, 4 * slices, shared_bytes, known, (dz, dh0, dc0))
    return dz, dh0, dc0


def add_gradients(dz, dzh, cache, Wx, dWx, dWh):
    """dx; dWx and dWh are added to. dz is the gradient of x Wx, dzh that of h Wh."""
    (N, D), H, M, dtype, device = cache.frames.shape, cache.c.shape[2], dz[0].size, dz.dtype, device_of(dz)
    before = device.empty((2, N, H), dtype)
    dframes, dx = device.zeros((N, D), dtype), device.empty(cache.shape, dtype)
    lengths, starts = cache.lengths, cache.starts
    if not on_cpu(dz):
        lengths, starts = resident(device, lengths, starts)
    states_before(cache.y, cache.h0, lengths, starts, before)
    if on_cpu(dz):
        add_product(flat(cache.frames), 1, D, flat(dz), M, 1, flat(dWx), D, M, N)
        for direction in range(2):
            part = flat(dzh)[direction * 4 * H :]
            add_product(flat(before[direction]), 1, H, part, M, 1, flat(dWh[direction]), H, 4 * H, N)
        add_product(flat(dz), M, 1, flat(Wx), 1, M, flat(dframes), N, D, M)
    else:
        product(flat(cache.frames), 1, D, flat(dz), M, 1, flat(dWx), D, M, N)
        steps = N * H, 4 * H, H * 4 * H  # from direction to direction
        product(flat(before), 1, H, flat(dzh), M, 1, flat(dWh), H, 4 * H, N, batch=2, steps=steps)
        product(flat(dz), M, 1, flat(Wx), 1, M, flat(dframes), N, D, M, split=False)
    scatter(dframes, lengths, starts, dx)
    return dx


def expect_gradients(dy, cache, Wx, Wh, dWx, dWh):
    D, H, dtype = cache.frames.shape[1], cache.c.shape[2], cache.y.dtype
    expect("dy", dy, cache.y.shape, dtype)
    expect("Wx", Wx, (D, 2, 4 * H), dtype)
    expect("Wh", Wh, (2, H, 4 * H), dtype)
    expect("dWx", dWx, (D, 2, 4 * H), dtype)
    expect("dWh", dWh, (2, H, 4 * H), dtype)


def readout_forward(y, lengths):
    """r (B, 2H), what each direction knows at its end: the forward state at length - 1, the backward state at 0."""
    H = y.shape[2] // 2
    if on_cpu(y):
        return np.concatenate([y[np.arange(len(lengths)), lengths - 1, :H], y[:, 0, H:]], axis=1)
    device = device_of(y)
    r = device.empty((len(lengths), 2 * H), y.dtype)
    launch(readout_forward_cuda, blocks(r.size, THREADS), THREADS, y, *resident(device, lengths), r)
    return r


def readout_backward(dr, lengths, T):
    """dy (B, T, 2H) of dr (B, 2H): zero but for the two frames that were read."""
    B, H, device = len(lengths), dr.shape[1] // 2, device_of(dr)
    dy = device.zeros((B, T, 2 * H), dr.dtype)
    if on_cpu(dr):
        dy[np.arange(B), lengths - 1, :H] = dr[:, :H]
        dy[:, 0, H:] = dr[:, H:]
    else:
        launch(readout_backward_cuda, blocks(dr.size, THREADS), THREADS, dr, *resident(device, lengths), dy)
    return dy


def resident(device, *arrays):
    """Lengths and the like as kernels want them."""
    return [device.resident(array.astype(np.int32)) for array in arrays]
