"""The CUDA side of the sums of squares against the CPU side."""

import numpy as np
import pytest

from scratchser.kernels import norms
from scratchser.kernels.machine.chunks import cut_segments

SMALL = [[1], [0, 3, 3, 258, 561]]
LARGE = [[100, 3_000_000, 3_000_001]]
SMALL_BLOCKS = norms, {"THREADS": 8, "cut_segments": lambda ends, size: cut_segments(ends, 270)}


def both(upload, dW, ends):
    """The sums of squares, and the gradient after clipping."""
    copy = upload(dW)
    sums = norms.squares(copy, ends)
    norms.clip(copy, ends, 0.7)
    return sums, copy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_cpu(device, dtype):
    for ends in map(np.array, device.sizes(SMALL, LARGE)):
        dW = np.random.default_rng(3).standard_normal(ends[-1]).astype(dtype)
        for got, expected in device.pairs(both, dW, ends):
            np.testing.assert_allclose(got, expected, rtol=4e-6 if dtype == np.float32 else 1e-13)


FAULTS = [
    ("scale_cuda", "if i < dW.size:", "if i <= dW.size:", "out of range"),
    ("block_sum", "cuda.syncthreads()  # both halves are complete", "pass", "race"),
    ("block_sum", "if i < half:", "if i <= half:", "race"),
    ("chunks_cuda", "part[i] = total", "part[i] = part[i] + total", "uninitialised"),
    ("chunks_cuda", "sums[p] = part[0]", "sums[0] = part[0]", "race"),
    ("block_sum", "half //= 2", "half = half // 2 if i > 0 else 0", "divergence"),
    ("segments_cuda", "if g < ends.size:", "if g <= ends.size:", "out of range"),
    ("segments_cuda", "squares[g] = total", "squares[g - g % 2] = total", "race"),
]


def test_a_planted_fault_is_caught(check_fault):
    dW, ends = np.random.default_rng(4).standard_normal(300), np.array([3, 280, 300])
    check_fault(lambda upload: both(upload, dW, ends), norms)
