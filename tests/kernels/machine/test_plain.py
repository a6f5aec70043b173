"""With NUMBA_DISABLE_JIT=1 the CPU's kernels are plain Python, for a debugger, and compute the same.

Numba reads the switch when it is imported. So small tests of all that is made of intrinsics run again, in a process
that has it.
"""

from pathlib import Path

import numpy as np
import pytest
from numba import config
from process import python

from scratchser.kernels.machine import expm1
from scratchser.kernels.parts import tile

PLAIN = "scratchser.kernels.machine.plain"
SMALL = [
    "machine/test_plain.py",
    "machine/test_expm1.py::test_beyond_its_range_it_stays_where_it_was",
    "test_matmul.py::test_small_products_in_every_orientation",
    "test_matmul.py::test_few_columns_of_an_even_run_in_pairs_and_an_odd_run_without",
    "test_conv2d.py::test_forward",
    "test_conv2d.py::test_gradients_against_the_complex_step",
    "test_lstm.py::test_gradients_against_the_complex_step",
    "test_stft.py::test_every_power_of_two_against_the_fourier_matrix[8]",
    "test_stft.py::test_every_power_of_two_against_the_fourier_matrix[16]",
]


def test_intrinsics_are_plain_functions_only_without_compilation():
    for function in (tile.address, tile.along, tile.across_runs, expm1.expm1):
        assert (function.__module__ == PLAIN) == bool(config.DISABLE_JIT)


without_compilation = pytest.mark.skipif(not config.DISABLE_JIT, reason="the last test runs it in another process")


@without_compilation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plain_expm1_keeps_the_dtype(dtype):
    y = expm1.expm1(dtype(0.7))
    assert y.dtype == dtype and y == np.expm1(dtype(0.7))


@without_compilation
def test_plain_copy_of_a_few_columns_fills_up_with_zeros():
    source, target = np.arange(1.0, 1 + tile.COLS), np.full(tile.COLS, np.nan)
    tile.copy(tile.address(source, 0, source[0]), tile.address(target, 0, target[0]), 3, source[0])
    assert target.tolist() == [1, 2, 3, *[0] * (tile.COLS - 3)]


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="is this process")
def test_small_tests_pass_without_compilation():
    tests = [Path(__file__).parents[1] / test for test in SMALL]
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, NUMBA_DISABLE_JIT="1")
