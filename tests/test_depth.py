"""The depths that the paper tried, 1-6 conv and 1-4 Bi-LSTM layers, each with and without max pooling."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from test_model import check_gradients

from scratchser.kernels import softmax
from scratchser.layers import MaxPool
from scratchser.model import Model
from scratchser.optim import Optimiser
from scratchser.presets import Config, of_depth, pooled

SMALL = Config(
    conv_channels=(3, 4, 3, 4),
    conv_kernels=((3, 5), (3, 3), (2, 3), (3, 3)),
    conv_strides=((2, 2), (2, 2), (2, 2), (1, 2)),
    lstm_units=4,
    learning_rate=0.05,
    conv_learning_rate=0.05,
    l2=0.0,
    conv_l2=0.0,
)
BINS = 17
STACKS = list(product(range(1, 7), range(1, 5), [False, True]))


def stack(conv, lstm, pool, dtype=np.float32):
    config = of_depth(SMALL, conv, lstm)
    config = pooled(config) if pool else config
    return config, Model(config, BINS, classes=4, seed=[conv, lstm], dtype=dtype)


def batch(dtype):
    """Spectrograms (3, 17, 17, 1) with NaN past each end, lengths, targets, weights."""
    rng, lengths = np.random.default_rng(5), np.array([17, 5, 10])
    x = rng.standard_normal((3, 17, BINS, 1))
    for b, length in enumerate(lengths):
        x[b, length:] = np.nan
    return x.astype(dtype), lengths, np.eye(4, dtype=dtype)[[2, 0, 3]], np.array([1, 0.7, 1], dtype)


@pytest.mark.parametrize(("conv", "lstm", "pool"), STACKS)
def test_a_stack_learns_a_tiny_batch(conv, lstm, pool):
    config, model = stack(conv, lstm, pool)
    assert len([layer for layer in model.convs if not isinstance(layer, MaxPool)]) == conv
    assert any(isinstance(layer, MaxPool) for layer in model.convs) == pool and len(model.lstms) == lstm
    optimiser, (x, lengths, targets, weights) = Optimiser(model.parameters, config), batch(np.float32)
    losses = []
    for _ in range(12):
        loss, dscores = softmax.loss(model.forward(x, lengths), targets, weights)
        model.backward(dscores)
        assert all(gradient.any() for gradient in model.parameters.dW.values()), "a layer without a gradient"
        optimiser.step(1.0)
        losses.append(loss)
    assert np.isfinite(losses).all() and losses[-1] < 0.98 * losses[0]


# every depth with and without pooling, and every number of Bi-LSTM layers; the other combinations are slow
@pytest.mark.gradcheck
@pytest.mark.parametrize(
    ("conv", "lstm", "pool"),
    [pytest.param(*s, marks=[pytest.mark.slow] * (s[1] != 1 + (s[0] + s[2]) % 4)) for s in STACKS],
)
def test_gradients_of_a_stack(conv, lstm, pool):
    """The LSTM's weights are doubled. Otherwise, after four layers the gradient is so small that the rounding of the
    loss, divided by the step, becomes visible."""
    _, model = stack(conv, lstm, pool, np.float64)
    for layer in model.lstms:
        layer.Wx[...] *= 2
        layer.Wh[...] *= 2
    check_gradients(model, *batch(np.float64), directions=2)


@pytest.mark.parametrize("pool", [False, True])
def test_scores_of_a_stack_do_not_depend_on_the_batch(pool):
    """To the bit: alone, or with more padding."""
    _, model = stack(6, 2, pool)
    x, lengths, _, _ = batch(np.float32)
    together = model.forward(x, lengths).copy()
    for b, length in enumerate(lengths):
        own = np.full((1, length + 4, BINS, 1), np.nan, np.float32)
        own[0, :length] = x[b, :length]
        np.testing.assert_array_equal(model.forward(own, lengths[b : b + 1])[0], together[b])


def test_a_window_of_one_is_no_layer():
    one = replace(SMALL, pool=((1, 1), (1, 2), (1, 1), (2, 1)))
    layers = Model(one, 257, 4).convs
    assert [type(layer).__name__ for layer in layers] == ["Conv2d", "Conv2d", "MaxPool", "Conv2d", "Conv2d", "MaxPool"]
    assert [layer.window for layer in layers if isinstance(layer, MaxPool)] == [(1, 2), (2, 1)]
