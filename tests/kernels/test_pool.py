"""Max pooling against windows cut out one by one, its backward against differences and the complex step; ties, bits."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import pool


@dataclass(frozen=True)
class Case:
    lengths: tuple[int, ...]
    F: int
    C: int
    window: tuple[int, int]
    spare: int = 0  # frames of padding after the longest utterance

    def draw(self, seed=0, ties=False):
        """x, NaN past each utterance's end; with ties its values are 0, 1 or 2."""
        rng = np.random.default_rng(seed)
        shape = len(self.lengths), max(self.lengths) + self.spare, self.F, self.C
        x = rng.integers(0, 3, shape).astype(np.float64) if ties else rng.standard_normal(shape)
        for u, length in enumerate(self.lengths):
            x[u, length:] = np.nan
        return {"x": x}

    @property
    def frames(self):
        return np.array(self.lengths, np.int64)

    def forward(self, x):
        return pool.forward(x, self.frames, self.window)

    def reference(self, x):
        return reference.pool.forward(x, self.frames, self.window)

    def backward(self, dy, x):
        """With NaN planted past the ends of dy, as an upper layer might leave it."""
        dy = dy.copy()
        for u, length in enumerate(self.lengths):
            dy[u, -(-length // self.window[0]) :] = np.nan
        return {"x": pool.backward(dy, x, self.frames, self.window)}

    def kinks(self, x):
        return differences(x, self.lengths, self.window)


def differences(x, lengths, window):
    """Of the elements of each window: another one can be the maximum where the order of two changes."""
    (I, J), seen = window, []
    for u, length in enumerate(lengths):
        for t in range(0, length, I):
            for f in range(0, x.shape[2], J):
                elements = x[u, t : min(t + I, length), f : f + J].reshape(-1, x.shape[3])
                seen.append((elements[:, None] - elements[None, :]).ravel())
    return np.concatenate(seen)


CASES = {
    "nothing to pool": Case((3, 1), F=2, C=3, window=(1, 1)),
    "2x2": Case((5, 2, 1), F=6, C=3, window=(2, 2), spare=2),
    "odd edges": Case((7, 4, 1), F=7, C=2, window=(3, 2), spare=1),
    "time only": Case((7, 6, 5), F=3, C=2, window=(4, 1)),
    "frequency only": Case((4, 1), F=7, C=1, window=(1, 3)),
    "windows larger than all": Case((3, 2), F=2, C=3, window=(5, 4), spare=1),
    "one-frame utterances": Case((1, 1, 1), F=5, C=1, window=(2, 2), spare=3),
    "17 channels": Case((5, 3), F=4, C=17, window=(2, 2)),
}

anything = st.builds(
    Case,
    lengths=st.lists(st.integers(1, 11), min_size=1, max_size=3).map(tuple),
    F=st.integers(1, 9),
    C=st.sampled_from([1, 3, 17]),
    window=st.tuples(st.integers(1, 5), st.integers(1, 4)),
    spare=st.integers(0, 4),
)


@pytest.mark.gradcheck
@settings(max_examples=60, deadline=None)
@given(case=anything, seed=st.integers(0, 99), ties=st.booleans())
def test_forward_and_backward_of_any_shape(case, seed, ties):
    """The complex step passes through the first of equal values only, as argmax does."""
    inputs = case.draw(seed, ties)
    np.testing.assert_array_equal(case.forward(**inputs), case.reference(**inputs))
    require(complex_step(case.reference, case.backward, inputs, seed=seed))


@pytest.mark.gradcheck
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_gradients(case):
    require(check(case.forward, case.backward, case.draw(), time_axis={"x": 1}, kinks=case.kinks))


def test_of_equal_numbers_the_first_gets_the_gradient():
    """By frame, then by bin: also of two zeros with different signs, and whatever follows."""
    x = np.zeros((1, 2, 6, 1))
    x[0, :, :, 0] = [[1, 3, 0.0, -0.0, 1, 1], [3, 3, 0.0, 0.0, 2, 2]]
    dx = pool.backward(np.array([[[[5.0], [6.0], [7.0]]]]), x, np.array([2]), (2, 2))
    assert dx[0, :, :, 0].tolist() == [[0, 5, 6, 0, 0, 0], [0, 0, 0, 0, 7, 0]]


@pytest.mark.parametrize("place", [0, 1, 3])
def test_nan_is_seen_wherever_it_stands(place):
    x = np.array([1.0, 4.0, 2.0, np.inf]).reshape(1, 2, 2, 1)
    x.ravel()[place] = np.nan
    assert np.isnan(pool.forward(x, np.array([2]), (2, 2))).all()
    assert pool.backward(np.ones((1, 1, 1, 1)), x, np.array([2]), (2, 2)).ravel().tolist() == np.eye(4)[place].tolist()


MIXED = Case((9, 1, 5, 12), F=11, C=17, window=(2, 3), spare=3)


def both(case, dtype, **outputs):
    x = case.draw(ties=True)["x"].astype(dtype)
    y = pool.forward(x, case.frames, case.window, out=outputs.get("y"))
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(dtype)
    return y, pool.backward(dy, x, case.frames, case.window, out=outputs.get("dx"))


def test_all_of_out_is_written():
    y, dx = both(MIXED, np.float32)
    y_out, dx_out = np.full_like(y, 7), np.full_like(dx, 7)
    got = both(MIXED, np.float32, y=y_out, dx=dx_out)
    assert got[0] is y_out and got[1] is dx_out
    np.testing.assert_array_equal(y_out, y)
    np.testing.assert_array_equal(dx_out, dx)
    for u, length in enumerate(MIXED.lengths):
        assert not y[u, -(-length // 2) :].any() and not dx[u, length:].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_utterance_has_the_same_bits_alone_and_in_any_batch(dtype):
    x, (y, dx) = MIXED.draw(ties=True)["x"].astype(dtype), both(MIXED, dtype)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(dtype)
    for u, length in enumerate(MIXED.lengths):
        one, end = np.array([length]), -(-length // MIXED.window[0])
        own, own_dy = (np.ascontiguousarray(a[u : u + 1, :n]) for a, n in ((x, length), (dy, end)))
        np.testing.assert_array_equal(pool.forward(own, one, MIXED.window)[0], y[u, :end])
        np.testing.assert_array_equal(pool.backward(own_dy, own, one, MIXED.window)[0], dx[u, :length])


def test_same_bits_for_any_number_of_threads(same_with_two_threads):
    same_with_two_threads(lambda: both(MIXED, np.float32))
