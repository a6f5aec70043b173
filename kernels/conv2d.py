"""Strided convolution over time and frequency, with bias, ReLU and lengths (section 3, figure 3).

    forward    y[b, t, f, d]    = ReLU( bias[d] + Σ_i Σ_j Σ_c x[b, t st + i - pt, f sf + j - pf, c] W[i, j, c, d] )
    backward   dz[b, t, f, d]   = dy[b, t, f, d] where y > 0, else 0
               dx[b, u, v, c]   = Σ_i Σ_j Σ_d dz[b, (u + pt - i) / st, (v + pf - j) / sf, d] W[i, j, c, d]
                                  over the i, j whose quotients are whole
               dW[i, j, c, d]  += Σ_b Σ_t Σ_f x[b, t st + i - pt, f sf + j - pf, c] dz[b, t, f, d]
               dbias[d]        += Σ_b Σ_t Σ_f dz[b, t, f, d]

x, dx     (B, T, F, C)      frame t, frequency bin f, input channel c
y, dy     (B, T', F', D)    T' = ⌈T / st⌉, F' = ⌈F / sf⌉, output channel d
lengths   (B,)  int64       frames of each utterance; output frames: ⌈length / st⌉
W         (I, J, C, D)      I x J kernel, time x frequency;   bias (D,)
st, sf    ()                strides;   pt = ⌊(I - 1) / 2⌋, pf = ⌊(J - 1) / 2⌋: fixed, whatever the batch's T

All arrays of one dtype, float32 or float64, C-contiguous. Outside [0, length) x [0, F) everything reads 0, and past
an utterance's end nothing is computed: its result is the same alone and in any batch (the paper masks in front of the
Bi-LSTM only).

How it becomes a matrix product without copying windows: channels lie last, so kernel row i of the window around (t,
f) is ONE run of J C neighbouring numbers, the next window of the frame starts sf C numbers later, the next kernel row
a frame later:

    frame t st + i - pt   │ 0 0 │ f=0: c c c │ f=1: c c c │ f=2: c c c │ ...    zeros, F C numbers, zeros
    row of the matrix for f = 0: └─────────── J C numbers ───────────┘
    row of the matrix for f = 1:                └ sf C later, the same length

matmul.multiply_along reads such rows where they lie, and begins and ends a tile with the bias and the ReLU; dW reads
the same matrix by its columns (add_across). dx is the forward product with dz for x, once for each remainder of (u, v)
modulo the strides: the taps that reach an input position depend on that remainder only, and for one remainder they
form a dense little kernel of their own.
"""

import numpy as np

from scratchser.kernels._launch import jit, pjit, prange
from scratchser.kernels._runs import add_run, copy_run, fill_run
from scratchser.kernels._shapes import expect
from scratchser.kernels._tile import COLS, HALF
from scratchser.kernels.matmul import add_across, multiply_along, pack, pack_all, panel_width

BLOCK = 8  # output frames that a core does at a time: their input stays in its cache
PASS = 128  # positions that dW sums up in registers, if there are so many: both operands of a pass stay in the L1 cache
PARTIALS = 8  # sums of dW that are kept apart and added in a fixed order: the same bits for any number of threads


def output_lengths(lengths, stride):
    """Frames after a layer with this time stride, ⌈length / stride⌉."""
    return (lengths + stride - 1) // stride


