"""The CUDA side of the normalisation of each bin against the CPU side."""

import numpy as np
import pytest
from test_mean_variance import corpus

from scratchser.kernels import bin_norm

SMALL, LARGE = [((1,), 1), ((3, 1, 70), 5)], [((441, 3, 100_000), 257)]
SMALL_BLOCKS = bin_norm, {"THREADS": 4, "CHUNK": 30}


def draw(lengths, F, dtype):
    return *corpus(dtype, 5, lengths, F), np.arange(len(lengths)) % 2


def both(upload, x, *utterances):
    """The statistics and the normalised frames, with x on a device."""
    _, mean, variance = bin_norm.mean_and_variance(upload(x), *utterances)
    return mean, variance, bin_norm.normalise(upload(x), *utterances, mean, 1 / np.sqrt(variance + 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_cpu(device, dtype):
    for lengths, F in device.sizes(SMALL, LARGE):
        given = draw(lengths, F, dtype)
        mean, variance, y = both(device.arrays, *given)
        expected = both(lambda x: x, *given)
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(mean, expected[0], rtol=tolerance)
        np.testing.assert_allclose(variance, expected[1], rtol=10 * tolerance, atol=tolerance)
        np.testing.assert_allclose(device.host(y), expected[2], rtol=0, atol=20 * tolerance)


Y = "y[t, f] = (x[t, f] - mean[g, f]) * scale[g, f]"
FAULTS = [
    ("sums_cuda", "total += x[t, f]", "total = x[t, f]", "result"),
    ("sums_cuda", "sums[p, f] = total", "sums[0, f] = total", "race"),
    ("squares_cuda", "deviation = x[t, f] - mean[g, f]", "deviation = x[t + 1, f] - mean[g, f]", "out of range"),
    ("normalise_cuda", Y, "y[t, f] = (x[t, f] - mean[0, f]) * scale[g, f]", "result"),
]


def test_a_planted_fault_is_caught(check_fault):
    given = draw((9, 5), 7, np.float64)
    check_fault(lambda upload: both(upload, *given), bin_norm)
