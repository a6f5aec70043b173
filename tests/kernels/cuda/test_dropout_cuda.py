"""The CUDA side of dropout: the bits of the CPU side."""

import numpy as np
import pytest

from scratchser.kernels import dropout

SMALL, LARGE = [(1, 1), (2, 4 * dropout.THREADS + 6)], [(512, 30_001)]
KEY = 0xFEDCBA98F2345678  # both halves above 2³¹


def both(upload, x, p):
    rows = 2**32 - 1 - np.arange(len(x)) ** 2
    return dropout.forward(upload(x), rows, KEY, p), dropout.backward(upload(x + 1), rows, KEY, p)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_the_cpu(device, dtype):
    for shape in device.sizes(SMALL, LARGE):
        x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
        for p in (0, 0.3, 0.75):
            for got, expected in device.pairs(both, x, p):
                assert got.dtype == dtype
                np.testing.assert_array_equal(got, expected)


Y = "y[b, d] = x[b, d] * factor(words[i], threshold, scale)"
FAULTS = [
    ("apply_cuda", "d = 4 * q + i", "d = q + i", "race"),
    ("apply_cuda", "if d < x.shape[1]:", "if d <= x.shape[1]:", "out of range"),
    ("apply_cuda", Y, "y[b, d] = x[b, d] * factor(words[0], threshold, scale)", "result"),
    ("apply_cuda", "words = philox(q, rows[b], 0, 0, k0, k1)", "words = philox(q, b, 0, 0, k0, k1)", "result"),
]


def test_a_planted_fault_is_caught(check_fault):
    check_fault(lambda upload: both(upload, np.arange(1.0, 67).reshape(3, 22), 0.5), dropout)
