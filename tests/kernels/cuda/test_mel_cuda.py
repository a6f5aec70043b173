"""The CUDA side of the mel axis against the CPU side."""

import numpy as np
import pytest

from scratchser.kernels import mel

SMALL, LARGE = [(1, 2, 1), (2, mel.THREADS + 5, mel.THREADS + 2)], [(1000, 257, 40)]


def both(upload, T, F, M, dtype):
    rng = np.random.default_rng(T)
    S, dY = upload(rng.normal(-3, 4, (T, F)).astype(dtype)), upload(rng.standard_normal((T, M)).astype(dtype))
    weights = mel.triangles(F, M, 4000, dtype)
    Y = mel.forward(S, weights)
    return Y, mel.backward(dY, S, Y, weights)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_cpu(device, dtype):
    for sizes in device.sizes(SMALL, LARGE):
        for got, expected in device.pairs(both, *sizes, dtype):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, expected, rtol=0, atol=16 * np.finfo(dtype).eps * abs(expected).max())


BINS = "for k in range(cuda.threadIdx.x, S.shape[1], THREADS):"
FILTERS = "for m in range(filters[k, 0], filters[k, 1]):"
FAULTS = [
    ("forward_cuda", "Y[t, m] = highest + math.log(total)", "Y[0, m] = highest + math.log(total)", "race"),
    ("backward_cuda", BINS, "for k in range(cuda.threadIdx.x, S.shape[1] + 1, THREADS):", "out of range"),
    ("backward_cuda", FILTERS, "for m in range(filters[k, 0] + 1, filters[k, 1]):", "result"),
]


def test_a_planted_fault_is_caught(check_fault):
    check_fault(lambda upload: both(upload, 2, 9, 5, np.float64), mel)
