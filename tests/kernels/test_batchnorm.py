"""Batch normalisation of the Bi-LSTM against its equations: forward, every gradient, the running statistics."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import test_lstm
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import batchnorm
from scratchser.kernels.batchnorm import KINDS, Norm

PARAMETERS = ("Wx", "Wh", "gamma", "beta")
# Two utterances are normalised to ±1, with a jump between them about as wide as √ε. With the usual ε that is as wide as
# a step of the differences. The complex step has no width and is used with the usual ε as well.
SMOOTH = 0.3


@dataclass(frozen=True)
class Case(test_lstm.Case):
    kind: str = "layer"
    epsilon: float = SMOOTH
    S: int = 16  # steps that have running statistics, frame-wise

    def draw(self, seed=0):
        """As the Bi-LSTM's, with gamma and beta in place of b."""
        inputs, rng = super().draw(seed), np.random.default_rng(seed + 1)
        beta = inputs.pop("b")
        return inputs | {"gamma": rng.uniform(0.5, 1.5, (KINDS[self.kind], *beta.shape)), "beta": beta}

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

    def reference(self, x, Wx, Wh, gamma, beta, h0, c0):
        return reference.batchnorm.forward(x, self.frames, Wx, Wh, gamma, beta, h0, c0, self.kind, self.epsilon)[0]

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

anything = st.builds(Case, kind=st.sampled_from(list(KINDS)), **test_lstm.SIZES)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.gradcheck
@kinds
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_forward_and_gradients(kind, shape):
    case = Case(**shape, kind=kind)
    inputs, directions = case.draw(), None if case.H < 16 else 3  # each coordinate of so many would take long
    for each in (case, replace(case, epsilon=batchnorm.EPSILON)):
        np.testing.assert_allclose(each.forward(**inputs), each.reference(**inputs), rtol=1e-9, atol=1e-11)
    require(check(case.forward, case.backward, inputs, directions=directions, time_axis={"x": 1}))


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
    case = Case(**SHAPES[shape], kind=kind, epsilon=epsilon)
    require(complex_step(case.reference, case.backward, case.draw()))


def test_parameter_gradients_accumulate_and_the_others_do_not():
    for kind in KINDS:
        case = Case(**SHAPES["5 utterances"], kind=kind)
        inputs = case.draw()
        dy = np.random.default_rng(1).standard_normal(case.forward(**inputs).shape)
        once, more = case.backward(dy, **inputs), case.backward(dy, start=3.0, **inputs)
        for name in inputs:
            np.testing.assert_allclose(more[name], once[name] + 3.0 * (name in PARAMETERS), rtol=1e-12, atol=1e-13)


# ---- running statistics ---------------------------------------------------------------------------------------------


BATCHES = [(3, 5, 1, 2), (4, 4), (1,), (7, 2, 2), (2, 3), *[(2, 4, 3)] * 9]  # the last frames of one run alone


def trained(kind, batches=BATCHES, S=16):
    """A norm that has seen these batches of one model, the reference's statistics of each, and the model's inputs."""
    cases = [Case(lengths, D=3, H=2, kind=kind, epsilon=batchnorm.EPSILON, S=S) for lengths in batches]
    model = {name: a for name, a in cases[0].draw().items() if name in PARAMETERS}
    norm, seen = cases[0].norm(model["gamma"], model["beta"]), []
    for seed, case in enumerate(cases):
        inputs = case.draw(seed) | model
        case.run(norm, **inputs)
        seen.append(reference.batchnorm.forward(**inputs, lengths=case.frames, kind=kind, epsilon=case.epsilon)[1])
    return norm, seen, model


def average(seen, part, step, direction, units=8):
    """Mean and variance after all that was seen of this step: the newest counts a tenth, the first ten alike."""
    average = np.zeros(units), np.ones(units)
    updates = 0
    for batch in seen:
        count, mean, variance = batch.get((part, step, direction), (0, None, None))
        if count > 1:
            updates += 1
            weight = max(1 / updates, 0.1)
            new = mean, variance * count / (count - 1)
            average = tuple((1 - weight) * old + weight * now for old, now in zip(average, new, strict=True))
    return average


