"""The running mean of the parameters against NumPy's mean."""

import numpy as np
import pytest

from scratchser.kernels import average


def averaged(draws, dtype):
    mean = np.full(draws.shape[1], np.nan, dtype)
    for count, W in enumerate(draws.astype(dtype), 1):
        average.update(mean, W, count)
        assert count > 1 or np.array_equal(mean, W), "the first mean is W itself"
    return mean


DRAWS = np.random.default_rng(0).standard_normal((20, 1003))


def test_it_is_the_mean_of_all_updates(same_with_two_threads):
    np.testing.assert_allclose(averaged(DRAWS, np.float64), DRAWS.mean(axis=0), rtol=0, atol=1e-15)
    single = averaged(DRAWS, np.float32)
    np.testing.assert_allclose(single, DRAWS.mean(axis=0), rtol=0, atol=8 * 2.0**-24)
    same_with_two_threads(lambda: averaged(DRAWS, np.float32))


def test_what_it_refuses():
    for mean, count in [(np.ones(3), 0), (np.ones(2), 1), (np.ones(3, np.float32), 1)]:
        with pytest.raises(ValueError, match=r"count is 0|mean is"):
            average.update(mean, np.ones(3), count)
