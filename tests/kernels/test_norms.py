"""Sums of squares of the segments of a flat buffer, for gradient norms."""

import numpy as np
import pytest

from scratchser.kernels import norms


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_squares_of_segments(dtype):
    sizes = [1, 15, 0, norms.CHUNK, norms.CHUNK + 1, 100_003]
    dW = np.random.default_rng(4).standard_normal(sum(sizes)).astype(dtype)
    expected = [np.sum(part.astype(np.float64) ** 2) for part in np.split(dW, np.cumsum(sizes)[:-1])]
    found = norms.squares(dW, np.cumsum(sizes))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=300 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("end", "limit", "message"), [(4, 1.0, "do not cover"), (5, 0.0, "a positive number")])
def test_wrong_segments_and_limits_are_refused(end, limit, message):
    with pytest.raises(ValueError, match=message):
        norms.clip(np.ones(5), np.array([2, end]), limit)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipping_scales_the_whole_gradient_to_the_limit(dtype):
    dW = np.random.default_rng(5).standard_normal(1000).astype(dtype)
    original, ends = dW.astype(np.float64), np.array([300, 1000])
    norm = np.linalg.norm(original)
    norms.clip(dW, ends, 1.01 * norm)
    np.testing.assert_array_equal(dW, original.astype(dtype))
    norms.clip(dW, ends, 2.5)
    np.testing.assert_allclose(dW, original * 2.5 / norm, rtol=20 * np.finfo(dtype).eps)
