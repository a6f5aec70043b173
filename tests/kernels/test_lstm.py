"""Bi-LSTM against its equations, its backward against differences and the complex step; states, bits, rounding."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import lstm

PARAMETERS = ("Wx", "Wh", "b")


@dataclass(frozen=True)
class Case:
    lengths: tuple[int, ...]
    D: int
    H: int
    spare: int = 0  # frames of padding after the longest utterance

    def draw(self, seed=0, loud=1.0):
        """x, NaN past each utterance's end, parameters and non-zero initial states."""
        rng = np.random.default_rng(seed)
        B, H = len(self.lengths), self.H
        x = rng.standard_normal((B, max(self.lengths) + self.spare, self.D))
        for u, length in enumerate(self.lengths):
            x[u, length:] = np.nan
        return {
            "x": x,
            "Wx": loud * rng.standard_normal((self.D, 2, 4 * H)) / np.sqrt(self.D),
            "Wh": loud * rng.standard_normal((2, H, 4 * H)) / np.sqrt(H),
            "b": rng.standard_normal((2, 4 * H)),
            "h0": rng.uniform(-1, 1, (2, B, H)),
            "c0": rng.standard_normal((2, B, H)),
        }

    @property
    def frames(self):
        return np.array(self.lengths, np.int64)

    def forward(self, x, Wx, Wh, b, h0, c0):
        return lstm.forward(x, self.frames, Wx, Wh, b, h0, c0)[0]

    def reference(self, x, Wx, Wh, b, h0, c0):
        return reference.lstm.forward(x, self.frames, Wx, Wh, b, h0, c0)

    def backward(self, dy, x, Wx, Wh, b, h0, c0, start=0.0):
        """All gradients, with NaN planted past the ends of dy; those of the parameters start from a value."""
        _, cache = lstm.forward(x, self.frames, Wx, Wh, b, h0, c0)
        dy = dy.copy()
        for u, length in enumerate(self.lengths):
            dy[u, length:] = np.nan
        dWx, dWh, db = (np.full_like(parameter, start) for parameter in (Wx, Wh, b))
        dx, dh0, dc0 = lstm.backward(dy, cache, Wx, Wh, dWx, dWh, db)
        return {"x": dx, "Wx": dWx, "Wh": dWh, "b": db, "h0": dh0, "c0": dc0}


CASES = {
    "one of each": Case((1,), D=1, H=1),
    "one unit": Case((4, 1, 3), D=3, H=1, spare=1),
    "5 utterances": Case((6, 1, 4, 6, 2), D=3, H=7, spare=2),
    "13 utterances": Case((1, 5, 2, 4, 4, 3, 5, 1, 2, 3, 5, 4, 2), D=7, H=3),
    "16 units": Case((4, 3), D=17, H=16),
    "17 units": Case((3, 5), D=1, H=17, spare=1),
    "one long utterance": Case((40, 25), D=2, H=3),
}

SIZES = {
    "lengths": st.lists(st.integers(1, 9), min_size=1, max_size=14).map(tuple),
    "D": st.sampled_from([1, 3, 7, 16, 17]),
    "H": st.sampled_from([1, 3, 7, 16, 17]),
    "spare": st.integers(0, 3),
}


def test_states_not_given_are_zero():
    case = CASES["5 utterances"]
    inputs = case.draw()
    inputs["h0"][:] = inputs["c0"][:] = 0
    y, _ = lstm.forward(inputs["x"], case.frames, inputs["Wx"], inputs["Wh"], inputs["b"])
    np.testing.assert_array_equal(y, case.forward(**inputs))


@pytest.mark.gradcheck
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_forward_and_gradients(case):
    inputs = case.draw()
    np.testing.assert_allclose(case.forward(**inputs), case.reference(**inputs), rtol=1e-12, atol=1e-14)
    require(check(case.forward, case.backward, inputs, time_axis={"x": 1}))


