"""A convolution's windows as the rows of a matrix, on a GPU: read where the input lies, never copied.

A window is what one output position sees of an array x (B, T, F, C): for each kernel row, `tap`, a contiguous range of
one frame, whose elements `jc` counts. Frames are `pitch` = F C elements long:

                     ┌────────────────── F C elements ─────────────────┐
        frame        │          tap 0: jc = 0, 1, 2 ...                │      Outside of the utterance's frames, and of
        frame + 1    │          tap 1: jc = 0, 1, 2 ...                │      a frame's elements, a window reads zeros.
        frame + 2    │          tap 2: jc = 0, 1, 2 ...                │
                                ▲ start

Four integers describe a window:

    base    where (0, 0) lies in the flat x: (tap, jc) is tap pitch + jc further, and may lie outside
    frame   the first frame, negative at an utterance's beginning
    left    how many frames there are from that one to the utterance's end; 0 for no window at all
    start   of the first element within its frame, negative at the lowest frequencies

Element (tap, jc) is read if frame >= -tap, left > tap, start >= -jc and start < pitch - jc: four comparisons with
values that are the same for all windows, and one addition for the address. Finding a window takes divisions, so each of
a block's 64 threads finds one and writes it to shared memory. The loop over k needs no division: (tap, jc) advances by
an addition and a carry.

Offsets are int32: an array may have 2³¹ elements, some hundred times as many as a batch has.
"""

from typing import NamedTuple

import numpy as np

from scratchser.kernels.machine.compile import cuda_device, jit
from scratchser.kernels.parts.tile_cuda import APART, EACH_M, EACH_N, THREADS, TILE_M

