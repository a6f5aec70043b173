"""Softmax and its cross-entropy: soft targets, weights, extreme scores."""

import numpy as np
import pytest
import scipy.special

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import softmax


def draw(B=6, K=4, seed=5):
    """Scores, soft targets and weights; some targets one-hot, one weight 0."""
    rng = np.random.default_rng(seed)
    target = rng.dirichlet(np.ones(K), B)
    target[::2] = np.eye(K)[rng.integers(K, size=len(target[::2]))]
    weight = rng.uniform(0.3, 1, B)
    weight[B // 2] = 0
    return 2 * rng.standard_normal((B, K)), target, weight


@pytest.mark.parametrize("shape", [(6, 4), (1, 1), (5, 7)])
def test_probabilities_and_loss(shape):
    logits, target, weight = draw(*shape)
    np.testing.assert_allclose(softmax.forward(logits), scipy.special.softmax(logits, axis=1), rtol=1e-13)
    expected = -np.mean(weight * (target * scipy.special.log_softmax(logits, axis=1)).sum(axis=1))
    assert softmax.loss(logits, target, weight)[0] == pytest.approx(expected, rel=1e-13)


def of_one_batch(target, weight):
    """The loss as a function of the logits alone; a scaled output makes dy differ from 1."""

    def forward(logits):
        return np.array([softmax.loss(logits, target, weight)[0]])

    def backward(dy, logits):
        return {"logits": dy[0] * softmax.loss(logits, target, weight)[1]}

    def reference_forward(logits):
        return np.array([reference.softmax.loss(logits, target, weight)])

    return forward, backward, reference_forward


@pytest.mark.gradcheck
@pytest.mark.parametrize("mass", [1.0, 0.6], ids=["distributions", "targets that do not sum to 1"])
def test_gradient(mass):
    logits, target, weight = draw()
    forward, backward, reference_forward = of_one_batch(mass * target, weight)
    require(check(forward, backward, {"logits": logits}))
    require(complex_step(reference_forward, backward, {"logits": logits}))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_scores_stay_finite_and_right(dtype):
    logits = np.array([[1e4, -1e4, 0, 0], [-1e4, -1e4, -1e4, -1e4], [0, 1e4, -1e4, 1e4]], dtype)
    target = np.array([[0, 1, 0, 0], [0.5, 0.5, 0, 0], [1, 0, 0, 0]], dtype)
    np.testing.assert_array_equal(softmax.forward(logits), [[1, 0, 0, 0], [0.25] * 4, [0, 0.5, 0, 0.5]])
    loss, dlogits = softmax.loss(logits, target, np.ones(3, dtype))
    assert loss == pytest.approx((2e4 + np.log(4) + 1e4 + np.log(2)) / 3, rel=1e-6)
    expected = np.array([[1, -1, 0, 0], [-0.25, -0.25, 0.25, 0.25], [-1, 0.5, 0, 0.5]]) / 3
    np.testing.assert_allclose(dlogits, expected, rtol=1e-6)


def test_nan_scores_give_a_nan_loss():
    logits, target, weight = draw()
    logits[2, 1] = np.nan
    assert np.isnan(softmax.loss(logits, target, weight)[0])


def test_float32_stays_within_its_rounding_of_float64():
    logits, target, weight = draw(B=64)
    loss, dlogits = softmax.loss(*(a.astype(np.float32) for a in (logits, target, weight)))
    exact, exact_gradient = softmax.loss(logits, target, weight)
    assert dlogits.dtype == np.float32
    assert loss == pytest.approx(exact, rel=2e-6)
    assert abs(dlogits - exact_gradient).max() <= 1e-6 * abs(exact_gradient).max()


def test_an_empty_batch_is_refused():
    logits, target, weight = draw()
    with pytest.raises(ValueError, match="empty batch"):
        softmax.loss(logits[:0], target[:0], weight[:0])
