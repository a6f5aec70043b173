"""conv2d against the direct sums, its backward against differences and the complex step; lengths, bits, rounding."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import conv2d


@dataclass(frozen=True)
class Case:
    lengths: tuple[int, ...]
    F: int
    C: int
    D: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    spare: int = 0  # frames of padding after the longest utterance

    def draw(self, seed=0):
        """x, W, b; x is NaN past each utterance's end."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((len(self.lengths), max(self.lengths) + self.spare, self.F, self.C))
        for u, length in enumerate(self.lengths):
            x[u, length:] = np.nan
        W = rng.standard_normal((*self.kernel, self.C, self.D)) / np.sqrt(self.C * self.kernel[0] * self.kernel[1])
        return {"x": x, "W": W, "b": rng.standard_normal(self.D)}

    @property
    def frames(self):
        return np.array(self.lengths, np.int64)

    def forward(self, x, W, b, relu=True):
        return conv2d.forward(x, self.frames, W, b, self.stride, relu=relu)

    def reference(self, x, W, b, relu=True):
        return reference.conv2d.forward(x, self.frames, W, b, self.stride, relu=relu)

    def backward(self, dy, x, W, b, relu=True):
        """All gradients, with NaN planted past the ends of y and dy, as an upper layer might leave it."""
        y, dy = self.forward(x, W, b, relu), dy.copy()
        for u, length in enumerate(self.lengths):
            y[u, -(-length // self.stride[0]) :] = dy[u, -(-length // self.stride[0]) :] = np.nan
        dW, db = np.zeros_like(W), np.zeros_like(b)
        dx = conv2d.backward(dy, x, y, self.frames, W, self.stride, dW, db, relu=relu)
        return {"x": dx, "W": dW, "b": db}


CASES = {
    "1x1": Case((3, 1), F=2, C=3, D=3, kernel=(1, 1), stride=(1, 1)),
    "1x1, stride 2": Case((4, 3), F=5, C=1, D=3, kernel=(1, 1), stride=(2, 2)),
    "even kernel": Case((5, 2, 1), F=7, C=3, D=2, kernel=(4, 2), stride=(2, 2), spare=2),
    "kernel below stride": Case((7, 4, 1), F=7, C=3, D=3, kernel=(2, 1), stride=(3, 3), spare=1),
    "stride in time only": Case((7, 6, 5), F=5, C=2, D=3, kernel=(5, 3), stride=(3, 1)),
    "stride in frequency only": Case((4, 1), F=7, C=2, D=3, kernel=(3, 6), stride=(1, 3)),
    "7x7 on one bin": Case((6, 1, 3), F=1, C=3, D=2, kernel=(7, 7), stride=(2, 3)),
    "7x7 on two bins": Case((9, 2), F=2, C=1, D=3, kernel=(7, 7), stride=(1, 2), spare=3),
    "one-frame utterances": Case((1, 1, 1), F=7, C=1, D=3, kernel=(5, 5), stride=(2, 2)),
    "1 to 17 channels": Case((5, 3), F=7, C=1, D=17, kernel=(3, 3), stride=(2, 2)),
    "16 to 16 channels": Case((3, 2), F=3, C=16, D=16, kernel=(3, 2), stride=(1, 2)),
    "17 to 3 channels": Case((4, 1), F=3, C=17, D=3, kernel=(2, 3), stride=(2, 1)),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
relus = pytest.mark.parametrize("relu", [True, False], ids=["relu", "linear"])

anything = st.builds(
    Case,
    lengths=st.lists(st.integers(1, 11), min_size=1, max_size=3).map(tuple),
    F=st.integers(1, 9),
    C=st.sampled_from([1, 3, 16, 17]),
    D=st.sampled_from([1, 3, 16, 17]),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    spare=st.integers(0, 4),
)


@cases
@relus
def test_forward(case, relu):
    inputs = case.draw()
    y, expected = case.forward(**inputs, relu=relu), case.reference(**inputs, relu=relu)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    if relu and y.size > 20:
        assert (y == 0).any() and (y > 0).any(), "the case does not try the ReLU"


@pytest.mark.gradcheck
@cases
@relus
def test_gradients(case, relu):
    kinks = partial(case.forward, relu=False) if relu else None
    forward, backward = partial(case.forward, relu=relu), partial(case.backward, relu=relu)
    require(check(forward, backward, case.draw(), time_axis={"x": 1}, kinks=kinks))


@pytest.mark.gradcheck
@settings(max_examples=25, deadline=None)
@given(case=anything, seed=st.integers(0, 99))
def test_gradients_of_any_shape(case, seed):
    """Along random directions: these would cross some ReLU's kink nearly always, so without.

    Without a ReLU y is linear in each input: a longer step has no other error, and its rounding is smaller (at 1e-3 it
    reached 1.1e-8 of the gradient for a dW of 7680 elements).
    """
    forward, backward = partial(case.forward, relu=False), partial(case.backward, relu=False)
    require(check(forward, backward, case.draw(seed), seed=seed, directions=2, time_axis={"x": 1}, step=0.1))


@pytest.mark.gradcheck
@pytest.mark.parametrize(
    "name", ["even kernel", "kernel below stride", "7x7 on one bin", "stride in frequency only", "1 to 17 channels"]
)
def test_gradients_against_the_complex_step(name):
    require(complex_step(CASES[name].reference, CASES[name].backward, CASES[name].draw()))


@pytest.mark.gradcheck
@pytest.mark.parametrize(
    "case",
    [
        Case((70, 33, 40), F=40, C=3, D=17, kernel=(3, 4), stride=(1, 2)),
        Case((45, 90, 20, 33), F=40, C=4, D=24, kernel=(5, 5), stride=(2, 2)),
        Case((37, 1, 20), F=261, C=1, D=16, kernel=(5, 5), stride=(2, 2), spare=2),
    ],
    ids=["several frames a pass", "rows in pairs", "one frame a pass"],
)
def test_gradients_of_many_blocks(case):
    """Longer than a block, more blocks than partial sums: what the small cases above never reach."""
    assert len(conv2d.blocks_of(case.frames, case.stride[0])) > (conv2d.PARTIALS if case.F < 200 else 2)
    forward, backward = partial(case.forward, relu=False), partial(case.backward, relu=False)
    require(check(forward, backward, case.draw(), directions=2, step=0.1))


MIXED = Case((9, 1, 5, 12), F=11, C=3, D=17, kernel=(5, 4), stride=(2, 3), spare=3)


def gradients(case, inputs, start=0.0, **options):
    """y, dx, dW, db for a fixed dy; dW and db start from a value."""
    y = case.forward(**inputs)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(y.dtype)
    dW, db = np.full_like(inputs["W"], start), np.full_like(inputs["b"], start)
    dx = conv2d.backward(dy, inputs["x"], y, case.frames, inputs["W"], case.stride, dW, db, **options)
    return y, dx, dW, db


def test_parameter_gradients_accumulate_and_dx_does_not():
    inputs = MIXED.draw()
    _, dx, dW, db = gradients(MIXED, inputs)
    _, dx_again, dW_more, db_more = gradients(MIXED, inputs, start=3.0)
    np.testing.assert_array_equal(dx_again, dx)
    np.testing.assert_allclose(dW_more, 3 + dW, rtol=1e-13)
    np.testing.assert_allclose(db_more, 3 + db, rtol=1e-13)
    _, dx, dW_alone, db_alone = gradients(MIXED, inputs, need_dx=False)
    assert dx is None
    np.testing.assert_array_equal(dW_alone, dW)
    np.testing.assert_array_equal(db_alone, db)


def test_out_is_written_up_to_the_end_and_left_alone_past_it():
    inputs = MIXED.draw()
    y, dx, _, _ = gradients(MIXED, inputs)
    y_out, dx_out = np.full_like(y, 7), np.full_like(dx, 7)
    assert conv2d.forward(inputs["x"], MIXED.frames, inputs["W"], inputs["b"], MIXED.stride, out=y_out) is y_out
    assert gradients(MIXED, inputs, out=dx_out)[1] is dx_out
    for u, length in enumerate(MIXED.lengths):
        for written, fresh, end in ((y_out, y, -(-length // MIXED.stride[0])), (dx_out, dx, length)):
            np.testing.assert_array_equal(written[u, :end], fresh[u, :end])
            assert (written[u, end:] == 7).all() and (fresh[u, end:] == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_utterance_has_the_same_bits_alone_and_in_any_batch(dtype):
    inputs = {name: a.astype(dtype) for name, a in MIXED.draw().items()}
    y, dx, _, _ = gradients(MIXED, inputs)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(dtype)
    for u, length in enumerate(MIXED.lengths):
        one, end = np.array([length]), -(-length // MIXED.stride[0])
        x = np.ascontiguousarray(inputs["x"][u : u + 1, :length])
        alone = conv2d.forward(x, one, inputs["W"], inputs["b"], MIXED.stride)
        np.testing.assert_array_equal(alone[0], y[u, :end])
        waste = np.zeros_like(inputs["W"]), np.zeros_like(inputs["b"])
        own_dy = np.ascontiguousarray(dy[u : u + 1, :end])
        dx_alone = conv2d.backward(own_dy, x, alone, one, inputs["W"], MIXED.stride, *waste)
        np.testing.assert_array_equal(dx_alone[0], dx[u, :length])


def test_same_bits_for_any_number_of_threads(same_with_two_threads):
    case = Case((150, 1, 97, 30), F=33, C=3, D=17, kernel=(5, 5), stride=(2, 2))
    inputs = {name: a.astype(np.float32) for name, a in case.draw().items()}
    same_with_two_threads(lambda: gradients(case, inputs))


REAL = {
    "first layer": Case((909, 400), F=257, C=1, D=16, kernel=(5, 5), stride=(2, 2)),
    "third layer": Case((228, 100), F=65, C=24, D=32, kernel=(5, 5), stride=(2, 2)),
}


@pytest.mark.parametrize("case", REAL.values(), ids=REAL)
def test_float32_stays_within_its_rounding_of_float64(case):
    """|error| <= 2 √n u Σ |a| |b| for sums of n products a b; u = 2⁻²⁴. (Rounding errors of either sign: √n, not n.)"""
    exact = {name: np.nan_to_num(a.astype(np.float32)).astype(np.float64) for name, a in case.draw().items()}
    y, dx, dW, db = gradients(case, {name: a.astype(np.float32) for name, a in exact.items()})
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(np.float32).astype(np.float64)
    assert {a.dtype for a in (y, dx, dW, db)} == {np.dtype(np.float32)}

    def all_of(x, W, b, dy, relu):
        """Output and gradients in float64; the mask is the float32 output's, which may differ next to the kink."""
        out, dW, db = case.forward(x, W, b, relu=relu), np.zeros_like(W), np.zeros_like(b)
        dx = conv2d.backward(dy, x, y.astype(np.float64), case.frames, W, case.stride, dW, db)
        return out, dx, dW, db

    magnitude = all_of(**{name: abs(a) for name, a in exact.items()}, dy=abs(dy), relu=False)
    (KT, KF), (s, f) = case.kernel, case.stride
    pixels = sum(-(-length // s) for length in case.lengths) * y.shape[2]
    terms = KT * KF * case.C, -(-KT // s) * -(-KF // f) * case.D, pixels, pixels
    right = all_of(**exact, dy=dy, relu=True)
    for rounded, true, size, n in zip((y, dx, dW, db), right, magnitude, terms, strict=True):
        assert (abs(rounded - true) <= 2 * np.sqrt(n) * 2.0**-24 * size).all()
