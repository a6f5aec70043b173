"""Ranges of unequal length cut into chunks of equal length, so that the blocks of a GPU have equal shares."""

from functools import lru_cache

import numpy as np


def cut_segments(ends: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut the segments 0 ... ends[0], ends[0] ... ends[1] and so on into chunks of at most `size` elements.

    Returns begin and end of each chunk, (P, 2) int32, and the index of its segment, (P,) int32. The result is cached,
    since each training step needs the same.
    """
    return _cut_segments(np.asarray(ends, np.int64).tobytes(), size)


@lru_cache(maxsize=64)
def _cut_segments(ends: bytes, size: int) -> tuple[np.ndarray, np.ndarray]:
    last = np.frombuffer(ends, np.int64)
    first = np.concatenate([[0], last[:-1]])
    chunks, segment = cut_ranges(first, last, size)
    return chunks.astype(np.int32), segment.astype(np.int32)


def cut_ranges(first: np.ndarray, last: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for ranges from first to last (U,), which may lie anywhere; the result is int64."""
    counts = (last - first + size - 1) // size
    index = np.repeat(np.arange(len(first)), counts)
    begin = first[index] + (np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)) * size
    return np.stack([begin, np.minimum(begin + size, last[index])], axis=1), index