WINDOW = 4  # integers that describe one
WINDOWS = (TILE_M, WINDOW)  # of a tile's rows, in shared memory
OWN = (TILE_M // APART, WINDOW)  # of the rows that a thread fetches, in registers
POSITIONS = 2 * THREADS  # along k, whose windows are found ahead: two for each thread
AHEAD = (POSITIONS, WINDOW)
NOWHERE = 1 << 30  # as a tap: past every utterance's end


class OutputWindows(NamedTuple):
    """What find_window needs: `positions` and strides of the output, frames, pitch and channels of x, padding."""

    positions: int
    st: int
    sf: int
    pt: int
    pf: int
    T: int
    pitch: int
    C: int


class InputWindows(NamedTuple):
    """What find_input_window needs: the input positions of one remainder (rt, rf), `bins` of them in a frame.

    Their windows over dz, with `pitch` and D channels, begin shift_t frames and shift_f positions after the quotient's.
    """

    bins: int
    rt: int
    rf: int
    shift_t: int
    shift_f: int
    st: int
    sf: int
    T: int
    F: int
    pitch: int
    D: int


def frames_of(lengths, stride):
    """The real output frames, (N, 3) int32: utterance, output frame, and how many input frames the utterance has.

    lengths (B,) int64 of the input, stride in time.
    """
    counts = (lengths + stride - 1) // stride
    utterance = np.repeat(np.arange(len(lengths)), counts)
    frame = np.arange(len(utterance)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([utterance, frame, lengths[utterance]], axis=1).astype(np.int32)


@jit
def carry(high, low, base):
    """Carry a `low` of base or more over to `high`, as minutes become hours.

    The loop runs mostly once, where a division would take some thirty instructions.
    """
    while low >= base:
        low -= base
        high += 1
    return high, low


@cuda_device
def write_window(windows, at, base, frame, left, start):
    """windows[at] = base, frame, left, start."""
    windows[at, 0] = base
    windows[at, 1] = frame
    windows[at, 2] = left
    windows[at, 3] = start


@cuda_device
def find_window(frames, row, rows, outputs, windows, targets, at):
    """Write the window over x and the target of output position `row`, counted through the real frames (N, 3).

    outputs       OutputWindows
    windows[at]   the window; an empty one for row >= rows
    targets[at]   index of the position in the padded y (B, ⌈T / st⌉, positions), or -1
    """
    positions, st, sf, pt, pf, T, pitch, C = outputs
    u, t, p, length = 0, 0, 0, 0
    if row < rows:
        n, p = row // positions, row % positions
        u, t, length = frames[n, 0], frames[n, 1], frames[n, 2]
    frame, start = t * st - pt, (p * sf - pf) * C
    write_window(windows, at, (u * T + frame) * pitch + start, frame, length - frame if length > 0 else 0, start)
    targets[at] = (u * ((T + st - 1) // st) + t) * positions + p if length > 0 else -1


@cuda_device
def find_input_window(frames, row, rows, inputs, windows, targets, at):
    """Write the window over dz and the target of input position `row` of one remainder.

    inputs             InputWindows
    windows, targets   as in find_window; the target is an index in the padded dx (B, T, F)
    """
    bins, rt, rf, shift_t, shift_f, st, sf, T, F, pitch, D = inputs
    u, t, p, length = 0, 0, 0, 0
    if row < rows:
        n, p = row // bins, row % bins
        u, t, length = frames[n, 0], frames[n, 1], frames[n, 2]
    real = t * st + rt < length
    frames_out, frame, start = (T + st - 1) // st, t + shift_t, (p + shift_f) * D
    left = (length + st - 1) // st - frame if real else 0
    write_window(windows, at, (u * frames_out + frame) * pitch + start, frame, left, start)
    targets[at] = (u * T + t * st + rt) * F + p * sf + rf if real else -1


@cuda_device
def keep_windows(windows, row, own):
    """Copy the windows of the rows that this thread fetches, from `row` on, to registers."""
    for i in range(OWN[0]):
        for part in range(WINDOW):
            own[i, part] = windows[row + i * APART, part]


@cuda_device
def fetch_windows(x, y, both, windows, first, tap, taps, jc, pitch, outside, values, outputs):
    """values[i] = element (tap, jc) of window first + i of x; `outside` where it reads zeros, or if tap >= taps.

    both      also outputs[i] = the same element of y, whose layout is that of x
    outside   0, or 1 where the row of ones is read that makes dbias
    """
    offset = np.int32(tap * pitch + jc)
    tap = np.int32(tap if tap < taps else NOWHERE)
    lowest, leftmost, rightmost = np.int32(-tap), np.int32(-jc), np.int32(pitch - jc)
    for i in range(values.size):
        base, frame = windows[first + i, 0], windows[first + i, 1]
        left, start = windows[first + i, 2], windows[first + i, 3]
        if (frame >= lowest) & (left > tap) & (start >= leftmost) & (start < rightmost):
            values[i] = x[np.uint32(base + offset)]
            if both:
                outputs[i] = y[np.uint32(base + offset)]
        else:
            values[i] = outside
            if both:
                outputs[i] = outside


@cuda_device
def fetch_rows(x, y, targets, first, apart, n, N, values, outputs):
    """values[i] = column n of row targets[first + i apart] of x (rows, N), and outputs[i] of y; 0 outside."""
    for i in range(values.size):
        row = targets[first + i * apart]
        if (row >= 0) & (n < N):
            values[i] = x[np.uint32(row * N + n)]
            outputs[i] = y[np.uint32(row * N + n)]
        else:
            values[i] = 0
            outputs[i] = 0


@cuda_device
def rectify_fetched(values, outputs, relu):
    """Turn dy into dz, the gradient before the ReLU, given the outputs y.

    This happens a step after both were requested: a thread that uses a value still on its way would have to wait.
    """
    zero = values.dtype.type(0)
    for i in range(values.size):
        if (relu != 0) & (outputs[i] == zero):
            values[i] = zero


@cuda_device
def store_rows(sums, floor, targets, row, n, N, y):
    """Rows targets[row], targets[row + 1] ... of y, from column n on, = max(floor, sums)."""
    for i in range(EACH_M):
        target = targets[row + i]
        for j in range(EACH_N):
            if (target >= 0) & (np.int32(n + j) < N):
                value = sums[i, j]
                y[np.uint32(target * N + n + j)] = floor if value < floor else value
