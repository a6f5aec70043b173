# %% [markdown]
# # 11. The whole model
#
# You will see what shape the data has after each layer, and which layers have the most parameters; one training step
# that lowers the loss by as much as the gradient predicts; the gradient of *every* parameter, checked at once; and that
# an utterance gets the same scores, bit by bit, alone and in any batch.
#
# It builds on all tutorials before: 2 (spectrograms), 4 and 5 (convolutions), 6 and 7 (Bi-LSTM), 9 (update), 10 (loss).

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from _figures import save

from scratchser.corpus import synthetic
from scratchser.corpus.batches import Dataset, assemble
from scratchser.corpus.features import extract
from scratchser.corpus.normalisation import Normalisation
from scratchser.gradcheck import check, require
from scratchser.kernels import conv2d, softmax
from scratchser.model import Model
from scratchser.optim import Optimiser
from scratchser.presets import PAPER_BEST, PRESETS

# %% [markdown]
# ## Shapes
#
#     (B, T, F, 1) ─ convolutions ─▶ (B, T', F', C) ─ one vector a frame ─▶ (B, T', F' C)
#                  ─ Bi-LSTM ─▶ (B, T', 2H) ─ last states ─▶ (B, 2H) ─ dense ─▶ (B, 4)
#
# A convolution with stride s turns T frames into ⌈T / s⌉, and the real frames of an utterance into ⌈length / s⌉. So the
# Bi-LSTM has to remember over T' = T / 8 steps, not over T (tutorial 7 showed how gradients fade). The paper's figure 3
# does not show channels, kernels and strides; ours were chosen by experiment: `docs/experiments.md`.

# %%
frames, bins = 100, 64 * PAPER_BEST.frequency_khz + 1
model = Model(PAPER_BEST, bins, classes=4)
print(f"{frames} frames of {bins} bins, {len(model.parameters.values)} parameters in all")
for layer in [*model.convs, *model.lstms, model.dense]:
    size, shape = sum(W.size for name, W in model.parameters.W.items() if name.startswith(layer.name)), (4,)
    if layer in model.convs:
        frames, bins, _ = shape = layer.output_shape(frames, bins)
    elif layer in model.lstms:
        shape = frames, 2 * PAPER_BEST.lstm_units
    print(f"    {layer.name:6} -> {' x '.join(map(str, shape)):12} {size:8} parameters")
assert frames == 13

# %% [markdown]
# ## One training step
#
# One step with eight utterances of the built-in corpus: forward, loss, backward, update. The gradient predicts that the
# loss changes by dW · step, and a small step must give this change: a quick check, in float32 and with real shapes.

# %%
config = replace(PRESETS["demo"], l2=0.0, conv_l2=0.0, momentum=0.0)
corpus, chosen = synthetic.load(size=10), np.arange(8)
data = Dataset.of(corpus.classes, corpus.utterances, extract(corpus, config), config)
normalisation = Normalisation.of(data.features, chosen, "fold")
x, lengths = assemble(data.features, normalisation, chosen, np.ones(8))
targets, weights = data.targets[chosen], data.weights[chosen]
model = Model(config, x.shape[2], len(corpus.classes), seed=0)
optimiser, before = Optimiser(model.parameters, config), model.parameters.values.copy()
now, dlogits = softmax.loss(model.forward(x, lengths), targets, weights)
model.backward(dlogits)
gradient = model.parameters.gradients.astype(np.float64)  # a copy: the update clears them
optimiser.step(0.01)  # a hundredth of the learning rates
predicted = gradient @ (model.parameters.values - before)
got = softmax.loss(model.forward(x, lengths), targets, weights)[0] - now
print(f"x {x.shape}, loss {now:.4f}, ln 4 {np.log(4):.4f}; predicted change {predicted:.2e}, change {got:.2e}")
assert got < 0 and abs(got / predicted - 1) < 0.1

# %% [markdown]
# ## Every parameter
#
# Now the strict check: a small model in float64, unequal lengths, NaN past the ends, soft targets and weights; all
# parameter arrays, along three random directions each. `kinks` returns the inputs of the ReLUs, so that the checker can
# avoid steps across 0.

# %%
kernels, strides = ((3, 5), (2, 3), (3, 2), (1, 3)), ((2, 2), (1, 2), (2, 1), (1, 2))
tiny = replace(config, conv_channels=(2, 3, 2, 2), conv_kernels=kernels, conv_strides=strides, lstm_units=4)
small, rng = Model(tiny, bins=11, classes=4, seed=3, dtype=np.float64), np.random.default_rng(11)
short, z = np.array([13, 1, 8, 5]), rng.standard_normal((4, 13, 11, 1))
z[np.arange(13) >= short[:, None]] = np.nan
soft, weight = rng.dirichlet(np.ones(4), 4), rng.uniform(0.3, 1, 4)
small.parameters.values += 0.1 * rng.standard_normal(small.parameters.values.shape)  # biases of 0 would hide terms


