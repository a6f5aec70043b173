"""Batch normalisation inside the Bi-LSTM, layer-wise and frame-wise."""

import numpy as np

from scratchser.bench.cuda.costs.launches import Cost, Issued, Needed, costs_of
from scratchser.bench.cuda.costs.lstm import CELL, CELL_GRADIENT
from scratchser.kernels import batchnorm, batchnorm_frame
from scratchser.kernels.parts import statistics

# ---- layer-wise: over all frames of the batch -----------------------------------------------------------------------


@costs_of(batchnorm.add_products_cuda)
def add_products(launch, a, b, sums) -> Cost:
    M = sums.size
    needed = Needed(a.nbytes + (0 if a is b else b.nbytes) + 2 * sums.nbytes, 2 * a.size)
    return needed, Issued(2 * a.size + M, M, (batchnorm.PARTS - 1) * M, launch.all_threads)


@costs_of(batchnorm.average_cuda)
def average(launch, sums, together) -> Cost:
    """`together` adds the sums of a direction in one block."""
    M, threads, blocks = sums.size, launch.threads, 2 * together
    needed = Needed(3 * sums.nbytes, (3 if together else 2) * M)
    return needed, Issued(2 * M, (1 + together) * M, blocks * (3 * threads - 2), blocks * (2 * threads - 1))


@costs_of(batchnorm.centre_cuda)
def centre(mean, hat) -> Cost:
    return Needed((2 * hat.size + mean.size) * hat.itemsize, hat.size), Issued(2 * hat.size, hat.size)


@costs_of(batchnorm.scale_cuda)
def scale(hat, variance) -> Cost:
    return Needed((3 * hat.size + 3 * variance.size) * hat.itemsize, 3 * hat.size), Issued(4 * hat.size, 2 * hat.size)


@costs_of(batchnorm.gradient_cuda)
def gradient(hat, mean) -> Cost:
    return Needed((3 * hat.size + 4 * mean.size) * hat.itemsize, 5 * hat.size), Issued(6 * hat.size, hat.size)


@costs_of(statistics.remember_cuda)
def remember(launch, counts, mean) -> Cost:
    """Running statistics, of steps in which two or more utterances run."""
    G, _, directions, M = mean.shape
    steps, elements = int(np.count_nonzero(counts >= 2)), G * directions * M
    needed = Needed((6 * elements + 2) * steps * mean.itemsize + counts.nbytes, 8 * steps * elements)
    return needed, Issued(2 * launch.all_threads + 4 * steps * elements, steps * (2 * elements + 1))


# ---- frame-wise: one step, in which R utterances run ----------------------------------------------------------------


@costs_of(batchnorm_frame.rank_cuda)
def rank(states, sequences) -> Cost:
    return Needed(2 * states.nbytes + states.shape[1] * sequences.itemsize, 0), Issued(2 * states.size, states.size)


@costs_of(batchnorm_frame.normalise_cuda)
def normalise(sequences, R, training, normed) -> Cost:
    G, columns = len(normed), 2 * normed.shape[3]
    elements = R * (3 + G) + 3 * G + 1
    summed = 2 + (2 if G == 1 else 1)  # reads: the place of the row, and what is normalised
    reads = 1 + G * ((3 if training else 1) * R * summed + 1 + (0 if training else 2)) + (G - 1) * R
    needed = Needed(elements * columns * normed.itemsize + sequences[:R, 1:].nbytes, 9 * G * R * columns)
    return needed, Issued(columns * reads, columns * G * (2 * R + (2 if training else 0)))


@costs_of(batchnorm_frame.cell_cuda)
def cell(sequences, R, h) -> Cost:
    units = 2 * R * h.shape[2]
    return Needed(12 * units * h.itemsize + sequences[:R].nbytes, CELL * units), Issued(8 * units, 7 * units)


@costs_of(batchnorm_frame.cell_gradient_cuda)
def cell_gradient(sequences, R, dh) -> Cost:
    units = 2 * R * dh.shape[2]
    return Needed(14 * units * dh.itemsize + sequences[:R].nbytes, CELL_GRADIENT * units), Issued(12 * units, 5 * units)


@costs_of(batchnorm_frame.normalise_gradient_cuda)
def normalise_gradient(sequences, R, normed) -> Cost:
    G, columns = len(normed), 2 * normed.shape[3]
    elements = R * (2 + 2 * G) + 4 * G + 2
    needed = Needed(elements * columns * normed.itemsize + sequences[:R, 1:].nbytes, (1 + 8 * G) * R * columns)
    return needed, Issued(columns * (R + 1 + G * (8 * R + 3)), columns * (1 + G * (1 + R) + R))
