"""Vocal tract length perturbation: a warp of the frequency axis, eq. (4), and the batch that is warped by it.

    G(f) = α f                                             f ≤ f0,   f0 = 0.9 fmax
    G(f) = (fmax - α f0) / (fmax - f0) (f - f0) + α f0     f > f0

    forward    Y[t, k]    = (1 - w) S[t, i] + w S[t, i + 1],   i + w = G⁻¹(k),  0 ≤ i ≤ F - 2
    backward   dS[t, i]   = Σ_k (weight of S[t, i] in Y[t, k]) dY[t, k]
    batch      X[b, t, k] = (Y[t, k] of utterance b under its own α - mean) scale,   eq. (5);   0 past its end

S, Y, dS, dY   (T, F)      log spectrogram before and after, frame t, frequency bin k: S at f moves to G(f) in Y
f, f0, fmax    ()          in bins, fmax = F - 1, so no sampling rate is needed
α              ()          warp factor, no unit, 0 < α < 1 / 0.9; the paper's are in (0.9, 1.1)
values         (N, F)      all frames of a corpus, utterance after utterance; starts, lengths, alphas (B,)
mean, scale    ()          of eq. (5): scale = 1 / sqrt(σ² + ε)
X              (B, T, F)   a padded batch

All of one dtype, float32 or float64. G maps [0, fmax] onto itself and rises everywhere, so Y reads S at G⁻¹(k). With
(fmax - α f0) / (fmax - f0) = 10 - 9α, and seen from fmax, that is

    G⁻¹(k) = k / α                            k ≤ α f0
    G⁻¹(k) = fmax - (fmax - k) / (10 - 9α)    k > α f0

which ends at fmax exactly in floating point too, and for α = 1 changes no bit. Backward gathers as well: the bins k
whose lower neighbour is i lie side by side, so every dS[t, i] has one writer and one order of summation.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

THREADS = 128  # of a block: any number works

# ---- maths, shared by both devices ----------------------------------------------------------------------------------


@jit
def source(k, alpha, F):
    """G⁻¹(k), the frequency that moves to bin k: its lower neighbour, and the upper one's weight in α's dtype."""
    real = type(alpha)
    bin, fmax = real(k), real(F - 1)
    f = bin / alpha if bin <= alpha * real(0.9) * fmax else fmax - (fmax - bin) / (real(10) - real(9) * alpha)
    lower = min(int(f), F - 2)
    return lower, f - real(lower)


@jit
def target(f, alpha, F):
    """G(f), to which the warp moves the frequency f, in α's dtype."""
    real = type(alpha)
    f, fmax = real(f), real(F - 1)
    return alpha * f if f <= real(0.9) * fmax else fmax - (real(10) - real(9) * alpha) * (fmax - f)


@jit
def between(w, lower, upper):
    """(1 - w) lower + w upper."""
    return (type(w)(1) - w) * lower + w * upper


# ---- CPU: the cores share the frames; G⁻¹ is tabulated once per utterance -------------------------------------------


@jit
def tabulate(alpha, lower, weight):
    """Fill both (F,) arrays with `source` of every bin, which is the same for all frames of an utterance."""
    for k in range(lower.size):
        lower[k], weight[k] = source(k, alpha, lower.size)


@jit
def warp_frame(s, lower, weight, mean, scale, y):
    """One frame y (F,) of s (F,), normalised."""
    for k in range(y.size):
        i, w = lower[k], weight[k]
        y[k] = (between(w, s[i], s[i + 1]) - mean) * scale


@pjit
def forward_cpu(S, alpha, Y):
    """Y (T, F) is written."""
    T, F = S.shape
    lower, weight = np.empty(F, np.int64), np.empty(F, S.dtype)
    tabulate(alpha, lower, weight)
    for t in prange(T):
        warp_frame(S[t], lower, weight, type(alpha)(0), type(alpha)(1), Y[t])


@pjit
def backward_cpu(dY, alpha, dS):
    """dS (T, F) is written."""
    T, F = dY.shape
    lower, weight = np.empty(F, np.int64), np.empty(F, dY.dtype)
    tabulate(alpha, lower, weight)
    first = np.searchsorted(lower, np.arange(F + 1))  # bins first[i] ... first[i + 1] - 1 have the lower neighbour i
    for t in prange(T):
        for i in range(F):
            total = type(alpha)(0)
            for k in range(first[max(i - 1, 0)], first[i]):
                total += weight[k] * dY[t, k]
            for k in range(first[i], first[i + 1]):
                total += (type(alpha)(1) - weight[k]) * dY[t, k]
            dS[t, i] = total


@pjit
def batch_cpu(values, starts, lengths, alphas, mean, scale, X):
    """X (B, T, F) is written, 0 past the end of an utterance."""
    B, T, F = X.shape
    lower, weight = np.empty((B, F), np.int64), np.empty((B, F), values.dtype)
    for b in range(B):
        tabulate(alphas[b], lower[b], weight[b])
    for row in prange(B * T):
        b, t = row // T, row % T
        if t < lengths[b]:
            warp_frame(values[starts[b] + t], lower[b], weight[b], mean, scale, X[b, t])
        else:
            X[b, t] = 0


# ---- CUDA: a block per frame, neighbouring threads for neighbouring bins --------------------------------------------
#
# A thread computes G⁻¹ for its pixel: a division or two take no longer than the access to memory. A table in shared
# memory would cost a barrier and serve one frame only.


@cuda_device
def warped(s, k, alpha):
    """Bin k of the frame s (F,) after the warp."""
    i, w = source(k, alpha, s.size)
    return between(w, s[i], s[i + 1])


