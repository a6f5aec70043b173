"""The vectors' exp x - 1 against a longer precision, at both ends of its range, for NaN, and as vector instructions."""

import re

import numpy as np
import pytest
from numba import njit

from scratchser.kernels.machine.expm1 import expm1


@njit
def apply(x, y):
    for k in range(len(x)):
        y[k] = expm1(x[k])


def of(x, dtype):
    x = np.asarray(x, dtype)
    y = np.empty_like(x)
    apply(x, y)
    return y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e-3, 0.1, 1.0, 10.0, 80.0])
def test_within_two_units_of_the_last_place(dtype, scale):
    x = np.random.default_rng(0).uniform(-scale, scale, 20_000).astype(dtype)
    exact = np.expm1(x.astype(np.longdouble))
    units = np.abs(of(x, dtype) - exact) / np.spacing(np.abs(exact.astype(dtype)))
    assert units.max() < 2


@pytest.mark.parametrize(("dtype", "largest"), [(np.float32, 87.0), (np.float64, 708.0)])
def test_beyond_its_range_it_stays_where_it_was(dtype, largest):
    y = of([largest, largest + 1, np.inf, -largest, -largest - 1, -np.inf, 0.0], dtype)
    assert y[0] == y[1] == y[2] and np.isfinite(y[0]) and y[0] > np.finfo(dtype).max / 1e2
    assert y[3:].tolist() == [-1, -1, -1, 0]


def test_nan_stays_nan():
    assert np.isnan(of([np.nan, 1.0, np.nan], np.float32)).tolist() == [True, False, True]


def test_a_loop_over_it_becomes_vector_instructions():
    """Otherwise it is a call for each element, which expm1.py avoids."""
    of([0.0], np.float32)
    (text,) = (apply.inspect_llvm(s) for s in apply.signatures if s[0].dtype.name == "float32")
    assert re.search(r"call <\d+ x float> @llvm\.fma", text)
