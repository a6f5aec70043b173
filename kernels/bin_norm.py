"""Normalisation of each frequency bin over groups of utterances, such as all recordings of a speaker.

    mean[g, f]     = 1/n Σ x[t, f]                  over the n frames t of group g's utterances
    variance[g, f] = 1/n Σ (x[t, f] - mean[g, f])²  in a second pass: Σ x² - n mean² would lose its digits
    y[t, f]        = (x[t, f] - mean[g, f]) scale[g, f]

x, y                      (N, F)   all frames of a corpus, utterance after utterance; float32 or float64
starts, lengths, groups   (U,)     first frame, number of frames and group of each utterance; int64, NumPy's
mean, variance, scale     (G, F)   float64, NumPy's, in units of x, their square, and its inverse

The paper normalises all pixels alike (eq. (5), mean_variance.py). An utterance is added up in chunks of whole frames,
and the sums of the chunks in float64 in their order: the same bits for any number of threads. It has no backward pass,
since x is data and the statistics are constants to the network.
"""

import numpy as np

from scratchser.kernels.machine.chunks import cut_ranges
from scratchser.kernels.machine.compile import cuda, cuda_jit, pjit, prange
from scratchser.kernels.machine.device import device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

CHUNK = 64  # frames
THREADS = 128  # of a block: any number works

# ---- CPU: a core per chunk ------------------------------------------------------------------------------------------
#
# chunks (P, 3) int32: first frame, the frame after the last, group


@pjit
def sums_cpu(x, chunks, sums):
    """sums (P, F) float64 of each chunk's frames."""
    for p in prange(len(chunks)):
        sums[p] = 0
        for t in range(chunks[p, 0], chunks[p, 1]):
            for f in range(x.shape[1]):
                sums[p, f] += x[t, f]


@pjit
def squares_cpu(x, chunks, mean, sums):
    """sums (P, F) float64 of each chunk's squared deviations from the mean (G, F) of its group."""
    for p in prange(len(chunks)):
        g = chunks[p, 2]
        sums[p] = 0
        for t in range(chunks[p, 0], chunks[p, 1]):
            for f in range(x.shape[1]):
                deviation = x[t, f] - mean[g, f]
                sums[p, f] += deviation * deviation


@pjit
def normalise_cpu(x, chunks, mean, scale, y):
    """y (N, F) of each chunk's frames, by the mean and scale (G, F) of its group."""
    for p in prange(len(chunks)):
        g = chunks[p, 2]
        for t in range(chunks[p, 0], chunks[p, 1]):
            for f in range(x.shape[1]):
                y[t, f] = (x[t, f] - mean[g, f]) * scale[g, f]


# ---- CUDA: a block per chunk, neighbouring threads for neighbouring bins --------------------------------------------


@cuda_jit
def sums_cuda(x, chunks, sums):
    """As sums_cpu, but sums have x's dtype."""
    p = cuda.blockIdx.x
    for f in range(cuda.threadIdx.x, x.shape[1], THREADS):
        total = x.dtype.type(0)
        for t in range(chunks[p, 0], chunks[p, 1]):
            total += x[t, f]
        sums[p, f] = total


@cuda_jit
def squares_cuda(x, chunks, mean, sums):
    """As squares_cpu, but sums have x's dtype."""
    p = cuda.blockIdx.x
    g = chunks[p, 2]
    for f in range(cuda.threadIdx.x, x.shape[1], THREADS):
        total = x.dtype.type(0)
        for t in range(chunks[p, 0], chunks[p, 1]):
            deviation = x[t, f] - mean[g, f]
            total += deviation * deviation
        sums[p, f] = total


@cuda_jit
def normalise_cuda(x, chunks, mean, scale, y):
    """As normalise_cpu."""
    p = cuda.blockIdx.x
    g = chunks[p, 2]
    for f in range(cuda.threadIdx.x, x.shape[1], THREADS):
        for t in range(chunks[p, 0], chunks[p, 1]):
            y[t, f] = (x[t, f] - mean[g, f]) * scale[g, f]


# ---- entry points ---------------------------------------------------------------------------------------------------


def mean_and_variance(
    x: np.ndarray, starts: np.ndarray, lengths: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns frames (G,) int64, mean and variance (G, F), with G = groups.max() + 1; 0 for a group without frames.

    Raises ValueError for other dtypes than above, without utterances, and if one lies outside of x.
    """
    chunks = _chunks(x, starts, lengths, groups)
    frames = np.bincount(groups, lengths).astype(np.int64)
    n = np.maximum(frames, 1)[:, None]
    mean = _add_up(x, chunks, len(frames)) / n
    return frames, mean, _add_up(x, chunks, len(frames), mean) / n


def normalise(
    x: np.ndarray, starts: np.ndarray, lengths: np.ndarray, groups: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Returns y (N, F) of x's dtype, on its device; frames of no utterance are 0. Errors as in mean_and_variance."""
    chunks = _chunks(x, starts, lengths, groups)
    expect("mean", mean, (int(groups.max()) + 1, x.shape[1]), mean.dtype)
    expect("scale", scale, mean.shape, mean.dtype)
    device = device_of(x)
    y, mean, scale = device.zeros(x.shape, x.dtype), mean.astype(x.dtype), scale.astype(x.dtype)
    if on_cpu(x):
        normalise_cpu(x, chunks, mean, scale, y)
    else:
        launch(normalise_cuda, len(chunks), THREADS, x, *map(device.upload, (chunks, mean, scale)), y)
    return y


def _chunks(x: np.ndarray, starts: np.ndarray, lengths: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The frames of all utterances as chunks (P, 3), see above."""
    expect("x", x, x.shape, np.dtype(np.float64 if x.dtype == np.float64 else np.float32))
    for name, array in (("starts", starts), ("lengths", lengths), ("groups", groups)):
        expect(name, array, starts.shape, np.dtype(np.int64))
    if len(starts) == 0 or lengths.sum() == 0:
        raise ValueError("no frames: their mean and variance are undefined")
    if (starts < 0).any() or (lengths < 0).any() or (starts + lengths > len(x)).any() or (groups < 0).any():
        raise ValueError(f"an utterance lies outside the {len(x)} frames of the corpus, or its group is negative")
    ranges, utterances = cut_ranges(starts, starts + lengths, CHUNK)
    return np.column_stack([ranges, groups[utterances]]).astype(np.int32)


def _add_up(x: np.ndarray, chunks: np.ndarray, groups: int, mean: np.ndarray | None = None) -> np.ndarray:
    """The sum over each group's frames, (G, F) float64; with a mean, that of the squared deviations from it."""
    device, shape = device_of(x), (len(chunks), x.shape[1])
    if on_cpu(x):
        sums = np.empty(shape)
        if mean is None:
            sums_cpu(x, chunks, sums)
        else:
            squares_cpu(x, chunks, mean, sums)
    else:
        on_device, parts = device.upload(chunks), device.empty(shape, x.dtype)
        if mean is None:
            launch(sums_cuda, len(chunks), THREADS, x, on_device, parts)
        else:
            launch(squares_cuda, len(chunks), THREADS, x, on_device, device.upload(mean.astype(x.dtype)), parts)
        sums = device.download(parts).astype(np.float64)
    total = np.zeros((groups, x.shape[1]))
    np.add.at(total, chunks[:, 2], sums)
    return total