@kinds
def test_inference_after_training_is_the_reference_with_the_averages(kind):
    """Of utterances that are longer than any in training, too: the last step that two of a batch have reached is 3."""
    norm, seen, model = trained(kind)
    last = 3 if norm.framewise else 0
    assert np.count_nonzero(norm.updates) == last + 1 and norm.updates[0] == len(BATCHES) - (kind != "layer")

    def known(part, step, direction):
        return average(seen, part, min(step, last), direction)

    case = Case((9, 2, 6, 1), D=3, H=2, kind=kind, epsilon=batchnorm.EPSILON)
    inputs = case.draw(99) | model
    before = norm.mean.copy(), norm.variance.copy(), norm.updates.copy()
    y, cache = case.run(norm, **inputs, training=False)
    close(
        y, reference.batchnorm.forward(**inputs, lengths=case.frames, kind=kind, epsilon=case.epsilon, known=known)[0]
    )
    for old, now in zip(before, (norm.mean, norm.variance, norm.updates), strict=True):
        np.testing.assert_array_equal(old, now)
    with pytest.raises(ValueError, match="call forward"):
        batchnorm.backward(y, cache, *(model[name] for name in ("Wx", "Wh")), norm, *model.values())


@pytest.mark.parametrize("kind", ["frame-8", "frame-9"])
def test_steps_without_a_place_are_as_the_last_that_has_one(kind):
    norm, whole = trained(kind, S=2)[0], trained(kind)[0]
    for few, all in ((norm.mean, whole.mean), (norm.variance, whole.variance)):
        np.testing.assert_array_equal(few, all[:, :2])
    np.testing.assert_array_equal(norm.updates, whole.updates[:2])


@kinds
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_inference_an_utterance_has_the_same_bits_alone_and_in_any_batch(kind, dtype):
    norm, _, model = trained(kind)
    names = "gamma", "beta", "mean", "variance", "updates"
    norm = Norm(kind, *(getattr(norm, name).astype(dtype) for name in names))
    case = Case((5, 1, 12, 7, 12, 3, 9, 2, 6, 6, 4, 8, 1, 3), D=3, H=2, kind=kind, spare=3)
    inputs = {name: a.astype(dtype) for name, a in (case.draw() | model).items()}
    together, _ = case.run(norm, **inputs, training=False)
    for u, length in enumerate(case.lengths):
        own = {"x": np.ascontiguousarray(inputs["x"][u : u + 1, :length])}
        own |= {name: np.ascontiguousarray(inputs[name][:, u : u + 1]) for name in ("h0", "c0")}
        alone, _ = Case((length,), D=3, H=2, kind=kind).run(norm, **(inputs | own), training=False)
        np.testing.assert_array_equal(alone[0], together[u, :length])


def everything(case, inputs):
    """y, the gradients for a fixed dy, and the running statistics."""
    norm = case.norm(inputs["gamma"], inputs["beta"])
    y, _ = case.run(norm, **inputs)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(y.dtype)
    return {"y": y, "mean": norm.mean, "variance": norm.variance} | case.backward(dy, **inputs)


@kinds
def test_same_bits_for_any_number_of_threads(kind, same_with_two_threads):
    case = Case((15, 1, 20, 11, 7, 20, 2), D=33, H=19, kind=kind, epsilon=batchnorm.EPSILON)
    inputs = {name: a.astype(np.float32) for name, a in case.draw().items()}
    same_with_two_threads(lambda: everything(case, inputs))


@kinds
def test_float32_stays_near_float64(kind):
    """The bound is max |error| / max |value|. Four utterances run to the end: where two are left that hardly differ in
    a feature, each step multiplies their difference by up to 1/√ε = 316, and the rounding in it."""
    case = Case((57, 20, 57, 33, 57, 40, 57, 1), D=96, H=32, kind=kind, epsilon=batchnorm.EPSILON)
    exact = {name: np.nan_to_num(a.astype(np.float32)).astype(np.float64) for name, a in case.draw().items()}
    exact["gamma"] *= 0.1
    single = everything(case, {name: a.astype(np.float32) for name, a in exact.items()})
    exact["gamma"] = exact["gamma"].astype(np.float32).astype(np.float64)
    dy = np.random.default_rng(2).standard_normal(single["y"].shape).astype(np.float32).astype(np.float64)
    for name, right in ({"y": case.forward(**exact)} | case.backward(dy, **exact)).items():
        assert single[name].dtype == np.float32
        assert abs(single[name] - right).max() <= (1e-4 if kind == "frame-9" else 5e-6) * abs(right).max(), name