@jit
def blocks_of(lengths, stride):
    """(N, 2) int64: utterance and first output frame of each block of BLOCK output frames, real frames only.

    lengths (B,) int64 of the input, stride in time.
    """
    step = BLOCK * stride  # input frames of a block
    total = 0
    for length in lengths:
        total += (length + step - 1) // step
    blocks = np.empty((total, 2), np.int64)
    n = 0
    for utterance in range(len(lengths)):
        for first in range(0, (lengths[utterance] + stride - 1) // stride, BLOCK):
            blocks[n, 0], blocks[n, 1] = utterance, first
            n += 1
    return blocks


# ---- shared by the three products -----------------------------------------------------------------------------------


@jit
def copy_frames(x, x0, length, first, before, F, C, window, width):
    """Row i of window (rows, width) = frame first + i behind `before` positions of zeros, zeros outside [0, length).

    x0   where the utterance's frames of F C numbers begin in the flat x
    """
    zero, size = x.dtype.type(0), F * C
    for i in range(window.size // width):
        u, at = first + i, i * width
        if 0 <= u < length:
            fill_run(zero, window, at, before * C)
            copy_run(x, x0 + u * size, window, at + before * C, size)
            fill_run(zero, window, at + before * C + size, width - before * C - size)
        else:
            fill_run(zero, window, at, width)


@jit
def taps(remainder, pad, kernel, stride):
    """Kernel taps that connect input position a stride + remainder with output positions.

    Their number, the last one (the largest), and the output position of that one, relative to a. A tap smaller by
    `stride` lies one output position later.
    """
    first = (remainder + pad) % stride
    if first >= kernel:
        return 0, 0, 0
    count = (kernel - 1 - first) // stride + 1
    last = first + (count - 1) * stride
    return count, last, (remainder + pad - last) // stride


# ---- forward --------------------------------------------------------------------------------------------------------


@pjit
def forward_cpu(x, lengths, W, bias, st, sf, floor, blocks, y):
    """floor   0 for a ReLU, else -inf"""
    frames_in, F, C = x.shape[1:]
    I, J, _, D = W.shape
    frames_out, positions = y.shape[1], y.shape[2]
    pt, pf = (I - 1) // 2, (J - 1) // 2
    width = max((positions - 1) * sf + J, pf + F) * C
    run = J * C
    panels = pack_all(W.reshape(W.size), 0, D, 1, I * run, D, run)
    flat, out = x.reshape(x.size), y.reshape(y.size)
    for n in prange(len(blocks)):
        utterance, first = blocks[n, 0], blocks[n, 1]
        length = lengths[utterance]
        count = min(BLOCK, (length + st - 1) // st - first)
        window = np.empty(((BLOCK - 1) * st + I) * width, x.dtype)
        copy_frames(flat, utterance * frames_in * F * C, length, first * st - pt, pf, F, C, window, width)
        for t in range(count):
            at = (utterance * frames_out + first + t) * positions * D
            for d in range(0, D, COLS):
                columns = min(COLS, D - d)
                tile = panel_width(columns, run)
                multiply_along(
                    window, t * st * width, sf * C, width, I, run, positions, panels, d * I * run, columns, tile,
                    bias, d, 0, floor, out, at + d, D,
                )  # fmt: skip


# ---- backward -------------------------------------------------------------------------------------------------------


@jit
def rectify(dy, y, at, relu, dz, z0, n):
    """dz[z0 ... z0 + n - 1] = the gradient in front of the ReLU of dy[at ... at + n - 1], all flat."""
    if not relu:
        copy_run(dy, at, dz, z0, n)
        return
    zero, a, z = dy.dtype.type(0), np.uint64(at), np.uint64(z0)
    for k in range(np.uint64(n)):  # unsigned: see _runs.py
        dz[z + k] = zero if y[a + k] == zero else dy[a + k]


@jit
def pack_taps(W, pt, pf, st, sf):
    """Panels of the little kernels of all remainders: rows (output frame, output position, d), columns c.

    And where those of the remainders (rt, rf) begin, (st, sf) int64.
    """
    I, J, C, D = W.shape
    flat = W.reshape(W.size)
    starts, used = np.empty((st, sf), np.int64), 0
    panels = np.empty(I * J * D * ((C + COLS - 1) // COLS * COLS), W.dtype)
    for rt in range(st):
        nt, last_i, _ = taps(rt, pt, I, st)
        for rf in range(sf):
            nf, last_j, _ = taps(rf, pf, J, sf)
            starts[rt, rf] = used
            for c in range(0, C, COLS):
                count = min(COLS, C - c)
                width = panel_width(count, D)
                for s in range(nt):
                    for q in range(nf):
                        tap = (last_i - s * st) * J + last_j - q * sf
                        pack(flat, (tap * C + c) * D, 1, D, D, count, width, width == HALF, panels, used)
                        used += D * width
    return panels, starts


@pjit
def input_gradient_cpu(dy, y, lengths, W, st, sf, relu, blocks, dx):
    T, F, C = dx.shape[1], dx.shape[2], dx.shape[3]
    I, J, _, D = W.shape
    frames_out, positions = y.shape[1], y.shape[2]
    pt, pf = (I - 1) // 2, (J - 1) // 2
    # dz reaches from `before` output positions earlier to `after` later, in time (t) and in frequency (f)
    before_t, after_t = (I - 1 - pt + st - 1) // st, (st - 1 + pt) // st
    before_f, after_f = (J - 1 - pf + sf - 1) // sf, (sf - 1 + pf) // sf
    width = (before_f + positions + after_f) * D
    panels, starts = pack_taps(W, pt, pf, st, sf)
    flat_dy, flat_y, out = dy.reshape(dy.size), y.reshape(y.size), dx.reshape(dx.size)
    nothing, zeros, size = dx.dtype.type(-np.inf), np.zeros(COLS, dx.dtype), positions * D
    for n in prange(len(blocks)):
        utterance, first = blocks[n, 0], blocks[n, 1]
        length = lengths[utterance]
        length_out = (length + st - 1) // st
        count = min(BLOCK, length_out - first)
        dz = np.zeros((before_t + count + after_t) * width, dy.dtype)
        for t in range(max(0, first - before_t), min(length_out, first + count + after_t)):
            start = (t - first + before_t) * width + before_f * D
            rectify(flat_dy, flat_y, (utterance * frames_out + t) * size, relu, dz, start, size)
        for a in range(first, first + count):
            for rt in range(min(st, length - a * st)):
                u = a * st + rt
                nt, _, shift_t = taps(rt, pt, I, st)
                for rf in range(min(sf, F)):
                    nf, _, shift_f = taps(rf, pf, J, sf)
                    rows = (F - 1 - rf) // sf + 1
                    start = (a - first + before_t + shift_t) * width + (before_f + shift_f) * D
                    at = ((utterance * T + u) * F + rf) * C
                    for c in range(0, C, COLS):
                        columns = min(COLS, C - c)
                        tile = panel_width(columns, D)
                        multiply_along(
                            dz, start, D, width, nt, nf * D, rows, panels, starts[rt, rf] + c * nt * nf * D, columns,
                            tile, zeros, 0, 0, nothing, out, at + c, sf * C,
                        )  # fmt: skip


@pjit
def weight_gradient_cpu(dy, x, y, lengths, st, sf, relu, blocks, dW, dbias):
    frames_in, F, C = x.shape[1:]
    I, J, _, D = dW.shape
    frames_out, positions = y.shape[1], y.shape[2]
    pt, pf = (I - 1) // 2, (J - 1) // 2
    width = max((positions - 1) * sf + J, pf + F) * C
    run, size = J * C, positions * D
    full = D // COLS * COLS
    tail = panel_width(D - full, run)
    columns = full + (tail if full < D else 0)
    rows = I * run + 1  # of dW, and the bias's
    sums = np.empty(PARTIALS * rows * columns, x.dtype)
    together = max(1, PASS // positions)
    flat_x, flat_dy, flat_y = x.reshape(x.size), dy.reshape(dy.size), y.reshape(y.size)
    for p in prange(PARTIALS):
        window, bias_sums = np.empty(((BLOCK - 1) * st + I) * width, x.dtype), np.zeros(size, x.dtype)
        fill_run(x.dtype.type(0), sums, p * rows * columns, rows * columns)
        dz = np.zeros(together * size + COLS, x.dtype)  # a tile may read past a row, into columns that nobody asks for
        for n in range(p, len(blocks), PARTIALS):
            utterance, first = blocks[n, 0], blocks[n, 1]
            length = lengths[utterance]
            count = min(BLOCK, (length + st - 1) // st - first)
            copy_frames(flat_x, utterance * frames_in * F * C, length, first * st - pt, pf, F, C, window, width)
            for t in range(0, count, together):
                frames = min(together, count - t)
                for i in range(frames):
                    at = (utterance * frames_out + first + t + i) * size
                    rectify(flat_dy, flat_y, at, relu, dz, i * size, size)
                    add_run(dz, i * size, bias_sums, 0, size)
                for d in range(0, columns, COLS):
                    tile = min(COLS, columns - d)
                    add_across(
                        window, t * st * width, sf * C, st * width, frames, positions, run, width, I * run,
                        dz, d, D, tile, tile, sums, p * rows * columns + d, columns,
                    )  # fmt: skip
        for f in range(positions):
            add_run(bias_sums, f * D, sums, ((p + 1) * rows - 1) * columns, D)
    weights = dW.reshape(dW.size)
    for k in prange(rows):
        for p in range(1, PARTIALS):
            add_run(sums, (p * rows + k) * columns, sums, k * columns, D)
        if k < I * run:
            add_run(sums, k * columns, weights, k * D, D)
        else:
            add_run(sums, k * columns, dbias, 0, D)


# ---- entry points ---------------------------------------------------------------------------------------------------


def _expect_fit(x, lengths, W, stride, y_like):
    """What both entry points ask, and the shape of y. `y_like` holds the (name, array) that must have it."""
    (B, T, F, C), (st, sf), (_, _, _, D) = x.shape, stride, W.shape
    expect("x", x, (B, T, F, C), W.dtype)
    expect("W", W, (*W.shape[:2], C, D), W.dtype)
    expect("lengths", lengths, (B,), np.dtype(np.int64))
    if B and not 1 <= lengths.min() <= lengths.max() <= T:
        raise ValueError(f"conv2d: lengths must lie in 1 ... {T}, got {lengths.min()} ... {lengths.max()}")
    shape = B, -(-T // st), -(-F // sf), D
    for name, array in y_like:
        expect(name, array, shape, W.dtype)
    return shape


def forward(x, lengths, W, bias, stride, relu=True, out=None):
    """y (B, ⌈T / st⌉, ⌈F / sf⌉, D) of x (B, T, F, C), W (I, J, C, D), bias (D,), stride (st, sf).

    With `out`, the result is written there and what lies past an utterance's end is left as it is; without, it is zero.
    Raises ValueError where shapes, dtypes or lengths do not fit or an array is not C-contiguous.
    """
    st, sf = stride
    shape = _expect_fit(x, lengths, W, stride, [] if out is None else [("out", out)])
    expect("bias", bias, W.shape[3:], W.dtype)
    y = np.zeros(shape, x.dtype) if out is None else out
    floor = x.dtype.type(0 if relu else -np.inf)
    forward_cpu(x, lengths, W, bias, st, sf, floor, blocks_of(lengths, st), y)
    return y


def backward(dy, x, y, lengths, W, stride, dW, dbias, relu=True, need_dx=True, out=None):
    """dx (B, T, F, C), or None without `need_dx` (the first layer's input is data); dW and dbias are added to.

    dy, y (B, T', F', D) and x as in `forward`, errors too; `out` as there, for dx.
    """
    st, sf = stride
    _expect_fit(x, lengths, W, stride, [("dy", dy), ("y", y)])
    expect("dW", dW, W.shape, W.dtype)
    expect("dbias", dbias, W.shape[3:], W.dtype)
    dx = np.zeros_like(x) if need_dx and out is None else out
    if need_dx:
        expect("out", dx, x.shape, W.dtype)
    blocks = blocks_of(lengths, st)
    weight_gradient_cpu(dy, x, y, lengths, st, sf, relu, blocks, dW, dbias)
    if not need_dx:
        return None
    input_gradient_cpu(dy, y, lengths, W, st, sf, relu, blocks, dx)
    return dx