@cuda_device
def unwarped(dy, i, alpha):
    """Gradient of bin i before the warp, from the gradient dy (F,) of the frame after it.

    The loop visits the bins k with the lower neighbour i - 1 or i, from ⌊G(i - 1)⌋ to the first bin past them. The
    first one is ⌈G(i - 1)⌉ up to the rounding of G and G⁻¹, far less than a bin, so none is missed. There are few: a
    bin becomes α or 10 - 9α bins, at most 1.9 for the paper's α.
    """
    F, one = dy.size, type(alpha)(1)
    total = type(alpha)(0)
    k = int(target(max(i - 1, 0), alpha, F))
    lower, w = source(k, alpha, F)
    while k < F and lower <= i:
        if lower == i - 1:
            total += w * dy[k]
        elif lower == i:
            total += (one - w) * dy[k]
        k += 1
        lower, w = source(k, alpha, F)
    return total


@cuda_jit
def forward_cuda(S, alpha, Y):
    """As forward_cpu, a block for each frame."""
    t = cuda.blockIdx.x
    for k in range(cuda.threadIdx.x, Y.shape[1], cuda.blockDim.x):
        Y[t, k] = warped(S[t], k, alpha)


@cuda_jit
def backward_cuda(dY, alpha, dS):
    """As backward_cpu, a block for each frame."""
    t = cuda.blockIdx.x
    for i in range(cuda.threadIdx.x, dS.shape[1], cuda.blockDim.x):
        dS[t, i] = unwarped(dY[t], i, alpha)


@cuda_jit
def batch_cuda(values, starts, lengths, alphas, mean, scale, X):
    """Gather, warp, normalise and pad in one launch."""
    t, b = cuda.blockIdx.x, cuda.blockIdx.y
    if t < lengths[b]:
        s, alpha = values[starts[b] + t], alphas[b]
        for k in range(cuda.threadIdx.x, X.shape[2], cuda.blockDim.x):
            X[b, t, k] = (warped(s, k, alpha) - mean) * scale
    else:
        for k in range(cuda.threadIdx.x, X.shape[2], cuda.blockDim.x):
            X[b, t, k] = 0


# ---- entry points ---------------------------------------------------------------------------------------------------


def _check(S: np.ndarray, alphas: np.ndarray) -> None:
    if S.ndim != 2 or S.shape[1] < 2 or S.dtype not in (np.float32, np.float64):
        raise ValueError(f"spectrogram is {S.dtype} {S.shape}, expected float32 or float64 (T, F) with F of at least 2")
    rounded = alphas.astype(S.dtype)  # as passed to the kernels
    if not ((rounded > 0) & (rounded < S.dtype.type(1 / 0.9))).all():
        raise ValueError(f"warp factors {alphas}: the warp is a bijection for 0 < alpha < 1 / 0.9 only")


def forward(S: np.ndarray, alpha: float) -> np.ndarray:
    """The warped spectrogram (T, F) of S (T, F), of its dtype and on its device.

    Raises ValueError unless 0 < alpha < 1 / 0.9, rounded to S's dtype, and S is a float32 or float64 matrix of at least
    two bins.
    """
    _check(S, np.array([alpha]))
    Y, alpha = device_of(S).empty(S.shape, S.dtype), S.dtype.type(alpha)
    if on_cpu(S):
        forward_cpu(S, alpha, Y)
    elif len(S):
        launch(forward_cuda, len(S), THREADS, S, alpha, Y)
    return Y


def backward(dY: np.ndarray, alpha: float) -> np.ndarray:
    """The gradient dS (T, F) for dY (T, F); dtype, device and errors as in `forward`."""
    _check(dY, np.array([alpha]))
    dS, alpha = device_of(dY).empty(dY.shape, dY.dtype), dY.dtype.type(alpha)
    if on_cpu(dY):
        backward_cpu(dY, alpha, dS)
    elif len(dY):
        launch(backward_cuda, len(dY), THREADS, dY, alpha, dS)
    return dS


def batch(
    values: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    alphas: np.ndarray,
    mean: float,
    scale: float,
    T: int,
) -> np.ndarray:
    """Gather utterances from the corpus, warp each by its own factor, normalise them and pad them with zeros.

    values            (N, F) all frames of the corpus
    starts, lengths   (B,) int64, first frame and number of frames of each utterance; NumPy's
    alphas            (B,) warp factors; NumPy's
    mean, scale       of eq. (5)

    Returns the batch (B, T, F) on the device of values. Raises ValueError for warp factors as `forward` does, and where
    an utterance does not fit into values or T.
    """
    _check(values, alphas)
    B, (N, F) = len(starts), values.shape
    expect("starts", starts, (B,), np.dtype(np.int64))
    expect("lengths", lengths, (B,), np.dtype(np.int64))
    expect("alphas", alphas, (B,), alphas.dtype)
    if (starts < 0).any() or (lengths < 0).any() or (starts + lengths > N).any() or (lengths > T).any():
        raise ValueError(f"an utterance lies outside the {N} frames of the corpus or the {T} frames of the batch")
    device, real = device_of(values), values.dtype.type
    X = device.empty((B, T, F), values.dtype)
    alphas, mean, scale = alphas.astype(values.dtype), real(mean), real(scale)
    if on_cpu(values):
        batch_cpu(values, starts, lengths, alphas, mean, scale, X)
    elif B and T:
        utterances = [device.resident(array) for array in (starts.astype(np.int32), lengths.astype(np.int32), alphas)]
        launch(batch_cuda, (T, B), THREADS, values, *utterances, mean, scale, X)
    return X
