"""Log power spectrogram, section 1.2: windowed Fourier transform, eqs. (1) to (3), a cut and a logarithm.

    w[n]     = sin²(π n / (N - 1))                                      eq. (2), symmetric Hann
    X[t, k]  = Σ_n x[S t + n] w[n] exp(-2πi k n / N)                    eq. (1)
    Y[t, k]  = log max(|X[t, k]|², floor),   k = 0 ... bins - 1         eq. (3), cut, logarithm

x       (samples,)   sound; float32 or float64, and all arithmetic is of that dtype
w       (N,)         window, N a power of two;  S ()  hop in samples
Y       (T, bins)    frame t, frequency bin k (rate / N Hz each); only whole windows: T = 1 + ⌊(samples - N) / S⌋
floor   ()           power below it counts as the floor, so digital silence is finite

Forward only: nothing in front of it learns.

The transform of N real samples is one of M = N / 2 complex ones, z[n] = x[2n] + i x[2n + 1], taken apart afterwards:

    X[k] = (Z[k] + Z*[M - k]) / 2 - i/2 exp(-2πi k / N) (Z[k] - Z*[M - k])

Z is computed in passes of radix 4 (the last one of radix 2 where M is no power of 4), all of one pattern: read the rows
i, i + M/4, i + M/2, i + 3M/4, write the rows 4i ... 4i + 3 of the other buffer. The frequencies come out in another
order, which costs nothing, since their only reader looks their places up.

LANES frames lie side by side: row n of a buffer holds z[n] of all of them, LANES real parts, then LANES imaginary
parts. The innermost loops run over frames, where all do the same and none needs another: vector instructions without
a shuffle, and a frame's value depends on that frame alone. They get their rows one by one, because LLVM gives up
vectorising where it cannot tell that two places of one array do not overlap (measured: 2.5 times slower).
"""

import math
from functools import lru_cache

import numpy as np

from scratchser.kernels._launch import jit, pjit, prange
from scratchser.kernels._shapes import expect

LANES = 16  # float32 numbers of a 512-bit register; narrower ones take a row in pieces
PARTS = 64  # the signal is shared among the cores in at most so many pieces, each with buffers of its own


@jit
def load(x, w, first, frames, hop, z):
    """z = windowed samples of the frames first ... first + LANES - 1; beyond the last frame it is repeated."""
    last = (frames - 1) * hop
    for n in range(w.size):
        row = z[n]
        for lane in range(LANES):
            row[lane] = x[min((first + lane) * hop, last) + n] * w[n]


@jit
def butterfly4(a, b, c, d, root1, root2, root3, y):
    """y = four-point transform of the rows a to d; its rows 1 to 3 are turned by a root of unity u + iv each."""
    u1, v1, u2, v2, u3, v3 = root1[0], root1[1], root2[0], root2[1], root3[0], root3[1]
    for lane in range(LANES):
        ar, ai, br, bi = a[lane], a[LANES + lane], b[lane], b[LANES + lane]
        cr, ci, dr, di = c[lane], c[LANES + lane], d[lane], d[LANES + lane]
        er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
        gr, gi, hr, hi = br + dr, bi + di, bi - di, dr - br  # h = -i (b - d)
        y[lane], y[LANES + lane] = er + gr, ei + gi
        pr, pi = fr + hr, fi + hi
        y[2 * LANES + lane], y[3 * LANES + lane] = u1 * pr - v1 * pi, u1 * pi + v1 * pr
        pr, pi = er - gr, ei - gi
        y[4 * LANES + lane], y[5 * LANES + lane] = u2 * pr - v2 * pi, u2 * pi + v2 * pr
        pr, pi = fr - hr, fi - hi
        y[6 * LANES + lane], y[7 * LANES + lane] = u3 * pr - v3 * pi, u3 * pi + v3 * pr


@jit
def butterfly2(a, b, y):
    """y = sum and difference of two rows."""
    for lane in range(2 * LANES):
        y[lane], y[2 * LANES + lane] = a[lane] + b[lane], a[lane] - b[lane]


