"""The CUDA side of mean and variance against the CPU side."""

import numpy as np
import pytest
from test_mean_variance import corpus

from scratchser.kernels import mean_variance

SMALL, LARGE = [((1,), 1), ((3, 1, 70), 5)], [((441, 3, 100_000), 257)]
SMALL_BLOCKS = mean_variance, {"THREADS": 8}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_cpu(device, dtype, monkeypatch):
    monkeypatch.setattr(mean_variance, "CHUNK", 300)
    for lengths, F in device.sizes(SMALL, LARGE):
        values, starts, lengths = corpus(dtype, 50, lengths, F)
        chosen = np.arange(0, len(lengths), 2)
        got = mean_variance.mean_and_variance(device.arrays(values), starts[chosen], lengths[chosen])
        expected = mean_variance.mean_and_variance(values, starts[chosen], lengths[chosen])
        assert got == pytest.approx(expected, rel=1e-5 if dtype == np.float32 else 1e-12)


FAULTS = [
    ("sums_cuda", "block_sum(part, i)", "pass", "result"),
    ("sums_cuda", "part[i] = total", "part[0] = total", "race"),
    ("sums_cuda", "sums[p] = part[0]", "sums[0] = part[0]", "race"),
    ("squares_cuda", "part[i] = total", "part[i] += total", "uninitialised"),
    ("squares_cuda", "block_sum(part, i)", "block_sum(part, i) if i else None", "divergence"),
    ("squares_cuda", "if i == 0:", "if p >= 0:", "race"),
    ("squares_cuda", "deviation = values[n] - mean", "deviation = values[n + 1] - mean", "out of range"),
]


def test_a_planted_fault_is_caught(check_fault, monkeypatch):
    monkeypatch.setattr(mean_variance, "CHUNK", 40)
    values, *ranges = corpus(np.float64, 1, (9, 5))
    check_fault(lambda upload: [mean_variance.mean_and_variance(upload(values), *ranges)], mean_variance)
