"""Learning rates and L2 by layer, and the gradient norms of figure 4."""

from dataclasses import replace

import numpy as np
import pytest

from scratchser.layers import Parameters, Spec
from scratchser.optim import GradientNorms, Optimiser
from scratchser.presets import Config

SPECS = [
    Spec("conv1.W", (2, 3), "conv", True),
    Spec("conv1.b", (3,), "conv", False),
    Spec("dense.W", (4, 2), "rest", True),
    Spec("dense.b", (2,), "rest", False),
    Spec("lstm1.mean", (5,), "statistics", False),
]
CONFIG = replace(Config(), learning_rate=0.1, conv_learning_rate=0.3, l2=0.01, conv_l2=0.05, momentum=0.8)


def filled(seed=0):
    parameters = Parameters(SPECS, np.dtype(np.float64))
    rng = np.random.default_rng(seed)
    parameters.values[:] = rng.standard_normal(parameters.values.size)
    parameters.gradients[:] = rng.standard_normal(parameters.values.size)
    return parameters


def test_each_group_has_its_learning_rate_and_only_weights_decay():
    parameters = filled()
    before = {name: (parameters.W[name].copy(), parameters.dW[name].copy()) for name in parameters.W}
    Optimiser(parameters, CONFIG).step(0.5)
    for name, rate, l2 in [("conv1.W", 0.3, 0.05), ("conv1.b", 0.3, 0), ("dense.W", 0.1, 0.01), ("dense.b", 0.1, 0)]:
        W, dW = before[name]
        g = dW + l2 * W
        np.testing.assert_allclose(parameters.W[name], W - 0.5 * rate * (g + 0.8 * g), rtol=1e-13)
    assert not parameters.gradients.any()


def test_statistics_only_travel_with_the_parameters():
    """Their gradient is 0, so updates leave them as they are, to the bit."""
    parameters = filled()
    parameters.dW["lstm1.mean"][:] = 0
    kept = parameters.W["lstm1.mean"].copy()
    optimiser = Optimiser(parameters, CONFIG)
    for _ in range(3):
        optimiser.step(1.0)
    np.testing.assert_array_equal(parameters.W["lstm1.mean"], kept)
    assert not optimiser.velocity[-5:].any()


def test_momentum_carries_over_to_the_next_step():
    parameters = filled()
    optimiser = Optimiser(parameters, replace(CONFIG, l2=0.0, conv_l2=0.0))
    g = parameters.dW["dense.W"].copy()
    optimiser.step(1.0)
    W = parameters.W["dense.W"].copy()
    optimiser.step(1.0)  # gradients are cleared, so v = 0.8 g and the step is rate · mu · v
    np.testing.assert_allclose(parameters.W["dense.W"], W - 0.1 * 0.8 * 0.8 * g, rtol=1e-13)


def test_gradient_norms_are_those_of_the_weights_per_layer():
    parameters = filled()
    norms, first = GradientNorms(parameters), parameters.dW["conv1.W"].copy()
    norms.add()
    parameters.gradients *= 3
    norms.add()
    rms = np.sqrt(np.mean(first**2))
    assert norms.means()["conv1"] == pytest.approx(2 * rms, rel=1e-12)
    assert list(norms.means()) == ["conv1", "dense"]  # no weights, no norm
