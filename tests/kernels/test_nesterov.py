"""The fused update: segments and chunks against the plain formula, and against the textbook's."""

import numpy as np

from scratchser import reference
from scratchser.kernels import nesterov

MOMENTUM = 0.9


def draw(n, seed=6):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n), rng.standard_normal(n)


def test_it_is_the_textbook_method_seen_from_the_look_ahead_point():
    rng = np.random.default_rng(7)
    A = rng.standard_normal((8, 8))
    A = A @ A.T / 8

    def gradient(theta):
        return A @ theta - np.tanh(theta)

    learning_rate = 0.1
    W = rng.standard_normal(8)
    V = np.zeros(8)
    for theta, v in reference.nesterov.textbook(W.copy(), gradient, learning_rate, MOMENTUM, steps=20):
        nesterov.step(W, V, gradient(W), np.array([8]), np.array([learning_rate]), np.zeros(1), MOMENTUM)
        np.testing.assert_allclose(W, theta + MOMENTUM * v, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(V, -v / learning_rate, rtol=1e-10, atol=1e-12)


def test_every_parameter_of_many_chunks_gets_its_segments_settings_with_any_number_of_threads(same_with_two_threads):
    n = 3 * nesterov.CHUNK + 5
    ends = np.array([7, 7, 8, nesterov.CHUNK, n - 9_000, n])  # one is empty, one is a single bias
    learning_rate, l2 = np.array([0.1, 9.0, 0.05, 0.01, 0.3, 0.2]), np.array([0.1, 9.0, 0, 0.02, 0.3, 0.1])

    def step():
        W, V = draw(n)
        dW = np.sin(W)
        nesterov.step(W, V, dW, ends, learning_rate, l2, MOMENTUM)
        return W, V, dW

    same_with_two_threads(step)
    (W, V, dW), (before, velocity) = step(), draw(n)
    assert not dW.any(), "the next step's gradients are added to what is left"
    learning_rates, l2s = (np.repeat(each, np.diff(ends, prepend=0)) for each in (learning_rate, l2))
    g = np.sin(before) + l2s * before
    np.testing.assert_allclose(V, MOMENTUM * velocity + g, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(W, before - learning_rates * (g + MOMENTUM * V), rtol=1e-12, atol=1e-14)


def test_float32_stays_within_its_rounding_of_float64():
    W, V = draw(1000)
    dW = draw(1000, 8)[0]
    single = [a.astype(np.float32) for a in (W, V, dW)]
    settings = np.array([1000]), np.array([0.01]), np.array([1e-3]), MOMENTUM
    nesterov.step(*single, *settings)
    nesterov.step(W, V, dW, *settings)
    assert single[0].dtype == np.float32
    assert abs(single[0] - W).max() <= 4 * 2.0**-24 * abs(W).max()
    assert abs(single[1] - V).max() <= 4 * 2.0**-24 * abs(V).max()
