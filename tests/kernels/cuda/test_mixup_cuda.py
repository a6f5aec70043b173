"""The CUDA side of mixup: the values of the CPU side."""

import numpy as np
import pytest

from scratchser.kernels import mixup

SMALL, LARGE = [(1, 1, 1), (3, 4, mixup.THREADS + 6)], [(64, 441, 257)]


def both(upload, shape, dtype=np.float64):
    rng = np.random.default_rng(0)
    B, T, _ = shape
    x, share, gain = (rng.standard_normal(size).astype(dtype) for size in (shape, B, B))
    lengths, partners = np.maximum(1, T - np.arange(B)), np.roll(np.arange(B), 1)
    x = upload(x)
    return mixup.forward(x, lengths, share, partners, gain), mixup.backward(x, lengths, share, partners)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_cpu(device, dtype):
    tolerance = 10 * np.finfo(dtype).eps
    for shape in device.sizes(SMALL, LARGE):
        for got, expected in device.pairs(both, shape, dtype):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


PARTNER = "partner = x[p, t, k] if t < lengths[p] else zero"
LOOP = "for k in range(cuda.threadIdx.x, x.shape[2], cuda.blockDim.x):"
FAULTS = [
    ("mix_cuda", "if t < lengths[b]:", "if t <= lengths[b]:", "result"),
    ("mix_cuda", PARTNER, PARTNER.replace("[p]", "[b]"), "result"),
    ("mix_cuda", LOOP, "for k in range(x.shape[2]):", "race"),
]


def test_a_planted_fault_is_caught(check_fault):
    check_fault(lambda upload: both(upload, (3, 4, 5)), mixup)
