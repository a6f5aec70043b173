"""Mixup and gain against NumPy, and backward against differences."""

import numpy as np
import pytest

from scratchser.gradcheck import check, require
from scratchser.kernels import mixup

LENGTHS, PARTNERS = np.array([5, 1, 9, 3]), np.array([2, 1, 3, 0])


def draw(dtype=np.float64, F=7):
    """x with NaN past each end, share and gain."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 10, F)).astype(dtype)
    for u, length in enumerate(LENGTHS):
        x[u, length:] = np.nan
    return x, rng.uniform(0.5, 1, 4).astype(dtype), rng.standard_normal(4).astype(dtype)


def forward(x):
    _, share, gain = draw()
    return mixup.forward(x, LENGTHS, share, PARTNERS, gain)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_numpy(dtype):
    x, share, gain = draw(dtype)
    y = mixup.forward(x, LENGTHS, share, PARTNERS, gain)
    assert y.dtype == dtype
    padded = np.nan_to_num(x.astype(np.float64))
    for b, length in enumerate(LENGTHS):
        expected = share[b] * padded[b] + (1.0 - share[b]) * padded[PARTNERS[b]] + gain[b]
        np.testing.assert_allclose(y[b, :length], expected[:length], atol=10 * np.finfo(dtype).eps)
        assert not y[b, length:].any()


@pytest.mark.gradcheck
def test_gradients():
    """Past the ends x is NaN, so backward has to be exactly 0 there."""
    x, share, _ = draw()

    def backward(dy, x):
        return {"x": mixup.backward(dy, LENGTHS, share, PARTNERS)}

    require(check(forward, backward, {"x": x}, time_axis={"x": 1}))


def test_same_bits_with_two_threads(same_with_two_threads):
    same_with_two_threads(lambda: forward(draw()[0]))


def test_what_it_refuses():
    x, share, gain = draw()
    given = {"x": x, "lengths": LENGTHS, "share": share, "partners": PARTNERS, "gain": gain}
    others = {"x": x[0], "lengths": LENGTHS + 2, "partners": PARTNERS // 2, "share": share[:3], "gain": share[:3]}
    for name, other in others.items():
        with pytest.raises(ValueError, match="expected"):
            mixup.forward(**given | {name: other})
