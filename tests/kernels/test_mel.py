"""The mel axis: its triangles, and the kernels against a plain product of powers and weights."""

import numpy as np
import pytest

from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import mel

WEIGHTS = np.array([[0, 0, 0], [2, 0, 1], [0, 0.5, 0], [1, 3, 0], [0, 1, 0]])  # a gap in a column and one in a row


def draw(T, F):
    return np.random.default_rng(4).normal(-3, 4, (T, F))


def test_triangles_of_the_papers_spectrogram():
    weights = mel.triangles(257, 40, 4000, np.float64)
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-15)
    hz = np.arange(257) * 4000 / 256
    assert not weights[hz <= 50].any() and not weights[-1].any()
    for m in (15, 39):  # edges between 50 Hz and 4000 Hz, which are 77.755 and 2146.065 mel
        left, centre, right = 700 * (10 ** ((77.755 + 2068.31 * (m + np.arange(3)) / 41) / 2595) - 1)
        expected = np.maximum(0, np.minimum((hz - left) / (centre - left), (right - hz) / (right - centre)))
        np.testing.assert_allclose(weights[:, m], expected / expected.sum(), atol=1e-5)


def test_a_triangle_between_two_bins_takes_the_nearest():
    weights = mel.triangles(17, 60, 8000, np.float64)  # bins of 500 Hz
    np.testing.assert_array_equal(weights[:, 4:6], np.eye(17)[:, :2])  # the centres are at 217 and 254 Hz
    assert not weights[16].any(), "the last bin is the last edge"


@pytest.mark.parametrize("offset", [0, 1e4, -1e4])
@pytest.mark.parametrize("weights", [WEIGHTS, mel.triangles(5, 7, 900, np.float64)])
def test_agrees_with_the_plain_sum_even_where_exp_would_overflow(offset, weights):
    S = draw(9, 5)
    np.testing.assert_allclose(mel.forward(S + offset, weights) - offset, np.log(np.exp(S) @ weights), atol=1e-11)


def test_a_bin_has_no_influence_where_its_weight_is_0():
    """Filter 0 must not subtract 5000 in frame 0; exp(5000) times weight 0 is not a number in frame 1, filter 1."""
    S = np.array([[np.nan, 0, 5000, 0, 0], [np.nan, 5000, 0, 0, 0]])
    Y = mel.forward(S, WEIGHTS)
    np.testing.assert_allclose(Y[[0, 1], [0, 1]], np.log([3, 4.5]))
    dS = mel.backward(np.ones((2, 3)), S, Y, WEIGHTS)
    np.testing.assert_allclose(dS[:, :2], [[0, 2 / 3 + 1], [0, 2]], atol=1e-12)


@pytest.mark.gradcheck
@pytest.mark.parametrize("weights", [WEIGHTS, mel.triangles(9, 4, 4000, np.float64)])
def test_gradients(weights):
    def backward(dy, S):
        return {"S": mel.backward(dy, S, mel.forward(S, weights), weights)}

    S = {"S": np.random.default_rng(5).standard_normal((3, len(weights)))}
    require(check(lambda S: mel.forward(S, weights), backward, S))
    require(complex_step(lambda S: np.log(np.exp(S) @ weights), backward, S))


def both(dtype):
    S, weights = draw(60, 257).astype(np.float32).astype(dtype), mel.triangles(257, 40, 4000).astype(dtype)
    Y = mel.forward(S, weights)
    return Y, mel.backward(np.sin(Y), S, Y, weights)


def test_float32_stays_within_its_rounding_of_float64(same_with_two_threads):
    for got, expected, roundings in zip(both(np.float32), both(np.float64), (4, 32), strict=True):
        assert got.dtype == np.float32
        assert abs(got - expected).max() <= roundings * 2.0**-24 * abs(expected).max()
    same_with_two_threads(lambda: both(np.float32))


def test_what_it_refuses():
    for weights in (-WEIGHTS, WEIGHTS * [1, 0, 1], WEIGHTS[:4], WEIGHTS.astype(np.float32)):
        with pytest.raises(ValueError, match=r"weights must|expected"):
            mel.forward(draw(3, 5), weights)
    for sizes in [(1, 3, 4000), (5, 0, 4000), (5, 3, 50)]:
        with pytest.raises(ValueError, match="filters of"):
            mel.triangles(*sizes)
    given = {"dY": np.ones((2, 3)), "S": draw(2, 5), "Y": np.ones((2, 3)), "weights": WEIGHTS}
    for name, array in given.items():
        with pytest.raises(ValueError, match="expected"):
            mel.backward(**(given | {name: array[:, 1:].copy()}))
