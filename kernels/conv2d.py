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

matmul.tile reads such rows where they lie. dx is the same with dz for x, once for each remainder of (u, v) modulo the
strides: the taps that reach an input position depend on that remainder only, and for one remainder they form a dense
little kernel of their own.
"""

import numpy as np

from scratchser.kernels._launch import jit, pjit, prange
from scratchser.kernels._shapes import expect
from scratchser.kernels.matmul import COLS, HALF, add_across, multiply_along, pack, pack_all, panel_width

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
def copy_frames(x, utterance, length, first, before, window):
    """window[i] = frame first + i of x behind `before` positions of zeros; zeros outside the utterance and behind F."""
    F, C = x.shape[2], x.shape[3]
    for i in range(window.shape[0]):
        u = first + i
        if 0 <= u < length:
            window[i, : before * C] = 0
            # a view of its own, with indices from 0: the loop becomes vector instructions, 2.6 times as fast
            inside, row = window[i, before * C : (before + F) * C], x[utterance, u].reshape(F * C)
            for k in range(F * C):
                inside[k] = row[k]
            window[i, (before + F) * C :] = 0
        else:
            window[i] = 0


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
    F, C = x.shape[2], x.shape[3]
    I, J, _, D = W.shape
    frames_out, positions = y.shape[1], y.shape[2]
    pt, pf = (I - 1) // 2, (J - 1) // 2
    width = max((positions - 1) * sf + J, pf + F) * C
    run = J * C
    panels = pack_all(W.reshape(W.size), 0, D, 1, I * run, D, run)
    out = y.reshape(y.size)
    for n in prange(len(blocks)):
        utterance, first = blocks[n, 0], blocks[n, 1]
        length = lengths[utterance]
        count = min(BLOCK, (length + st - 1) // st - first)
        window = np.empty(((BLOCK - 1) * st + I, width), x.dtype)
        copy_frames(x, utterance, length, first * st - pt, pf, window)
        flat = window.reshape(window.size)
        for t in range(count):
            at = (utterance * frames_out + first + t) * positions * D
            for d in range(0, D, COLS):
                columns = min(COLS, D - d)
                tile = panel_width(columns, run)
                multiply_along(
                    flat, t * st * width, sf * C, width, I, run, positions, panels, d * I * run, columns, tile,
                    bias, d, 0, floor, out, at + d, D,
                )  # fmt: skip


# ---- backward -------------------------------------------------------------------------------------------------------


@jit
def rectify(dy, y, relu, dz):
    """dz[k] = the gradient in front of the ReLU, for as many neighbouring numbers as dz has."""
    zero = dy.dtype.type(0)
    if relu:
        for k in range(len(dz)):
            dz[k] = zero if y[k] == zero else dy[k]
    else:
        for k in range(len(dz)):
            dz[k] = dy[k]


@jit
def pack_taps(W, rt, rf, pt, pf, st, sf):
    """Panels of the little kernel of remainders (rt, rf): rows (output frame, output position, d), columns c."""
    I, J, C, D = W.shape
    nt, last_i, _ = taps(rt, pt, I, st)
    nf, last_j, _ = taps(rf, pf, J, sf)
    depth = nt * nf * D
    flat = W.reshape(W.size)
    panels = np.empty((C + COLS - 1) // COLS * COLS * depth, W.dtype)
    for c in range(0, C, COLS):
        count = min(COLS, C - c)
        width = panel_width(count, D)
        for s in range(nt):
            for q in range(nf):
                tap = (last_i - s * st) * J + last_j - q * sf
                at = c * depth + (s * nf + q) * D * width
                pack(flat, (tap * C + c) * D, 1, D, D, count, width, width == HALF, panels, at)
    return panels


@pjit
def input_gradient_cpu(dy, y, lengths, W, st, sf, relu, blocks, dx):
    T, F, C = dx.shape[1], dx.shape[2], dx.shape[3]
    I, J, _, D = W.shape
    positions = y.shape[2]
    pt, pf = (I - 1) // 2, (J - 1) // 2
    # dz reaches from `before` output positions earlier to `after` later, in time (t) and in frequency (f)
    before_t, after_t = (I - 1 - pt + st - 1) // st, (st - 1 + pt) // st
    before_f, after_f = (J - 1 - pf + sf - 1) // sf, (sf - 1 + pf) // sf
    width = (before_f + positions + after_f) * D
    panels = [pack_taps(W, r // sf, r % sf, pt, pf, st, sf) for r in range(st * sf)]
    out, nothing, zeros = dx.reshape(dx.size), dx.dtype.type(-np.inf), np.zeros(COLS, dx.dtype)
    for n in prange(len(blocks)):
        utterance, first = blocks[n, 0], blocks[n, 1]
        length = lengths[utterance]
        length_out = (length + st - 1) // st
        count = min(BLOCK, length_out - first)
        dz = np.zeros((before_t + count + after_t, width), dy.dtype)
        for i in range(dz.shape[0]):
            t = first - before_t + i
            if 0 <= t < length_out:
                size = positions * D
                inside = dz[i, before_f * D : before_f * D + size]
                rectify(dy[utterance, t].reshape(size), y[utterance, t].reshape(size), relu, inside)
        flat = dz.reshape(dz.size)
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
                            flat, start, D, width, nt, nf * D, rows, panels[rt * sf + rf], c * nt * nf * D, columns,
                            tile, zeros, 0, 0, nothing, out, at + c, sf * C,
                        )  # fmt: skip


@pjit
def weight_gradient_cpu(dy, x, y, lengths, st, sf, relu, blocks, dW, dbias):
    F, C = x.shape[2], x.shape[3]
    I, J, _, D = dW.shape
    positions = y.shape[2]
    pt, pf = (I - 1) // 2, (J - 1) // 2
    width = max((positions - 1) * sf + J, pf + F) * C
    run, size = J * C, positions * D
    full = D // COLS * COLS
    tail = panel_width(D - full, run)
    columns = full + (tail if full < D else 0)
    sums = np.zeros((PARTIALS, (I * run + 1) * columns), x.dtype)  # the last row is the bias's
    together = max(1, PASS // positions)
    for p in prange(PARTIALS):
        window, bias_sums = np.empty(((BLOCK - 1) * st + I, width), x.dtype), np.zeros(size, x.dtype)
        dz = np.zeros(BLOCK * size + COLS, x.dtype)  # a tile may read past a row, into columns that nobody asks for
        flat = window.reshape(window.size)
        for n in range(p, len(blocks), PARTIALS):
            utterance, first = blocks[n, 0], blocks[n, 1]
            length = lengths[utterance]
            count = min(BLOCK, (length + st - 1) // st - first)
            copy_frames(x, utterance, length, first * st - pt, pf, window)
            for t in range(count):
                frame = dz[t * size : (t + 1) * size]
                rectify(dy[utterance, first + t].reshape(size), y[utterance, first + t].reshape(size), relu, frame)
                for k in range(size):
                    bias_sums[k] += frame[k]
            for t in range(0, count, together):
                frames = min(together, count - t)
                for d in range(0, columns, COLS):
                    tile = min(COLS, columns - d)
                    add_across(
                        flat, t * st * width, sf * C, st * width, frames, positions, run, width, I * run,
                        dz, t * size + d, D, tile, tile, sums[p], d, columns,
                    )  # fmt: skip
        for k in range(size):
            sums[p, (I * run) * columns + k % D] += bias_sums[k]
    weights = dW.reshape(I * run, D)
    for k in prange(I * run + 1):
        for d in range(D):
            total = sums[0, k * columns + d]
            for p in range(1, PARTIALS):
                total += sums[p, k * columns + d]
            if k < I * run:
                weights[k, d] += total
            else:
                dbias[d] += total


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
    blocks = blocks_of(lengths, st)
    weight_gradient_cpu(dy, x, y, lengths, st, sf, relu, blocks, dW, dbias)
    if not need_dx:
        return None
    dx = np.zeros_like(x) if out is None else out
    expect("out", dx, x.shape, W.dtype)
    input_gradient_cpu(dy, y, lengths, W, st, sf, relu, blocks, dx)
    return dx
