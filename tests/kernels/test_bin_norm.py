"""Normalisation of each frequency bin over groups of utterances, against NumPy in float64."""

import numpy as np
import pytest
from test_mean_variance import OUTSIDE, corpus

from scratchser.kernels import bin_norm

GROUPS = np.array([0, 2, 0, 2])  # no utterance of group 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 1000])
def test_agrees_with_numpy(dtype, offset):
    x, starts, lengths = corpus(dtype, offset)
    frames, mean, variance = bin_norm.mean_and_variance(x, starts, lengths, GROUPS)
    of_frame = np.repeat(GROUPS, lengths)
    assert frames.tolist() == [703, 0, 41]
    scale = np.random.default_rng(3).random(mean.shape)
    y = bin_norm.normalise(x, starts, lengths, GROUPS, mean, scale)
    assert y.dtype == dtype
    for g in (0, 2):
        own = x[of_frame == g].astype(np.float64)
        np.testing.assert_allclose(mean[g], own.mean(axis=0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(variance[g], own.var(axis=0), rtol=1e-9)
        rounding = np.finfo(dtype).eps * (offset + 10)
        np.testing.assert_allclose(y[of_frame == g], (own - mean[g]) * scale[g], rtol=0, atol=rounding)
    assert not mean[1].any() and not variance[1].any()


def test_frames_of_other_utterances_and_the_number_of_threads_do_not_matter(same_with_two_threads):
    x, starts, lengths = corpus(np.float32)
    chosen = [0, 2]
    before = bin_norm.mean_and_variance(x, starts[chosen], lengths[chosen], GROUPS[chosen])
    x[starts[1] : starts[1] + 1] = x[starts[3] :] = np.nan
    after = bin_norm.mean_and_variance(x, starts[chosen], lengths[chosen], GROUPS[chosen])
    np.testing.assert_array_equal(before[1], after[1])
    np.testing.assert_array_equal(before[2], after[2])
    given = corpus(np.float32, 3)
    same_with_two_threads(lambda: bin_norm.mean_and_variance(*given, GROUPS)[2])


@pytest.mark.parametrize(("starts", "lengths", "message"), OUTSIDE)
def test_what_it_refuses(starts, lengths, message):
    groups = np.zeros(len(starts), np.int64)
    with pytest.raises(ValueError, match=message):
        bin_norm.mean_and_variance(corpus(np.float32)[0], np.int64(starts), np.int64(lengths), groups)
    with pytest.raises(ValueError, match="expected float32"):
        bin_norm.mean_and_variance(np.ones((3, 2), np.int64), *np.ones((3, 1), np.int64))
