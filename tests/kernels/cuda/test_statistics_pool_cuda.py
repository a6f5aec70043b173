"""The CUDA side of statistics pooling against the CPU side."""

import numpy as np
import pytest
from test_statistics_pool import draw

from scratchser.kernels import statistics_pool

SMALL, LARGE = [((1,), 1), ((5, 1, 9), 50)], [((441, 17, 300), 1000)]


def both(upload, lengths, D, dtype=np.float64):
    """y and dx; the first utterance has two equal maxima."""
    x, dy = draw(lengths, D, dtype)
    x[0, [0, lengths[0] - 1]] = 4
    x, lengths = upload(x), np.array(lengths)
    y = statistics_pool.forward(x, lengths)
    return y, statistics_pool.backward(upload(dy), x, y, lengths)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_cpu(device, dtype):
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    for lengths, D in device.sizes(SMALL, LARGE):
        for got, expected in device.pairs(both, lengths, D, dtype):
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


FAULTS = [
    ("forward_cuda", "if b < x.shape[0]:", "if b <= x.shape[0]:", "out of range"),
    ("forward_cuda", "maximum = value if value > maximum else maximum", "maximum = max(maximum, 0)", "result"),
    ("forward_cuda", "y[b, D + d] = math.sqrt(squares / n + epsilon)", "y[b, d + 1] = mean", "race"),
    ("backward_cuda", "dmaximum = x.dtype.type(0)  # for the frames after the first maximum", "pass", "result"),
    ("backward_cuda", "for t in range(lengths[b], x.shape[1]):", "for t in range(lengths[b], 0):", "result"),
]


def test_a_planted_fault_is_caught(check_fault):
    check_fault(lambda upload: both(upload, (5, 1), 3), statistics_pool)
