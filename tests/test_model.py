"""The whole stack: depths of the paper, gradients from the loss to every parameter, independence of the batch."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from test_pool import differences

from scratchser.gradcheck import check, require
from scratchser.kernels import conv2d, group_norm, softmax, statistics_pool
from scratchser.kernels.batchnorm import KINDS
from scratchser.layers import MaxPool, StatisticsPool
from scratchser.model import MAX_PARAMETERS, Model, tensors
from scratchser.optim import Optimiser
from scratchser.presets import Config, SettingError, of_depth, pooled

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
STACKS = list(product(range(1, 7), range(1, 5), [False, True]))  # conv layers, Bi-LSTM layers, max pooling


def stack(conv, lstm, pool=False, dtype=np.float32, batchnorm="off"):
    config = replace(of_depth(SMALL, conv, lstm), batchnorm=batchnorm)
    return Model(pooled(config) if pool else config, BINS, classes=4, seed=[conv, lstm], dtype=dtype)


def batch(dtype=np.float32):
    """Spectrograms (3, 17, 17, 1) with NaN past each end, lengths, targets, weights."""
    rng, lengths = np.random.default_rng(5), np.array([17, 5, 10])
    x = rng.standard_normal((3, 17, BINS, 1))
    for b, length in enumerate(lengths):
        x[b, length:] = np.nan
    return x.astype(dtype), lengths, np.eye(4, dtype=dtype)[[2, 0, 3]], np.array([1, 0.7, 1], dtype)


@pytest.mark.parametrize(("conv", "lstm", "pool"), STACKS)
def test_a_stack_learns_a_tiny_batch(conv, lstm, pool):
    model, (x, lengths, targets, weights) = stack(conv, lstm, pool), batch()
    assert len([layer for layer in model.convs if not isinstance(layer, MaxPool)]) == conv
    assert any(isinstance(layer, MaxPool) for layer in model.convs) == pool and len(model.lstms) == lstm
    optimiser, losses = Optimiser(model.parameters, SMALL), []
    for _ in range(12):
        loss, dscores = softmax.loss(model.forward(x, lengths), targets, weights)
        model.backward(dscores)
        assert all(gradient.any() for gradient in model.parameters.dW.values()), "a layer without a gradient"
        optimiser.step(1.0)
        losses.append(loss)
    assert np.isfinite(losses).all() and losses[-1] < 0.98 * losses[0]


def test_a_window_of_one_is_no_layer():
    one = replace(SMALL, pool=((1, 1), (1, 2), (1, 1), (2, 1)))
    layers = Model(one, 257, 4).convs
    assert [type(layer).__name__ for layer in layers] == ["Conv2d", "Conv2d", "MaxPool", "Conv2d", "Conv2d", "MaxPool"]
    assert [layer.window for layer in layers if isinstance(layer, MaxPool)] == [(1, 2), (2, 1)]


def preactivations(model, x, lengths):
    """The inputs of the ReLUs over real frames, and the differences within what maxima are taken of: 0 is a kink."""
    seen = []
    for layer in model.convs:
        if isinstance(layer, MaxPool):
            seen.append(differences(x, lengths, layer.window))
            x, lengths = layer.forward(x, lengths)
        else:
            z = conv2d.forward(x, lengths, layer.W, layer.b, layer.stride, relu=False)
            x, lengths = layer.forward(x, lengths)
            seen += [z[b, :length].ravel() for b, length in enumerate(lengths)]
    if isinstance(model.readout, StatisticsPool):
        x = x.reshape(*x.shape[:2], -1)
        for layer in model.lstms:
            x, lengths = layer.forward(x, lengths)
        seen += [(x[b, :length, None] - x[b, None, :length]).ravel() for b, length in enumerate(lengths)]
    return np.concatenate(seen)


def check_gradients(model, x, lengths, target, weight, directions, speakers=None):
    """Of the loss, to every parameter."""
    rng = np.random.default_rng(1)
    for spec in model.parameters.specs:  # zero biases would leave terms untested
        if not spec.decays and spec.group != "statistics":
            model.parameters.W[spec.name] += 0.3 * rng.standard_normal(spec.shape)
    p = model.parameters
    inputs = {spec.name: p.W[spec.name].copy() for spec in p.specs if spec.group != "statistics"}

    def assign(arrays):
        for key, value in arrays.items():
            model.parameters.W[key][...] = value

    def forward(**arrays):
        assign(arrays)
        return np.array([softmax.loss(model.forward(x, lengths, True, speakers), target, weight)[0]])

    def backward(dy, **arrays):
        assign(arrays)
        p.gradients[:] = 0
        model.backward(dy[0] * softmax.loss(model.forward(x, lengths, True, speakers), target, weight)[1])
        assert not any(p.dW[spec.name].any() for spec in p.specs if spec.group == "statistics")
        return {name: p.dW[name].copy() for name in inputs}

    def kinks(**arrays):
        assign(arrays)
        return preactivations(model, x, lengths)

    require(check(forward, backward, inputs, directions=directions, kinks=kinks))


# every depth with and without pooling, and every number of Bi-LSTM layers; the other combinations are slow
@pytest.mark.gradcheck
@pytest.mark.parametrize(
    ("conv", "lstm", "pool"),
    [pytest.param(*s, marks=[pytest.mark.slow] * (s[1] != 1 + (s[0] + s[2]) % 4)) for s in STACKS],
)
def test_gradient_of_every_parameter(conv, lstm, pool):
    """The LSTM's weights are doubled. Otherwise, after four layers the gradient is so small that the rounding of the
    loss, divided by the step, becomes visible."""
    model = stack(conv, lstm, pool, np.float64)
    for layer in model.lstms:
        layer.Wx[...] *= 2
        layer.Wh[...] *= 2
    check_gradients(model, *batch(np.float64), directions=2)


@pytest.mark.gradcheck
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_with_batch_normalisation(kind):
    """ε is large: two utterances are normalised to ±1, with a jump between them about as wide as √ε."""
    model = stack(1, 2, dtype=np.float64, batchnorm=kind)
    for layer in model.lstms:
        layer.norm.gamma[...] = np.random.default_rng(2).uniform(1, 2, layer.norm.gamma.shape)
        layer.norm = replace(layer.norm, epsilon=0.3)
    check_gradients(model, *batch(np.float64), directions=2)


@pytest.mark.gradcheck
@pytest.mark.parametrize("lstm", [0, 1])
def test_gradients_with_statistics_and_speakers(lstm, monkeypatch):
    """Six utterances of two speakers; ε is large as above."""
    for op in (statistics_pool, group_norm):
        monkeypatch.setattr(op, "EPSILON", 0.3)
    own = {"readout": "statistics", "readout_norm": "speaker", "select_epoch": False}
    config = replace(of_depth(SMALL, 2, 1), lstm_layers=lstm, **own)
    model = Model(config, BINS, classes=4, seed=lstm, dtype=np.float64)
    x, lengths, target, weight = (np.concatenate([array, array[::-1]]) for array in batch(np.float64))
    x[3:] = np.random.default_rng(6).permutation(x[3:], axis=2)
    check_gradients(model, x, lengths, target, weight, directions=2, speakers=np.array([1, 0, 0, 1, 0, 1]))
    with pytest.raises(ValueError, match="needs the speaker of each utterance"):
        model.forward(x, lengths)


@pytest.mark.parametrize(
    ("conv", "lstm", "pool", "batchnorm"),
    [(4, 1, False, "off"), (6, 2, True, "off"), *((2, 2, False, kind) for kind in KINDS)],
)
def test_scores_do_not_depend_on_the_batch(conv, lstm, pool, batchnorm):
    """To the bit: alone, in another order, or with more padding; after two training steps, which batch normalisation
    remembers, and for an utterance longer than those of the training."""
    model, (x, lengths, _, _) = stack(conv, lstm, pool, batchnorm=batchnorm), batch()
    for rows in ([1, 2], [2, 1]):
        model.forward(x[rows], lengths[rows], training=True)
    together = model.forward(x, lengths).copy()
    for b, length in enumerate(lengths):
        alone = model.forward(np.ascontiguousarray(x[b : b + 1, :length]), lengths[b : b + 1])
        assert np.array_equal(alone[0], together[b]), b
    padded = np.full((3, 30, BINS, 1), np.nan, np.float32)
    padded[:, :17] = x[::-1]
    assert np.array_equal(model.forward(padded, lengths[::-1].copy())[::-1], together)
    assert np.array_equal(model.forward(x, lengths, training=True), together) == (batchnorm == "off")


def test_more_parameters_than_int32_can_index_are_refused():
    assert sum(spec.size for spec in tensors(Config(lstm_units=14000), 257, 4)) <= MAX_PARAMETERS
    with pytest.raises(SettingError, match=r"the largest tensor is lstm1.Wh of shape \(2, 17000, 68000\)"):
        tensors(Config(lstm_units=17000), 257, 4)


def test_initial_weights():
    """He for conv, orthogonal recurrences, Glorot for the rest, forget bias 1; another seed gives others."""
    config = Config(conv_channels=(16, 32), conv_kernels=((5, 5),) * 2, conv_strides=((2, 2),) * 2, lstm_units=32)
    model = Model(config, bins=65, classes=4, seed=5)
    W = model.parameters.W
    assert np.std(W["conv2.W"]) == pytest.approx(np.sqrt(2 / (25 * 16)), rel=0.03)
    for direction in range(2):
        for gate in range(4):
            Q = W["lstm1.Wh"][direction, :, gate * 32 : (gate + 1) * 32]
            np.testing.assert_allclose(Q @ Q.T, np.eye(32), atol=1e-5)
    limit = np.sqrt(6 / (17 * 32 + 32))
    assert limit * 0.99 < np.abs(W["lstm1.Wx"]).max() <= limit
    assert np.sqrt(6 / 68) * 0.9 < np.abs(W["dense.W"]).max() <= np.sqrt(6 / 68)
    forget = np.zeros((2, 128))
    forget[:, 32:64] = 1
    assert np.array_equal(W["lstm1.b"], forget) and not W["conv1.b"].any() and not W["dense.b"].any()
    for kind in KINDS:  # the same weights, beta as the bias, statistics that change nothing
        other = Model(replace(config, batchnorm=kind), 65, 4, seed=5).parameters.W
        assert all(np.array_equal(other[name], W[name]) for name in W if name != "lstm1.b")
        assert np.array_equal(other["lstm1.beta"], forget) and (other["lstm1.variance"] == 1).all()
        assert np.unique(other["lstm1.gamma"]).tolist() == [np.float32(0.1 if kind.startswith("frame") else 1)]
        assert not other["lstm1.mean"].any() and not other["lstm1.updates"].any()
    assert np.array_equal(Model(config, 65, 4, seed=5).parameters.values, model.parameters.values)
    assert not np.array_equal(Model(config, 65, 4, seed=6).parameters.values, model.parameters.values)