def loss_of(arrays):
    for name, value in arrays.items():
        small.parameters.W[name][...] = value
    return softmax.loss(small.forward(z, short), soft, weight)


def backward(dy, **arrays):
    small.parameters.gradients[:] = 0
    small.backward(dy * loss_of(arrays)[1])
    return {name: value.copy() for name, value in small.parameters.dW.items()}


def kinks(**arrays):
    signs, _ = [], loss_of(arrays)  # every layer keeps its input
    for layer in small.convs:
        pre = conv2d.forward(layer.x, layer.lengths, layer.W, layer.b, layer.stride, relu=False)
        signs += [pre[u, :n].ravel() for u, n in enumerate(conv2d.output_lengths(layer.lengths, layer.stride[0]))]
    return np.concatenate(signs)


start = {name: value.copy() for name, value in small.parameters.W.items()}
reports = check(lambda **arrays: loss_of(arrays)[0], backward, start, directions=3, kinks=kinks)
print("against differences of the loss:", *reports, sep="\n")
require(reports)

# %% [markdown]
# ## Alone and in a batch: the same bits
#
# The scores of an utterance must not depend on the rest of its batch, or else a result depends on the batch size.
# Padding can change the scores if a window or a time loop reads past the end, and sums in another order differ in the
# last bits. Neither happens here. The paper masks before the Bi-LSTM only; we mask before every layer.

# %%
together = model.forward(x, lengths).copy()
for u, length in enumerate(lengths):
    alone = model.forward(np.ascontiguousarray(x[u : u + 1, :length]), lengths[u : u + 1])
    assert np.array_equal(alone[0], together[u])
padded = np.pad(x, ((0, 0), (0, 40), (0, 0), (0, 0)), constant_values=np.nan)  # more padding
assert np.array_equal(model.forward(padded[::-1].copy(), lengths[::-1].copy())[::-1], together)
print("alone, in a batch, in another order, with more padding: the same bits")

# %% [markdown]
# ## Memorising eight utterances
#
# The last check before a long training: a model that cannot memorise a few utterances cannot learn. The converse is not
# true.

# %%
optimiser, losses = Optimiser(model.parameters, PRESETS["demo"]), []
for _ in range(40):
    now, dlogits = softmax.loss(model.forward(x, lengths), targets, weights)
    model.backward(dlogits)
    optimiser.step(1.0)
    losses.append(now)
print(f"40 steps: loss {losses[0]:.2f} -> {losses[-1]:.4f}")
assert np.array_equal(model.forward(x, lengths).argmax(axis=1), data.labels[chosen]) and losses[-1] < 0.1
u, first, last = int(lengths.argmax()), model.convs[0], model.convs[-1]
maps = {"input: log power": x[u, :, :, 0], "conv1: mean of its channels": first.y[u].mean(axis=2)}
maps |= {"conv4: mean of its channels": last.y[u].mean(axis=2), "Bi-LSTM: states": model.lstms[0].cache.y[u]}
figure, axes = plt.subplots(1, 5, figsize=(15, 3.2), layout="constrained")
for panel, (title, values), rows in zip(axes, maps.items(), ("bin", "position", "position", "unit"), strict=False):
    size, colours = (0, lengths[u] * 0.032, 0, values.shape[1]), "RdBu_r" if "LSTM" in title else "magma"
    panel.imshow(values.T, aspect="auto", origin="lower", cmap=colours, extent=size)  # a frame each 32 ms
    panel.set(title=title, xlabel="time, s", ylabel=rows)
axes[4].semilogy(losses)
axes[4].set(title="memorising eight utterances", xlabel="steps taken", ylabel="loss, nats")
save(figure, "11_the_model")

# %% [markdown]
# ## What to try
#
# - Where are the parameters of the best model? (73 % in the Bi-LSTM, and 87 % of those in Wx: it reads 9 · 96 = 864
#   features per frame.)
# - Why is the first loss above ln 4? (The first scores are not 0, and a preference for a wrong class costs more than no
#   preference.)
# - Your turn: `tutorials/exercises/linear_backward.py`, the top layer, judged by
#   `python -m scratchser.check tutorials/exercises/linear_backward.py`.
