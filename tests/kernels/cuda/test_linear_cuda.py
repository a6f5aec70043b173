"""The CUDA side of the dense layer against the CPU side, and a random direction of finite differences."""

import numpy as np
import pytest
from planted import verdict

from scratchser import gradcheck
from scratchser.kernels import linear
from scratchser.kernels.machine import device as _device

SMALL, LARGE = [(1, 1, 1), (3, 130, 4), (5, 7, 3)], [(16, 256, 4), (300, 1000, 11)]


def draw(B, D, K, dtype, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in ((B, D), (D, K), (K,), (B, K))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_backward_agree_with_the_cpu(device, dtype):
    tolerance = 2e-5 if dtype == np.float32 else 1e-13
    for B, D, K in device.sizes(SMALL, LARGE):
        x, W, b, dy = draw(B, D, K, dtype)
        y = device.host(linear.forward(*device.arrays(x, W, b)))
        np.testing.assert_allclose(y, linear.forward(x, W, b), rtol=tolerance, atol=tolerance)
        dW, db = np.ones_like(W), np.ones_like(b)  # to be added to
        on_device = device.arrays(dy, x, W, dW, db)
        dx = linear.backward(*on_device)
        expected = linear.backward(dy, x, W, dW, db)
        for got, want in ((dx, expected), (on_device[3], dW), (on_device[4], db)):
            np.testing.assert_allclose(device.host(got), want, rtol=tolerance, atol=tolerance)


@pytest.mark.gradcheck
def test_gradients_in_a_random_direction(device):
    x, W, b, _ = draw(4, 9, 3, np.float64)

    def forward(x, W, b):
        return device.host(linear.forward(*device.arrays(x, W, b)))

    def backward(dy, x, W, b):
        dW, db = device.arrays(np.zeros_like(W), np.zeros_like(b))
        dx = linear.backward(*device.arrays(dy, x, W), dW, db)
        return dict(zip("xWb", device.host(dx, dW, db), strict=True))

    gradcheck.require(gradcheck.check(forward, backward, {"x": x, "W": W, "b": b}, directions=1))


FAULTS = [
    ("forward_cuda", "if u < x.shape[0]:", "if u <= x.shape[0]:", "out of range"),
    ("forward_cuda", "total = b[k]", "total = b[0]", "result"),
    ("backward_cuda", "if d < D:", "if d <= D:", "out of range"),
    ("backward_cuda", "dW[d, k] += x[u, d] * dy[u, k]", "dW[d, k] = x[u, d] * dy[u, k]", "result"),
    ("backward_cuda", "dW[d, k] += x[u, d] * dy[u, k]", "dW[0, k] += x[u, d] * dy[u, k]", "race"),
    ("backward_cuda", "elif d == D:", "else:", "race"),
]


@pytest.mark.parametrize(("name", "line", "instead", "kind"), FAULTS)
def test_a_planted_fault_is_caught(monkeypatch, name, line, instead, kind):
    x, W, b, dy = draw(3, 5, 3, np.float64)

    def run(upload=_device.SIMULATED.upload):
        dW, db = upload(np.ones_like(W)), upload(np.ones_like(b))
        y, dx = linear.forward(*map(upload, (x, W, b))), linear.backward(*map(upload, (dy, x, W)), dW, db)
        return list(map(np.array, (y, dx, dW, db)))

    assert kind in verdict(monkeypatch, linear, name, {line: instead}, run, run(np.array))
