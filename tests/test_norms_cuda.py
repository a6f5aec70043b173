"""The CUDA side of the sums of squares against the CPU side and exact sums."""

import numpy as np
import pytest

from scratchser.kernels import norms

SMALL = [[1], [0, 3, 3, 258, norms.PIECE + 261]]
LARGE = [[100, 3_000_000, 3_000_001]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_segments_agree_with_the_cpu(device, dtype):
    for ends in map(np.array, device.sizes(SMALL, LARGE)):
        dW = np.random.default_rng(3).standard_normal(ends[-1]).astype(dtype)
        got = device.host(norms.squares(device.arrays(dW), ends))
        exact = [np.square(part, dtype=np.float64).sum() for part in np.split(dW, ends)[:-1]]
        for values in (got, norms.squares(dW, ends)):
            np.testing.assert_allclose(values, exact, rtol=2e-6 if dtype == np.float32 else 1e-13)
