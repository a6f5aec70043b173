"""Bi-LSTM with batch normalisation of the input of its gates, section 3.1.

    forward    BN(a)  = γ hat      hat = (a - mean) / √(variance + ε)      mean of a, variance = mean of (a - mean)²

                                                                            averages over, for each direction
    frame-8    z = BN(h[n-1] Wh + x[n] Wx) + β         (6) to (8)           utterances that run at step n, per feature
    frame-9    z = BN(h[n-1] Wh) + BN(x[n] Wx) + β     (6), (7), (9)        the same
    sequence   z = h[n-1] Wh + BN(x[n] Wx) + β         (10) to (12)         all real frames, per feature
    layer      z = h[n-1] Wh + BN(x[n] Wx) + β         (12) to (14)         all real frames and features

    backward   dβ += Σ dz        dγ += Σ dz hat
               da  = (γ dz - average of γ dz - hat · average of γ dz hat) / √(variance + ε)

z is that of lstm.py, and β replaces its bias. The features are the 4H sums of the four gates. A frame of (6) is a step
of a direction's time loop. Nothing past an utterance's end is counted. What the paper calls σ is a variance, divided by
the count. The averages of backward go over the same elements as the mean.

In training the statistics are the batch's, and they update the running ones (parts/statistics.py). Inference uses the
running ones, so an utterance's y does not depend on its batch. Frame-wise they are kept for each of S steps; a step
after the last one seen uses that one's.

x, lengths, Wx, Wh, h0, c0, y and their gradients   as in lstm.py
gamma            (G, 2, 4H)       G = 1; for frame-9 G = 2, of x Wx and of h Wh
beta             (2, 4H)
mean, variance   (G, S, 2, 4H)    running; S = 1 but for the frame-wise kinds; `layer` repeats one value 4H times
updates          (S,)             how often each step's were updated

All of one dtype, float32 or float64, without unit. The time loop of the frame-wise kinds is in batchnorm_frame.py. The
other kinds add up columns and normalise all frames before lstm.py's time loop, and after it on the way back.
"""

from dataclasses import dataclass

import numpy as np

from scratchser.kernels import batchnorm_frame, lstm
from scratchser.kernels.machine.block_sum import block_sum
from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import Array, blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect
from scratchser.kernels.parts.frames import COLUMNS, PARTS, add_columns, flat
from scratchser.kernels.parts.statistics import input_gradient, last_step, remember, scale_of, scales_of
from scratchser.kernels.parts.tile import COLS

KINDS = {"frame-8": 1, "frame-9": 2, "sequence": 1, "layer": 1}  # and their G
EPSILON = 1e-5  # Ioffe and Szegedy's
THREADS = 256  # of a block: a power of two, for block_sum

# ---- CPU: one row; flat arrays and unsigned indices as in machine/contiguous.py --------------------------------------


@jit
def subtract_mean(source, s0, mean, target):
    """target[s0 + k] = source[s0 + k] - mean[k], one row of M elements."""
    s = np.uint64(s0)
    for k in range(np.uint64(len(mean))):
        target[s + k] = source[s + k] - mean[k]


@jit
def scale_row(hat, s0, scale, gamma, beta, z):
    """Scale one row of hat, which begins at s0, and write z = γ hat + β; scale, gamma and beta (M,)."""
    s = np.uint64(s0)
    for k in range(np.uint64(len(scale))):
        hat[s + k] *= scale[k]
    for k in range(np.uint64(len(scale))):
        z[s + k] = gamma[k] * hat[s + k] + beta[k]


@jit
def gradient_row(dz, hat, s0, gamma, scale, mean, projected):
    """Turn one row of dz, which begins at s0, into da; gamma, scale, mean and projected (M,)."""
    s = np.uint64(s0)
    for k in range(np.uint64(len(scale))):
        dz[s + k] = input_gradient(dz[s + k], hat[s + k], gamma[k], scale[k], mean[k], projected[k])


# ---- CPU: z (N, M), a core per row or per COLS columns; M = 8H ------------------------------------------------------


