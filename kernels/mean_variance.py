"""Mean and variance of the pixels of some utterances: what eq. (5) normalises a spectrogram by.

    mean     = 1/n Σ x[i]              over all n pixels of these utterances
    variance = 1/n Σ (x[i] - mean)²    in a second pass: Σ x² - n mean² would lose its digits where the mean is large

values            (N, F)   all frames of a corpus, utterance after utterance; float32 or float64
starts, lengths   (U,)     first frame and number of frames of the utterances that count, int64, NumPy's
mean, variance    ()       float64

An utterance is added up in pieces of some whole frames, about PIECE numbers, on a GPU in the values' dtype and a block
each, and the pieces' sums in float64 in their order: the same bits for any number of threads. Nothing to differentiate:
the statistics are constants to the network.
"""

import numpy as np

from scratchser.kernels.machine.block_sum import fold
from scratchser.kernels.machine.chunks import cut_runs
from scratchser.kernels.machine.compile import cuda, cuda_jit, pjit, prange
from scratchser.kernels.machine.device import device_of, launch, on_cpu

PIECE = 4096
THREADS = 256  # of a block: a power of two, for _fold.py

# ---- CPU: a core per piece ------------------------------------------------------------------------------------------


@pjit
def sums_cpu(values, F, pieces, sums):
    """values flat; pieces (P, 2) int32: frames that each begins and ends with; sums (P,) float64: of its numbers."""
    for p in prange(len(pieces)):
        total = 0.0
        for n in range(pieces[p, 0] * F, pieces[p, 1] * F):
            total += values[n]
        sums[p] = total


@pjit
def squares_cpu(values, F, pieces, mean, sums):
    """sums (P,) float64: of the squared deviations from the mean."""
    for p in prange(len(pieces)):
        total = 0.0
        for n in range(pieces[p, 0] * F, pieces[p, 1] * F):
            total += (values[n] - mean) * (values[n] - mean)
        sums[p] = total


# ---- CUDA: a block per piece ----------------------------------------------------------------------------------------


@cuda_jit
def sums_cuda(values, F, pieces, sums):
    """As sums_cpu, with sums of the values' dtype."""
    part = cuda.shared.array(THREADS, values.dtype)
    i, p = cuda.threadIdx.x, cuda.blockIdx.x
    total = values.dtype.type(0)
    for n in range(pieces[p, 0] * F + i, pieces[p, 1] * F, THREADS):
        total += values[n]
    part[i] = total
    fold(part, i)
    if i == 0:
        sums[p] = part[0]


@cuda_jit
def squares_cuda(values, F, pieces, mean, sums):
    part = cuda.shared.array(THREADS, values.dtype)
    i, p = cuda.threadIdx.x, cuda.blockIdx.x
    total = values.dtype.type(0)
    for n in range(pieces[p, 0] * F + i, pieces[p, 1] * F, THREADS):
        deviation = values[n] - mean
        total += deviation * deviation
    part[i] = total
    fold(part, i)
    if i == 0:
        sums[p] = part[0]


# ---- entry point ----------------------------------------------------------------------------------------------------


def moments(values: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[float, float]:
    """Mean and variance of all pixels of these utterances.

    Raises ValueError where there are none, and where one lies outside values.
    """
    N, F = values.shape
    if (starts < 0).any() or (lengths < 0).any() or (starts + lengths > N).any():
        raise ValueError(f"an utterance lies outside the {N} frames of the corpus")
    n = int(lengths.sum()) * F
    if n == 0:
        raise ValueError("no utterance to take the mean and the variance of")
    pieces = cut_runs(starts, starts + lengths, max(1, PIECE // F))[0].astype(np.int32)
    mean = float(_sums(values, pieces).sum()) / n
    return mean, float(_sums(values, pieces, mean).sum()) / n


def _sums(values: np.ndarray, pieces: np.ndarray, mean: float | None = None) -> np.ndarray:
    """Of each piece (P,) float64: its numbers or, given their mean, the squared deviations from it."""
    flat, F = values.reshape(values.size), values.shape[1]
    if on_cpu(flat):
        sums = np.empty(len(pieces))
        if mean is None:
            sums_cpu(flat, F, pieces, sums)
        else:
            squares_cpu(flat, F, pieces, mean, sums)
        return sums
    device = device_of(flat)
    there, parts = device.resident(pieces), device.empty(len(pieces), flat.dtype)
    if mean is None:
        launch(sums_cuda, len(pieces), THREADS, flat, F, there, parts)
    else:
        launch(squares_cuda, len(pieces), THREADS, flat, F, there, flat.dtype.type(mean), parts)
    return device.download(parts).astype(np.float64)
