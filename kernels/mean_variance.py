"""Mean and variance of the pixels of some utterances, for the normalisation of spectrograms in eq. (5).

    mean     = 1/n Σ x[i]              over all n pixels of these utterances
    variance = 1/n Σ (x[i] - mean)²    in a second pass: Σ x² - n mean² would lose its digits for a large mean

values            (N, F)   all frames of a corpus, utterance after utterance; float32 or float64
starts, lengths   (U,)     first frame and number of frames of the chosen utterances, int64, NumPy's
mean, variance    ()       float64, in units of the values and their square

An utterance is added up in chunks of whole frames, about CHUNK elements (on a GPU in the values' dtype), and the sums
of the chunks in float64 in their order: the same bits for any number of threads. There is no backward: the statistics
are constants to the network.
"""

import numpy as np

from scratchser.kernels.machine.block_sum import block_sum
from scratchser.kernels.machine.chunks import cut_ranges
from scratchser.kernels.machine.compile import cuda, cuda_jit, pjit, prange
from scratchser.kernels.machine.device import device_of, launch, on_cpu

CHUNK = 4096
THREADS = 256  # of a block: a power of two, for block_sum

# ---- CPU: a core per chunk ------------------------------------------------------------------------------------------


@pjit
def sums_cpu(values, F, chunks, sums):
    """sums (P,) float64 of each chunk; values flat, chunks (P, 2) int32: first frame, and the frame after the last."""
    for p in prange(len(chunks)):
        total = 0.0
        for n in range(chunks[p, 0] * F, chunks[p, 1] * F):
            total += values[n]
        sums[p] = total


@pjit
def squares_cpu(values, F, chunks, mean, sums):
    """sums (P,) float64 of each chunk's squared deviations from the mean."""
    for p in prange(len(chunks)):
        total = 0.0
        for n in range(chunks[p, 0] * F, chunks[p, 1] * F):
            total += (values[n] - mean) * (values[n] - mean)
        sums[p] = total


# ---- CUDA: a block per chunk ----------------------------------------------------------------------------------------


@cuda_jit
def sums_cuda(values, F, chunks, sums):
    """As sums_cpu, but sums have the values' dtype."""
    part = cuda.shared.array(THREADS, values.dtype)
    i, p = cuda.threadIdx.x, cuda.blockIdx.x
    total = values.dtype.type(0)
    for n in range(chunks[p, 0] * F + i, chunks[p, 1] * F, THREADS):
        total += values[n]
    part[i] = total
    block_sum(part, i)
    if i == 0:
        sums[p] = part[0]


@cuda_jit
def squares_cuda(values, F, chunks, mean, sums):
    """As squares_cpu, but sums have the values' dtype."""
    part = cuda.shared.array(THREADS, values.dtype)
    i, p = cuda.threadIdx.x, cuda.blockIdx.x
    total = values.dtype.type(0)
    for n in range(chunks[p, 0] * F + i, chunks[p, 1] * F, THREADS):
        deviation = values[n] - mean
        total += deviation * deviation
    part[i] = total
    block_sum(part, i)
    if i == 0:
        sums[p] = part[0]


# ---- entry point ----------------------------------------------------------------------------------------------------


def mean_and_variance(values: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[float, float]:
    """Mean and variance of all pixels of these utterances.

    Raises ValueError if there are none, or if an utterance lies outside of values.
    """
    N, F = values.shape
    if (starts < 0).any() or (lengths < 0).any() or (starts + lengths > N).any():
        raise ValueError(f"an utterance lies outside the {N} frames of the corpus")
    n = int(lengths.sum()) * F
    if n == 0:
        raise ValueError("no utterances: their mean and variance are undefined")
    chunks = cut_ranges(starts, starts + lengths, max(1, CHUNK // F))[0].astype(np.int32)
    mean = float(_sums(values, chunks).sum()) / n
    return mean, float(_sums(values, chunks, mean).sum()) / n


def _sums(values: np.ndarray, chunks: np.ndarray, mean: float | None = None) -> np.ndarray:
    """The sum of each chunk, (P,) float64; with a mean, that of the squared deviations from it."""
    flat, F = values.reshape(values.size), values.shape[1]
    if on_cpu(flat):
        sums = np.empty(len(chunks))
        if mean is None:
            sums_cpu(flat, F, chunks, sums)
        else:
            squares_cpu(flat, F, chunks, mean, sums)
        return sums
    device = device_of(flat)
    on_device, parts = device.resident(chunks), device.empty(len(chunks), flat.dtype)
    if mean is None:
        launch(sums_cuda, len(chunks), THREADS, flat, F, on_device, parts)
    else:
        launch(squares_cuda, len(chunks), THREADS, flat, F, on_device, flat.dtype.type(mean), parts)
    return device.download(parts).astype(np.float64)
