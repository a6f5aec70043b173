"""The dense layer against x W + b, and its backward against differences and the complex step."""

import numpy as np
import pytest

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import linear

SHAPES = {"paper": (16, 256, 4), "one of each": (1, 1, 1), "odd": (5, 17, 7)}


def draw(shape):
    (B, D, K), rng = shape, np.random.default_rng(3)
    return {"x": rng.standard_normal((B, D)), "W": rng.standard_normal((D, K)), "b": rng.standard_normal(K)}


def backward(dy, x, W, b):
    dW, db = np.zeros_like(W), np.zeros_like(b)
    return {"x": linear.backward(dy, x, W, dW, db), "W": dW, "b": db}


@pytest.mark.gradcheck
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_gradients(shape):
    inputs = draw(shape)
    np.testing.assert_allclose(linear.forward(**inputs), reference.linear.forward(**inputs), rtol=1e-12, atol=1e-12)
    require(check(linear.forward, backward, inputs))
    require(complex_step(reference.linear.forward, backward, inputs))


def test_parameter_gradients_accumulate_and_dx_does_not():
    inputs = draw(SHAPES["odd"])
    dy = np.random.default_rng(4).standard_normal((5, 7))
    dW, db = np.zeros_like(inputs["W"]), np.zeros_like(inputs["b"])
    first = linear.backward(dy, inputs["x"], inputs["W"], dW, db)
    second = linear.backward(dy, inputs["x"], inputs["W"], dW, db)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(dW, 2 * inputs["x"].T @ dy, rtol=1e-12)
    np.testing.assert_allclose(db, 2 * dy.sum(axis=0), rtol=1e-12)


def test_float32_stays_within_its_rounding_of_float64_and_a_row_has_the_same_bits_alone():
    inputs = draw(SHAPES["paper"])
    given = {name: a.astype(np.float32) for name, a in inputs.items()}
    single = linear.forward(**given)
    assert single.dtype == np.float32
    for u in range(16):
        np.testing.assert_array_equal(linear.forward(given["x"][u : u + 1], given["W"], given["b"])[0], single[u])
    # 257 rounded additions, each at most half an ulp of a partial sum, and the rounding of the operands themselves
    bound = 260 * 2.0**-24 * (abs(inputs["x"]) @ abs(inputs["W"]) + abs(inputs["b"]))
    assert (abs(single - reference.linear.forward(**inputs)) <= bound).all()
