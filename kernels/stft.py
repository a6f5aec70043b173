"""Log power spectrogram, section 1.2: windowed Fourier transform, eqs. (1) to (3), lowest bins, logarithm.

    w[n]     = sin²(π n / (N - 1))                                      eq. (2), symmetric Hann
    X[t, k]  = Σ_n x[S t + n] w[n] exp(-2πi k n / N)                    eq. (1)
    Y[t, k]  = log max(|X[t, k]|², floor),   k = 0 ... bins - 1         eq. (3), lowest bins, logarithm

x       (samples,)   sound, full scale 1; float32 or float64, and all arithmetic has that dtype
w       (N,)         window, N a power of two;  S ()  hop in samples
Y       (T, bins)    frame t, frequency bin k (sampling rate / N Hz each), in nats; T = 1 + ⌊(samples - N) / S⌋, so
                     only complete windows count
floor   ()           replaces smaller powers, so that digital silence is finite

There is no backward: nothing before the spectrogram is trained.

The transform of N real samples is one of M = N / 2 complex ones, z[n] = x[2n] + i x[2n + 1], taken apart afterwards:

    X[k] = (Z[k] + Z*[M - k]) / 2 - i/2 exp(-2πi k / N) (Z[k] - Z*[M - k])

Z is computed in passes of radix 4 (the last one of radix 2 if M is no power of 4). Once s frequencies are done,
butterfly i reads the rows i, i + M/4, i + M/2 and i + 3M/4 of one buffer and writes four rows of another.
"""

import math
from functools import lru_cache

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

LANES = 16  # frames side by side: float32 elements of a 512-bit register
PARTS = 64  # the cores share the signal in at most so many parts, each with its own buffers
THREADS = 128  # of a block: for N = 1024 a butterfly each; any number works
SHARED_BYTES = 48 * 1024  # of a block on every GPU: N = 4096 in float32, N = 2048 in float64

# ---- maths, shared by both devices ----------------------------------------------------------------------------------


@jit
def four_point(ar, ai, br, bi, cr, ci, dr, di):
    """Real and imaginary parts of the four-point transform of a, b, c, d."""
    er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
    gr, gi, hr, hi = br + dr, bi + di, bi - di, dr - br  # h = -i (b - d)
    return er + gr, ei + gi, fr + hr, fi + hi, er - gr, ei - gi, fr - hr, fi - hi


@jit
def rotated(u, v, pr, pi):
    """(u + iv) p."""
    return u * pr - v * pi, u * pi + v * pr


@jit
def power_of(ar, ai, br, bi, u, v):
    """|X[k]|² from a = Z[k], b = Z[M - k] and the root u + iv = exp(-2πi k / N)."""
    er, ei = ar + br, ai - bi  # a + b*
    fr, fi = ai + bi, br - ar  # -i (a - b*)
    xr, xi = er + u * fr - v * fi, ei + u * fi + v * fr
    return type(u)(0.25) * (xr * xr + xi * xi)  # of |2X|²


@jit
def log_of(p, floor):
    """log max(p, floor)."""
    return math.log(floor if p < floor else p)  # NaN is not below the floor: it stays NaN


# ---- CPU: the cores share the frames, LANES of them side by side ----------------------------------------------------
#
# Row n of a buffer holds z[n] of all LANES frames: LANES real parts, then LANES imaginary parts. The innermost loops
# run over frames, which do not depend on each other: vector instructions without a shuffle, and a frame's bits depend
# on that frame alone. Butterfly i writes rows 4i ... 4i + 3, so the frequencies come out in another order. That costs
# nothing, since `power` looks up their rows.


@jit
def load(x, w, first, frames, hop, z):
    """z = windowed samples of the frames first ... first + LANES - 1; past the last frame, the last one repeated."""
    last = (frames - 1) * hop
    for n in range(w.size):
        row = z[n]
        for lane in range(LANES):
            row[lane] = x[min((first + lane) * hop, last) + n] * w[n]


