"""A convolution's windows on the CPU: the input between zeros, and the small kernels that make its gradient.

conv2d.py explains both; windows_cuda.py does the same on a GPU.
"""

import numpy as np

from scratchser.kernels.machine.compile import jit
from scratchser.kernels.machine.contiguous import copy_range, fill_range
from scratchser.kernels.parts.tile import COLS, HALF, pack, panel_width

BLOCK = 8  # output frames for one core at a time: their input stays in its cache


@jit
def blocks_of(lengths, stride):
    """Utterance and first output frame of each block of BLOCK output frames, real frames only: (N, 2) int64.

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


@jit
def copy_frames(x, x0, length, first, before, F, C, window, width):
    """Row i of window (rows, width) = frame first + i after `before` bins of zeros; zeros outside of [0, length).

    x0   start of the utterance's frames, of F C elements each, in the flat x
    """
    zero, size = x.dtype.type(0), F * C
    for i in range(window.size // width):
        u, at = first + i, i * width
        if 0 <= u < length:
            fill_range(zero, window, at, before * C)
            copy_range(x, x0 + u * size, window, at + before * C, size)
            fill_range(zero, window, at + before * C + size, width - before * C - size)
        else:
            fill_range(zero, window, at, width)


@jit
def rectify(dy, y, at, relu, dz, z0, n):
    """dz[z0 ... z0 + n - 1] = the gradient before the ReLU for dy[at ... at + n - 1]; all arrays flat."""
    if not relu:
        copy_range(dy, at, dz, z0, n)
        return
    zero, a, z = dy.dtype.type(0), np.uint64(at), np.uint64(z0)
    for k in range(np.uint64(n)):  # unsigned: see machine/contiguous.py
        dz[z + k] = zero if y[a + k] == zero else dy[a + k]


@jit
def taps(remainder, pad, kernel, stride):
    """Kernel taps that connect input position a stride + remainder with output positions.

    Returns their number, the largest one, and the output position of that one, relative to a. A tap smaller by `stride`
    belongs to the next output position.
    """
    first = (remainder + pad) % stride
    if first >= kernel:
        return 0, 0, 0
    count = (kernel - 1 - first) // stride + 1
    last = first + (count - 1) * stride
    return count, last, (remainder + pad - last) // stride


@jit
def pack_taps(W, pt, pf, st, sf):
    """Panels of the small kernels of all remainders: rows (output frame, output position, d), columns c.

    Returns the panels, and starts (st, sf) int64: where those of the remainders (rt, rf) begin.
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
