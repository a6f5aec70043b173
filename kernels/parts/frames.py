"""Real frames of a padded batch: copied, indexed by the steps of the LSTM's time loop, and added up.

    gather           frames[starts[b] + t] = x[b, t], t < lengths[b]             real frames, one after the other
    scatter          x[b, t] = frames[starts[b] + t], 0 past the utterance's end
    states_before    before[direction, starts[b] + t] = h of the step before frame t in this direction, or h0
    add_columns      db[j] += Σ_n dz[n, j]

x          (B, T, D)     padded batch                       lengths, starts   (B,)   starts[b] = Σ lengths before b
frames     (N, D)        N = Σ lengths
y          (B, T, 2H)    h of the forward direction, then of the backward direction
before     (2, N, H)     h0   (2, B, H)
dz         (N, M)        db   (M,)

Nothing is read past an utterance's end.
"""

from typing import NamedTuple

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.contiguous import add_range, copy_range, fill_range
from scratchser.kernels.machine.device import blocks, launch, on_cpu
from scratchser.kernels.parts.tile import COLS

THREADS = 256  # of a block
COLUMNS, PARTS = 32, 8  # threads of a block that adds columns: 32 columns, each in 8 parts


class Utterances(NamedTuple):
    """Where the utterances of a batch lie in an array of all their real frames; each field is (B,) int64."""

    lengths: np.ndarray
    starts: np.ndarray  # an utterance's first frame
    order: np.ndarray  # their indices, longest first


# ---- maths, shared by both devices ----------------------------------------------------------------------------------


@jit
def frame_at(direction, n, length):
    """The frame of step n: the backward direction (1) begins at the utterance's last one."""
    return n if direction == 0 else length - 1 - n


@jit
def row_of(start, direction, n, length):
    """Row of step n in an array (N, 2, ...) of frames and directions."""
    return 2 * (start + frame_at(direction, n, length)) + direction


@jit
def count_running(members, lengths, n):
    """How many of these utterances, longest first, still run at step n."""
    count = 0
    while count < len(members) and lengths[members[count]] > n:
        count += 1
    return count


# ---- CPU: a core per utterance --------------------------------------------------------------------------------------


@pjit
def gather_cpu(x, lengths, starts, frames):
    """frames (N, D) of x (B, T, D)."""
    (_, T, D), flat, target = x.shape, x.reshape(x.size), frames.reshape(frames.size)
    for b in prange(len(lengths)):
        copy_range(flat, b * T * D, target, starts[b] * D, lengths[b] * D)


@pjit
def scatter_cpu(frames, lengths, starts, x):
    """x (B, T, D) of frames (N, D), 0 past the end of an utterance."""
    (_, T, D), flat, source = x.shape, x.reshape(x.size), frames.reshape(frames.size)
    for b in prange(len(lengths)):
        copy_range(source, starts[b] * D, flat, b * T * D, lengths[b] * D)
        fill_range(x.dtype.type(0), flat, (b * T + lengths[b]) * D, (T - lengths[b]) * D)


@pjit
def states_before_cpu(y, h0, lengths, starts, before):
    """before (2, N, H) of y (B, T, 2H) and h0 (2, B, H)."""
    (B, T, _), (_, N, H) = y.shape, before.shape
    flat_y, flat_h0, target = y.reshape(y.size), h0.reshape(h0.size), before.reshape(before.size)
    for b in prange(B):
        length = lengths[b]
        for direction in range(2):
            for n in range(length):
                at = (direction * N + starts[b] + frame_at(direction, n, length)) * H
                if n == 0:
                    copy_range(flat_h0, (direction * B + b) * H, target, at, H)
                else:
                    t = frame_at(direction, n - 1, length)
                    copy_range(flat_y, (2 * (b * T + t) + direction) * H, target, at, H)