@jit
def butterfly4(a, b, c, d, root1, root2, root3, y):
    """y = four-point transform of the rows a to d; its rows 1 to 3 are multiplied by a root of unity u + iv each.

    The rows are single arguments, because LLVM does not vectorise where two parts of one array might overlap (measured:
    2.5 times slower).
    """
    u1, v1, u2, v2, u3, v3 = root1[0], root1[1], root2[0], root2[1], root3[0], root3[1]
    for lane in range(LANES):
        ar, ai, br, bi = a[lane], a[LANES + lane], b[lane], b[LANES + lane]
        cr, ci, dr, di = c[lane], c[LANES + lane], d[lane], d[LANES + lane]
        ar, ai, br, bi, cr, ci, dr, di = four_point(ar, ai, br, bi, cr, ci, dr, di)
        y[lane], y[LANES + lane] = ar, ai
        y[2 * LANES + lane], y[3 * LANES + lane] = rotated(u1, v1, br, bi)
        y[4 * LANES + lane], y[5 * LANES + lane] = rotated(u2, v2, cr, ci)
        y[6 * LANES + lane], y[7 * LANES + lane] = rotated(u3, v3, dr, di)


@jit
def butterfly2(a, b, y):
    """y = sum and difference of two rows."""
    for lane in range(2 * LANES):
        y[lane], y[2 * LANES + lane] = a[lane] + b[lane], a[lane] - b[lane]


@jit
def transform(x, y, roots):
    """Complex transforms of the columns of x (M, 2 LANES), overwriting x and y. Returns the buffer with the result.

    roots has N = 2 M entries. Once s frequencies are done, row i holds sample ⌊i / s⌋ of a transform of length M / s.
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
def power(z, roots, rows, P):
    """P (bins, LANES) = |X|² of the real signals whose packed transform is z."""
    M = z.shape[0]
    for k in range(P.shape[0]):
        a, b, row = z[rows[k % M]], z[rows[(M - k) % M]], P[k]
        u, v = roots[k, 0], roots[k, 1]
        for lane in range(LANES):
            row[lane] = power_of(a[lane], a[LANES + lane], b[lane], b[LANES + lane], u, v)


@jit
def write(P, floor, first, Y):
    """Y[first + lane] = log of column `lane` of P, for the frames that exist."""
    for lane in range(min(LANES, Y.shape[0] - first)):
        row = Y[first + lane]
        for k in range(row.size):
            row[k] = log_of(P[k, lane], floor)


@pjit
def forward_cpu(x, w, hop, floor, roots, rows, Y):
    """Y (T, bins) is written. roots (N, 2) and rows (N / 2,): see _tables."""
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
            power(z, roots, rows, P)
            write(P, floor, group * LANES, Y)


# ---- CUDA: a block per frame, from its samples to its logarithms in one launch --------------------------------------
#
#     global    x[S t ... S t + N - 1], w          roots                        roots                 Y[t]
#                         | window                   |                            |                     ^
#     shared              '-> a -- pass -> b -- pass -> a -- pass -> ... -> Z ----' power, floor, log --'
#
# a and b are the halves of 2 N elements of dynamic shared memory, each M real parts and then M imaginary ones; in turn,
# they would leave every second bank idle while all threads read real parts. With two buffers no thread overwrites what
# another one still has to read, so a pass needs one barrier. One buffer would need two, and registers for all
# butterflies of a thread in between. Two take 8 KB for N = 1024 in float32: 8 to 16 blocks fit on a multiprocessor.


@cuda_device
def load_frame(x, w, first, z):
    """z[0 ... N - 1] = the windowed samples from `first` on, the even ones, then the odd ones."""
    for n in range(cuda.threadIdx.x, w.size, cuda.blockDim.x):
        z[n % 2 * (w.size // 2) + n // 2] = x[first + n] * w[n]


@cuda_device
def pass4(z, a, b, s, roots):
    """A pass of radix 4 from the buffer at z[a] to the one at z[b]; s frequencies are done.

    Butterfly i writes rows j, j + s, j + 2s, j + 3s with j = 4 s ⌊i / s⌋ + i mod s. So frequencies come out in order,
    and neighbouring threads write neighbouring elements in ranges of s. With a stride of 4, four threads would wait for
    one bank of shared memory in every pass.
    """
    M = roots.shape[0] // 2
    q = M // 4
    for i in range(cuda.threadIdx.x, q, cuda.blockDim.x):
        row0, row1, row2, row3 = a + i, a + i + q, a + i + 2 * q, a + i + 3 * q
        r0, i0, r1, i1, r2, i2, r3, i3 = four_point(
            z[row0], z[row0 + M], z[row1], z[row1 + M], z[row2], z[row2 + M], z[row3], z[row3 + M]
        )
        before = i & -s  # i - i mod s, s being a power of two
        p = 2 * before
        r1, i1 = rotated(roots[p, 0], roots[p, 1], r1, i1)
        r2, i2 = rotated(roots[2 * p, 0], roots[2 * p, 1], r2, i2)
        r3, i3 = rotated(roots[3 * p, 0], roots[3 * p, 1], r3, i3)
        j = b + 3 * before + i
        z[j], z[j + M] = r0, i0
        z[j + s], z[j + s + M] = r1, i1
        z[j + 2 * s], z[j + 2 * s + M] = r2, i2
        z[j + 3 * s], z[j + 3 * s + M] = r3, i3


@cuda_device
def pass2(z, a, M):
    """The last pass if M is no power of 4, in place: sums and differences of the buffer's halves."""
    half = M // 2
    for i in range(cuda.threadIdx.x, half, cuda.blockDim.x):
        for j in range(a + i, a + i + 2 * M, M):
            one, two = z[j], z[j + half]
            z[j], z[j + half] = one + two, one - two


