"""The CUDA side of the dense layer against the CPU side."""

import numpy as np
import pytest

from scratchser.kernels import linear

SMALL, LARGE = [(1, 1, 1), (3, 130, 4), (5, 7, 3)], [(16, 256, 4), (300, 1000, 11)]


def draw(B, D, K, dtype, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in ((B, D), (D, K), (K,), (B, K))]


def run(upload, x, W, b, dy):
    """y, dx, dW, db; the gradients of the parameters begin as ones."""
    x, W, dW, db = map(upload, (x, W, np.ones_like(W), np.ones_like(b)))
    return [linear.forward(x, W, upload(b)), linear.backward(upload(dy), x, W, dW, db), dW, db]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_backward_agree_with_the_cpu(device, dtype):
    tolerance = 2e-5 if dtype == np.float32 else 1e-13
    for shape in device.sizes(SMALL, LARGE):
        for got, expected in device.pairs(run, *draw(*shape, dtype)):
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


FAULTS = [
    ("forward_cuda", "if u < x.shape[0]:", "if u <= x.shape[0]:", "out of range"),
    ("forward_cuda", "total = b[k]", "total = b[0]", "result"),
    ("backward_cuda", "if d < D:", "if d <= D:", "out of range"),
    ("backward_cuda", "dW[d, k] += x[u, d] * dy[u, k]", "dW[d, k] = x[u, d] * dy[u, k]", "result"),
    ("backward_cuda", "elif d == D:", "else:", "race"),
]


def test_a_planted_fault_is_caught(check_fault):
    inputs = draw(3, 5, 3, np.float64)
    check_fault(lambda upload: run(upload, *inputs), linear)
