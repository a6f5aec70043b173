"""Mean and variance: every pixel is read once in each of the two passes."""

import numpy as np

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.kernels import mean_variance


def needed(operations: int):
    """operations   for each pixel"""

    def formula(launch: Launch) -> Needed:
        pieces, sums = launch["pieces"], launch["sums"]
        pixels = int(np.diff(pieces).sum()) * launch["F"]
        return Needed(pixels * sums.itemsize + pieces.nbytes + sums.nbytes, operations * pixels)

    return formula


def issued(reads: int):
    """reads   of each pixel"""

    def formula(launch: Launch) -> Issued:
        P, threads = len(launch["pieces"]), mean_variance.THREADS
        pixels = int(np.diff(launch["pieces"]).sum()) * launch["F"]
        return Issued(
            global_reads=P * threads * 2 + reads * pixels,  # each thread reads where its piece begins and ends
            global_writes=P,
            shared_reads=P * (2 * (threads - 1) + 1),
            shared_writes=P * (threads + threads - 1),
        )

    return formula


FORMULAS = {mean_variance.sums_cuda: (needed(1), issued(1)), mean_variance.squares_cuda: (needed(3), issued(1))}
