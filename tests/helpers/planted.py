"""Small correct CUDA kernels, and functions that plant a fault in a kernel by replacing source lines.

Each kernel is made for a block size, because the shape of a shared array must be a constant.
"""

import inspect

import numpy as np
from numba import float32

from scratchser.kernels.machine import device
from scratchser.kernels.machine.compile import cuda
from scratchser.tracer import trace


def matmul(T):
    """C = A B, A (M, K), B (K, N): a block of T by T threads computes a tile of C, looping over K tile by tile."""

    @cuda.jit
    def kernel(A, B, C):
        a = cuda.shared.array((T, T), float32)
        b = cuda.shared.array((T, T), float32)
        j, i = cuda.grid(2)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        total = np.float32(0)
        for start in range(0, A.shape[1], T):
            if i < A.shape[0] and start + x < A.shape[1]:
                a[y, x] = A[i, start + x]
            else:
                a[y, x] = 0
            if start + y < B.shape[0] and j < B.shape[1]:
                b[y, x] = B[start + y, j]
            else:
                b[y, x] = 0
            cuda.syncthreads()  # tiles are complete
            for k in range(T):
                total += a[y, k] * b[k, x]
            cuda.syncthreads()  # tiles are used up
        if i < C.shape[0] and j < C.shape[1]:
            C[i, j] = total

    return kernel


@cuda.jit(device=True)
def fold(part, half):
    """part[0] becomes the sum of 2 half elements; half is a power of two."""
    t = cuda.threadIdx.x
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()
        half //= 2


def block_sum(N):
    """sums[b] = the sum of the N elements of x (n,) in block b; N is a power of two."""

    @cuda.jit
    def kernel(x, sums):
        part = cuda.shared.array(N, float32)
        t, i = cuda.threadIdx.x, cuda.grid(1)
        part[t] = x[i] if i < x.shape[0] else 0
        cuda.syncthreads()  # all parts are there
        fold(part, N // 2)
        if t == 0:
            sums[cuda.blockIdx.x] = part[0]

    return kernel


@cuda.jit(device=True)
def dot(window, w):
    total = np.float32(0)
    for k in range(w.shape[0]):
        total += window[k] * w[k]
    return total


def convolution(N, R):
    """y[b, i] = Σ w[k] x[b, i + k - R], x = 0 outside; x, y (B, n), w (2R+1,): N threads, a halo of R on each side."""

    @cuda.jit
    def kernel(x, w, y):
        tile = cuda.shared.array(N + 2 * R, float32)
        row, out = x[cuda.blockIdx.y], y[cuda.blockIdx.y]
        t, i = cuda.threadIdx.x, cuda.grid(1)
        for i_tile in range(t, N + 2 * R, N):
            i_row = cuda.blockIdx.x * N + i_tile - R
            if 0 <= i_row < row.shape[0]:
                tile[i_tile] = row[i_row]
            else:
                tile[i_tile] = 0
        cuda.syncthreads()  # the tile is complete
        if i < row.shape[0]:
            out[i] = dot(tile[t : t + 2 * R + 1], w)

    return kernel


@cuda.jit
def add_one(x):
    x[cuda.grid(1)] += 1


def plant(factory, exchanges):
    """The factory with source lines replaced. `exchanges` contains full lines without indentation, each of which must
    occur once. Every line keeps its number, so that a report has the line numbers of this file."""
    return _exchanged(factory, exchanges)


def line_of(factory, line):
    """planted.py:number"""
    lines, start = inspect.getsourcelines(factory)
    return f"planted.py:{start + _only(lines, line)}"


def _only(lines, line):
    (at,) = (i for i, text in enumerate(lines) if text.strip() == line)
    return at


# ---- faults in the package's own kernels ----------------------------------------------------------------------------


def plant_in(monkeypatch, module, name, exchanges):
    """Replace source lines of the function `name` of a kernel's module."""
    monkeypatch.setattr(module, name, _exchanged(getattr(module, name).py_func, exchanges))


def faults_found(run, expected):
    """How faults show while run(upload) launches kernels: the kinds of the tracer's faults, and "result" if the arrays
    that it returns differ from the expected ones."""
    kinds = set()

    def launcher(kernel, grid, block, shared_bytes, arguments):
        report = trace(kernel, grid, block, *map(device.plain, arguments), shared_bytes=shared_bytes)
        kinds.update(fault.kind for fault in report.faults())

    with device.launched_by(launcher):
        pairs = zip(run(device.SIMULATED.upload), expected, strict=True)
    close = [np.allclose(got, right, rtol=1e-4, atol=1e-6, equal_nan=True) for got, right in pairs]
    return kinds if all(close) else kinds | {"result"}


def _exchanged(function, exchanges):
    lines, start = inspect.getsourcelines(function)
    for line, instead in exchanges.items():
        at = _only(lines, line)
        lines[at] = lines[at].replace(line, instead)
    names = dict(function.__globals__)
    text = "\n" * (start - 1) + "".join(lines)
    exec(compile(text, function.__code__.co_filename, "exec"), names)
    return names[function.__name__]
