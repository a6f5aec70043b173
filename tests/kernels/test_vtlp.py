"""The frequency warp, its backward pass, and the batch read through it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import vtlp

ALPHAS = [0.9, 0.953, 1.0, 1.0371, 1.1]
factors = st.floats(0.9, 1.1)
sizes = st.integers(2, 520)


def draw(T=7, F=31, dtype=np.float64, seed=3):
    return np.random.default_rng(seed).standard_normal((T, F)).astype(dtype)


def sources(alpha, F):
    """G⁻¹ of every bin, from a spectrogram that equals its frequency in every bin."""
    return vtlp.forward(np.arange(F, dtype=np.float64)[None], alpha)[0]


@settings(max_examples=100, deadline=None)
@given(factors, sizes)
def test_the_warp_is_a_rising_bijection_and_undone_by_eq_4(alpha, F):
    f = sources(alpha, F)
    assert f[0] == 0 and f[-1] == F - 1  # to the bit: nothing is read from outside
    assert (np.diff(f) > 0).all()
    np.testing.assert_allclose(reference.vtlp.G(f, alpha, F - 1), np.arange(F), rtol=0, atol=1e-11 * F)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("F", [2, 129, 257, 513])
def test_alpha_one_is_the_identity_to_the_bit(dtype, F):
    S = draw(F=F, dtype=dtype)
    np.testing.assert_array_equal(vtlp.forward(S, 1), S)
    np.testing.assert_array_equal(vtlp.backward(S, 1), S)


@pytest.mark.gradcheck
@pytest.mark.parametrize("alpha", ALPHAS, ids="warp {}".format)
@pytest.mark.parametrize("F", [2, 31], ids="{} bins".format)
def test_gradient(alpha, F):
    inputs = {"S": draw(T=4, F=F)}

    def backward(dy, S):
        return {"S": vtlp.backward(dy, alpha)}

    require(check(lambda S: vtlp.forward(S, alpha), backward, inputs, time_axis={"S": 0}))
    require(complex_step(lambda S: reference.vtlp.forward(S, alpha), backward, inputs))


def test_float32_stays_within_its_rounding_of_float64():
    S, alpha = draw(T=50, F=513, dtype=np.float32), np.float32(0.937)
    exact, exact_gradient = (op(S.astype(np.float64), float(alpha)) for op in (vtlp.forward, vtlp.backward))
    Y, dS = vtlp.forward(S, alpha), vtlp.backward(S, alpha)
    assert Y.dtype == dS.dtype == np.float32
    # a frequency near 513 is known to 2⁻¹⁵ of a bin, and neighbouring bins differ by a few units
    assert abs(Y - exact).max() <= 2.0**-15 * abs(np.diff(S)).max()
    assert abs(dS - exact_gradient).max() <= 2.0**-14 * abs(S).max()


def draw_corpus(dtype=np.float64):
    lengths = np.array([5, 1, 9, 3])
    return draw(T=18, F=31, dtype=dtype), np.array([0, 5, 6, 15]), lengths


def test_batch_gathers_warps_normalises_and_pads():
    values, starts, lengths = draw_corpus()
    chosen, alphas = np.array([2, 0, 2, 1]), np.array([0.93, 1.0, 1.08, 1.1])
    X = vtlp.batch(values, starts[chosen], lengths[chosen], alphas, 0.4, 2.5, 11)
    assert X.shape == (4, 11, 31)
    for x, u, alpha in zip(X, chosen, alphas, strict=True):
        S = values[starts[u] : starts[u] + lengths[u]]
        expected = (reference.vtlp.forward(S, alpha) - 0.4) * 2.5
        np.testing.assert_allclose(x[: lengths[u]], expected, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(x[lengths[u] :], 0)


def test_an_utterance_is_the_same_in_any_batch_and_with_any_number_of_threads(same_with_two_threads):
    values, starts, lengths = draw_corpus(np.float32)

    def together():
        return vtlp.batch(values, starts, lengths, np.full(4, 0.93), 0.4, 2.5, 9)

    alone = vtlp.batch(values, starts[2:3], lengths[2:3], np.array([0.93]), 0.4, 2.5, 12)
    np.testing.assert_array_equal(alone[0, :9], together()[2])
    same_with_two_threads(together)


def test_what_does_not_fit_is_refused():
    values, starts, lengths = draw_corpus()
    alphas = np.ones(4)
    for alpha in (0, -1, 1 / 0.9, np.nan):
        with pytest.raises(ValueError, match="bijection"):
            vtlp.forward(values, alpha)
    with pytest.raises(ValueError, match="bijection"):
        vtlp.forward(values.astype(np.float32), 1 / 0.9 - 1e-9)  # rounded to float32 it is 1 / 0.9
    with pytest.raises(ValueError, match="at least 2"):
        vtlp.forward(values[:, :1], 1)
    for bad_starts, T in ((starts + 1, 9), (starts - 1, 9), (starts, 8)):
        with pytest.raises(ValueError, match="outside"):
            vtlp.batch(values, bad_starts, lengths, alphas, 0, 1, T)
    with pytest.raises(ValueError, match="lengths is"):
        vtlp.batch(values, starts, lengths[:3], alphas, 0, 1, 9)
    with pytest.raises(ValueError, match="alphas is"):
        vtlp.batch(values, starts, lengths, alphas[:3], 0, 1, 9)
