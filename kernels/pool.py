"""Max pooling over time and frequency with lengths, window beside window (section 3: tried, and left out in the end).

    forward    y[b, t, f, c]  = max x[b, u, v, c]   over u = t I + i, v = f J + j,  i < I, j < J
    backward   dx[b, u, v, c] = dy[b, t, f, c]      where (u, v) is the first maximum of its window (t, f), else 0

x, dx     (B, T, F, C)     frame, frequency bin, channel
y, dy     (B, T', F', C)   T' = ⌈T / I⌉, F' = ⌈F / J⌉
lengths   (B,)  int64      frames of each utterance; output frames: ⌈length / I⌉
I, J      ()               the window, time x frequency

All arrays of one dtype, float32 or float64, C-contiguous. A window at the edge has the part that is left of it: frames
past an utterance's end do not count, so its result is the same alone and in any batch. There y and dx are 0.

The first maximum is the earliest frame's, and of one frame the lowest bin's. It is looked for again on the way back,
which costs another reading of x and no memory for places. NaN counts as larger than everything: it must not get lost
on its way to the loss.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.contiguous import copy_run, fill_run
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

THREADS = 128  # of a block: any number will do

# ---- maths: one text for both devices -------------------------------------------------------------------------------


@jit
def larger(value, so_far):
    return value > so_far or (value != value and so_far == so_far)


# ---- CPU: an output frame, and its input frames on the way back, at a time; all channels of a window side by side ----


@jit
def look(x, s0, largest, places):
    """Where a channel's number of x[s0 ... s0 + C - 1] is larger than those before, it and its place are kept, (C,)
    both. A choice and no branch, and unsigned indices (_runs.py): so that it becomes vector instructions."""
    s = np.uint64(s0)
    for c in range(np.uint64(largest.size)):
        value, so_far = x[s + c], largest[c]
        wins = larger(value, so_far)
        largest[c] = value if wins else so_far
        places[c] = s0 + c if wins else places[c]


@jit
def look_through(x, at, rows, columns, pitch, largest, places):
    """The first maximum of each channel's window: rows x columns places, neighbouring bins C apart, frames `pitch`."""
    C = largest.size
    for c in range(C):
        largest[c], places[c] = x[at + c], at + c
    for i in range(rows):
        for j in range(columns):
            look(x, at + i * pitch + j * C, largest, places)


@pjit
def forward_cpu(x, lengths, I, J, y):
    (B, T, F, C), frames, positions = x.shape, y.shape[1], y.shape[2]
    flat, out = x.reshape(x.size), y.reshape(y.size)
    for row in prange(B * frames):
        b, t = row // frames, row % frames
        rows, first = min(I, lengths[b] - t * I), (b * T + t * I) * F * C
        largest, places = np.zeros(C, x.dtype), np.empty(C, np.int64)
        for f in range(positions):
            if rows > 0:
                look_through(flat, first + f * J * C, rows, min(J, F - f * J), F * C, largest, places)
            copy_run(largest, 0, out, (row * positions + f) * C, C)


@pjit
def backward_cpu(dy, x, lengths, I, J, dx):
    (B, T, F, C), frames, positions = x.shape, dy.shape[1], dy.shape[2]
    flat, flat_dy, out = x.reshape(x.size), dy.reshape(dy.size), dx.reshape(dx.size)
    for row in prange(B * frames):
        b, t = row // frames, row % frames
        rows, first = min(I, lengths[b] - t * I), (b * T + t * I) * F * C
        largest, places = np.empty(C, x.dtype), np.empty(C, np.int64)
        fill_run(x.dtype.type(0), out, first, min(I, T - t * I) * F * C)
        if rows > 0:
            for f in range(positions):
                look_through(flat, first + f * J * C, rows, min(J, F - f * J), F * C, largest, places)
                for c in range(C):
                    out[places[c]] = flat_dy[(row * positions + f) * C + c]


# ---- CUDA: blocks (of an output frame's numbers, output frames, utterances), a thread per number of y or dy ----------


@cuda_device
def first_maximum(x, at, rows, columns, pitch, C):
    """Where it lies in the flat x, and how large it is: a window as in look_through, of one channel."""
    best, largest = at, x[at]
    for i in range(rows):
        for j in range(columns):
            n = at + i * pitch + j * C
            value = x[n]
            if larger(value, largest):
                best, largest = n, value
    return best, largest


