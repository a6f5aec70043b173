"""Normalisation over groups against NumPy, and its backward against differences and the complex step."""

import numpy as np
import pytest

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import group_norm

GROUPS = np.array([3, 0, 3, 1, 0, 3, 3])  # of 2, 1, 0 and 4 rows


def forward(x):
    return group_norm.forward(x, GROUPS)[0]


def slow(x):
    return reference.group_norm.forward(x, GROUPS, group_norm.EPSILON)


def backward(dy, x):
    return {"x": group_norm.backward(dy, group_norm.forward(x, GROUPS)[1])}


@pytest.mark.gradcheck
def test_gradients():
    """The row that is alone in its group becomes 0, and so does its gradient; the complex step needs no tolerance for
    it, as 0 must be exact."""
    x = np.random.default_rng(1).standard_normal((7, 5))
    np.testing.assert_allclose(forward(x), slow(x), rtol=1e-12)
    require(check(forward, backward, {"x": x}))
    require(complex_step(slow, backward, {"x": x}))


def test_statistics_from_elsewhere_are_applied():
    x = np.random.default_rng(2).standard_normal((7, 5))
    count, mean, variance = group_norm.statistics(x, GROUPS)
    assert count.tolist() == [2, 1, 0, 4] and not mean[2].any() and not variance[2].any()
    np.testing.assert_allclose(variance[3], x[GROUPS == 3].var(axis=0), rtol=1e-13)
    rows = np.array([5, 1])
    np.testing.assert_array_equal(group_norm.apply(x[rows], GROUPS[rows], mean, variance), forward(x)[rows])
    for wrong in (np.array([4, 0]), np.array([-1, 0])):
        with pytest.raises(ValueError, match="groups must lie in 0"):
            group_norm.apply(x[rows], wrong, mean, variance)
    with pytest.raises(ValueError, match="0 or larger"):
        group_norm.statistics(x[rows], np.array([-1, 0]))


def test_float32_stays_near_float64(same_with_two_threads):
    rng = np.random.default_rng(3)
    groups, x = rng.integers(0, 9, 300), (3 + rng.standard_normal((300, 50))).astype(np.float32)
    dy = rng.standard_normal((300, 50)).astype(np.float32)

    def both(dtype):
        y, cache = group_norm.forward(x.astype(dtype), groups)
        return y, group_norm.backward(dy.astype(dtype), cache)

    for single, double in zip(both(np.float32), both(np.float64), strict=True):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=0, atol=1e-5)
    same_with_two_threads(lambda: both(np.float32))
