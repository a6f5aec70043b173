"""Bi-LSTM with batch normalisation of what its gates are made of, section 3.1.

    BN(a)  = γ hat      hat = (a - mean) / √(variance + ε)      mean of a, variance = mean of (a - mean)²

                                                                            averages over, for each direction
    frame-8    z = BN(h[n-1] Wh + x[n] Wx) + β         (6) to (8)           utterances that run at step n, per feature
    frame-9    z = BN(h[n-1] Wh) + BN(x[n] Wx) + β     (6), (7), (9)        the same
    sequence   z = h[n-1] Wh + BN(x[n] Wx) + β         (10) to (12)         all real frames, per feature
    layer      z = h[n-1] Wh + BN(x[n] Wx) + β         (12) to (14)         all real frames and features

z is what lstm.py calls so, and β takes its bias's place. The features are the 4H sums of the four gates. A frame of
(6) is a step of a direction's walk. Nothing past an utterance's end is counted, and what the paper calls σ is a
variance, divided by the count. Backward goes through the statistics:

    dβ += Σ dz        dγ += Σ dz hat        da = (γ dz - average of γ dz - hat · average of γ dz hat) / √(variance + ε)

with the averages over the same numbers as mean's. In training the statistics are the batch's, and move the running ones
(_statistics.py), which are used at inference: there an utterance's y does not depend on what it is batched with.
Frame-wise they are kept for each of S steps; a later step than any seen uses the last one's.

x, lengths, Wx, Wh, h0, c0, y and their gradients   as in lstm.py
gamma            (G, 2, 4H)       G = 1; for frame-9 G = 2, of x Wx and of h Wh
beta             (2, 4H)
mean, variance   (G, S, 2, 4H)    running; S = 1 but for the frame-wise kinds; `layer` has 4H times the same number
updates          (S,)             how often each step's were updated

All of one dtype, float32 or float64. The walk of the frame-wise kinds is in _normed.py. The others are sums over
columns and passes over all numbers in front of lstm.py's walk, and behind it on the way back.
"""

from dataclasses import dataclass

import numpy as np

from scratchser.kernels import batchnorm_frame, lstm
from scratchser.kernels.machine.block_sum import fold
from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import Array, blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect
from scratchser.kernels.parts.frames import COLUMNS, PARTS, add_columns, flat
from scratchser.kernels.parts.statistics import input_gradient, last_step, remember, scale_of, scales_of
from scratchser.kernels.parts.tile import COLS

KINDS = {"frame-8": 1, "frame-9": 2, "sequence": 1, "layer": 1}  # and their G
EPSILON = 1e-5  # Ioffe and Szegedy's
THREADS = 256  # of a block: a power of two, for _fold.py

# ---- CPU: numbers of one row, flat arrays and unsigned indices as in _runs.py ----------------------------------------


@jit
def subtract_run(source, s0, mean, target):
    s = np.uint64(s0)
    for k in range(np.uint64(len(mean))):
        target[s + k] = source[s + k] - mean[k]


@jit
def scale_run(hat, s0, scale, gamma, beta, z):
    s = np.uint64(s0)
    for k in range(np.uint64(len(scale))):
        hat[s + k] *= scale[k]
    for k in range(np.uint64(len(scale))):
        z[s + k] = gamma[k] * hat[s + k] + beta[k]


@jit
def gradient_run(dz, hat, s0, gamma, scale, mean, projected):
    s = np.uint64(s0)
    for k in range(np.uint64(len(scale))):
        dz[s + k] = input_gradient(dz[s + k], hat[s + k], gamma[k], scale[k], mean[k], projected[k])


# ---- CPU: z (N, M), a core per row or per COLS columns; M = 8H ------------------------------------------------------


