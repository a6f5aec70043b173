"""Statistics pooling against NumPy, and its backward against differences and the complex step."""

import numpy as np
import pytest

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import statistics_pool

LENGTHS = np.array([5, 1, 9])


def draw(lengths=LENGTHS, D=7, dtype=np.float64, seed=0):
    """x with two frames of padding after the longest utterance, NaN past each end; dy."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((len(lengths), max(lengths) + 2, D)).astype(dtype)
    for u, length in enumerate(lengths):
        x[u, length:] = np.nan
    return x, rng.standard_normal((len(lengths), 3 * D)).astype(dtype)


def forward(x):
    return statistics_pool.forward(x, LENGTHS)


def slow(x, lengths=LENGTHS):
    return reference.statistics_pool.forward(x, lengths, statistics_pool.EPSILON)


def backward(dy, x):
    return {"x": statistics_pool.backward(dy, x, forward(x), LENGTHS)}


def kinks(x):
    """Another frame becomes the maximum where the order of two frames changes."""
    return np.concatenate([(x[u, :n, None] - x[u, None, :n]).ravel() for u, n in enumerate(LENGTHS)])


@pytest.mark.gradcheck
def test_gradients():
    """Past the ends x is NaN, so backward has to be exactly 0 there."""
    x, _ = draw()
    np.testing.assert_allclose(forward(x), slow(x), rtol=1e-13)
    require(check(forward, backward, {"x": x}, time_axis={"x": 1}, kinks=kinks))
    require(complex_step(slow, backward, {"x": x}))


@pytest.mark.gradcheck
def test_of_equal_maxima_the_first_gets_the_gradient():
    x, _ = draw()
    x[2, [2, 5, 6]] = 4
    require(complex_step(slow, backward, {"x": x}))


def test_float32_stays_near_float64():
    lengths = np.array([441, 17])
    x, dy = draw(lengths, 100, np.float32)
    x += 3  # far from 0, a sum of squares without the mean would lose digits
    y = statistics_pool.forward(x, lengths)
    dx = statistics_pool.backward(dy, x, y, lengths)
    wide = statistics_pool.forward(x.astype(np.float64), lengths)
    assert y.dtype == dx.dtype == np.float32
    np.testing.assert_allclose(y, wide, rtol=2e-5)
    wide = statistics_pool.backward(dy.astype(np.float64), x.astype(np.float64), wide, lengths)
    np.testing.assert_allclose(dx, wide, rtol=0, atol=1e-6)


def test_same_bits_alone_in_a_batch_and_with_two_threads(same_with_two_threads):
    x, dy = draw(dtype=np.float32)
    y = forward(x)
    dx = statistics_pool.backward(dy, x, y, LENGTHS)
    own = x[2:, :9].copy()
    np.testing.assert_array_equal(statistics_pool.forward(own, LENGTHS[2:]), y[2:])
    np.testing.assert_array_equal(statistics_pool.backward(dy[2:], own, y[2:], LENGTHS[2:])[0], dx[2, :9])
    same_with_two_threads(lambda: (forward(x), statistics_pool.backward(dy, x, y, LENGTHS)))