@pjit
def add_products_cpu(a, b, sums):
    """sums[j] += Σ_n a[n, j] b[n, j], in the order of the rows."""
    (N, M), flat_a, flat_b = a.shape, a.reshape(a.size), b.reshape(b.size)
    for group in prange((M + COLS - 1) // COLS):
        for n in range(N):
            first, count = np.uint64(group * COLS), np.uint64(min(COLS, M - group * COLS))
            at = np.uint64(n * M) + first
            for k in range(count):
                sums[first + k] += flat_a[at + k] * flat_b[at + k]


@pjit
def centre_cpu(z, mean, hat):
    """hat (N, M) = z - mean (M,)."""
    (N, M), flat_z, flat_hat = z.shape, z.reshape(z.size), hat.reshape(hat.size)
    for n in prange(N):
        subtract_mean(flat_z, n * M, mean, flat_hat)


@pjit
def scale_cpu(hat, variance, gamma, beta, epsilon, z):
    """hat (N, M) is divided by √(variance + ε), and z = γ hat + β is written."""
    (N, M), flat_z, flat_hat = z.shape, z.reshape(z.size), hat.reshape(hat.size)
    scale = np.empty_like(variance)
    scales_of(variance, epsilon, scale)
    for n in prange(N):
        scale_row(flat_hat, n * M, scale, gamma, beta, flat_z)


@pjit
def gradient_cpu(dz, hat, variance, gamma, mean, projected, epsilon):
    """Turn dz into da, the gradient of what was normalised."""
    (N, M), flat_dz, flat_hat = dz.shape, dz.reshape(dz.size), hat.reshape(hat.size)
    scale = np.empty_like(variance)
    scales_of(variance, epsilon, scale)
    for n in prange(N):
        gradient_row(flat_dz, flat_hat, n * M, gamma, scale, mean, projected)


@jit
def average_cpu(sums, factor, n, together, averages):
    """averages[j] = factor[j] sums[j] / n; with `together`, the mean of these over all features of a direction."""
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


# ---- CUDA: z flat, a thread per element; columns are added as in parts/frames.py -------------------------------------


@cuda_jit
def add_products_cuda(a, b, sums):
    """sums[j] += Σ_n a[n, j] b[n, j], a and b (N, M); threads as in frames.add_columns_cuda."""
    parts = cuda.shared.array((PARTS, COLUMNS), a.dtype)
    x, p = cuda.threadIdx.x, cuda.threadIdx.y
    j = cuda.blockIdx.x * COLUMNS + x
    N, M = a.shape
    total = a.dtype.type(0)
    if j < M:
        for n in range(p, N, PARTS):
            total += a[n, j] * b[n, j]
    parts[p, x] = total
    cuda.syncthreads()  # all parts are written
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
        block_sum(part, i)
        cuda.syncthreads()  # the sum is written
        average = part[0] / sums.dtype.type(features)
        for j in range(first + i, last, THREADS):
            averages[j] = average


@cuda_jit
def centre_cuda(z, mean, hat):
    """As centre_cpu; z and hat are flat (N M,)."""
    i = cuda.grid(1)
    if i < z.size:
        hat[i] = z[i] - mean[i % mean.size]


@cuda_jit
def scale_cuda(hat, variance, gamma, beta, epsilon, z):
    """As scale_cpu; hat and z are flat (N M,)."""
    i = cuda.grid(1)
    if i < z.size:
        j = i % variance.size
        scaled = hat[i] * scale_of(variance[j], epsilon)
        hat[i] = scaled
        z[i] = gamma[j] * scaled + beta[j]


@cuda_jit
def gradient_cuda(dz, hat, variance, gamma, mean, projected, epsilon):
    """As gradient_cpu; dz and hat are flat (N M,)."""
    i = cuda.grid(1)
    if i < dz.size:
        j = i % variance.size
        dz[i] = input_gradient(dz[i], hat[i], gamma[j], scale_of(variance[j], epsilon), mean[j], projected[j])


# ---- entry points ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Norm:
    """Parameters and running statistics, shapes as in the module's text."""

    kind: str
    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    updates: Array
    epsilon: float = EPSILON

    @property
    def framewise(self) -> bool:
        """True for the kinds that normalise each frame, frame-8 and frame-9."""
        return self.kind.startswith("frame")


@dataclass(frozen=True)
class Cache:
    """What backward needs of forward: hat (G, N, 2, 4H), and in training the batch's variance (G, steps, 2, 4H)."""

    bilstm: lstm.Cache
    hat: Array
    variance: Array | None


def forward(x, lengths, Wx, Wh, norm, h0=None, c0=None, training=False):
    """Run a normalised Bi-LSTM layer over a batch. `training` uses the batch's statistics and updates the running ones.

    Returns y (B, T, 2H) and the cache for `backward`, which needs one of training. Raises ValueError where shapes,
    dtypes or lengths do not fit, an array is not C-contiguous, or the kind is unknown.
    """
    cache = lstm.new_cache(x, lengths, Wx, Wh, h0, c0)
    _expect(norm, Wh)
    device, dtype, (_, _, M), G = device_of(x), x.dtype, Wh.shape, len(norm.gamma)
    N = len(cache.frames)
    if not norm.framewise:
        lstm.expect_block_fits(x, Wh)
    lstm.add_input(x, cache, Wx, device.zeros((2, M), dtype))
    hat = device.empty((G, N, 2, M), dtype)
    counts = _counts(norm.kind, lengths, M)
    if training:
        shape = G, len(counts), 2, M
        mean, variance, last = device.empty(shape, dtype), device.empty(shape, dtype), len(counts) - 1
    else:
        mean, variance, last = norm.mean, norm.variance, last_step(norm.updates)
    if norm.framewise:
        batchnorm_frame.forward(cache, Wh, norm, training, mean, variance, last, hat)
    else:
        _normalise(cache.gates, norm, training, flat(mean), flat(variance), hat)
        lstm.time_loop(cache, Wh)
    if training:
        remember(mean, variance, counts, norm.mean, norm.variance, norm.updates)
    return cache.y, Cache(cache, hat, variance if training else None)


def backward(dy, cache, Wx, Wh, norm, dWx, dWh, dgamma, dbeta):
    """Gradients of `forward`; dWx, dWh, dgamma and dbeta are added to.

    Returns dx (B, T, D), zero past the ends, dh0 and dc0 (2, B, H). Errors as in `forward`, and ValueError after a
    forward without `training`.
    """
    if cache.variance is None:
        raise ValueError("batchnorm: backward needs the batch's statistics: call forward(..., training=True) first")
    lstm.expect_gradients(dy, cache.bilstm, Wx, Wh, dWx, dWh)
    _expect(norm, Wh)
    expect("dgamma", dgamma, norm.gamma.shape, dy.dtype)
    expect("dbeta", dbeta, norm.beta.shape, dy.dtype)
    if norm.framewise:
        da, dh0, dc0 = batchnorm_frame.backward(dy, cache.bilstm, Wh, norm, cache.variance, cache.hat, dgamma, dbeta)
        return lstm.add_gradients(da[0], da[-1], cache.bilstm, Wx, dWx, dWh), dh0, dc0
    dz, dh0, dc0 = lstm.time_loop_backward(dy, cache.bilstm, Wh)
    da = device_of(dz).empty(dz.shape, dz.dtype)
    device_of(dz).copy(dz, da)
    _gradient(da, norm, flat(cache.variance), cache.hat, flat(dgamma), flat(dbeta))
    return lstm.add_gradients(da, dz, cache.bilstm, Wx, dWx, dWh), dh0, dc0


def _counts(kind, lengths, M):
    """How many elements each step's statistics average, (steps,)."""
    if kind.startswith("frame"):
        return np.array(batchnorm_frame.running_counts(lengths))
    return np.array([lengths.sum() * (M if kind == "layer" else 1)])


def _normalise(z, norm, training, mean, variance, hat):
    """Turn z (N, 2, 4H) into BN(z) + β; in training, mean and variance (8H,) are written."""
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
    scaling = variance, flat(norm.gamma), flat(norm.beta), epsilon
    if on_cpu(z):
        scale_cpu(hat, *scaling, z)
    else:
        launch(scale_cuda, blocks(z.size, THREADS), THREADS, flat(hat), *scaling, flat(z))


def _gradient(dz, norm, variance, hat, dgamma, dbeta):
    """Turn dz (N, 2, 4H), the gradient of BN(a) + β, into that of a; dgamma and dbeta (8H,) are added to."""
    N, M, device, together = len(dz), dz[0].size, device_of(dz), norm.kind == "layer"
    dz, hat, gamma, epsilon = dz.reshape(N, M), hat.reshape(N, M), flat(norm.gamma), dz.dtype.type(norm.epsilon)
    sums, averages = device.zeros((2, M), dz.dtype), device.empty((2, M), dz.dtype)
    add_columns(dz, sums[0])
    _add_products(dz, hat, sums[1])
    add_columns(sums[:1], dbeta)
    add_columns(sums[1:], dgamma)
    for part in range(2):
        _average(sums[part], gamma, N, together, averages[part])
    statistics = variance, gamma, averages[0], averages[1], epsilon
    if on_cpu(dz):
        gradient_cpu(dz, hat, *statistics)
    else:
        launch(gradient_cuda, blocks(dz.size, THREADS), THREADS, flat(dz), flat(hat), *statistics)


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
    """Raise ValueError unless the norm fits these recurrent weights."""
    if norm.kind not in KINDS:
        raise ValueError(f"batchnorm: unknown kind {norm.kind!r}, expected one of {', '.join(KINDS)}")
    G, (_, _, M), S = KINDS[norm.kind], Wh.shape, norm.updates.size
    if S < 1 or (S > 1 and not norm.framewise):
        raise ValueError(f"batchnorm: {norm.kind} cannot hold the statistics of {S} steps")
    expect("gamma", norm.gamma, (G, 2, M), Wh.dtype)
    expect("beta", norm.beta, (2, M), Wh.dtype)
    for name, array in (("mean", norm.mean), ("variance", norm.variance)):
        expect(name, array, (G, S, 2, M), Wh.dtype)
    expect("updates", norm.updates, (S,), Wh.dtype)