@pjit
def add_columns_cpu(dz, db):
    """In the order of the rows."""
    (N, M), flat = dz.shape, dz.reshape(dz.size)
    for j in prange((M + COLS - 1) // COLS):
        for n in range(N):
            add_range(flat, n * M + j * COLS, db, j * COLS, min(COLS, M - j * COLS))


# ---- CUDA: blocks (of an utterance's elements, of utterances), a thread per element ---------------------------------
#
# An utterance's elements are contiguous on both sides, so neighbouring threads access neighbouring elements.


@cuda_jit
def gather_cuda(x, lengths, starts, D, frames):
    """x (B, T D) and frames (N D,): an utterance's elements are one contiguous range."""
    i, b = cuda.grid(1), cuda.blockIdx.y
    if i < lengths[b] * D:
        frames[starts[b] * D + i] = x[b, i]


@cuda_jit
def scatter_cuda(frames, lengths, starts, D, x):
    """As scatter_cpu; x (B, T D) and frames (N D,)."""
    i, b = cuda.grid(1), cuda.blockIdx.y
    if i < lengths[b] * D:
        x[b, i] = frames[starts[b] * D + i]
    elif i < x.shape[1]:
        x[b, i] = 0


@cuda_jit
def states_before_cuda(y, h0, lengths, starts, before):
    """As states_before_cpu."""
    i, b = cuda.grid(1), cuda.blockIdx.y
    H, length = before.shape[2], lengths[b]
    t, j = i // (2 * H), i % (2 * H)
    direction, u = j // H, j % H
    if t < length:
        n = frame_at(direction, t, length)  # the step of frame t: frame_at is its own inverse
        if n == 0:
            before[direction, starts[b] + t, u] = h0[direction, b, u]
        else:
            before[direction, starts[b] + t, u] = y[b, frame_at(direction, n - 1, length), j]


@cuda_device
def c_before(c0, c, direction, n, b, start, length, u):
    """c of the step before step n, of unit u and utterance b, whose frames begin at `start`."""
    if n == 0:
        return c0[direction, b, u]
    return c[start + frame_at(direction, n - 1, length), direction, u]


@cuda_jit
def add_columns_cuda(dz, db):
    """Thread (x, p) adds rows p, p + PARTS ... of a column. Then thread (x, 0) adds the parts in their order."""
    parts = cuda.shared.array((PARTS, COLUMNS), dz.dtype)
    x, p = cuda.threadIdx.x, cuda.threadIdx.y
    j = cuda.blockIdx.x * COLUMNS + x
    N, M = dz.shape
    total = dz.dtype.type(0)
    if j < M:
        for n in range(p, N, PARTS):
            total += dz[n, j]
    parts[p, x] = total
    cuda.syncthreads()  # all parts are written
    if p == 0 and j < M:
        for q in range(1, PARTS):
            total += parts[q, x]
        db[j] += total


# ---- entry points: the device is where the array lives; on a GPU lengths and starts are resident int32 ---------------


def gather(x, lengths, starts, frames):
    """Copy the real frames of x (B, T, D) to frames (N, D)."""
    if on_cpu(x):
        gather_cpu(x, lengths, starts, frames)
    else:
        B, T, D = x.shape
        launch(gather_cuda, (blocks(T * D, THREADS), B), THREADS, x.reshape(B, T * D), lengths, starts, D, flat(frames))


def scatter(frames, lengths, starts, x):
    """Copy frames (N, D) to x (B, T, D), which is 0 past the end of an utterance."""
    if on_cpu(x):
        scatter_cpu(frames, lengths, starts, x)
    else:
        B, T, D = x.shape
        grid = blocks(T * D, THREADS), B
        launch(scatter_cuda, grid, THREADS, flat(frames), lengths, starts, D, x.reshape(B, T * D))


def states_before(y, h0, lengths, starts, before):
    """Write before (2, N, H): h of the step before each frame, or h0."""
    if on_cpu(y):
        states_before_cpu(y, h0, lengths, starts, before)
    else:
        B, T, width = y.shape
        launch(states_before_cuda, (blocks(T * width, THREADS), B), THREADS, y, h0, lengths, starts, before)


def add_columns(dz, db):
    """Add the sum of the rows of dz (N, M) to db (M,)."""
    if on_cpu(dz):
        add_columns_cpu(dz, db)
    else:
        launch(add_columns_cuda, blocks(dz.shape[1], COLUMNS), (COLUMNS, PARTS), dz, db)


def sequences_of(utterances):
    """Utterance, start of its frames and length, (B, 3) int32, longest first: those of a block end about together."""
    lengths, starts, order = utterances
    return np.stack([order, starts[order], lengths[order]], axis=1).astype(np.int32)


def flat(array):
    """All elements in one dimension: a view, since arrays are C-contiguous."""
    return array.reshape(array.size)
