"""Batch normalisation: passes over what is normalised, and steps of a few utterances that are mostly launches."""

import numpy as np

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.bench.cuda.costs.lstm import CELL, CELL_GRADIENT
from scratchser.kernels import batchnorm, batchnorm_frame
from scratchser.kernels.parts import statistics

# ---- all frames together --------------------------------------------------------------------------------------------


def add_products_needed(launch: Launch) -> Needed:
    a, b, sums = launch["a"], launch["b"], launch["sums"]
    return Needed(a.nbytes + (0 if a is b else b.nbytes) + 2 * sums.nbytes, 2 * a.size)


def add_products_issued(launch: Launch) -> Issued:
    a, M = launch["a"], launch["sums"].size
    return Issued(2 * a.size + M, M, (batchnorm.PARTS - 1) * M, launch.blocks * launch.threads)


def average_needed(launch: Launch) -> Needed:
    sums = launch["sums"]
    return Needed(3 * sums.nbytes, (3 if launch["together"] else 2) * sums.size)


def average_issued(launch: Launch) -> Issued:
    M, threads, together = launch["sums"].size, batchnorm.THREADS, launch["together"]
    shared = 2 * together
    reads, writes = shared * (2 * (threads - 1) + threads), shared * (threads + threads - 1)
    return Issued(2 * M, (1 + together) * M, reads, writes)


def passed(numbers: int, columns: int, operations: int):
    """numbers, columns   arrays of all numbers that are read or written, and of a number per column that are read"""

    def formula(launch: Launch) -> Needed:
        hat, M = launch["hat"], launch["mean" if "mean" in launch.arguments else "variance"].size
        return Needed((numbers * hat.size + columns * M) * hat.itemsize, operations * hat.size)

    return formula


def pass_issued(reads: int, writes: int):
    """reads, writes   of each number"""
    return lambda launch: Issued(reads * launch["hat"].size, writes * launch["hat"].size)


# ---- running statistics ---------------------------------------------------------------------------------------------


def _remembered(launch: Launch) -> tuple[int, int]:
    """Steps whose statistics are kept, and numbers of each."""
    G, _, directions, M = launch["mean"].shape
    return int(np.count_nonzero(launch["counts"] >= 2)), G * directions * M


def remember_needed(launch: Launch) -> Needed:
    (steps, numbers), size = _remembered(launch), launch["mean"].itemsize
    return Needed((6 * numbers + 2) * steps * size + launch["counts"].nbytes, 8 * steps * numbers)


def remember_issued(launch: Launch) -> Issued:
    steps, numbers = _remembered(launch)
    return Issued(2 * launch.blocks * launch.threads + 4 * steps * numbers, steps * (2 * numbers + 1))


# ---- frame-wise: a step, in which R utterances run ------------------------------------------------------------------


def rank_needed(launch: Launch) -> Needed:
    states = launch["states"]
    return Needed(2 * states.nbytes + states.shape[1] * launch["walks"].itemsize, 0)


def rank_issued(launch: Launch) -> Issued:
    return Issued(2 * launch["states"].size, launch["states"].size)


def _step(launch: Launch) -> tuple[int, int, int, int]:
    """R, G, the columns of both directions, and the size of a number."""
    normed = launch["normed"]
    return launch["R"], len(normed), 2 * normed.shape[3], normed.itemsize


def normalise_needed(launch: Launch) -> Needed:
    R, G, columns, size = _step(launch)
    return Needed((R * (3 + G) + 3 * G + 1) * columns * size + launch["walks"][:R, 1:].nbytes, 9 * G * R * columns)


def normalise_issued(launch: Launch) -> Issued:
    R, G, columns, _ = _step(launch)
    training = launch["training"]
    summed = 2 + (2 if G == 1 else 1)  # reads: where the row lies, and what is normalised
    reads = 1 + G * ((3 if training else 1) * R * summed + 1 + (0 if training else 2)) + (G - 1) * R
    return Issued(columns * reads, columns * G * (2 * R + (2 if training else 0)))


def cell_needed(launch: Launch) -> Needed:
    R, h = launch["R"], launch["h"]
    units = 2 * R * h.shape[2]
    return Needed(12 * units * h.itemsize + launch["walks"][:R].nbytes, CELL * units)


def cell_issued(launch: Launch) -> Issued:
    units = 2 * launch["R"] * launch["h"].shape[2]
    return Issued(8 * units, 7 * units)


def cell_gradient_needed(launch: Launch) -> Needed:
    R, dh = launch["R"], launch["dh"]
    units = 2 * R * dh.shape[2]
    return Needed(14 * units * dh.itemsize + launch["walks"][:R].nbytes, CELL_GRADIENT * units)


def cell_gradient_issued(launch: Launch) -> Issued:
    units = 2 * launch["R"] * launch["dh"].shape[2]
    return Issued(12 * units, 5 * units)


def normalise_gradient_needed(launch: Launch) -> Needed:
    R, G, columns, size = _step(launch)
    bytes = (R * (2 + 2 * G) + 4 * G + 2) * columns * size + launch["walks"][:R, 1:].nbytes
    return Needed(bytes, (1 + 8 * G) * R * columns)


def normalise_gradient_issued(launch: Launch) -> Issued:
    R, G, columns, _ = _step(launch)
    return Issued(columns * (R + 1 + G * (8 * R + 3)), columns * (1 + G * (1 + R) + R))


FORMULAS = {
    batchnorm.add_products_cuda: (add_products_needed, add_products_issued),
    batchnorm.average_cuda: (average_needed, average_issued),
    batchnorm.centre_cuda: (passed(2, 1, 1), pass_issued(2, 1)),
    batchnorm.scale_cuda: (passed(3, 3, 3), pass_issued(4, 2)),
    batchnorm.gradient_cuda: (passed(3, 4, 5), pass_issued(6, 1)),
    statistics.remember_cuda: (remember_needed, remember_issued),
    batchnorm_frame.rank_cuda: (rank_needed, rank_issued),
    batchnorm_frame.normalise_cuda: (normalise_needed, normalise_issued),
    batchnorm_frame.cell_cuda: (cell_needed, cell_issued),
    batchnorm_frame.cell_gradient_cuda: (cell_gradient_needed, cell_gradient_issued),
    batchnorm_frame.normalise_gradient_cuda: (normalise_gradient_needed, normalise_gradient_issued),
}
