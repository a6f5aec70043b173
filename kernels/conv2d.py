"""Strided convolution over time and frequency, with bias, ReLU and lengths (section 3, figure 3).

    forward    y[b, t, f, d]    = ReLU( bias[d] + Σ_i Σ_j Σ_c x[b, t st + i - pt, f sf + j - pf, c] W[i, j, c, d] )
    backward   dz[b, t, f, d]   = dy[b, t, f, d] where y > 0, else 0
               dx[b, u, v, c]   = Σ_i Σ_j Σ_d dz[b, (u + pt - i) / st, (v + pf - j) / sf, d] W[i, j, c, d]
                                  over the i, j for which both quotients are integers
               dW[i, j, c, d]  += Σ_b Σ_t Σ_f x[b, t st + i - pt, f sf + j - pf, c] dz[b, t, f, d]
               dbias[d]        += Σ_b Σ_t Σ_f dz[b, t, f, d]

x, dx     (B, T, F, C)      frame t, frequency bin f, input channel c
y, dy     (B, T', F', D)    T' = ⌈T / st⌉, F' = ⌈F / sf⌉, output channel d
lengths   (B,)  int64       frames of each utterance; output frames: ⌈length / st⌉
W         (I, J, C, D)      I x J kernel, time x frequency;   bias (D,)
st, sf    ()                strides;   pt = ⌊(I - 1) / 2⌋, pf = ⌊(J - 1) / 2⌋: fixed, whatever the batch's T

All arrays of one dtype, float32 or float64, C-contiguous, without unit. Outside [0, length) x [0, F) everything reads
0, and past an utterance's end nothing is computed: its result is the same alone and in any batch (the paper masks
before the Bi-LSTM only).

The convolution is a matrix product that needs no copied windows. Channels lie last, so kernel row i of the window
around (t, f) is ONE contiguous range of J C elements. The next window of the frame starts sf C elements later, the next
kernel row a frame later:

    frame t st + i - pt   │ 0 0 │ f=0: c c c │ f=1: c c c │ f=2: c c c │ ...    zeros, F C elements, zeros
    row of the matrix for f = 0: └────────── J C elements ───────────┘
    row of the matrix for f = 1:                └ sf C later, the same length
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, pjit, prange
from scratchser.kernels.machine.contiguous import add_range, fill_range
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect
from scratchser.kernels.matmul import ADDERS, Columns, Matrix, Panel, Rows, add_across, multiply_along, pack_all
from scratchser.kernels.parts import tile_cuda, windows_cuda
from scratchser.kernels.parts.tile import COLS, panel_width
from scratchser.kernels.parts.tile_cuda import LOADS_M, LOADS_N, SHARED_M, SHARED_N, THREADS, TILE, TILE_K, TILE_M
from scratchser.kernels.parts.windows import BLOCK, blocks_of, copy_frames, pack_taps, rectify, taps
from scratchser.kernels.parts.windows_cuda import AHEAD, OWN, POSITIONS, WINDOWS, InputWindows, OutputWindows, carry

PASS = 128  # positions that dW adds up in registers, if there are so many: both operands of a pass stay in the L1 cache
PARTIALS = 8  # sums of dW that are kept apart and added in a fixed order: the same bits for any number of threads


def output_lengths(lengths, stride):
    """Frames after a layer with this time stride, ⌈length / stride⌉."""
    return (lengths + stride - 1) // stride


# ---- CPU: forward ---------------------------------------------------------------------------------------------------


@pjit
def forward_cpu(x, lengths, W, bias, st, sf, floor, blocks, y):
    """y, a core per block of output frames. The windows are the Rows of a product with W.

    floor    0 for a ReLU, else -inf
    blocks   (N, 2) from windows.blocks_of
    """
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
                rows = Rows(positions, t * st * width, sf * C, width, I, run)
                panel = Panel(d * I * run, tile, columns, tile)
                multiply_along(window, rows, panels, panel, bias, Matrix(d, 0), floor, out, Matrix(at + d, D))


# ---- CPU: backward --------------------------------------------------------------------------------------------------


@pjit
def input_gradient_cpu(dy, y, lengths, W, st, sf, relu, blocks, dx):
    """dx, by the product of `forward` with dz for x, once for each remainder of (u, v) modulo the strides.

    The kernel taps that reach an input position depend on its remainder only. For one remainder they form a dense small
    kernel of their own.
    """
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
    no_floor, zeros, size = dx.dtype.type(-np.inf), np.zeros(COLS, dx.dtype), positions * D
    for n in prange(len(blocks)):
        utterance, first = blocks[n, 0], blocks[n, 1]
        length = lengths[utterance]
        length_out = (length + st - 1) // st
        count = min(BLOCK, length_out - first)
        dz = np.zeros((before_t + count + after_t) * width, dy.dtype)
        for t in range(max(0, first - before_t), min(length_out, first + count + after_t)):
            start = (t - first + before_t) * width + before_f * D
            rectify(flat_dy, flat_y, (utterance * frames_out + t) * size, relu, dz, start, size)
        for a in range(first, first + count):  # input frames a st + rt, bins (a quotient) sf + rf
            for rt in range(min(st, length - a * st)):
                u = a * st + rt
                nt, _, shift_t = taps(rt, pt, I, st)
                for rf in range(min(sf, F)):
                    nf, _, shift_f = taps(rf, pf, J, sf)
                    start = (a - first + before_t + shift_t) * width + (before_f + shift_f) * D
                    rows = Rows((F - 1 - rf) // sf + 1, start, D, width, nt, nf * D)
                    at = ((utterance * T + u) * F + rf) * C
                    for c in range(0, C, COLS):
                        columns = min(COLS, C - c)
                        tile = panel_width(columns, D)
                        panel = Panel(starts[rt, rf] + c * nt * nf * D, tile, columns, tile)
                        result = Matrix(at + c, sf * C)
                        multiply_along(dz, rows, panels, panel, zeros, Matrix(0, 0), no_floor, out, result)


@pjit
def weight_gradient_cpu(dy, x, y, lengths, st, sf, relu, blocks, dW, dbias):
    """dW and dbias, added to: the matrix of `forward` times dz, read by its Columns."""
    frames_in, F, C = x.shape[1:]
    I, J, _, D = dW.shape
    frames_out, positions = y.shape[1], y.shape[2]
    pt, pf = (I - 1) // 2, (J - 1) // 2
    width = max((positions - 1) * sf + J, pf + F) * C
    run, size = J * C, positions * D
    full = D // COLS * COLS
    tail = panel_width(D - full, run)
    columns = full + (tail if full < D else 0)
    rows = I * run + 1  # those of dW, and dbias
    sums = np.empty(PARTIALS * rows * columns, x.dtype)
    together = max(1, PASS // positions)
    flat_x, flat_dy, flat_y = x.reshape(x.size), dy.reshape(dy.size), y.reshape(y.size)
    for p in prange(PARTIALS):
        window, bias_sums = np.empty(((BLOCK - 1) * st + I) * width, x.dtype), np.zeros(size, x.dtype)
        fill_range(x.dtype.type(0), sums, p * rows * columns, rows * columns)
        dz = np.zeros(together * size + COLS, x.dtype)  # a tile may read past a row
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
                    add_range(dz, i * size, bias_sums, 0, size)
                for d in range(0, columns, COLS):
                    tile = min(COLS, columns - d)
                    matrix = Columns(I * run, t * st * width, sf * C, st * width, frames, positions, run, width)
                    result = Matrix(p * rows * columns + d, columns)
                    add_across(window, matrix, dz, Panel(d, D, tile, tile), sums, result)
        for f in range(positions):
            add_range(bias_sums, f * D, sums, ((p + 1) * rows - 1) * columns, D)
    weights = dW.reshape(dW.size)
    for k in prange(rows):  # add the partial sums in their order
        for p in range(1, PARTIALS):
            add_range(sums, (p * rows + k) * columns, sums, k * columns, D)
        if k < I * run:
            add_range(sums, k * columns, weights, k * D, D)
        else:
            add_range(sums, k * columns, dbias, 0, D)


# ---- CUDA: three products with the tile of parts/tile_cuda.py -------------------------------------------------------
#
#              rows                         columns   k                              rows read    starts with, ends
# forward      output positions             d         (i, j, c)                      windows      bias, ReLU
# dx           input positions of one       c         (tap of i, of j, d) of the     windows      0
#              remainder, a grid for each             remainder's small kernel       over dz
# dW, dbias    (i, j, c), and one of ones   d         output positions, in parts     windows,     0, parts are added
#              that makes dbias                                                      as columns   by another launch
#
# Positions are counted through the real frames of all utterances, one after the other (windows_cuda.frames_of), so only
# a product's last tile lies partly past them. dz is never stored: dy and y are read side by side. Every element of y
# and dx is one chain in the order of k here too.
#
# Arguments of all three: frames (N, 3) from frames_of; T, F, C, I, J, D, st, sf the sizes of x (B, T, F, C) and W, and
# the strides (a launch takes arrays and scalars only); arrays are flat; relu is 0 or 1.


@cuda_jit
def forward_cuda(x, frames, W, bias, floor, y, T, F, C, I, J, D, st, sf):
    """y, a block per tile of (real output positions) x D, in one loop along k = (i, j, c)."""
    a = cuda.shared.array(SHARED_M, x.dtype)
    b = cuda.shared.array(SHARED_N, x.dtype)
    windows = cuda.shared.array(WINDOWS, np.int32)
    targets = cuda.shared.array(TILE_M, np.int32)
    own = cuda.local.array(OWN, np.int32)
    next_a = cuda.local.array(LOADS_M, x.dtype)
    next_b = cuda.local.array(LOADS_N, x.dtype)
    sums = cuda.local.array(TILE, x.dtype)
    t, zero = cuda.threadIdx.x & (THREADS - 1), x.dtype.type(0)
    positions, pitch, run = (F + sf - 1) // sf, F * C, J * C
    M, K = frames.shape[0] * positions, I * run
    m0, n0 = tile_cuda.tile_origin(cuda.blockIdx.x, D)
    layout = OutputWindows(positions, st, sf, (I - 1) // 2, (J - 1) // 2, T, pitch, C)
    windows_cuda.find_window(frames, m0 + t, M, layout, windows, targets, t)
    cuda.syncthreads()  # all windows are written
    row_a, k_a = tile_cuda.first_fetched(t, TILE_M, True)
    row_b, k_b = tile_cuda.first_fetched(t, tile_cuda.TILE_N, False)
    windows_cuda.keep_windows(windows, row_a, own)
    row, right = tile_cuda.own_part(t)
    column, n = np.int32(n0 + right), np.int32(n0 + row_b)
    tile_cuda.load_sums(bias, 0, 0, np.int32(m0 + row), M, column, D, sums)
    tap, jc = carry(0, k_a, run)
    windows_cuda.fetch_windows(x, x, False, own, 0, tap, I, jc, pitch, zero, next_a, next_a)
    tile_cuda.fetch_matrix(W, False, 0, 1, D, n, D, np.int32(k_b), K, next_b)
    for step in range((K + TILE_K - 1) // TILE_K):
        buffer = step & 1
        tile_cuda.store_chunk(next_a, a, buffer, row_a, k_a, True)
        tile_cuda.store_chunk(next_b, b, buffer, row_b, k_b, False)
        cuda.syncthreads()  # both chunks are complete
        tap, jc = carry(tap, jc + TILE_K, run)
        windows_cuda.fetch_windows(x, x, False, own, 0, tap, I, jc, pitch, zero, next_a, next_a)
        tile_cuda.fetch_matrix(W, False, 0, 1, D, n, D, np.int32((step + 1) * TILE_K + k_b), K, next_b)
        tile_cuda.multiply(a, b, buffer, t, sums)
    windows_cuda.store_rows(sums, floor, targets, row, column, D, y)


@cuda_jit
def input_gradient_cuda(dy, y, W, dx, frames, relu, T, F, C, I, J, D, st, sf):
    """dx, a block per tile of (input positions of one remainder) x C; block (tile, remainder), k = (tap of i, of j, d).

    The input positions of a remainder have the windows of a convolution with stride 1 over dz.
    """
    a = cuda.shared.array(SHARED_M, dy.dtype)
    b = cuda.shared.array(SHARED_N, dy.dtype)
    windows = cuda.shared.array(WINDOWS, np.int32)
    targets = cuda.shared.array(TILE_M, np.int32)
    own = cuda.local.array(OWN, np.int32)
    next_a = cuda.local.array(LOADS_M, dy.dtype)
    outputs = cuda.local.array(LOADS_M, dy.dtype)
    next_b = cuda.local.array(LOADS_N, dy.dtype)
    sums = cuda.local.array(TILE, dy.dtype)
    t, zero = cuda.threadIdx.x & (THREADS - 1), dy.dtype.type(0)
    rt, rf = cuda.blockIdx.y // sf, cuda.blockIdx.y % sf
    nt, last_i, shift_t = taps(rt, (I - 1) // 2, I, st)
    nf, last_j, shift_f = taps(rf, (J - 1) // 2, J, sf)
    bins, pitch = (F - rf + sf - 1) // sf, (F + sf - 1) // sf * D
    M, K = frames.shape[0] * bins, nt * nf * D
    m0, n0 = tile_cuda.tile_origin(cuda.blockIdx.x, C)
    if m0 >= M:
        return  # the grid is made for the first remainder, which has the most positions
    layout = InputWindows(bins, rt, rf, shift_t, shift_f, st, sf, T, F, pitch, D)
    windows_cuda.find_input_window(frames, m0 + t, M, layout, windows, targets, t)
    cuda.syncthreads()  # all windows are written
    lane, k = tile_cuda.first_fetched(t, TILE_M, True)  # of both chunks
    windows_cuda.keep_windows(windows, lane, own)
    row, right = tile_cuda.own_part(t)
    column, c = np.int32(n0 + right), np.int32(n0 + lane)
    tile_cuda.clear_sums(sums)
    q, d = carry(0, k, D)
    s, q = carry(0, q, nf) if nf > 0 else (nt, 0)  # no taps: the gradient is 0
    windows_cuda.fetch_windows(dy, y, True, own, 0, s, nt, q * D + d, pitch, zero, next_a, outputs)
    at = ((last_i - s * st) * J + last_j - q * sf) * C * D + d
    tile_cuda.fetch_matrix(W, True, at, D, 0, c, C, np.int32(k), K, next_b)
    for step in range((K + TILE_K - 1) // TILE_K):
        buffer = step & 1
        windows_cuda.rectify_fetched(next_a, outputs, relu)
        tile_cuda.store_chunk(next_a, a, buffer, lane, k, True)
        tile_cuda.store_chunk(next_b, b, buffer, lane, k, True)
        cuda.syncthreads()  # both chunks are complete
        q, d = carry(q, d + TILE_K, D)
        s, q = carry(s, q, nf)
        windows_cuda.fetch_windows(dy, y, True, own, 0, s, nt, q * D + d, pitch, zero, next_a, outputs)
        at = ((last_i - s * st) * J + last_j - q * sf) * C * D + d
        tile_cuda.fetch_matrix(W, True, at, D, 0, c, C, np.int32((step + 1) * TILE_K + k), K, next_b)
        tile_cuda.multiply(a, b, buffer, t, sums)
    windows_cuda.store_rows(sums, dy.dtype.type(-np.inf), targets, row, column, C, dx)


@cuda_jit
def weight_gradient_cuda(x, dy, y, frames, relu, sums, part, T, F, C, I, J, D, st, sf):
    """sums[p] = dW and, as one more row, dbias, of `part` real output positions k; block (tile, p).

    The windows are columns here: row m = (i, j, c) of dW reads element m of each of them, and dbias reads ones.
    """
    a = cuda.shared.array(SHARED_M, x.dtype)
    b = cuda.shared.array(SHARED_N, x.dtype)
    windows = cuda.shared.array(AHEAD, np.int32)
    targets = cuda.shared.array(POSITIONS, np.int32)
    next_a = cuda.local.array(LOADS_M, x.dtype)
    next_b = cuda.local.array(LOADS_N, x.dtype)
    outputs = cuda.local.array(LOADS_N, x.dtype)
    tile = cuda.local.array(TILE, x.dtype)
    t = cuda.threadIdx.x & (THREADS - 1)
    positions, pitch, run = (F + sf - 1) // sf, F * C, J * C
    layout = OutputWindows(positions, st, sf, (I - 1) // 2, (J - 1) // 2, T, pitch, C)
    M, first = I * run + 1, cuda.blockIdx.y * part
    last = min(frames.shape[0] * positions, first + part)
    m0, n0 = tile_cuda.tile_origin(cuda.blockIdx.x, D)
    windows_cuda.find_window(frames, first + t, last, layout, windows, targets, t)
    cuda.syncthreads()  # the first windows are written
    row_a, k_a = tile_cuda.first_fetched(t, TILE_M, False)
    row_b, k_b = tile_cuda.first_fetched(t, tile_cuda.TILE_N, False)
    tap, jc, n = (m0 + row_a) // run, (m0 + row_a) % run, np.int32(n0 + row_b)
    outside = x.dtype.type(1 if m0 + row_a == I * run else 0)
    tile_cuda.clear_sums(tile)
    windows_cuda.fetch_windows(x, x, False, windows, 0, tap, I, jc, pitch, outside, next_a, next_a)
    windows_cuda.fetch_rows(dy, y, targets, k_b, THREADS // tile_cuda.TILE_N, n, D, next_b, outputs)
    for step in range((last - first + TILE_K - 1) // TILE_K):
        buffer = step & 1
        windows_cuda.rectify_fetched(next_b, outputs, relu)
        tile_cuda.store_chunk(next_a, a, buffer, row_a, k_a, False)
        tile_cuda.store_chunk(next_b, b, buffer, row_b, k_b, False)
        cuda.syncthreads()  # both chunks are complete, and the windows of the next step
        # two steps before they are needed, find the windows of the next THREADS positions
        if (step + 2) * TILE_K % THREADS == 0:
            k = (step + 2) * TILE_K + t
            at = k & (POSITIONS - 1)
            windows_cuda.find_window(frames, first + k, last, layout, windows, targets, at)
        k = (step + 1) * TILE_K & (POSITIONS - 1)
        windows_cuda.fetch_windows(x, x, False, windows, k, tap, I, jc, pitch, outside, next_a, next_a)
        windows_cuda.fetch_rows(dy, y, targets, k + k_b, THREADS // tile_cuda.TILE_N, n, D, next_b, outputs)
        tile_cuda.multiply(a, b, buffer, t, tile)
    down, right = tile_cuda.own_part(t)
    row, column = np.int32(m0 + down), np.int32(n0 + right)
    tile_cuda.store_sums(tile, sums, cuda.blockIdx.y * M * D, row, M, column, D)


@cuda_jit
def add_weight_gradient_cuda(sums, parts, dW, dbias):
    """dW and dbias += Σ_p sums[p], flat, a thread per element."""
    i = cuda.grid(1)
    size = dW.size + dbias.size
    if i < size:
        total = sums.dtype.type(0)
        for p in range(parts):
            total += sums[p * size + i]
        if i < dW.size:
            dW[i] += total
        else:
            dbias[i - dW.size] += total


def _sizes(x, W, stride):
    """T, F, C, I, J, D, st, sf"""
    return *x.shape[1:], W.shape[0], W.shape[1], W.shape[3], *stride


def _flat(*arrays):
    return [array.reshape(array.size) for array in arrays]


def _forward_on_device(x, lengths, W, bias, stride, floor, y):
    frames, (flat_x, flat_W, flat_y) = windows_cuda.frames_of(lengths, stride[0]), _flat(x, W, y)
    grid, on_device = tile_cuda.tiles(len(frames) * y.shape[2], y.shape[3]), device_of(x).resident(frames)
    launch(forward_cuda, grid, THREADS, flat_x, on_device, flat_W, bias, floor, flat_y, *_sizes(x, W, stride))


def _input_gradient_on_device(dy, y, lengths, W, stride, relu, dx):
    frames, flat = windows_cuda.frames_of(lengths, stride[0]), _flat(dy, y, W, dx)
    grid, on_device = tile_cuda.tiles(len(frames) * y.shape[2], dx.shape[3]), device_of(dx).resident(frames)
    remainders, sizes = stride[0] * stride[1], _sizes(dx, W, stride)
    launch(input_gradient_cuda, (grid, remainders), THREADS, *flat, on_device, int(relu), *sizes)


def _weight_gradient_on_device(dy, x, y, lengths, stride, relu, dW, dbias):
    frames, device = windows_cuda.frames_of(lengths, stride[0]), device_of(x)
    K, grid = len(frames) * y.shape[2], tile_cuda.tiles(dW[..., 0].size + 1, len(dbias))
    part = tile_cuda.part_size(K, grid)
    parts, size = blocks(K, part), dW.size + dbias.size
    sums, (*flat, flat_dW) = device.empty(parts * size, x.dtype), _flat(x, dy, y, dW)
    on_device, sizes = device.resident(frames), _sizes(x, dW, stride)
    launch(weight_gradient_cuda, (grid, parts), THREADS, *flat, on_device, int(relu), sums, part, *sizes)
    launch(add_weight_gradient_cuda, blocks(size, ADDERS), ADDERS, sums, parts, flat_dW, dbias)


# ---- entry points ---------------------------------------------------------------------------------------------------


def _expect_fit(x, lengths, W, stride, y_like):
    """Check the arguments of both entry points and return the shape of y.

    y_like   (name, array) pairs that must have this shape
    """
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
    """Convolve a batch.

    x (B, T, F, C), lengths (B,), W (I, J, C, D), bias (D,), stride (st, sf). Returns y (B, ⌈T / st⌉, ⌈F / sf⌉, D), zero
    past each utterance's end. With `out`, the result is written there, and what lies past the end keeps its value.
    Raises ValueError where shapes, dtypes or lengths do not fit or an array is not C-contiguous.
    """
    st, sf = stride
    shape = _expect_fit(x, lengths, W, stride, [] if out is None else [("out", out)])
    expect("bias", bias, W.shape[3:], W.dtype)
    y = device_of(x).zeros(shape, x.dtype) if out is None else out
    floor = x.dtype.type(0 if relu else -np.inf)
    if on_cpu(x):
        forward_cpu(x, lengths, W, bias, st, sf, floor, blocks_of(lengths, st), y)
    else:
        _forward_on_device(x, lengths, W, bias, stride, floor, y)
    return y


def backward(dy, x, y, lengths, W, stride, dW, dbias, relu=True, need_dx=True, out=None):
    """Gradients of `forward` for dy (B, T', F', D) and its x and y.

    dW and dbias are added to. Returns dx (B, T, F, C), or None without `need_dx` (the first layer's input is data).
    `out`, for dx, and errors as in `forward`.
    """
    st, sf = stride
    _expect_fit(x, lengths, W, stride, [("dy", dy), ("y", y)])
    expect("dW", dW, W.shape, W.dtype)
    expect("dbias", dbias, W.shape[3:], W.dtype)
    dx = device_of(x).zeros(x.shape, x.dtype) if need_dx and out is None else out
    if need_dx:
        expect("out", dx, x.shape, W.dtype)
    if on_cpu(x):
        frame_blocks = blocks_of(lengths, st)
        weight_gradient_cpu(dy, x, y, lengths, st, sf, relu, frame_blocks, dW, dbias)
        if need_dx:
            input_gradient_cpu(dy, y, lengths, W, st, sf, relu, frame_blocks, dx)
    else:
        _weight_gradient_on_device(dy, x, y, lengths, stride, relu, dW, dbias)
        if need_dx:
            _input_gradient_on_device(dy, y, lengths, W, stride, relu, dx)
    return dx if need_dx else None
