"""Runs of neighbouring numbers cut into pieces, a block's work each, so that a GPU has equal shares of unequal runs."""

from functools import lru_cache

import numpy as np


def cut(ends: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The pieces of the runs 0 ... ends[0], ends[0] ... ends[1] and so on (G,), of at most `size` numbers.

    (P, 2) int32, where each begins and ends; and (P,) int32, which run it is of. Kept, since a training step asks anew.
    """
    return _cut(np.asarray(ends, np.int64).tobytes(), size)


@lru_cache(maxsize=64)
def _cut(ends: bytes, size: int) -> tuple[np.ndarray, np.ndarray]:
    last = np.frombuffer(ends, np.int64)
    first = np.concatenate([[0], last[:-1]])
    pieces, run = cut_runs(first, last, size)
    return pieces.astype(np.int32), run.astype(np.int32)


def cut_runs(first: np.ndarray, last: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for runs from first to last (U,) anywhere, in int64."""
    counts = (last - first + size - 1) // size
    run = np.repeat(np.arange(len(first)), counts)
    begin = first[run] + (np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts)) * size
    return np.stack([begin, np.minimum(begin + size, last[run])], axis=1), run
