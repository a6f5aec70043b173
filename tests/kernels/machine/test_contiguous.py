"""Copies, fills and sums of contiguous ranges write these and nothing else."""

import numpy as np
import pytest

from scratchser.kernels.machine.contiguous import add_range, copy_range, fill_range

SOURCE = np.arange(1.0, 41.0)


@pytest.mark.parametrize("n", [0, 1, 17])
def test_only_the_range_is_written(n):
    before = np.full(40, -1.0)
    for write, value in (
        (lambda target: copy_range(SOURCE, 5, target, 9, n), SOURCE[5 : 5 + n]),
        (lambda target: add_range(SOURCE, 5, target, 9, n), SOURCE[5 : 5 + n] - 1),
        (lambda target: fill_range(3.0, target, 9, n), np.full(n, 3.0)),
    ):
        target, expected = before.copy(), before.copy()
        expected[9 : 9 + n] = value
        write(target)
        np.testing.assert_array_equal(target, expected)
