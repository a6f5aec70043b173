"""Normalisation of vectors over groups, such as the utterances of a speaker.

    mean[g, d]     = 1/n Σ x[b, d]                        over the n = count[g] rows b with groups[b] = g
    variance[g, d] = 1/n Σ (x[b, d] - mean[g, d])²        in a second pass: Σ x² - n mean² would lose its digits
    y[b, d]        = (x[b, d] - mean[g, d]) / √(variance[g, d] + EPSILON)
    backward   dx[b, d] = (dy[b, d] - 1/n Σ dy - y[b, d] 1/n Σ dy y) / √(variance[g, d] + EPSILON)   sums as in mean

x, dx, y, dy      (B, D)          one row per utterance
mean, variance    (G, D)          of each group within the batch, on the device of x
groups            (B,)   int64    group of each row: 0 ... G - 1, in any order; NumPy's
count             (G,)   int64    rows of each group; NumPy's

All arrays of one dtype but these two, float32 or float64, C-contiguous, without unit. The paper has no such layer. A
group of one row becomes 0. Each sum runs over the rows of its group in the order of the batch, so the bits do not
depend on the number of threads. In inference, `shrink` mixes the statistics of a small group with others, and `apply`
normalises by given statistics.
"""

import math
from typing import NamedTuple

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, pjit, prange
from scratchser.kernels.machine.device import Device, blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

EPSILON = 1e-3
THREADS = 128  # of a block: any number works


class Cache(NamedTuple):
    """What backward needs."""

    y: np.ndarray
    groups: np.ndarray
    variance: np.ndarray


# ---- CPU: a core per group, or per row ------------------------------------------------------------------------------
#
# rows (B,): the rows of group 0, those of group 1 ...; those of group g are rows[starts[g] : starts[g + 1]]
# epsilon is a scalar of the arrays' dtype: a constant in a kernel would be float64


@pjit
def statistics_cpu(x, rows, starts, mean, variance):
    """mean and variance (G, D). The rows of group g are rows[starts[g] ... starts[g + 1] - 1]."""
    for g in prange(len(mean)):
        own = rows[starts[g] : starts[g + 1]]
        n = x.dtype.type(max(len(own), 1))
        mean[g] = 0
        variance[g] = 0
        for b in own:
            for d in range(x.shape[1]):
                mean[g, d] += x[b, d]
        for d in range(x.shape[1]):
            mean[g, d] /= n
        for b in own:
            for d in range(x.shape[1]):
                variance[g, d] += (x[b, d] - mean[g, d]) * (x[b, d] - mean[g, d])
        for d in range(x.shape[1]):
            variance[g, d] /= n


@pjit
def apply_cpu(x, groups, mean, variance, epsilon, y):
    """y (B, D): each row normalised by the statistics of its group."""
    for b in prange(len(x)):
        g = groups[b]
        for d in range(x.shape[1]):
            y[b, d] = (x[b, d] - mean[g, d]) / math.sqrt(variance[g, d] + epsilon)


@pjit
def backward_cpu(dy, y, rows, starts, variance, epsilon, dx):
    """dx (B, D); rows and starts as in statistics_cpu."""
    for g in prange(len(variance)):
        own = rows[starts[g] : starts[g + 1]]
        n = y.dtype.type(max(len(own), 1))
        total, projected = np.zeros_like(variance[g]), np.zeros_like(variance[g])
        for b in own:
            for d in range(y.shape[1]):
                total[d] += dy[b, d]
                projected[d] += dy[b, d] * y[b, d]
        mean, projection = total / n, projected / n
        for b in own:
            for d in range(y.shape[1]):
                gradient = dy[b, d] - mean[d] - y[b, d] * projection[d]
                dx[b, d] = gradient / math.sqrt(variance[g, d] + epsilon)


# ---- CUDA: a thread per group and feature, or per element of y; neighbouring threads for neighbouring features ------


@cuda_jit
def statistics_cuda(x, rows, starts, mean, variance):
    """As statistics_cpu, a thread for each group and feature."""
    i, D = cuda.grid(1), x.shape[1]
    g, d = i // D, i % D
    if g < mean.shape[0]:
        n = x.dtype.type(max(starts[g + 1] - starts[g], 1))
        total, squares = x.dtype.type(0), x.dtype.type(0)
        for j in range(starts[g], starts[g + 1]):
            total += x[rows[j], d]
        average = total / n
        for j in range(starts[g], starts[g + 1]):
            deviation = x[rows[j], d] - average
            squares += deviation * deviation
        mean[g, d] = average
        variance[g, d] = squares / n


@cuda_jit
def apply_cuda(x, groups, mean, variance, epsilon, y):
    """As apply_cpu, a thread for each element."""
    i, D = cuda.grid(1), x.shape[1]
    b, d = i // D, i % D
    if b < x.shape[0]:
        g = groups[b]
        y[b, d] = (x[b, d] - mean[g, d]) / math.sqrt(variance[g, d] + epsilon)


