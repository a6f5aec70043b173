"""The CUDA side of the normalisation over groups against the CPU side."""

import numpy as np
import pytest

from scratchser.kernels import group_norm

SMALL, LARGE = [(1, 1), (9, 50)], [(300, 1000)]


def both(upload, B, D, dtype=np.float64):
    """The statistics, y and dx."""
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 4, B)
    x = upload(rng.standard_normal((B, D)).astype(dtype))
    y, cache = group_norm.forward(x, groups)
    dx = group_norm.backward(upload(rng.standard_normal((B, D)).astype(dtype)), cache)
    return *group_norm.statistics(x, groups)[1:], y, dx


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_cpu(device, dtype):
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    for B, D in device.sizes(SMALL, LARGE):
        for got, expected in device.pairs(both, B, D, dtype):
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


Y = "y[b, d] = (x[b, d] - mean[g, d]) / math.sqrt(variance[g, d] + epsilon)"
FAULTS = [
    ("statistics_cuda", "mean[g, d] = average", "mean[0, d] = average", "race"),
    ("statistics_cuda", "total += x[rows[j], d]", "total += x[j, d]", "result"),
    ("apply_cuda", "if b < x.shape[0]:", "if b <= x.shape[0]:", "out of range"),
    ("apply_cuda", Y, "y[b, d] = (x[b, d] - mean[g, d]) / math.sqrt(variance[0, d] + epsilon)", "result"),
    ("backward_cuda", "projected += dy[rows[j], d] * y[rows[j], d]", "projected += dy[j, d] * y[rows[j], d]", "result"),
]


def test_a_planted_fault_is_caught(check_fault):
    check_fault(lambda upload: both(upload, 9, 3), group_norm)
