"""The CUDA side of the running mean: the bits of the CPU side."""

import numpy as np
import pytest

from scratchser.kernels import average

SMALL, LARGE = [1, average.THREADS + 1], [2_000_003]


def three_updates(upload, draws):
    mean = upload(np.full(draws.shape[1], np.nan, draws.dtype))
    for count, W in enumerate(draws, 1):
        average.update(mean, upload(W), count)
    return [mean]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_the_cpu(device, dtype):
    for n in device.sizes(SMALL, LARGE):
        draws = np.random.default_rng(n).standard_normal((3, n)).astype(dtype)
        for got, expected in device.pairs(three_updates, draws):
            np.testing.assert_array_equal(got, expected)


MEAN = "mean[i] = updated(mean[i], W[i], count)"
FAULTS = [
    ("update_cuda", "if i < W.size:", "if i <= W.size:", "out of range"),
    ("update_cuda", MEAN, "mean[0] = updated(mean[i], W[i], count)", "race"),
    ("update_cuda", MEAN, "mean[i] = updated(W[i], mean[i], count)", "result"),
]


def test_a_planted_fault_is_caught(check_fault):
    check_fault(lambda upload: three_updates(upload, np.arange(30.0).reshape(3, 10) ** 2), average)
