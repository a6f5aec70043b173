"""Mean and variance of some utterances, against NumPy's in float64."""

import numpy as np
import pytest

from scratchser.kernels import mean_variance


def corpus(dtype, offset=0, lengths=(3, 1, 700, 40), F=7, seed=1):
    """Frames, and each utterance's start and length."""
    lengths = np.array(lengths)
    values = (offset + np.random.default_rng(seed).standard_normal((lengths.sum(), F))).astype(dtype)
    return values, np.cumsum(lengths) - lengths, lengths


def pixels(values, starts, lengths):
    runs = [values[start : start + length] for start, length in zip(starts, lengths, strict=True)]
    return np.concatenate(runs).astype(np.float64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("chosen", [[0], [1], [2], [0, 2, 3], [3, 1, 0]])
@pytest.mark.parametrize("offset", [0, 1000])
def test_agrees_with_numpy(dtype, chosen, offset):
    values, starts, lengths = corpus(dtype, offset)
    mean, variance = mean_variance.mean_and_variance(values, starts[chosen], lengths[chosen])
    expected = pixels(values, starts[chosen], lengths[chosen])
    assert mean == pytest.approx(expected.mean(), rel=1e-12, abs=1e-12)
    assert variance == pytest.approx(expected.var(), rel=1e-9)


def test_others_and_the_number_of_threads_do_not_matter(same_with_two_threads):
    values, starts, lengths = corpus(np.float32, 0)
    before = mean_variance.mean_and_variance(values, starts[[0, 2]], lengths[[0, 2]])
    values[starts[1] : starts[1] + lengths[1]] = np.nan
    values[starts[3] :] = np.nan
    assert mean_variance.mean_and_variance(values, starts[[0, 2]], lengths[[0, 2]]) == before
    given = corpus(np.float32, 3)
    same_with_two_threads(lambda: mean_variance.mean_and_variance(*given))


OUTSIDE = [([-1], [2], "outside"), ([0], [800], "outside"), ([0], [-1], "outside"), ([5], [0], "no "), ([], [], "no ")]


@pytest.mark.parametrize(("starts", "lengths", "message"), OUTSIDE)
def test_what_it_refuses(starts, lengths, message):
    with pytest.raises(ValueError, match=message):
        mean_variance.mean_and_variance(corpus(np.float32)[0], np.int64(starts), np.int64(lengths))
