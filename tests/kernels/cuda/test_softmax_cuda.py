"""The CUDA side of softmax and cross-entropy against the CPU side."""

import numpy as np
import pytest

from scratchser.kernels import softmax

SMALL, LARGE = [(1, 1), (1, 4), (33, 3), (7, 5)], [(16, 4), (5000, 11)]


def draw(B, K, dtype, seed=1):
    rng = np.random.default_rng(seed)
    z = (5 * rng.standard_normal((B, K))).astype(dtype)
    return z, rng.dirichlet(np.ones(K), B).astype(dtype), rng.uniform(0.1, 1, B).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_loss_agree_with_the_cpu(device, dtype):
    tolerance = 2e-6 if dtype == np.float32 else 1e-14
    for B, K in device.sizes(SMALL, LARGE):
        z, t, w = draw(B, K, dtype)
        loss, dz = softmax.loss(device.arrays(z), t, w)
        expected_loss, expected = softmax.loss(z, t, w)
        assert loss == pytest.approx(expected_loss, rel=10 * tolerance)
        p = softmax.forward(device.arrays(z))
        for got, right in ((p, softmax.forward(z)), (dz, expected)):
            np.testing.assert_allclose(device.host(got), right, rtol=10 * tolerance, atol=tolerance)


FAULTS = [
    ("softmax_of", "total += e", "total = e", "result"),
    ("softmax_of", "for k in range(1, K):", "for k in range(1, K + 1):", "out of range"),
    ("softmax_of", "p[b, k] /= total", "p[b, k] /= 1", "result"),
    ("loss_cuda", "if b < B:", "if b <= B:", "out of range"),
    ("loss_cuda", "losses[b] = scale * entropy", "losses[0] = scale * entropy", "race"),
    ("loss_cuda", "mass += t[b, k]", "mass += t[b, 0]", "result"),
]


def test_a_planted_fault_is_caught(check_fault):
    z, t, w = draw(5, 4, np.float64)
    check_fault(lambda upload: softmax.loss(upload(z), t, w), softmax)
