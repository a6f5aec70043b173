"""Batch normalisation of the Bi-LSTM against its equations: forward, every gradient, the running statistics."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser import truth
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import batchnorm
from scratchser.kernels.batchnorm import KINDS, Norm

PARAMETERS = ("Wx", "Wh", "gamma", "beta")
# Of two utterances the normalised numbers are ±1 but for a jump about as wide as √ε: a step of differences is as long
# as the usual one. The complex step, which has no length, is taken with the usual ε as well.
SMOOTH = 0.3


@dataclass(frozen=True)
class Case:
    kind: str
    lengths: tuple[int, ...]
    D: int
    H: int
    spare: int = 0  # frames of padding behind the longest utterance
    epsilon: float = SMOOTH
    S: int = 16  # steps whose running statistics are kept, by the frame-wise kinds

    def draw(self, seed=0):
        """x, NaN past each utterance's end, parameters and non-zero initial states."""
        rng = np.random.default_rng(seed)
        B, H, G = len(self.lengths), self.H, KINDS[self.kind]
        x = rng.standard_normal((B, max(self.lengths) + self.spare, self.D))
        for u, length in enumerate(self.lengths):
            x[u, length:] = np.nan
        return {
            "x": x,
            "Wx": rng.standard_normal((self.D, 2, 4 * H)) / np.sqrt(self.D),
            "Wh": rng.standard_normal((2, H, 4 * H)) / np.sqrt(H),
            "gamma": rng.uniform(0.5, 1.5, (G, 2, 4 * H)),
            "beta": rng.standard_normal((2, 4 * H)),
            "h0": rng.uniform(-1, 1, (2, B, H)),
            "c0": rng.standard_normal((2, B, H)),
        }

    @property
    def frames(self):
        return np.array(self.lengths, np.int64)

    def norm(self, gamma, beta):
        """Without a past: means 0, variances 1."""
        S = self.S if self.kind.startswith("frame") else 1
        shape, dtype = (len(gamma), S, *beta.shape), gamma.dtype
        statistics = np.zeros(shape, dtype), np.ones(shape, dtype), np.zeros(S, dtype)
        return Norm(self.kind, gamma, beta, *statistics, self.epsilon)

    def run(self, norm, x, Wx, Wh, gamma, beta, h0, c0, training=True):
        return batchnorm.forward(x, self.frames, Wx, Wh, norm, h0, c0, training)

    def forward(self, **inputs):
        return self.run(self.norm(inputs["gamma"], inputs["beta"]), **inputs)[0]

    def truth(self, x, Wx, Wh, gamma, beta, h0, c0):
        return truth.batchnorm.forward(x, self.frames, Wx, Wh, gamma, beta, h0, c0, self.kind, self.epsilon)[0]

    def backward(self, dy, start=0.0, **inputs):
        """All gradients, with NaN planted past the ends of dy; those of the parameters start from a value."""
        norm = self.norm(inputs["gamma"], inputs["beta"])
        _, cache = self.run(norm, **inputs)
        dy = dy.copy()
        for u, length in enumerate(self.lengths):
            dy[u, length:] = np.nan
        d = {name: np.full_like(inputs[name], start) for name in PARAMETERS}
        Wx, Wh = inputs["Wx"], inputs["Wh"]
        d["x"], d["h0"], d["c0"] = batchnorm.backward(dy, cache, Wx, Wh, norm, *d.values())
        return d


SHAPES = {
    "one frame": {"lengths": (1,), "D": 1, "H": 1},
    "one utterance": {"lengths": (3,), "D": 2, "H": 2, "spare": 1},
    "two utterances": {"lengths": (3, 2), "D": 2, "H": 2, "spare": 1},  # and at the last step one of them runs
    "equally long": {"lengths": (2, 2), "D": 3, "H": 1},
    "5 utterances": {"lengths": (6, 1, 4, 6, 2), "D": 3, "H": 5, "spare": 2},
    "17 units": {"lengths": (3, 5, 4), "D": 1, "H": 17},
    "13 utterances": {"lengths": (1, 5, 2, 4, 4, 3, 5, 1, 2, 3, 5, 4, 2), "D": 7, "H": 3},
}
kinds = pytest.mark.parametrize("kind", KINDS)
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)

anything = st.builds(
    Case,
    kind=st.sampled_from(list(KINDS)),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=14).map(tuple),
    D=st.sampled_from([1, 3, 7, 16, 17]),
    H=st.sampled_from([1, 3, 7, 16, 17]),
    spare=st.integers(0, 3),
)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


@kinds
@shapes
@pytest.mark.parametrize("epsilon", [SMOOTH, batchnorm.EPSILON])
def test_forward(kind, shape, epsilon):
    case = Case(kind, **shape, epsilon=epsilon)
    inputs = case.draw()
    np.testing.assert_allclose(case.forward(**inputs), case.truth(**inputs), rtol=1e-9, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(case=anything, seed=st.integers(0, 99))
def test_forward_of_any_shape(case, seed):
    inputs = case.draw(seed)
    close(case.forward(**inputs), case.truth(**inputs))


@kinds
def test_of_a_single_frame_beta_is_left(kind):
    """Whatever the input: what deviates from itself is 0. But for the layer, whose mean is of all features."""
    case = Case(kind, (3,) if kind.startswith("frame") else (1,), D=3, H=2)
    inputs, other = case.draw(1), case.draw(2)
    other["x"], other["Wx"] = inputs["x"] * 7 - 1, inputs["Wx"] * 3
    y = case.forward(**inputs)
    unlike = case.forward(**{**inputs, "x": other["x"], "Wx": other["Wx"]})
    assert np.array_equal(y, unlike) == (kind != "layer")
    if kind.startswith("frame"):  # an LSTM with a bias and nothing else
        nothing = np.zeros_like(inputs["Wx"]), np.zeros_like(inputs["Wh"])
        close(y, truth.lstm.forward(inputs["x"], case.frames, *nothing, inputs["beta"], inputs["h0"], inputs["c0"]))


@pytest.mark.gradcheck
@kinds
@shapes
def test_gradients(kind, shape):
    case = Case(kind, **shape)
    require(check(case.forward, case.backward, case.draw(), time_axis={"x": 1}))


@pytest.mark.gradcheck
@settings(max_examples=20, deadline=None)
@given(case=anything, seed=st.integers(0, 99))
def test_gradients_of_any_shape(case, seed):
    require(check(case.forward, case.backward, case.draw(seed), seed=seed, directions=2, time_axis={"x": 1}))


@pytest.mark.gradcheck
@kinds
@pytest.mark.parametrize("shape", ["one frame", "one utterance", "two utterances", "equally long", "5 utterances"])
@pytest.mark.parametrize("epsilon", [SMOOTH, batchnorm.EPSILON])
def test_gradients_against_the_complex_step(kind, shape, epsilon):
    case = Case(kind, **SHAPES[shape], epsilon=epsilon)
    require(complex_step(case.truth, case.backward, case.draw()))
