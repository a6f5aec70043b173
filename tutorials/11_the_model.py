# %% [markdown]
# # 11. The whole model
#
# Every part is there: spectrograms (2), warps (3), convolutions (4, 5), the Bi-LSTM (6, 7), the optimiser (9), the loss
# (10). Here they are put on top of each other, and you will see
#
# 1. what shape the data has after each layer, and where the parameters sit;
# 2. one whole training step, and that it goes downhill by as much as the gradient says;
# 3. the gradient of the loss with respect to *every* parameter, checked at once;
# 4. that an utterance gets the same scores, to the bit, alone and in any batch.

# %%
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from scratchser.batches import Normalisation, assemble
from scratchser.corpus import synthetic
from scratchser.features import extract
from scratchser.gradcheck import check, require
from scratchser.kernels import conv2d, softmax
from scratchser.model import Model
from scratchser.optim import Optimiser
from scratchser.presets import PAPER_BEST, PRESETS
from scratchser.train import Dataset

FIGURES = Path(globals().get("__file__", "notebook")).resolve().parent / "figures"
FIGURES.mkdir(exist_ok=True)

# %% [markdown]
# ## Shapes
#
# $$(B, T, F, 1) \xrightarrow{\text{conv}} \dots \xrightarrow{\text{conv}} (B, T', F', C)
#   \xrightarrow{\text{flatten}} (B, T', F' C) \xrightarrow{\text{Bi-LSTM}} (B, T', 2H)
#   \xrightarrow{\text{last states}} (B, 2H) \xrightarrow{\text{dense}} (B, 4)$$
#
# A convolution with stride $s$ makes $\lceil T / s \rceil$ frames of $T$, and $\lceil \text{length} / s \rceil$ of an
# utterance's real ones. Look at the frames on their way: the Bi-LSTM has to remember over $T' = T / 8$ steps, not over
# $T$ (tutorial 7 showed how gradients fade). That is what strides in time are for.
#
# The paper's figure 3 does not print channels, kernels and strides. Ours were chosen by experiment; `presets.py` has
# them, `docs/experiments.md` the reasons.


# %%
def shapes(config, frames, classes=4):
    """Each layer's name, output shape (without B) and number of parameters."""
    bins, rows = 64 * config.frequency_khz + 1, []
    model = Model(config, bins, classes)
    sizes = {}
    for spec in model.parameters.specs:
        sizes[spec.layer] = sizes.get(spec.layer, 0) + spec.size
    for layer in model.convs:
        frames, bins, channels = layer.output_shape(frames, bins)
        rows.append((layer.name, (frames, bins, channels), sizes[layer.name]))
    for layer in model.lstms:
        rows.append((layer.name, (frames, 2 * config.lstm_units), sizes[layer.name]))
    return [*rows, ("dense", (classes,), sizes["dense"])], len(model.parameters.values)


