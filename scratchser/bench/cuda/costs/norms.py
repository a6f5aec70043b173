"""Sums of squares: every gradient is read once."""

import numpy as np

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.kernels import norms


def pieces_needed(launch: Launch) -> Needed:
    pieces, sums = launch["pieces"], launch["sums"]
    numbers = int(np.diff(pieces).sum())
    return Needed(numbers * sums.itemsize + pieces.nbytes + sums.nbytes, 2 * numbers)


def pieces_issued(launch: Launch) -> Issued:
    P, numbers = len(launch["pieces"]), int(np.diff(launch["pieces"]).sum())
    threads = norms.THREADS
    return Issued(
        global_reads=P * threads * 2 + numbers,  # each thread reads where its piece begins and ends
        global_writes=P,
        shared_reads=P * (2 * (threads - 1) + 1),
        shared_writes=P * (threads + threads - 1),
    )


def segments_needed(launch: Launch) -> Needed:
    sums, ends, squares = launch["sums"], launch["ends"], launch["squares"]
    return Needed(sums.nbytes + ends.nbytes + squares.nbytes, sums.size)


def segments_issued(launch: Launch) -> Issued:
    P, G = launch["sums"].size, launch["ends"].size
    return Issued(global_reads=2 * G - 1 + P, global_writes=G)


FORMULAS = {norms.pieces_cuda: (pieces_needed, pieces_issued), norms.segments_cuda: (segments_needed, segments_issued)}
