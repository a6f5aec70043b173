"""Bi-LSTM over utterances of unequal lengths, with full backprop through time (section 3).

Gates as in Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000). The equations are those of one
direction; the other one goes from an utterance's own last frame to its first. n counts the steps of the time loop,
h[-1] = h0, c[-1] = c0:

    forward    i, f, o = σ(·), g = tanh(·) of the four parts of   z[n] = x[n] Wx + h[n-1] Wh + b
               c[n] = f c[n-1] + i g          h[n] = o tanh c[n]
    backward   dh      = dy[n] + dz[n+1] Whᵀ                            from the output and from the step after
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

All of one dtype, float32 or float64, without unit. The real frames of all utterances lie one after the other (N
frames), so the input part and all weight gradients are one product each. Only h Wh is left inside the time loop. The
cell is in parts/cell.py, copies of frames are in parts/frames.py.
"""

from dataclasses import dataclass

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.contiguous import add_range, copy_range, fill_range
from scratchser.kernels.machine.device import CPU, blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect
from scratchser.kernels.matmul import Matrix, Operand, Panel, Rows, add_product, multiply_along, pack_all, product
from scratchser.kernels.parts import frames
from scratchser.kernels.parts.cell import cell, cell_gradient, unit, unit_gradient
from scratchser.kernels.parts.frames import Utterances, c_before, count_running, flat, frame_at, row_of
from scratchser.kernels.parts.stream import multiply, padded_width, product_of, transposed
from scratchser.kernels.parts.tile import COLS, ROWS, panel_width

THREADS = 512  # of a block, at most
SHAPES = (4, 4), (4, 2), (2, 2), (1, 2)  # utterances of a block, slices of h Wh: the first that fits into SHARED
SHARED = 48 * 1024  # bytes of a block

# ---- CPU: a core per direction and group of ROWS utterances, h Wh by the tile of matmul.py ---------------------------
#
# lengths, starts and order travel one by one: in a NamedTuple, two threads would count their references at each step
# (measured: 4 to 5 % of forward and backward with two threads).