@pytest.mark.gradcheck
@settings(max_examples=20, deadline=None)
@given(case=st.builds(Case, **SIZES), seed=st.integers(0, 99))
def test_gradients_of_any_shape(case, seed):
    require(check(case.forward, case.backward, case.draw(seed), seed=seed, directions=2, time_axis={"x": 1}))


@pytest.mark.gradcheck
@pytest.mark.parametrize("name", ["one of each", "one unit", "5 utterances", "one long utterance"])
def test_gradients_against_the_complex_step(name):
    case = CASES[name]
    require(complex_step(case.reference, case.backward, case.draw()))


@pytest.mark.gradcheck
def test_gradients_of_the_readout():
    y, lengths = np.random.default_rng(1).standard_normal((3, 5, 6)), np.array([5, 1, 4])

    def backward(dr, y):
        return {"y": lstm.readout_backward(dr, lengths, 5)}

    require(check(lambda y: lstm.readout_forward(y, lengths), backward, {"y": y}))
    require(complex_step(lambda y: reference.lstm.readout(y, lengths), backward, {"y": y}))


def test_parameter_gradients_accumulate_and_the_others_do_not():
    case = CASES["5 utterances"]
    inputs = case.draw()
    dy = np.random.default_rng(1).standard_normal(case.forward(**inputs).shape)
    once, more = case.backward(dy, **inputs), case.backward(dy, **inputs, start=3.0)
    for name in inputs:
        np.testing.assert_allclose(more[name], once[name] + 3.0 * (name in PARAMETERS), rtol=1e-12, atol=1e-13)


def everything(case, inputs):
    """y and the gradients for a fixed dy."""
    y = case.forward(**inputs)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(y.dtype)
    return {"y": y} | case.backward(dy, **inputs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_utterance_has_the_same_bits_alone_and_in_any_batch(dtype):
    case = Case((5, 1, 12, 7, 12, 3, 9, 2), D=17, H=19, spare=3)
    inputs = {name: a.astype(dtype) for name, a in case.draw().items()}
    together = everything(case, inputs)
    dy = np.random.default_rng(2).standard_normal(together["y"].shape).astype(dtype)
    for u, length in enumerate(case.lengths):
        one = Case((length,), case.D, case.H)
        x = np.ascontiguousarray(inputs["x"][u : u + 1, :length])
        states = {name: np.ascontiguousarray(inputs[name][:, u : u + 1]) for name in ("h0", "c0")}
        own = {"x": x, **{name: inputs[name] for name in PARAMETERS}, **states}
        np.testing.assert_array_equal(one.forward(**own)[0], together["y"][u, :length])
        alone = one.backward(dy[u : u + 1, :length], **own)
        np.testing.assert_array_equal(alone["x"][0], together["x"][u, :length])
        for name in ("h0", "c0"):
            np.testing.assert_array_equal(alone[name][:, 0], together[name][:, u])


def test_same_bits_for_any_number_of_threads(same_with_two_threads):
    case = Case((25, 1, 30, 11, 17, 30, 2, 21), D=33, H=24)
    inputs = {name: a.astype(np.float32) for name, a in case.draw().items()}
    same_with_two_threads(lambda: everything(case, inputs))


def test_float32_stays_near_float64_at_the_papers_size():
    """57 frames are the longest utterance after four time strides of two; the bound is max |error| / max |value|."""
    case = Case((57, 20, 33, 1), D=1584, H=128)
    exact = {name: np.nan_to_num(a.astype(np.float32)).astype(np.float64) for name, a in case.draw(loud=0.5).items()}
    single = everything(case, {name: a.astype(np.float32) for name, a in exact.items()})
    y = case.forward(**exact)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(np.float32).astype(np.float64)
    for name, right in ({"y": y} | case.backward(dy, **exact)).items():
        assert single[name].dtype == np.float32
        assert abs(single[name] - right).max() <= 3e-6 * abs(right).max(), name


def test_saturated_gates_stay_finite():
    case = CASES["one unit"]
    inputs = {name: a.astype(np.float32) for name, a in case.draw(loud=1e4).items()}
    for name, a in everything(case, inputs).items():
        assert np.isfinite(a).all(), name
