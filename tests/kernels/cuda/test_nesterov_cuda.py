"""The CUDA side of the fused update against the CPU side."""

import numpy as np
import pytest
from planted import verdict

from scratchser.kernels import nesterov
from scratchser.kernels.machine import device as _device

SMALL, LARGE = [[1], [5, 5, 12, 13, 3000]], [[1000, 1000, 2_000_000, 2_000_003]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_steps_over_segments_agree_with_the_cpu(device, dtype):
    for ends in map(np.array, device.sizes(SMALL, LARGE)):
        rng = np.random.default_rng(len(ends))
        n, G = ends[-1], len(ends)
        learning_rate, l2 = rng.uniform(0.01, 0.1, G), rng.uniform(0, 0.1, G)
        W, V, dW = (rng.standard_normal(n).astype(dtype) for _ in range(3))
        on_device = device.arrays(W, V, dW)
        for _ in range(2):
            nesterov.step(*on_device, ends, learning_rate, l2, 0.9)
            nesterov.step(W, V, dW, ends, learning_rate, l2, 0.9)
        for got, expected in zip(device.host(*on_device), (W, V, dW), strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=4 * np.finfo(dtype).eps * 4)
        assert not device.host(on_device[2]).any()


FAULTS = [
    ("step_cuda", "dW[i] = 0", "dW[i + 1] = 0", "out of range"),
    ("step_cuda", "s = segments[p]", "s = segments[0]", "result"),
    ("step_cuda", "p = cuda.blockIdx.x", "p = 0", "race"),
    ("step_cuda", "dW[i] = 0", "dW[0] = 0", "race"),
    ("step_cuda", "dW[i] = 0", "pass", "result"),
]


@pytest.mark.parametrize(("name", "line", "instead", "kind"), FAULTS)
def test_a_planted_fault_is_caught(monkeypatch, name, line, instead, kind):
    """In three segments, one of them empty."""
    ends, learning_rate, l2 = np.array([3, 3, 7]), np.array([0.1, 9, 0.2]), np.array([0.1, 9, 0])

    def run(upload=_device.SIMULATED.upload):
        arrays = [upload(np.arange(1.0, 8)) for _ in range(3)]
        nesterov.step(*arrays, ends, learning_rate, l2, 0.9)
        return list(map(np.array, arrays))

    assert kind in verdict(monkeypatch, nesterov, name, {line: instead}, run, run(np.array))