@cuda_jit
def backward_cuda(dy, y, rows, starts, variance, epsilon, dx):
    """As backward_cpu, a thread for each group and feature."""
    i, D = cuda.grid(1), y.shape[1]
    g, d = i // D, i % D
    if g < variance.shape[0]:
        n = y.dtype.type(max(starts[g + 1] - starts[g], 1))
        total, projected = y.dtype.type(0), y.dtype.type(0)
        for j in range(starts[g], starts[g + 1]):
            total += dy[rows[j], d]
            projected += dy[rows[j], d] * y[rows[j], d]
        mean, projection = total / n, projected / n
        for j in range(starts[g], starts[g + 1]):
            gradient = dy[rows[j], d] - mean - y[rows[j], d] * projection
            dx[rows[j], d] = gradient / math.sqrt(variance[g, d] + epsilon)


# ---- entry points ---------------------------------------------------------------------------------------------------


def forward(x: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, Cache]:
    """Returns y (B, D) of x (B, D), and the cache for `backward`; errors as in `statistics`."""
    _, mean, variance = statistics(x, groups)
    y = apply(x, groups, mean, variance)
    return y, Cache(y, groups, variance)


def backward(dy: np.ndarray, cache: Cache) -> np.ndarray:
    """dx (B, D) for dy (B, D), through the statistics. Raises ValueError where dy does not fit."""
    y, groups, variance = cache
    expect("dy", dy, y.shape, y.dtype)
    device, epsilon = device_of(y), y.dtype.type(EPSILON)
    rows, starts = _sorted(groups, device)
    dx = device.empty(y.shape, y.dtype)
    if on_cpu(y):
        backward_cpu(dy, y, rows, starts, variance, epsilon, dx)
    else:
        launch(backward_cuda, blocks(variance.size, THREADS), THREADS, dy, y, rows, starts, variance, epsilon, dx)
    return dx


def statistics(x: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns count (G,), mean and variance (G, D), with G = groups.max() + 1; 0 for a group without rows.

    Raises ValueError for a negative group and where shapes or dtypes do not fit.
    """
    B, D = x.shape
    expect("x", x, (B, D), x.dtype)
    expect("groups", groups, (B,), np.dtype(np.int64))
    if B and groups.min() < 0:
        raise ValueError(f"group_norm: groups must be 0 or larger, got {groups.min()}")
    count, device = np.bincount(groups), device_of(x)
    rows, starts = _sorted(groups, device)
    mean, variance = device.empty((len(count), D), x.dtype), device.empty((len(count), D), x.dtype)
    if on_cpu(x):
        statistics_cpu(x, rows, starts, mean, variance)
    else:
        launch(statistics_cuda, blocks(mean.size, THREADS), THREADS, x, rows, starts, mean, variance)
    return count, mean, variance


def shrink(
    count: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    prior: float,
    its_mean: np.ndarray,
    its_variance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and variance (G, D) of the mixture of each group with a prior.

    The group counts n / (n + prior) and the prior the rest. The distance of their means adds to the variance.

    count                    (G,) int64, rows n of each group
    mean, variance           (G, D) float64 of the groups, NumPy's
    prior                    number of rows that the prior counts as
    its_mean, its_variance   (D,) float64 of the prior, NumPy's
    """
    own = (count / (count + prior))[:, None]
    mixed = own * mean + (1 - own) * its_mean
    return mixed, own * (variance + (mean - mixed) ** 2) + (1 - own) * (its_variance + (its_mean - mixed) ** 2)


def apply(x: np.ndarray, groups: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """y (B, D) of x (B, D) by these statistics (G, D). Raises ValueError where shapes, dtypes or groups do not fit."""
    (B, D), G = x.shape, len(mean)
    expect("x", x, (B, D), x.dtype)
    expect("groups", groups, (B,), np.dtype(np.int64))
    expect("mean", mean, (G, D), x.dtype)
    expect("variance", variance, (G, D), x.dtype)
    if B and not 0 <= groups.min() <= groups.max() < G:
        raise ValueError(f"group_norm: groups must lie in 0 ... {G - 1}, got {groups.min()} ... {groups.max()}")
    device, epsilon = device_of(x), x.dtype.type(EPSILON)
    y = device.empty(x.shape, x.dtype)
    if on_cpu(x):
        apply_cpu(x, groups, mean, variance, epsilon, y)
    else:
        on_device = device.resident(groups.astype(np.int32))
        launch(apply_cuda, blocks(y.size, THREADS), THREADS, x, on_device, mean, variance, epsilon, y)
    return y


def _sorted(groups: np.ndarray, device: Device) -> tuple[np.ndarray, np.ndarray]:
    """rows (B,) and starts (G + 1,) on the device, int32, see above."""
    starts = np.cumsum(np.bincount(groups + 1), dtype=np.int32)  # no row has group + 1 = 0
    return device.resident(np.argsort(groups, kind="stable").astype(np.int32)), device.resident(starts)