@jit
def transform(x, y, roots):
    """Complex transforms of the columns of x (M, 2 LANES), overwriting x and y; returns the buffer with the result.

    roots has N = 2 M entries. Where s frequencies are done, row i holds sample ⌊i / s⌋ of a transform of length M / s.
    """
    M, width = x.shape
    s = 1
    while 4 * s <= M:
        out, q = y.reshape(M // 4, 4 * width), M // 4
        for i in range(q):
            p = 2 * (i - i % s)
            butterfly4(x[i], x[i + q], x[i + 2 * q], x[i + 3 * q], roots[p], roots[2 * p], roots[3 * p], out[i])
        x, y = y, x
        s *= 4
    if s < M:
        out, q = y.reshape(M // 2, 2 * width), M // 2
        for i in range(q):
            butterfly2(x[i], x[i + q], out[i])
        x, y = y, x
    return x


@jit
def power(z, roots, places, P):
    """P (bins, LANES) = |X|² of the real signals whose packed transform is z."""
    M = z.shape[0]
    quarter = z.dtype.type(0.25)  # of |2X|²
    for k in range(P.shape[0]):
        a, b, row = z[places[k % M]], z[places[(M - k) % M]], P[k]
        u, v = roots[k, 0], roots[k, 1]
        for lane in range(LANES):
            er, ei = a[lane] + b[lane], a[LANES + lane] - b[LANES + lane]  # Z[k] + Z*[M - k]
            fr, fi = a[LANES + lane] + b[LANES + lane], b[lane] - a[lane]  # -i (Z[k] - Z*[M - k])
            xr, xi = er + u * fr - v * fi, ei + u * fi + v * fr
            row[lane] = quarter * (xr * xr + xi * xi)


@jit
def write(P, floor, first, Y):
    """Y[first + lane] = log of column `lane` of P, for the frames that exist."""
    for lane in range(min(LANES, Y.shape[0] - first)):
        row = Y[first + lane]
        for k in range(row.size):
            p = P[k, lane]
            row[k] = math.log(floor if p < floor else p)  # NaN is not below the floor: it stays NaN


@pjit
def forward_cpu(x, w, hop, floor, roots, places, Y):
    T, bins = Y.shape
    N = w.size
    groups = (T + LANES - 1) // LANES
    parts = min(PARTS, groups)
    for part in prange(parts):
        samples = np.empty((N, LANES), x.dtype)
        other = np.empty((N // 2, 2 * LANES), x.dtype)
        P = np.empty((bins, LANES), x.dtype)
        for group in range(part * groups // parts, (part + 1) * groups // parts):
            load(x, w, group * LANES, T, hop, samples)
            z = transform(samples.reshape(N // 2, 2 * LANES), other, roots)
            power(z, roots, places, P)
            write(P, floor, group * LANES, Y)


@lru_cache(maxsize=8)
def _tables(N: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """exp(-2πi k / N) as (N, 2), and the row in which `transform` leaves each of the N / 2 frequencies."""
    angle = 2 * np.pi * np.arange(N) / N
    roots = np.stack([np.cos(angle), -np.sin(angle)], axis=1).astype(dtype)
    frequencies, M = np.zeros(1, np.int64), N // 2  # what each row holds: a pass appends a digit to its number
    while (s := len(frequencies)) < M:
        radix = 4 if 4 * s <= M else 2
        frequencies = (frequencies[:, None] + s * np.arange(radix)).ravel()
    return roots, np.argsort(frequencies)


def hann(N: int, dtype: type | np.dtype = np.float32) -> np.ndarray:
    """The symmetric window of eq. (2), (N,); zero at both ends."""
    return (np.sin(np.pi * np.arange(N) / (N - 1)) ** 2).astype(dtype)


def frames(samples: int, N: int, hop: int) -> int:
    """Number of whole windows of N samples, `hop` samples apart; 0 where not one fits."""
    return 0 if samples < N else 1 + (samples - N) // hop


def forward(x: np.ndarray, window: np.ndarray, hop: int, bins: int, floor: float) -> np.ndarray:
    """Log power spectrogram (T, bins) of the sound x (samples,), natural logarithm, in x's dtype.

    window (N,) of x's dtype, N a power of two; hop in samples; bins at most N / 2 + 1; floor > 0 in units of |X|².
    Raises ValueError for anything else, and for a sound shorter than one window.
    """
    N = window.size
    if x.ndim != 1 or x.dtype not in (np.float32, np.float64):
        raise ValueError(f"x is {x.dtype} {x.shape}, expected float32 or float64 (samples,)")
    expect("window", window, (N,), x.dtype)
    if N < 2 or N & (N - 1):
        raise ValueError(f"a window of {N} samples: its length must be a power of two")
    if hop < 1 or not 1 <= bins <= N // 2 + 1:
        raise ValueError(f"hop {hop} and {bins} bins: expected a hop of at least 1 and 1 to {N // 2 + 1} bins")
    if not floor >= np.finfo(x.dtype).tiny:
        raise ValueError(f"floor {floor}: the logarithm needs a positive one")
    if x.size < N:
        raise ValueError(f"{x.size} samples are less than one window of {N}")
    roots, places = _tables(N, x.dtype)
    Y = np.empty((frames(x.size, N, hop), bins), x.dtype)
    forward_cpu(np.ascontiguousarray(x), np.ascontiguousarray(window), hop, x.dtype.type(floor), roots, places, Y)
    return Y
