"""The CUDA side of the fused update against the CPU side."""

import numpy as np
import pytest

from scratchser.kernels import nesterov

SMALL, LARGE = [[1], [5, 5, 12, 13, 3000]], [[1000, 1000, 2_000_000, 2_000_003]]


def two_steps(upload, buffers, *settings):
    """W, V and dW after two steps."""
    arrays = list(map(upload, buffers))
    for _ in range(2):
        nesterov.step(*arrays, *settings, 0.9)
    return arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_steps_over_segments_agree_with_the_cpu(device, dtype):
    for ends in map(np.array, device.sizes(SMALL, LARGE)):
        rng = np.random.default_rng(len(ends))
        n, G = ends[-1], len(ends)
        learning_rate, l2 = rng.uniform(0.01, 0.1, G), rng.uniform(0, 0.1, G)
        buffers = [rng.standard_normal(n).astype(dtype) for _ in range(3)]
        for got, expected in device.pairs(two_steps, buffers, ends, learning_rate, l2):
            np.testing.assert_allclose(got, expected, rtol=0, atol=4 * np.finfo(dtype).eps * 4)
        assert not got.any(), "dW"


FAULTS = [
    ("step_cuda", "dW[i] = 0", "dW[i + 1] = 0", "out of range"),
    ("step_cuda", "s = segments[p]", "s = segments[0]", "result"),
    ("step_cuda", "p = cuda.blockIdx.x", "p = 0", "race"),
]


def test_a_planted_fault_is_caught(check_fault):
    """In three segments, one of them empty."""
    settings = np.array([3, 3, 7]), np.array([0.1, 9, 0.2]), np.array([0.1, 9, 0])
    check_fault(lambda upload: two_steps(upload, [np.arange(1.0, 8)] * 3, *settings), nesterov)