@pjit
def add_products_cpu(a, b, sums):
    """sums[j] += Σ_n a[n, j] b[n, j], in the order of the rows."""
    (N, M), flat_a, flat_b = a.shape, a.reshape(a.size), b.reshape(b.size)
    for piece in prange((M + COLS - 1) // COLS):
        for n in range(N):
            first, count = np.uint64(piece * COLS), np.uint64(min(COLS, M - piece * COLS))
            at = np.uint64(n * M) + first
            for k in range(count):
                sums[first + k] += flat_a[at + k] * flat_b[at + k]


@pjit
def centre_cpu(z, mean, hat):
    (N, M), flat_z, flat_hat = z.shape, z.reshape(z.size), hat.reshape(hat.size)
    for n in prange(N):
        subtract_run(flat_z, n * M, mean, flat_hat)


@pjit
def scale_cpu(hat, variance, gamma, beta, epsilon, z):
    (N, M), flat_z, flat_hat = z.shape, z.reshape(z.size), hat.reshape(hat.size)
    scale = np.empty_like(variance)
    scales_of(variance, epsilon, scale)
    for n in prange(N):
        scale_run(flat_hat, n * M, scale, gamma, beta, flat_z)


@pjit
def gradient_cpu(dz, hat, variance, gamma, mean, projected, epsilon):
    """dz becomes the gradient of what was normalised."""
    (N, M), flat_dz, flat_hat = dz.shape, dz.reshape(dz.size), hat.reshape(hat.size)
    scale = np.empty_like(variance)
    scales_of(variance, epsilon, scale)
    for n in prange(N):
        gradient_run(flat_dz, flat_hat, n * M, gamma, scale, mean, projected)


@jit
def average_cpu(sums, factor, n, together, averages):
    """averages[j] = factor[j] sums[j] / n or, of all features of a direction `together`, their mean."""
    H4 = len(sums) // 2
    for j in range(len(sums)):
        averages[j] = factor[j] * sums[j] / sums.dtype.type(n)
    if together:
        for direction in range(2):
            part = averages[direction * H4 : (direction + 1) * H4]
            total = sums.dtype.type(0)
            for j in range(H4):
                total += part[j]
            part[:] = total / sums.dtype.type(H4)


# ---- CUDA: z flat, a thread per number; columns are added as in _frames.py ------------------------------------------


@cuda_jit
def add_products_cuda(a, b, sums):
    """a, b (N, M). Thread (x, p) adds rows p, p + PARTS ... of a column; then the parts are added in their order."""
    parts = cuda.shared.array((PARTS, COLUMNS), a.dtype)
    x, p = cuda.threadIdx.x, cuda.threadIdx.y
    j = cuda.blockIdx.x * COLUMNS + x
    N, M = a.shape
    total = a.dtype.type(0)
    if j < M:
        for n in range(p, N, PARTS):
            total += a[n, j] * b[n, j]
    parts[p, x] = total
    cuda.syncthreads()  # all parts are there
    if p == 0 and j < M:
        for q in range(1, PARTS):
            total += parts[q, x]
        sums[j] += total


@cuda_jit
def average_cuda(sums, factor, n, together, averages):
    """As average_cpu, a block per direction."""
    part = cuda.shared.array(THREADS, sums.dtype)
    i, features = cuda.threadIdx.x, sums.size // 2
    first, last = cuda.blockIdx.x * features, (cuda.blockIdx.x + 1) * features
    total = sums.dtype.type(0)
    for j in range(first + i, last, THREADS):
        average = factor[j] * sums[j] / sums.dtype.type(n)
        averages[j] = average
        total += average
    if together:
        part[i] = total
        fold(part, i)
        cuda.syncthreads()  # the sum is there
        average = part[0] / sums.dtype.type(features)
        for j in range(first + i, last, THREADS):
            averages[j] = average


@cuda_jit
def centre_cuda(z, mean, hat):
    i = cuda.grid(1)
    if i < z.size:
        hat[i] = z[i] - mean[i % mean.size]


@cuda_jit
def scale_cuda(hat, variance, gamma, beta, epsilon, z):
    i = cuda.grid(1)
    if i < z.size:
        j = i % variance.size
        scaled = hat[i] * scale_of(variance[j], epsilon)
        hat[i] = scaled
        z[i] = gamma[j] * scaled + beta[j]


@cuda_jit
def gradient_cuda(dz, hat, variance, gamma, mean, projected, epsilon):
    i = cuda.grid(1)
    if i < dz.size:
        j = i % variance.size
        dz[i] = input_gradient(dz[i], hat[i], gamma[j], scale_of(variance[j], epsilon), mean[j], projected[j])


# ---- entry points ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Norm:
    """What normalises, as in the module's text; a gradient's has the same shapes, and no statistics."""

    kind: str
    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    updates: Array
    epsilon: float = EPSILON

    @property
    def framewise(self) -> bool:
        return self.kind.startswith("frame")


@dataclass(frozen=True)
class Cache:
    """What backward needs of forward: hat (G, N, 2, 4H), and variance (G, steps, 2, 4H) if it is the batch's."""

    walk: lstm.Cache
    hat: Array
    variance: Array | None


def forward(x, lengths, Wx, Wh, norm, h0=None, c0=None, training=False):
    """y (B, T, 2H) and the cache for `backward`, which only `training` leaves complete.

    In training the running statistics of the norm are updated in place. Raises ValueError where shapes, dtypes or
    lengths do not fit, an array is not C-contiguous, or there is no such kind.
    """
    walk = lstm.begin(x, lengths, Wx, Wh, h0, c0)
    _expect(norm, Wh)
    device, dtype, (_, _, M), G = device_of(x), x.dtype, Wh.shape, len(norm.gamma)
    N = len(walk.frames)
    if not norm.framewise:
        lstm.expect_room(x, Wh)
    lstm.add_input(x, walk, Wx, device.zeros((2, M), dtype))
    hat = device.empty((G, N, 2, M), dtype)
    counts = _counts(norm.kind, lengths, M)
    if training:
        shape = G, len(counts), 2, M
        mean, variance, last = device.empty(shape, dtype), device.empty(shape, dtype), len(counts) - 1
    else:
        mean, variance, last = norm.mean, norm.variance, last_step(norm.updates)
    if norm.framewise:
        batchnorm_frame.forward(walk, Wh, norm, training, mean, variance, last, hat)
    else:
        _normalise(walk.gates, norm, training, flat(mean), flat(variance), hat)
        lstm.walk(walk, Wh)
    if training:
        remember(mean, variance, counts, norm.mean, norm.variance, norm.updates)
    return walk.y, Cache(walk, hat, variance if training else None)


def backward(dy, cache, Wx, Wh, norm, dWx, dWh, dgamma, dbeta):
    """dx (B, T, D), zero past the ends, dh0 and dc0 (2, B, H); dWx, dWh, dgamma and dbeta are added to.

    Errors as in `forward`, and ValueError after a forward that was not `training`.
    """
    if cache.variance is None:
        raise ValueError("batchnorm: there is no backward of inference: call forward(..., training=True) before")
    walk = cache.walk
    lstm.expect_gradients(dy, walk, Wx, Wh, dWx, dWh)
    _expect(norm, Wh)
    expect("dgamma", dgamma, norm.gamma.shape, dy.dtype)
    expect("dbeta", dbeta, norm.beta.shape, dy.dtype)
    if norm.framewise:
        da, dh0, dc0 = batchnorm_frame.backward(dy, walk, Wh, norm, cache.variance, cache.hat, dgamma, dbeta)
        return lstm.add_gradients(da[0], da[-1], walk, Wx, dWx, dWh), dh0, dc0
    dz, dh0, dc0 = lstm.walk_back(dy, walk, Wh)
    da = device_of(dz).empty(dz.shape, dz.dtype)
    device_of(dz).copy(dz, da)
    _gradient(da, norm, flat(cache.variance), cache.hat, flat(dgamma), flat(dbeta))
    return lstm.add_gradients(da, dz, walk, Wx, dWx, dWh), dh0, dc0


def _counts(kind, lengths, M):
    """Of how many numbers each step's statistics are (steps,)."""
    if kind.startswith("frame"):
        return np.array(batchnorm_frame.running_at(lengths))
    return np.array([lengths.sum() * (M if kind == "layer" else 1)])


def _normalise(z, norm, training, mean, variance, hat):
    """z (N, 2, 4H) becomes BN(z) + β; in training mean and variance (8H,) are written."""
    N, M, device, together = len(z), z[0].size, device_of(z), norm.kind == "layer"
    z, hat, epsilon = z.reshape(N, M), hat.reshape(N, M), z.dtype.type(norm.epsilon)
    if training:
        ones, sums = device.resident(np.ones(M, z.dtype)), device.zeros((2, M), z.dtype)
        add_columns(z, sums[0])
        _average(sums[0], ones, N, together, mean)
        _centre(z, mean, hat)
        _add_products(hat, hat, sums[1])
        _average(sums[1], ones, N, together, variance)
    else:
        _centre(z, mean, hat)
    known = variance, flat(norm.gamma), flat(norm.beta), epsilon
    if on_cpu(z):
        scale_cpu(hat, *known, z)
    else:
        launch(scale_cuda, blocks(z.size, THREADS), THREADS, flat(hat), *known, flat(z))


def _gradient(dz, norm, variance, hat, dgamma, dbeta):
    """dz (N, 2, 4H), the gradient of BN(a) + β, becomes that of a; dgamma and dbeta (8H,) are added to."""
    N, M, device, together = len(dz), dz[0].size, device_of(dz), norm.kind == "layer"
    dz, hat, gamma, epsilon = dz.reshape(N, M), hat.reshape(N, M), flat(norm.gamma), dz.dtype.type(norm.epsilon)
    sums, averages = device.zeros((2, M), dz.dtype), device.empty((2, M), dz.dtype)
    add_columns(dz, sums[0])
    _add_products(dz, hat, sums[1])
    add_columns(sums[:1], dbeta)
    add_columns(sums[1:], dgamma)
    for part in range(2):
        _average(sums[part], gamma, N, together, averages[part])
    known = variance, gamma, averages[0], averages[1], epsilon
    if on_cpu(dz):
        gradient_cpu(dz, hat, *known)
    else:
        launch(gradient_cuda, blocks(dz.size, THREADS), THREADS, flat(dz), flat(hat), *known)


def _average(sums, factor, n, together, averages):
    if on_cpu(sums):
        average_cpu(sums, factor, n, together, averages)
    else:
        launch(average_cuda, 2, THREADS, sums, factor, n, int(together), averages)


def _centre(z, mean, hat):
    if on_cpu(z):
        centre_cpu(z, mean, hat)
    else:
        launch(centre_cuda, blocks(z.size, THREADS), THREADS, flat(z), mean, flat(hat))


def _add_products(a, b, sums):
    if on_cpu(a):
        add_products_cpu(a, b, sums)
    else:
        launch(add_products_cuda, blocks(a.shape[1], COLUMNS), (COLUMNS, PARTS), a, b, sums)


def _expect(norm, Wh):
    """Raise ValueError unless the norm is for these recurrent weights."""
    if norm.kind not in KINDS:
        raise ValueError(f"batchnorm: there is no kind {norm.kind!r}, there are {', '.join(KINDS)}")
    G, (_, _, M), S = KINDS[norm.kind], Wh.shape, norm.updates.size
    if S < 1 or (S > 1 and not norm.framewise):
        raise ValueError(f"batchnorm: {norm.kind} cannot keep the statistics of {S} steps")
    expect("gamma", norm.gamma, (G, 2, M), Wh.dtype)
    expect("beta", norm.beta, (2, M), Wh.dtype)
    for name, array in (("mean", norm.mean), ("variance", norm.variance)):
        expect(name, array, (G, S, 2, M), Wh.dtype)
    expect("updates", norm.updates, (S,), Wh.dtype)
