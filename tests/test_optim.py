"""Learning rates and L2 by layer, and the gradient norms of figure 4."""

from dataclasses import replace

import numpy as np
import pytest

from scratchser.layers import Parameters, Spec
from scratchser.optim import GradientNorms, Optimiser
from scratchser.presets import Config
from scratchser.reference import nesterov

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
    """Over two steps, the second one without a gradient: then momentum and L2 move the parameters alone."""
    parameters = filled()
    parameters.dW["lstm1.mean"][:] = 0
    kept, optimiser = parameters.W["lstm1.mean"].copy(), Optimiser(parameters, CONFIG)
    expected = {name: (W.copy(), np.zeros_like(W)) for name, W in parameters.W.items()}
    for _ in range(2):
        gradients = {name: dW.copy() for name, dW in parameters.dW.items()}
        optimiser.step(0.5)
        rates = [("conv1.W", 0.3, 0.05), ("conv1.b", 0.3, 0), ("dense.W", 0.1, 0.01), ("dense.b", 0.1, 0)]
        for name, rate, l2 in rates:
            expected[name] = nesterov.step(*expected[name], gradients[name], 0.5 * rate, l2, 0.8)
            np.testing.assert_allclose(parameters.W[name], expected[name][0], rtol=1e-13)
        assert not parameters.gradients.any()
    np.testing.assert_array_equal(parameters.W["lstm1.mean"], kept)  # statistics have no gradient and no decay
    assert not optimiser.velocity[-5:].any()


def test_gradient_norms_are_those_of_the_weights_per_layer():
    parameters = filled()
    norms, first = GradientNorms(parameters), parameters.dW["conv1.W"].copy()
    norms.add()
    parameters.gradients *= 3
    norms.add()
    rms = np.sqrt(np.mean(first**2))
    assert norms.means()["conv1"] == pytest.approx(2 * rms, rel=1e-12)
    assert list(norms.means()) == ["conv1", "dense"]  # no weights, no norm
