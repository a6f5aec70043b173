"""A mel axis for log power spectra: the logarithm of the power that each triangular filter lets through.

    forward    Y[t, m]  = log Σ_k weights[k, m] exp(S[t, k])
                        = h + log Σ_k weights[k, m] exp(S[t, k] - h),   h = max S[t, k] over the bins k of filter m
    backward   dS[t, k] = Σ_m dY[t, m] weights[k, m] exp(S[t, k] - Y[t, m])
    triangles  mel(f) = 2595 log10(1 + f / 700)

S, dS     (T, F)   log power spectrogram and its gradient, frame t, frequency bin k, in nats
Y, dY     (T, M)   the same on the mel axis, filter m
weights   (F, M)   at least 0, and more than 0 somewhere in each column; NumPy's
f         ()       frequency in Hz; bin k is at k top_hz / (F - 1)
All of one dtype, float32 or float64.

mel(f) is the scale of HTK. The M + 2 edges lie at equal distances in mel from 50 Hz to top_hz. Filter m rises from edge
m to edge m + 1 and falls to edge m + 2. The weights of each filter sum to 1, so Y is the logarithm of a mean power. The
maximum is subtracted before exp, so that large powers do not overflow. Backward gathers: every dS[t, k] has one writer.
"""

import math

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, pjit, prange
from scratchser.kernels.machine.device import device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

THREADS = 64  # of a block: any number works
LOWEST_HZ = 50

# ---- CPU: the cores share the frames --------------------------------------------------------------------------------
#
# bins (M, 2) int32: the first bin k of filter m and the one after its last; filters (F, 2): the same of bin k's filters


@pjit
def forward_cpu(S, weights, bins, Y):
    """Y (T, M). bins (M, 2): the first bin of filter m, and the bin after its last one."""
    T, M = Y.shape
    for t in prange(T):
        for m in range(M):
            first, last = bins[m]
            highest = S[t, first]
            for k in range(first + 1, last):
                if weights[k, m] > 0:
                    highest = max(highest, S[t, k])
            total = S.dtype.type(0)
            for k in range(first, last):
                if weights[k, m] > 0:
                    total += weights[k, m] * math.exp(S[t, k] - highest)
            Y[t, m] = highest + math.log(total)


@pjit
def backward_cpu(dY, S, Y, weights, filters, dS):
    """dS (T, F). filters (F, 2): the first filter that bin k is in, and the filter after the last one."""
    T, F = S.shape
    for t in prange(T):
        for k in range(F):
            first, last = filters[k]
            total = S.dtype.type(0)
            for m in range(first, last):
                if weights[k, m] > 0:  # else exp could overflow: S may be any number of times Y
                    total += dY[t, m] * weights[k, m] * math.exp(S[t, k] - Y[t, m])
            dS[t, k] = total


# ---- CUDA: a block per frame, neighbouring threads for neighbouring filters or bins ---------------------------------


@cuda_jit
def forward_cuda(S, weights, bins, Y):
    """As forward_cpu, a block for each frame."""
    t = cuda.blockIdx.x
    for m in range(cuda.threadIdx.x, Y.shape[1], THREADS):
        highest = S[t, bins[m, 0]]
        for k in range(bins[m, 0] + 1, bins[m, 1]):
            if weights[k, m] > 0:
                highest = max(highest, S[t, k])
        total = S.dtype.type(0)
        for k in range(bins[m, 0], bins[m, 1]):
            if weights[k, m] > 0:
                total += weights[k, m] * math.exp(S[t, k] - highest)
        Y[t, m] = highest + math.log(total)


@cuda_jit
def backward_cuda(dY, S, Y, weights, filters, dS):
    """As backward_cpu, a block for each frame."""
    t = cuda.blockIdx.x
    for k in range(cuda.threadIdx.x, S.shape[1], THREADS):
        total = S.dtype.type(0)
        for m in range(filters[k, 0], filters[k, 1]):
            if weights[k, m] > 0:
                total += dY[t, m] * weights[k, m] * math.exp(S[t, k] - Y[t, m])
        dS[t, k] = total


# ---- entry points ---------------------------------------------------------------------------------------------------


def triangles(F: int, M: int, top_hz: float, dtype: type | np.dtype = np.float32) -> np.ndarray:
    """Weights (F, M) of M filters for F bins from 0 to top_hz. A filter that covers no bin takes the nearest one."""
    if F < 2 or M < 1 or not top_hz > LOWEST_HZ:
        raise ValueError(f"{M} filters of {F} bins to {top_hz} Hz: expected 1 filter, 2 bins, above {LOWEST_HZ} Hz")
    lowest, highest = (2595 * math.log10(1 + hz / 700) for hz in (LOWEST_HZ, top_hz))
    edges = 700 * (10 ** (np.linspace(lowest, highest, M + 2) / 2595) - 1) * (F - 1) / top_hz  # in bins
    edges[-1] = F - 1  # without the rounding error, which would give the last bin a weight
    weights = np.stack([np.interp(np.arange(F), edges[m : m + 3], [0, 1, 0]) for m in range(M)], axis=1)
    for m in np.flatnonzero(weights.sum(axis=0) == 0):
        weights[round(edges[m + 1]), m] = 1
    return (weights / weights.sum(axis=0)).astype(dtype)


def forward(S: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns Y (T, M) of S's dtype, on its device.

    Raises ValueError where shapes or dtypes differ, for a negative weight, and for a filter without a weight.
    """
    expect("weights", weights, weights.shape, S.dtype)
    expect("S", S, (len(S), len(weights)), S.dtype)
    if not (weights >= 0).all() or not weights.any(axis=0).all():
        raise ValueError("the weights must be at least 0, and each filter needs a positive one")
    device = device_of(S)
    Y, bins = device.empty((len(S), weights.shape[1]), S.dtype), _ranges(weights > 0)
    if on_cpu(S):
        forward_cpu(S, weights, bins, Y)
    else:
        launch(forward_cuda, len(S), THREADS, S, device.resident(weights), device.resident(bins), Y)
    return Y


def backward(dY: np.ndarray, S: np.ndarray, Y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns dS (T, F) on the device of S; Y is that of `forward`. Raises ValueError where shapes or dtypes differ."""
    T, (F, M) = len(S), weights.shape
    expect("weights", weights, (F, M), S.dtype)
    expect("S", S, (T, F), S.dtype)
    expect("Y", Y, (T, M), S.dtype)
    expect("dY", dY, (T, M), S.dtype)
    device = device_of(S)
    dS, filters = device.empty((T, F), S.dtype), _ranges(weights.T > 0)
    if on_cpu(S):
        backward_cpu(dY, S, Y, weights, filters, dS)
    else:
        launch(backward_cuda, T, THREADS, dY, S, Y, device.resident(weights), device.resident(filters), dS)
    return dS


def _ranges(positive: np.ndarray) -> np.ndarray:
    """Index of the first True of each column and the one after its last, (columns, 2) int32; equal if there is none."""
    first = positive.argmax(axis=0)
    last = np.where(positive.any(axis=0), len(positive) - positive[::-1].argmax(axis=0), first)
    return np.stack([first, last], axis=1).astype(np.int32)
