"""Runs cut into chunks."""

import numpy as np
import pytest

from scratchser.kernels.machine.chunks import cut_ranges, cut_segments


@pytest.mark.parametrize("ends", [[1], [0, 3, 3, 10, 11], [7, 21, 22]])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_every_element_is_in_one_chunk_of_its_own_segment(ends, size):
    chunks, run = cut_segments(np.array(ends), size)
    assert np.diff(chunks).min() >= 1 and np.diff(chunks).max() <= size
    covered = [(n, r) for (first, last), r in zip(chunks, run, strict=True) for n in range(first, last)]
    assert covered == [(n, int(np.searchsorted(ends, n, side="right"))) for n in range(ends[-1])]
    assert chunks.dtype == run.dtype == np.int32


def test_ranges_anywhere():
    first = np.array([5, 2**33])
    chunks, run = cut_ranges(first, first + np.array([0, 5]), 3)
    assert chunks.tolist() == [[2**33, 2**33 + 3], [2**33 + 3, 2**33 + 5]] and run.tolist() == [1, 1]
