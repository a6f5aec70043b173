"""From the recording to the batch: spectrogram, mean and variance, VTLP."""

import math

import numpy as np

from scratchser.bench.cuda.costs.launches import Cost, Issued, Needed, costs_of
from scratchser.kernels import mean_variance, stft, vtlp


@costs_of(stft.forward_cuda)
def spectrogram(x, w, hop, Y) -> Cost:
    """Everything between the samples and the logarithms stays in shared memory."""
    (T, bins), N = Y.shape, w.size
    samples = (T - 1) * min(hop, N) + N  # within a frame
    transform = N + 5 * N * int(math.log2(N)) // 2  # the window, and the usual count of a real Fourier transform
    radix4, radix2 = divmod(int(math.log2(N)) - 1, 2)  # passes of each kind
    roots = radix4 * N // 8 * 3
    needed = Needed(samples * x.itemsize + w.nbytes + Y.nbytes, T * (transform + 5 * bins))  # power 3, floor, log
    return needed, Issued(
        global_reads=T * (2 * N + 2 * roots + 2 * bins),
        global_writes=T * bins,
        shared_reads=T * ((radix4 + radix2) * N + 4 * bins),
        shared_writes=T * (1 + radix4 + radix2) * N,
    )


def chunk_sums(launch, chunks, sums, width, operations) -> Cost:
    """One sum for each chunk, by a block each.

    width   elements of a unit of `chunks`;  operations   for each element
    """
    elements, P, threads = int(np.diff(chunks).sum()) * width, len(chunks), launch.threads
    needed = Needed(elements * sums.itemsize + chunks.nbytes + sums.nbytes, operations * elements)
    return needed, Issued(
        global_reads=P * threads * 2 + elements,  # each thread reads where its chunk begins and ends
        global_writes=P,
        shared_reads=P * (2 * (threads - 1) + 1),
        shared_writes=P * (threads + threads - 1),
    )


@costs_of(mean_variance.sums_cuda)
def sums(launch, F, chunks, sums) -> Cost:
    return chunk_sums(launch, chunks, sums, width=F, operations=1)


@costs_of(mean_variance.squares_cuda)
def squares(launch, F, chunks, sums) -> Cost:
    return chunk_sums(launch, chunks, sums, width=F, operations=3)


@costs_of(vtlp.forward_cuda)
def warp(Y) -> Cost:
    """An element from two neighbours: 1 - w, two products and their sum. G⁻¹ may come from a table."""
    return Needed(2 * Y.nbytes, 4 * Y.size), Issued(2 * Y.size, Y.size)


@costs_of(vtlp.backward_cuda)
def warp_backward(dY, dS) -> Cost:
    """Each element of dY goes to two neighbours: 1 - w, two products, two sums."""
    return Needed(2 * dS.nbytes, 5 * dS.size), Issued(2 * dY.size, dS.size)


@costs_of(vtlp.batch_cuda)
def batch(launch, X, starts, lengths, alphas) -> Cost:
    frames, bins = int(lengths.sum()), X.shape[2]
    per_utterance = starts.nbytes + lengths.nbytes + alphas.nbytes
    # every thread reads a length; those of real frames also a start and a factor, and two neighbours of each bin
    reads = launch.all_threads + frames * (2 * launch.threads + 2 * bins)
    needed = Needed(frames * bins * X.itemsize + X.nbytes + per_utterance, 6 * frames * bins)
    return needed, Issued(reads, X.size)
