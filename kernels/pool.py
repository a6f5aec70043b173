"""Max pooling over time and frequency with lengths, windows side by side (section 3: tried, and not used in the end).

    forward    y[b, t, f, c]  = max x[b, u, v, c]   over u = t I + i, v = f J + j,  i < I, j < J
    backward   dx[b, u, v, c] = dy[b, t, f, c]      where (u, v) is the first maximum of its window (t, f), else 0

x, dx     (B, T, F, C)     frame, frequency bin, channel
y, dy     (B, T', F', C)   T' = ⌈T / I⌉, F' = ⌈F / J⌉
lengths   (B,)  int64      frames of each utterance; output frames: ⌈length / I⌉
I, J      ()               the window, time x frequency

All arrays of one dtype, float32 or float64, C-contiguous, without unit. A window at the edge is cut off: frames past an
utterance's end do not count, so its result is the same alone and in any batch. There y and dx are 0.

The first maximum is that of the earliest frame, and within a frame that of the lowest bin. Backward searches for it
again, which reads x once more and needs no memory for indices. NaN is larger than every number, so that it reaches the
loss.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.contiguous import copy_range, fill_range
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

THREADS = 128  # of a block: any number will do

# ---- maths, shared by both devices ----------------------------------------------------------------------------------


@jit
def larger(value, so_far):
    """True if a value replaces the largest one so far. NaN replaces every number, but not another NaN."""
    return value > so_far or (value != value and so_far == so_far)


# ---- CPU: a core per output frame, and in backward its input frames; all channels of a window side by side -----------


@jit
def update_maxima(x, s0, largest, indices):
    """Compare x[s0 ... s0 + C - 1] with the largest (C,) so far; where it is larger, keep it and its index (C,).

    A selection without a branch and unsigned indices (machine/contiguous.py) let the loop become vector instructions.
    """
    s = np.uint64(s0)
    for c in range(np.uint64(largest.size)):
        value, so_far = x[s + c], largest[c]
        wins = larger(value, so_far)
        largest[c] = value if wins else so_far
        indices[c] = s0 + c if wins else indices[c]


@jit
def find_maxima(x, at, rows, columns, pitch, largest, indices):
    """The first maximum of each channel's window: rows x columns elements, frames `pitch` apart, bins C apart."""
    C = largest.size
    for c in range(C):
        largest[c], indices[c] = x[at + c], at + c
    for i in range(rows):
        for j in range(columns):
            update_maxima(x, at + i * pitch + j * C, largest, indices)


@pjit
def forward_cpu(x, lengths, I, J, y):
    """y (B, T', F', C) of x (B, T, F, C)."""
    (B, T, F, C), frames, positions = x.shape, y.shape[1], y.shape[2]
    flat, out = x.reshape(x.size), y.reshape(y.size)
    for row in prange(B * frames):
        b, t = row // frames, row % frames
        rows, first = min(I, lengths[b] - t * I), (b * T + t * I) * F * C
        largest, indices = np.zeros(C, x.dtype), np.empty(C, np.int64)
        for f in range(positions):
            if rows > 0:
                find_maxima(flat, first + f * J * C, rows, min(J, F - f * J), F * C, largest, indices)
            copy_range(largest, 0, out, (row * positions + f) * C, C)


@pjit
def backward_cpu(dy, x, lengths, I, J, dx):
    """dx (B, T, F, C) of dy (B, T', F', C)."""
    (B, T, F, C), frames, positions = x.shape, dy.shape[1], dy.shape[2]
    flat, flat_dy, out = x.reshape(x.size), dy.reshape(dy.size), dx.reshape(dx.size)
    for row in prange(B * frames):
        b, t = row // frames, row % frames
        rows, first = min(I, lengths[b] - t * I), (b * T + t * I) * F * C
        largest, indices = np.empty(C, x.dtype), np.empty(C, np.int64)
        fill_range(x.dtype.type(0), out, first, min(I, T - t * I) * F * C)
        if rows > 0:
            for f in range(positions):
                find_maxima(flat, first + f * J * C, rows, min(J, F - f * J), F * C, largest, indices)
                for c in range(C):
                    out[indices[c]] = flat_dy[(row * positions + f) * C + c]


# ---- CUDA: blocks (of an output frame's elements, output frames, utterances), a thread per element of y or dy --------


@cuda_device
def first_maximum(x, at, rows, columns, pitch, C):
    """Index in the flat x and value of one channel's first maximum; a window as in find_maxima."""
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
    """As forward_cpu; x and y are flat."""
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
    """A thread writes all of its window, so no two threads write one element of dx."""
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
                index = at + (i * F + j) * C
                dx[index] = gradient if index == best else dx.dtype.type(0)


# ---- entry points ---------------------------------------------------------------------------------------------------


def _expect_fit(x, lengths, window):
    """Check the arguments of both entry points and return the shape of y."""
    (B, T, F, C), (I, J) = x.shape, window
    expect("x", x, (B, T, F, C), x.dtype)
    expect("lengths", lengths, (B,), np.dtype(np.int64))
    if min(window) < 1:
        raise ValueError(f"pool: a window has at least one frame and one bin, got {I} x {J}")
    if B and not 1 <= lengths.min() <= lengths.max() <= T:
        raise ValueError(f"pool: lengths must lie in 1 ... {T}, got {lengths.min()} ... {lengths.max()}")
    return B, -(-T // I), -(-F // J), C


def _launch(kernel, shape, arrays, lengths, x, window, out):
    """Launch a kernel that reads these arrays; the grid covers `shape` (B, T', F', C)."""
    (B, frames, positions, C), (_, T, F, _) = shape, x.shape
    grid, on_device = (blocks(positions * C, THREADS), frames, B), device_of(x).resident(lengths.astype(np.int32))
    flat = [array.reshape(array.size) for array in arrays]
    launch(kernel, grid, THREADS, *flat, on_device, out.reshape(out.size), T, F, C, *window)


def forward(x, lengths, window, out=None):
    """Pool a batch x (B, T, F, C) with lengths (B,) by a window (I, J).

    Returns y (B, ⌈T / I⌉, ⌈F / J⌉, C), 0 past an utterance's end; with `out`, it is written there. Raises
    ValueError where shapes, dtypes, lengths or the window do not fit or an array is not C-contiguous.
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