for name, config in (("best, 8 kHz", PAPER_BEST), ("demo, 4 kHz", PRESETS["demo"])):
    table, total = shapes(config, frames=100)
    print(f"{name}: 100 frames of {64 * config.frequency_khz + 1} bins")
    for layer, shape, size in table:
        print(f"    {layer:6} -> {' x '.join(map(str, shape)):12}  {size:7} parameters")
    print(f"    {total} in all")
    assert sum(size for *_, size in table) == total and table[3][1][0] == -(-100 // 8)

# %% [markdown]
# ## One training step
#
# Eight utterances of the built-in corpus. Forward, loss, backward, update: four lines, and every one of them calls
# nothing but kernels that you have met.

# %%
config = replace(PRESETS["demo"], l2=0.0, conv_l2=0.0, momentum=0.0)
corpus = synthetic.load(size=10)
data = Dataset.of(corpus.classes, corpus.utterances, extract(corpus, config), config)
chosen = np.arange(8)
normalisation = Normalisation.of(data.features, chosen, "fold")
x, lengths = assemble(data.features, normalisation, chosen, np.ones(8))
targets, weights = data.targets[chosen], data.weights[chosen]
model = Model(config, x.shape[2], len(corpus.classes), seed=0)
optimiser = Optimiser(model.parameters, config)


def loss():
    return softmax.loss(model.forward(x, lengths), targets, weights)[0]


before = model.parameters.values.copy()
logits = model.forward(x, lengths)
now, dlogits = softmax.loss(logits, targets, weights)
model.backward(dlogits)
gradient = model.parameters.gradients.copy()  # the update clears it
optimiser.step(0.01)  # a hundredth of the rates
step = model.parameters.values - before
promised, got = float(gradient.astype(np.float64) @ step), loss() - now
print(f"x {x.shape}, lengths {lengths}, loss {now:.4f}; ln 4 = {np.log(4):.4f} is that of not knowing anything")
print(f"the step promised {promised:.2e} and brought {got:.2e}")
assert got < 0 and abs(got / promised - 1) < 0.1

# %% [markdown]
# The gradient promises a change of $dW \cdot \text{step}$, and a small step keeps the promise: the quickest sanity
# check that there is, in float32 and on real shapes. A wrong gradient may still point downhill; it does not get the
# *amount* right.
#
# ## Every parameter
#
# Now the strict one: a small model of the same four convolutions and one Bi-LSTM in float64, unequal lengths, NaN
# behind the ends, soft targets and weights. All tensors at once, along three random directions each. ReLU has kinks:
# `kinks` tells the checker where, so that no step crosses one.

# %%
tiny = replace(
    config, conv_channels=(2, 3, 2, 2), conv_kernels=((3, 5), (2, 3), (3, 2), (1, 3)),
    conv_strides=((2, 2), (1, 2), (2, 1), (1, 2)), lstm_units=4,
)  # fmt: skip
small, rng = Model(tiny, bins=11, classes=4, seed=3, dtype=np.float64), np.random.default_rng(11)
short = np.array([13, 1, 8, 5])
z = rng.standard_normal((4, 13, 11, 1))
for u, length in enumerate(short):
    z[u, length:] = np.nan
soft, weight = rng.dirichlet(np.ones(4), 4), rng.uniform(0.3, 1, 4)
small.parameters.values += 0.1 * rng.standard_normal(small.parameters.values.shape)  # biases of 0 would hide terms


def put(arrays):
    for name, value in arrays.items():
        small.parameters.W[name][...] = value


def forward(**arrays):
    put(arrays)
    return softmax.loss(small.forward(z, short), soft, weight)[0]


def backward(dy, **arrays):
    put(arrays)
    small.parameters.gradients[:] = 0
    small.backward(dy * softmax.loss(small.forward(z, short), soft, weight)[1])
    return {name: value.copy() for name, value in small.parameters.dW.items()}


def kinks(**arrays):
    put(arrays)
    seen, x, n = [], z, short
    for layer in small.convs:
        before_relu = conv2d.forward(x, n, layer.W, layer.b, layer.stride, relu=False)
        x, n = layer.forward(x, n)
        x = x.copy()
        seen += [before_relu[u, :length].ravel() for u, length in enumerate(n)]
    return np.concatenate(seen)


start = {name: value.copy() for name, value in small.parameters.W.items()}
reports = check(forward, backward, start, directions=3, kinks=kinks)
print(*reports, sep="\n")
require(reports)

# %% [markdown]
# ## Alone and in company: the same bits
#
# What a model says of an utterance must not depend on what it is batched with, or a result depends on the batch size.
# Two things can break that: padding that leaks in (through a convolution's window, or a walk that does not stop), and
# sums taken in another order, which differ in the last bit. Neither does here. The paper masks in front of the Bi-LSTM
# only; we mask in front of every layer, which is why this holds.

# %%
together = model.forward(x, lengths).copy()
for u, length in enumerate(lengths):
    alone = model.forward(np.ascontiguousarray(x[u : u + 1, :length]), lengths[u : u + 1])
    assert np.array_equal(alone[0], together[u])
crowd = np.full((8, x.shape[1] + 40, *x.shape[2:]), np.nan, np.float32)  # more padding, and NaN in it
for u, length in enumerate(lengths):
    crowd[u, :length] = x[u, :length]
assert np.array_equal(model.forward(crowd[::-1].copy(), lengths[::-1].copy())[::-1], together)
print("alone, in a batch, in another order, with more padding: the same bits")

# %% [markdown]
# ## Learning eight utterances by heart
#
# The last check before a long training: a model that cannot memorise a handful cannot learn. The converse does not
# hold.

# %%
optimiser, losses = Optimiser(model.parameters, PRESETS["demo"]), []
for _ in range(40):
    now, dlogits = softmax.loss(model.forward(x, lengths), targets, weights)
    model.backward(dlogits)
    optimiser.step(1.0)
    losses.append(now)
right = (model.forward(x, lengths).argmax(axis=1) == data.labels[chosen]).sum()
print(f"40 steps: loss {losses[0]:.2f} -> {losses[-1]:.4f}, {right} of 8 right")
assert right == 8 and losses[-1] < 0.1

# %% what one of them looks like on its way up
u = int(lengths.argmax())
maps, y, n = [x[u, :, :, 0]], x, lengths
for layer in model.convs:
    y, n = layer.forward(y, n)
    maps.append(y[u, : n[u]].mean(axis=2))
states, _ = model.lstms[0].forward(y.reshape(*y.shape[:2], -1), n)
maps = [*maps[:2], maps[4], states[u, : n[u]]]
titles = ("input: log power", "conv1: mean of 16 channels", "conv4: mean of 32 channels", "Bi-LSTM: states")
figure, axes = plt.subplots(1, 5, figsize=(15, 3.4), layout="constrained")
for panel, picture, title in zip(axes, maps, titles, strict=False):
    signed = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1} if title.startswith("Bi") else {"cmap": "magma"}
    panel.imshow(picture.T, aspect="auto", origin="lower", **signed)
    panel.set(title=title, xlabel="frame", ylabel="unit" if title.startswith("Bi") else "bin")
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
axes[3].axhline(config.lstm_units - 0.5, color="black", lw=0.8)
axes[4].semilogy(losses)
axes[4].set(title="eight utterances by heart", xlabel="step", ylabel="loss")
axes[4].grid(alpha=0.25)
figure.savefig(FIGURES / "11_the_model.png", dpi=120)

# %% [markdown]
# ## What to try
#
# - *Where do the parameters of the best model sit?* 73 % in the Bi-LSTM, and 87 % of those in $W_x$: it reads
#   $9 \cdot 96 = 864$ features a frame. Halve `conv_channels[3]` and see.
# - *Why is the loss before training above $\ln 4$?* The initial scores are not 0: a wrong opinion costs more than none.
# - *Which line of the picture's Bi-LSTM panel does the dense layer read?* Two pieces: the lower half (forward
#   direction) at the last frame, the upper half (backward) at the first.
# - *Take the `+=` of a gradient in a backward pass for `=`: which cell above notices?* The gradient check. The bits do
#   not, for they are forward only, and eight utterances are learned by heart with many a wrong gradient.
#
# Your turn: `tutorials/exercises/linear_backward.py`, the top layer, is the shortest of all; whoever has done
# `conv2d_backward.py`, `lstm_backward.py` and `softmax_loss.py` too has written every backward pass of this model:
#
# ```sh
# python -m scratchser.check tutorials/exercises/linear_backward.py
# ```
#
# Next: `12_cross_validation.py` asks what such a model is worth.