@jit
def group_of(task, order, lengths):
    """Direction, utterances and steps of a task: first all groups of direction 0, so that two cores get equal shares.

    Groups are cut from the utterances sorted by length, so those that still run are always a group's first ones.
    """
    groups = (len(order) + ROWS - 1) // ROWS
    direction, group = task // groups, task % groups
    members = order[group * len(order) // groups : (group + 1) * len(order) // groups]
    return direction, members, lengths[members[0]]


@pjit
def forward_cpu(z, Wh, h0, c0, lengths, starts, order, c, y):
    """z (N, 2, 4H) holds x Wx + b and becomes the activated gates i f g o. c (N, 2, H) and y (B, T, 2H) are written."""
    T, H = y.shape[1], Wh.shape[1]
    no_floor = z.dtype.type(-np.inf)
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
            rows = count_running(members, lengths, n)
            # the gates begin with the input part; h Wh is added, some columns at a time
            for r in range(rows):
                at = row_of(starts[members[r]], direction, n, lengths[members[r]])
                copy_range(flat_z, at * 4 * H, flat_gates, r * 4 * H, 4 * H)
            for j in range(0, 4 * H, COLS):
                count = min(COLS, 4 * H - j)
                width, part = panel_width(count, H), Matrix(j, 4 * H)
                columns = Panel(j * H, width, count, width)
                multiply_along(
                    flat_h, Rows(rows, 0, H, 0, 1, H), panel, columns, flat_gates, part, no_floor, flat_gates, part
                )
            # the cells, and copies of what they give
            for r in range(rows):
                cell(gates[r], cell_state[r], h[r])
                at = row_of(starts[members[r]], direction, n, lengths[members[r]])
                copy_range(flat_gates, r * 4 * H, flat_z, at * 4 * H, 4 * H)
                copy_range(flat_cell, r * H, flat_c, at * H, H)
                t = frame_at(direction, n, lengths[members[r]])
                copy_range(flat_h, r * H, flat_y, (2 * (members[r] * T + t) + direction) * H, H)


@pjit
def backward_cpu(dy, gates, Wh, c0, c, lengths, starts, order, dz, dh0, dc0):
    """dz (N, 2, 4H), dh0 and dc0 (2, B, H) are written."""
    B, T, H = dy.shape[0], dy.shape[1], Wh.shape[1]
    no_floor, zero = dz.dtype.type(-np.inf), dz.dtype.type(0)
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
            rows = count_running(members, lengths, n)
            # dz of this step: dh holds dz[n+1] Whᵀ
            for r in range(rows):
                utterance = members[r]
                length, start = lengths[utterance], starts[utterance]
                at, t = row_of(start, direction, n, length), frame_at(direction, n, length)
                copy_range(flat_z, at * 4 * H, gate, 0, 4 * H)
                copy_range(flat_c, at * H, now, 0, H)
                if n > 0:
                    copy_range(flat_c, row_of(start, direction, n - 1, length) * H, before, 0, H)
                else:
                    copy_range(flat_c0, (direction * B + utterance) * H, before, 0, H)
                add_range(flat_dy, (2 * (utterance * T + t) + direction) * H, flat_dh, r * H, H)
                cell_gradient(dh[r], dc[r], gate, now, before, dgates[r], squashed)
                copy_range(flat_dgates, r * 4 * H, flat_dz, at * 4 * H, 4 * H)
                fill_range(zero, flat_dh, r * H, H)
            # dz Whᵀ, for the step before
            for j in range(0, H, COLS):
                count = min(COLS, H - j)
                width, part = panel_width(count, 4 * H), Matrix(j, H)
                matrix, columns = Rows(rows, 0, 4 * H, 0, 1, 4 * H), Panel(j * 4 * H, width, count, width)
                multiply_along(flat_dgates, matrix, panel, columns, flat_dh, part, no_floor, flat_dh, part)
        for r in range(len(members)):
            dh0[direction, members[r]], dc0[direction, members[r]] = dh[r], dc[r]


# ---- CUDA: a block per direction and group of U utterances, h Wh by the stream of parts/stream.py -------------------
#
# One launch does all steps, since no block needs another one. The threads of a block meet twice in each step:
#
#     h (H, U)  ──▶  slices of h Wh  ──▶ barrier ──▶  cell, a thread per utterance and unit  ──▶ barrier
#     shared         shared                         writes the gates over z, c, y, and h
#
# sequences (B, 3): see frames.sequences_of. U, slices and the shared memory: see `block_shape`.


@cuda_jit
def forward_cuda(z, Wh, h0, c0, sequences, U, slices, c, y):
    """As forward_cpu; y is zero before. Wh (2 H 4H,)."""
    shared = cuda.shared.array(0, z.dtype)
    H = c.shape[2]
    h, sums = shared[: H * U], shared[H * U :]  # (H, U) and (slices, U, 4H)
    thread, threads, direction = cuda.threadIdx.x, cuda.blockDim.x, cuda.blockIdx.y
    first = cuda.blockIdx.x * U
    members = min(U, sequences.shape[0] - first)
    for e in range(thread, H * U, threads):
        u, r = e // U, e % U
        if r < members:
            h[e] = h0[direction, sequences[first + r, 0], u]
        else:
            h[e] = 0
    cuda.syncthreads()  # the states are written
    for n in range(sequences[first, 2]):
        multiply(U, h, Wh, direction * H * 4 * H, H, 4 * H, slices, sums)
        cuda.syncthreads()  # the sums are written, and the states have been read
        for e in range(thread, members * H, threads):
            r, u = e // H, e % H
            b, start, length = sequences[first + r, 0], sequences[first + r, 1], sequences[first + r, 2]
            if n < length:
                t = frame_at(direction, n, length)
                at = start + t
                i, f, g, o, next_c, next_h = unit(
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
                c[at, direction, u] = next_c
                y[b, t, direction * H + u] = next_h
                h[u * U + r] = next_h
        cuda.syncthreads()  # the states are those of step n, and the sums have been read


@cuda_jit
def backward_cuda(dy, gates, Wt, c0, c, sequences, U, slices, dz, dh0, dc0):
    """As backward_cpu; dc0 holds dc meanwhile. Wt (2 4H M,): Wh transposed, M = padded_width(H).

    An utterance that does not run yet has zeros for its dz, and so for its dh.
    """
    shared = cuda.shared.array(0, dz.dtype)
    H = c.shape[2]
    M = Wt.size // (8 * H)
    dgates, sums = shared[: 4 * H * U], shared[4 * H * U :]  # (4H, U) and (slices, U, M)
    thread, threads, direction = cuda.threadIdx.x, cuda.blockDim.x, cuda.blockIdx.y
    first = cuda.blockIdx.x * U
    members = min(U, sequences.shape[0] - first)
    for e in range(thread, (4 * H + slices * M) * U, threads):
        shared[e] = 0
    for e in range(thread, members * H, threads):
        dc0[direction, sequences[first + e // H, 0], e % H] = 0
    cuda.syncthreads()  # the zeros are written
    for n in range(sequences[first, 2] - 1, -1, -1):
        for e in range(thread, members * H, threads):
            r, u = e // H, e % H
            b, start, length = sequences[first + r, 0], sequences[first + r, 1], sequences[first + r, 2]
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
        cuda.syncthreads()  # dz of step n is written, and the sums have been read
        multiply(U, dgates, Wt, direction * 4 * H * M, 4 * H, M, slices, sums)
        cuda.syncthreads()  # the sums are written, and dz has been read
    for e in range(thread, members * H, threads):
        r, u = e // H, e % H
        dh0[direction, sequences[first + r, 0], u] = product_of(sums, U, M, slices, r, u)


@cuda_jit
def readout_forward_cuda(y, lengths, r):
    """r (B, 2H): the forward state at length - 1, and the backward state at 0, of y (B, T, 2H)."""
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


def block_shape(H, dtype):
    """Utterances of a block, slices of h Wh, and the bytes of shared memory that forward and backward take.

    Raises ValueError where no shape fits.
    """
    for U, slices in SHAPES:
        forward, backward = (U * elements * dtype.itemsize for elements in shared_elements(H, slices))
        if max(forward, backward) <= SHARED:
            return U, slices, forward, backward
    largest = max(h for h in range(H) if max(shared_elements(h, slices)) * U * dtype.itemsize <= SHARED)
    raise ValueError(f"lstm: {H} units of {dtype} do not fit into a GPU's shared memory, at most {largest} do")


def shared_elements(H, slices):
    """Elements of shared memory for one utterance, forward and backward, which has four times the slices."""
    return H + slices * 4 * H, 4 * H + 4 * slices * padded_width(H)


def launch_time_loop(kernel, cache, U, slices, shared_bytes, inputs, results):
    """Launch the time loop of all groups of U utterances in both directions."""
    (B, _, _), H, device = cache.shape, cache.c.shape[2], device_of(cache.c)
    sequences = device.resident(frames.sequences_of(cache.utterances))
    threads = min(THREADS, 32 * blocks(U * H, 32))
    launch(kernel, (blocks(B, U), 2), threads, *inputs, sequences, U, slices, *results, shared_bytes=shared_bytes)


# ---- entry points ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cache:
    """What backward needs of forward. N real frames: frames (N, D), gates (N, 2, 4H), c (N, 2, H)."""

    shape: tuple[int, int, int]  # of x
    utterances: Utterances
    frames: np.ndarray
    gates: np.ndarray
    c: np.ndarray
    y: np.ndarray
    h0: np.ndarray
    c0: np.ndarray


def forward(x, lengths, Wx, Wh, b, h0=None, c0=None):
    """Run a Bi-LSTM layer over a batch; shapes as in the module's text.

    Returns y (B, T, 2H) and the cache for `backward`. Raises ValueError where shapes, dtypes or lengths do not fit or
    an array is not C-contiguous.
    """
    cache = new_cache(x, lengths, Wx, Wh, h0, c0)
    expect("b", b, (2, Wh.shape[2]), Wx.dtype)
    expect_block_fits(x, Wh)
    add_input(x, cache, Wx, b)
    time_loop(cache, Wh)
    return cache.y, cache


def backward(dy, cache, Wx, Wh, dWx, dWh, db):
    """Gradients of `forward`; dWx, dWh and db are added to.

    Returns dx (B, T, D), zero past the ends, dh0 and dc0 (2, B, H). Errors as in `forward`.
    """
    expect_gradients(dy, cache, Wx, Wh, dWx, dWh)
    expect("db", db, (2, Wh.shape[2]), dy.dtype)
    dz, dh0, dc0 = time_loop_backward(dy, cache, Wh)
    frames.add_columns(dz.reshape(len(dz), db.size), flat(db))
    return add_gradients(dz, dz, cache, Wx, dWx, dWh), dh0, dc0


# ---- their parts, which batchnorm.py combines in another way ---------------------------------------------------------


def new_cache(x, lengths, Wx, Wh, h0, c0):
    """Check the arguments and return a cache with memory for the results. Nothing is launched yet."""
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
    utterances = Utterances(lengths, np.cumsum(lengths) - lengths, np.argsort(-lengths, kind="stable"))
    real, z = device.empty((N, D), x.dtype), device.empty((N, 2, 4 * H), x.dtype)
    c, y = device.empty((N, 2, H), x.dtype), device.zeros((B, T, 2 * H), x.dtype)
    return Cache((B, T, D), utterances, real, z, c, y, h0, c0)


def expect_block_fits(x, Wh):
    """Raise ValueError where x lives on a GPU and a block of `time_loop` does not fit into its shared memory."""
    if not on_cpu(x):
        block_shape(Wh.shape[1], x.dtype)


def add_input(x, cache, Wx, b):
    """Gather the real frames of x, and set the gates to b + x Wx."""
    (N, D), M = cache.frames.shape, Wx.shape[1] * Wx.shape[2]
    frames.gather(x, *_resident(device_of(x), *cache.utterances[:2]), cache.frames)
    A, B, gates = Operand(flat(cache.frames), D, 1), Operand(flat(Wx), M, 1), flat(cache.gates)
    if on_cpu(x):
        cache.gates[:] = b
        add_product(A, B, gates, N, M, D)
    else:
        product(A, B, gates, N, M, D, bias=flat(b), split=False)


def time_loop(cache, Wh):
    """Turn the input part in cache.gates into the activated gates; cache.c and cache.y are written."""
    z, h0, c0, H = cache.gates, cache.h0, cache.c0, Wh.shape[1]
    if on_cpu(z):
        forward_cpu(z, Wh, h0, c0, *cache.utterances, cache.c, cache.y)
    else:
        U, slices, shared_bytes, _ = block_shape(H, z.dtype)
        launch_time_loop(forward_cuda, cache, U, slices, shared_bytes, (z, flat(Wh), h0, c0), (cache.c, cache.y))


def time_loop_backward(dy, cache, Wh):
    """Returns dz (N, 2, 4H), dh0 and dc0 (2, B, H)."""
    device, dtype = device_of(dy), dy.dtype
    dz = device.empty(cache.gates.shape, dtype)
    dh0, dc0 = device.empty(cache.h0.shape, dtype), device.empty(cache.c0.shape, dtype)
    if on_cpu(dy):
        backward_cpu(dy, cache.gates, Wh, cache.c0, cache.c, *cache.utterances, dz, dh0, dc0)
    else:
        U, slices, _, shared_bytes = block_shape(Wh.shape[1], dtype)
        inputs = dy, cache.gates, flat(transposed(Wh)), cache.c0, cache.c
        launch_time_loop(backward_cuda, cache, U, 4 * slices, shared_bytes, inputs, (dz, dh0, dc0))
    return dz, dh0, dc0


def add_gradients(dz, dzh, cache, Wx, dWx, dWh):
    """Add to dWx and dWh, and return dx. dz is the gradient of x Wx, dzh that of h Wh."""
    (N, D), H, M, dtype, device = cache.frames.shape, cache.c.shape[2], dz[0].size, dz.dtype, device_of(dz)
    before = device.empty((2, N, H), dtype)
    dframes, dx = device.zeros((N, D), dtype), device.empty(cache.shape, dtype)
    lengths, starts = _resident(device, *cache.utterances[:2])
    frames.states_before(cache.y, cache.h0, lengths, starts, before)
    x_transposed, Wx_transposed = Operand(flat(cache.frames), 1, D), Operand(flat(Wx), 1, M)
    rows = Operand(flat(dz), M, 1)
    if on_cpu(dz):
        add_product(x_transposed, rows, flat(dWx), D, M, N)
        for direction in range(2):
            h, part = Operand(flat(before[direction]), 1, H), Operand(flat(dzh)[direction * 4 * H :], M, 1)
            add_product(h, part, flat(dWh[direction]), H, 4 * H, N)
        add_product(rows, Wx_transposed, flat(dframes), N, D, M)
    else:
        product(x_transposed, rows, flat(dWx), D, M, N)
        h, both = Operand(flat(before), 1, H, N * H), Operand(flat(dzh), M, 1, 4 * H)
        product(h, both, flat(dWh), H, 4 * H, N, batch=2, step=H * 4 * H)
        product(rows, Wx_transposed, flat(dframes), N, D, M, split=False)
    frames.scatter(dframes, lengths, starts, dx)
    return dx


def expect_gradients(dy, cache, Wx, Wh, dWx, dWh):
    """Raise ValueError where shapes or dtypes do not fit those of forward."""
    D, H, dtype = cache.frames.shape[1], cache.c.shape[2], cache.y.dtype
    expect("dy", dy, cache.y.shape, dtype)
    expect("Wx", Wx, (D, 2, 4 * H), dtype)
    expect("Wh", Wh, (2, H, 4 * H), dtype)
    expect("dWx", dWx, (D, 2, 4 * H), dtype)
    expect("dWh", dWh, (2, H, 4 * H), dtype)


def readout_forward(y, lengths):
    """The last state of each direction, r (B, 2H): the forward state at length - 1, the backward state at 0."""
    H = y.shape[2] // 2
    if on_cpu(y):
        return np.concatenate([y[np.arange(len(lengths)), lengths - 1, :H], y[:, 0, H:]], axis=1)
    device = device_of(y)
    r = device.empty((len(lengths), 2 * H), y.dtype)
    launch(readout_forward_cuda, blocks(r.size, THREADS), THREADS, y, *_resident(device, lengths), r)
    return r


def readout_backward(dr, lengths, T):
    """dy (B, T, 2H) of dr (B, 2H): zero but for the two frames that were read."""
    B, H, device = len(lengths), dr.shape[1] // 2, device_of(dr)
    dy = device.zeros((B, T, 2 * H), dr.dtype)
    if on_cpu(dr):
        dy[np.arange(B), lengths - 1, :H] = dr[:, :H]
        dy[:, 0, H:] = dr[:, H:]
    else:
        launch(readout_backward_cuda, blocks(dr.size, THREADS), THREADS, dr, *_resident(device, lengths), dy)
    return dy


def _resident(device, *arrays):
    """Lengths and starts as the kernels of a device take them: int32 in its memory, NumPy's own on the CPU."""
    return arrays if device is CPU else [device.resident(array.astype(np.int32)) for array in arrays]