@cuda_device
def write_frame(z, a, roots, floor, y):
    """y (bins,) = log |X|² of the real signal whose packed transform begins at z[a]."""
    M = roots.shape[0] // 2
    for k in range(cuda.threadIdx.x, y.size, cuda.blockDim.x):
        one, two = a + (k & (M - 1)), a + ((M - k) & (M - 1))  # mod M, a power of two
        y[k] = log_of(power_of(z[one], z[one + M], z[two], z[two + M], roots[k, 0], roots[k, 1]), floor)


@cuda_jit
def forward_cuda(x, w, hop, floor, roots, Y):
    """As forward_cpu, a block for each frame. Shared memory: two buffers of N elements."""
    z = cuda.shared.array(0, x.dtype)
    t, N = cuda.blockIdx.x, w.size
    M = N // 2
    load_frame(x, w, t * hop, z)
    cuda.syncthreads()  # the samples are written
    a, s = 0, 1
    while 4 * s <= M:
        pass4(z, a, N - a, s, roots)
        cuda.syncthreads()  # the other buffer is complete
        a, s = N - a, 4 * s
    if s < M:
        pass2(z, a, M)
        cuda.syncthreads()  # the transform is complete
    write_frame(z, a, roots, floor, Y[t])


# ---- entry points ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _tables(N: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """exp(-2πi k / N) as (N, 2), and the row in which `transform` puts each of the N / 2 frequencies."""
    angle = 2 * np.pi * np.arange(N) / N
    roots = np.stack([np.cos(angle), -np.sin(angle)], axis=1).astype(dtype)
    frequencies, M = np.zeros(1, np.int64), N // 2  # of each row: a pass appends a digit to its number
    while (s := len(frequencies)) < M:
        radix = 4 if 4 * s <= M else 2
        frequencies = (frequencies[:, None] + s * np.arange(radix)).ravel()
    return roots, np.argsort(frequencies)


def hann(N: int, dtype: type | np.dtype = np.float32) -> np.ndarray:
    """The symmetric window of eq. (2), (N,); zero at both ends."""
    return (np.sin(np.pi * np.arange(N) / (N - 1)) ** 2).astype(dtype)


def frames(samples: int, N: int, hop: int) -> int:
    """Number of complete windows of N samples, `hop` samples apart; 0 if none fits."""
    return 0 if samples < N else 1 + (samples - N) // hop


def forward(x: np.ndarray, window: np.ndarray, hop: int, bins: int, floor: float) -> np.ndarray:
    """Log power spectrogram (T, bins) of the sound x (samples,), natural logarithm, in x's dtype and on its device.

    window   (N,) of x's dtype, N a power of two, NumPy's or on the device of x
    hop      in samples
    bins     at most N / 2 + 1
    floor    > 0, in units of |X|²

    Raises ValueError for other arguments, for a sound shorter than one window, and on a GPU for a window that does not
    fit into shared memory.
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
    device, floor = device_of(x), x.dtype.type(floor)
    roots, rows = _tables(N, x.dtype)
    Y = device.empty((frames(x.size, N, hop), bins), x.dtype)
    if on_cpu(x):
        forward_cpu(np.ascontiguousarray(x), window, hop, floor, roots, rows, Y)
        return Y
    shared = 2 * N * x.dtype.itemsize
    if shared > SHARED_BYTES:
        raise ValueError(f"a window of {N} {x.dtype} samples needs {shared} bytes of shared memory, not {SHARED_BYTES}")
    if on_cpu(window):
        window = device.resident(window)
    launch(forward_cuda, len(Y), THREADS, x, window, hop, floor, device.resident(roots), Y, shared_bytes=shared)
    return Y
