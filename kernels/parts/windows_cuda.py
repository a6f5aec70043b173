"""A convolution's windows as the rows of a matrix, on a GPU: read where the input lies, never written down.

A window is what one output position sees of an array x (B, T, F, C): for each kernel row, `tap`, a run of neighbouring
numbers of one frame, of which `jc` counts the number. Frames are `pitch` = F C numbers long:

                     ┌────────────────── F C numbers ──────────────────┐
        frame        │          tap 0: jc = 0, 1, 2 ...                │      Outside of the utterance's frames, and of
        frame + 1    │          tap 1: jc = 0, 1, 2 ...                │      a frame's numbers, a window reads zeros.
        frame + 2    │          tap 2: jc = 0, 1, 2 ...                │
                                ▲ start

Four whole numbers tell all that is to know about one:

    base    where (0, 0) lies in the flat x: (tap, jc) is tap pitch + jc further, and may lie outside
    frame   the first frame, negative at an utterance's beginning
    left    how many frames there are from that one to the utterance's end; 0 for no window at all
    start   of the first number within its frame, negative at the lowest frequencies

(tap, jc) is read if frame >= -tap, left > tap, start >= -jc and start < pitch - jc: four comparisons with what is the
same for all windows, and one addition for the address. A block's 64 threads find out a window each, which takes the
divisions, and put it into shared memory. The loop over k has none: there (tap, jc) moves on by an addition and a carry.

Offsets are int32: an array may have 2³¹ numbers, some hundred times those of a batch.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda_device, jit
from scratchser.kernels.parts.tile_cuda import APART, EACH_M, EACH_N, THREADS, TILE_M

WINDOW = 4  # whole numbers that describe one
WINDOWS = (TILE_M, WINDOW)  # of a tile's rows, in shared memory
OWN = (TILE_M // APART, WINDOW)  # of the rows that a thread fetches, in registers
POSITIONS = 2 * THREADS  # along k, whose windows are looked up ahead: two for each thread
AHEAD = (POSITIONS, WINDOW)
NOWHERE = 1 << 30  # as a tap: past every utterance's end


def frames_of(lengths, stride):
    """(N, 3) int32 of the real output frames: utterance, output frame, and how many frames the utterance has.

    lengths (B,) int64 of the input, stride in time.
    """
    counts = (lengths + stride - 1) // stride
    utterance = np.repeat(np.arange(len(lengths)), counts)
    frame = np.arange(len(utterance)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([utterance, frame, lengths[utterance]], axis=1).astype(np.int32)


@jit
def carry(high, low, base):
    """high base + low with a low below base, as minutes become hours: mostly one turn of the loop, where a division
    would take some thirty instructions."""
    while low >= base:
        low -= base
        high += 1
    return high, low


@cuda_device
def write_window(windows, at, base, frame, left, start):
    windows[at, 0] = base
    windows[at, 1] = frame
    windows[at, 2] = left
    windows[at, 3] = start


@cuda_device
def look_up(frames, row, rows, positions, st, sf, pt, pf, T, pitch, C, windows, places, at):
    """Window and place of output position `row`, counted through the real frames (N, 3): utterance, frame, length.

    places[at] = its number in the padded y (B, ⌈T / st⌉, positions); -1, with an empty window, from `rows` on.
    """
    u, t, p, length = 0, 0, 0, 0
    if row < rows:
        n, p = row // positions, row % positions
        u, t, length = frames[n, 0], frames[n, 1], frames[n, 2]
    frame, start = t * st - pt, (p * sf - pf) * C
    write_window(windows, at, (u * T + frame) * pitch + start, frame, length - frame if length > 0 else 0, start)
    places[at] = (u * ((T + st - 1) // st) + t) * positions + p if length > 0 else -1


@cuda_device
def look_up_input(frames, row, rows, bins, rt, rf, shift_t, shift_f, st, sf, T, F, pitch, D, windows, places, at):
    """Window over dz and place of input position `row` of those with the remainders (rt, rf), `bins` of them a frame.

    The output positions that it reaches begin shift_t frames and shift_f positions after the quotient's.
    """
    u, t, p, length = 0, 0, 0, 0
    if row < rows:
        n, p = row // bins, row % bins
        u, t, length = frames[n, 0], frames[n, 1], frames[n, 2]
    real = t * st + rt < length
    frames_out, frame, start = (T + st - 1) // st, t + shift_t, (p + shift_f) * D
    left = (length + st - 1) // st - frame if real else 0
    write_window(windows, at, (u * frames_out + frame) * pitch + start, frame, left, start)
    places[at] = (u * T + t * st + rt) * F + p * sf + rf if real else -1


@cuda_device
def keep_own(windows, row, own):
    """The windows of the rows that this thread fetches, from `row` on."""
    for i in range(OWN[0]):
        for part in range(WINDOW):
            own[i, part] = windows[row + i * APART, part]


@cuda_device
def fetch_windows(x, y, both, windows, first, tap, taps, jc, pitch, other, values, outputs):
    """values[i] = number (tap, jc) of window first + i of x; `other` outside, or if tap >= taps.

    With `both`, outputs[i] the same of y, which lies like x.
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
            values[i] = other
            if both:
                outputs[i] = other


@cuda_device
def fetch_rows(x, y, places, first, apart, n, N, values, outputs):
    """values[i] = column n of row places[first + i apart] of x (rows, N), and outputs[i] of y; 0 outside."""
    for i in range(values.size):
        place = places[first + i * apart]
        if (place >= 0) & (n < N):
            values[i] = x[np.uint32(place * N + n)]
            outputs[i] = y[np.uint32(place * N + n)]
        else:
            values[i] = 0
            outputs[i] = 0


@cuda_device
def rectify_fetched(values, outputs, relu):
    """Gradients in front of a ReLU from those behind it and its outputs. Only now, a step after they were asked for:
    to look at a number that is still on its way would stop the thread."""
    zero = values.dtype.type(0)
    for i in range(values.size):
        if (relu != 0) & (outputs[i] == zero):
            values[i] = zero


@cuda_device
def end_rows(sums, floor, places, row, n, N, y):
    """y's rows places[row], places[row + 1] ... from column n on = max(floor, sums)."""
    for i in range(EACH_M):
        place = places[row + i]
        for j in range(EACH_N):
            if (place >= 0) & (np.int32(n + j) < N):
                value = sums[i, j]
                y[np.uint32(place * N + n + j)] = floor if value < floor else value
