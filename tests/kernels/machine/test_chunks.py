"""Runs cut into pieces."""

import numpy as np
import pytest

from scratchser.kernels.machine.chunks import cut, cut_runs


@pytest.mark.parametrize("ends", [[1], [0, 3, 3, 10, 11], [7, 21, 22]])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_every_number_is_in_one_piece_of_its_own_run(ends, size):
    pieces, run = cut(np.array(ends), size)
    assert np.diff(pieces).min() >= 1 and np.diff(pieces).max() <= size
    covered = [(n, r) for (first, last), r in zip(pieces, run, strict=True) for n in range(first, last)]
    assert covered == [(n, int(np.searchsorted(ends, n, side="right"))) for n in range(ends[-1])]
    assert pieces.dtype == run.dtype == np.int32


def test_runs_anywhere():
    first = np.array([5, 2**33])
    pieces, run = cut_runs(first, first + np.array([0, 5]), 3)
    assert pieces.tolist() == [[2**33, 2**33 + 3], [2**33 + 3, 2**33 + 5]] and run.tolist() == [1, 1]