@cuda_jit
def forward_cuda(x, lengths, y, T, F, C, I, J):
    n, t, b = cuda.grid(1), cuda.blockIdx.y, cuda.blockIdx.z
    frames, positions = (T + I - 1) // I, (F + J - 1) // J
    if n < positions * C:
        f, c = n // C, n % C
        rows, columns = min(I, lengths[b] - t * I), min(J, F - f * J)
        largest = x.dtype.type(0)
        if rows > 0:
            at = ((b * T + t * I) * F + f * J) * C + c
            _, largest = first_maximum(x, at, rows, columns, F * C, C)
        y[(b * frames + t) * positions * C + n] = largest


@cuda_jit
def backward_cuda(dy, x, lengths, dx, T, F, C, I, J):
    """A thread writes all of its window: no two of them share a number of dx."""
    n, t, b = cuda.grid(1), cuda.blockIdx.y, cuda.blockIdx.z
    frames, positions = (T + I - 1) // I, (F + J - 1) // J
    if n < positions * C:
        f, c = n // C, n % C
        rows, columns = min(I, lengths[b] - t * I), min(J, F - f * J)
        at, best, gradient = ((b * T + t * I) * F + f * J) * C + c, -1, dx.dtype.type(0)
        if rows > 0:
            best, _ = first_maximum(x, at, rows, columns, F * C, C)
            gradient = dy[(b * frames + t) * positions * C + n]
        for i in range(min(I, T - t * I)):
            for j in range(columns):
                place = at + (i * F + j) * C
                dx[place] = gradient if place == best else dx.dtype.type(0)


# ---- entry points ---------------------------------------------------------------------------------------------------


def _expect_fit(x, lengths, window):
    """What both entry points ask, and the shape of y."""
    (B, T, F, C), (I, J) = x.shape, window
    expect("x", x, (B, T, F, C), x.dtype)
    expect("lengths", lengths, (B,), np.dtype(np.int64))
    if min(window) < 1:
        raise ValueError(f"pool: a window has at least one frame and one bin, got {I} x {J}")
    if B and not 1 <= lengths.min() <= lengths.max() <= T:
        raise ValueError(f"pool: lengths must lie in 1 ... {T}, got {lengths.min()} ... {lengths.max()}")
    return B, -(-T // I), -(-F // J), C


def _launch(kernel, numbers, arrays, lengths, x, window, out):
    """`numbers` (B, T', F', C) tells the grid; arrays are what the kernel reads."""
    (B, frames, positions, C), (_, T, F, _) = numbers, x.shape
    grid, there = (blocks(positions * C, THREADS), frames, B), device_of(x).resident(lengths.astype(np.int32))
    flat = [array.reshape(array.size) for array in arrays]
    launch(kernel, grid, THREADS, *flat, there, out.reshape(out.size), T, F, C, *window)


def forward(x, lengths, window, out=None):
    """y (B, ⌈T / I⌉, ⌈F / J⌉, C) of x (B, T, F, C) for a window (I, J); 0 past an utterance's end.

    With `out`, the result is written there. Raises ValueError where shapes, dtypes, lengths or the window do not fit or
    an array is not C-contiguous.
    """
    shape = _expect_fit(x, lengths, window)
    y = device_of(x).empty(shape, x.dtype) if out is None else out
    expect("out", y, shape, x.dtype)
    if on_cpu(x):
        forward_cpu(x, lengths, *window, y)
    else:
        _launch(forward_cuda, shape, [x], lengths, x, window, y)
    return y


def backward(dy, x, lengths, window, out=None):
    """dx (B, T, F, C) for dy (B, ⌈T / I⌉, ⌈F / J⌉, C) and the x of `forward`; `out` and errors as there."""
    shape = _expect_fit(x, lengths, window)
    expect("dy", dy, shape, x.dtype)
    dx = device_of(x).empty(x.shape, x.dtype) if out is None else out
    expect("out", dx, x.shape, x.dtype)
    if on_cpu(x):
        backward_cpu(dy, x, lengths, *window, dx)
    else:
        _launch(backward_cuda, shape, [dy, x], lengths, x, window, dx)
    return dx
