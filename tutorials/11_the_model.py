"""
11. The model
=============

You will see the whole network in one diagram, the shape of a batch on its way through it, and which
layers have the most parameters. Then come the four checks that a network should pass before a long
training: a small step lowers the loss by as much as the gradient predicts, every gradient is right,
an utterance gets the same scores alone and in a batch, and the network can memorise a few
utterances.

The parts were explained before: tutorials 2 (spectrogram), 4 and 5 (convolution), 6 and 7
(Bi-LSTM), 9 (update) and 10 (loss). Here they are put together.
"""

# %%
# The network
# -----------
#
# The paper's best model has four convolutions and one Bi-LSTM. The diagram shows it from the
# sound's spectrogram (left) to the probabilities of the four emotions (right). Below each box is
# the shape of what comes out of it: utterances x frames x frequency bins x channels, and so on. The
# paper does not print the sizes of its figure 3. These are ours, chosen by experiments
# (``docs/experiments.md``).

from dataclasses import replace

import matplotlib.pyplot as plt
import numba
import numpy as np

from scratchser.corpus import synthetic
from scratchser.corpus.features import extract
from scratchser.gradcheck import check, require
from scratchser.kernels import conv2d, softmax
from scratchser.model import Model
from scratchser.optim import Optimiser
from scratchser.presets import PAPER_BEST, PRESETS

numba.set_num_threads(1)  # the batches are small: a second thread would mostly wait


# sphinx_gallery_start_ignore
def draw_network():
    boxes = [
        ("log\nspectrogram", "B × T × 513 × 1", "0.85"),
        ("conv 1\nReLU", "B × T/2 × 65 × 48", "#9ecae1"),
        ("conv 2\nReLU", "B × T/4 × 33 × 64", "#9ecae1"),
        ("conv 3\nReLU", "B × T/8 × 17 × 96", "#9ecae1"),
        ("conv 4\nReLU", "B × T/8 × 9 × 96", "#9ecae1"),
        ("one vector\nfor each frame", "B × T/8 × 864", "0.85"),
        ("Bi-LSTM\n2 × 128 units", "B × T/8 × 256", "#fdae6b"),
        ("last states", "B × 256", "0.85"),
        ("dense", "B × 4", "#a1d99b"),
        ("softmax", "B × 4", "0.85"),
    ]
    _, axis = plt.subplots(figsize=(8, 3.3), layout="constrained")
    for n, (name, shape, colour) in enumerate(boxes):
        x, y = 1.32 * (n % 5), 0 if n < 5 else -1.5
        axis.add_patch(plt.Rectangle((x - 0.52, y - 0.3), 1.04, 0.6, fc=colour, ec="black"))
        axis.text(x, y, name, ha="center", va="center", fontsize=10)
        axis.text(x, y - 0.4, shape, ha="center", va="top", fontsize=9)
        if n % 5 < 4:
            axis.annotate("", (x + 0.8, y), (x + 0.52, y), arrowprops={"arrowstyle": "-|>", "color": "black"})
    axis.plot([5.8, 6.0, 6.0, -0.75, -0.75], [0, 0, -0.85, -0.85, -1.5], color="black", lw=1)
    axis.annotate("", (-0.52, -1.5), (-0.76, -1.5), arrowprops={"arrowstyle": "-|>", "color": "black"})
    axis.set(xlim=(-0.85, 6.1), ylim=(-2.15, 0.4))
    axis.axis("off")


# sphinx_gallery_end_ignore
draw_network()
plt.show()

# %%
# The convolutions halve the time axis three times, so the Bi-LSTM has to remember over T/8 steps
# and not over T (tutorial 7 showed how gradients fade with the steps). They also turn 513 frequency
# bins into 9 positions with 96 channels. Each frame is then one vector of 9 · 96 = 864 features.
#
# Where are the parameters?
# -------------------------
#
# Which layer has the most? Write down your guess, and its share of all parameters.

model = Model(PAPER_BEST, bins=513, classes=4)
layers = [*model.convs, *model.lstms, model.dense]
sizes = {}
for layer in layers:
    sizes[layer.name] = 0
    shapes = []
    for name, W in model.parameters.W.items():
        if name.startswith(layer.name):
            sizes[layer.name] += W.size
            shapes.append(f"{name} {W.shape}")
    print(f"{layer.name:6}{sizes[layer.name]:9,} ", *shapes)
total = len(model.parameters.values)
assert sum(sizes.values()) == total


# sphinx_gallery_start_ignore
def draw_sizes():
    _, axis = plt.subplots(figsize=(8, 2.6), layout="constrained")
    for n, (name, size) in enumerate(sizes.items()):
        axis.barh(n, size / 1000, color={"c": "#9ecae1", "l": "#fdae6b", "d": "#a1d99b"}[name[0]], ec="black")
        share = f"{size / total:.0%}" if size > 0.005 * total else "less than 1%"
        axis.text(size / 1000 + 8, n, f"{size:,} ({share})", va="center", fontsize=9)
    axis.set_yticks(range(len(sizes)), sizes)
    axis.invert_yaxis()
    axis.set(xlabel="parameters, thousands", xlim=(0, 1.25 * max(sizes.values()) / 1000))
    axis.spines[["top", "right"]].set_visible(False)


# sphinx_gallery_end_ignore
draw_sizes()
plt.show()
print(f"{total:,} parameters in all")
assert sizes["lstm1"] > 0.7 * total

# %%
# The Bi-LSTM has almost three quarters of them, and 87 % of these are its input weights: 864
# features, two directions, four gates of 128 units. The convolutions have few parameters, because
# the same kernel is used at every position. For the same reason, each of their weights takes part
# in many multiplications. What share of all multiplications do you expect in the convolutions?

frames, bins = 1.0, 513  # of the output, for each frame of the spectrogram
multiplications = {}
for conv in model.convs:
    frames /= conv.stride[0]
    bins = -(-bins // conv.stride[1])  # divided and rounded up
    multiplications[conv.name] = frames * bins * conv.W.size
lstm = model.lstms[0]
multiplications["lstm1"] = frames * (lstm.Wx.size + lstm.Wh.size)
for name, count in multiplications.items():
    print(f"{name:6}{count:9,.0f} multiplications for each frame of the spectrogram")
share = 1 - multiplications["lstm1"] / sum(multiplications.values())
print(f"the convolutions do {share:.0%} of them")
assert share > 0.9

# %%
# A batch on its way
# ------------------
#
# For the rest we take a smaller network, the preset ``demo``, and eight utterances of the built-in
# corpus. Everything is in float64, so that the checks can be strict. The spectrograms are padded
# with zeros to the longest utterance.

config = replace(PRESETS["demo"], l2=0.0, conv_l2=0.0)
corpus = synthetic.load(size=10)
features = extract(corpus, config)
chosen = np.arange(8)
lengths = features.lengths[chosen]
x = np.zeros((8, lengths.max(), features.values.shape[1], 1))
for row, utterance in enumerate(chosen):
    S = features.of(utterance)
    x[row, : len(S), :, 0] = (S - features.values.mean()) / features.values.std()
labels = np.array([corpus.utterances[n].label for n in chosen])
targets, weights = np.eye(4)[labels], np.ones(8)
model = Model(config, bins=x.shape[2], classes=4, seed=0, dtype=np.float64)
scores = model.forward(x, lengths)

# %%
# The layers keep their activations, since backward needs them. So we can look at the batch after
# each layer. Time runs downwards, and the width shows how many numbers a frame has. The first
# utterance is in front, the others are behind it. The hatched part lies past the end of an
# utterance. A layer with time stride 2 turns T frames into ⌈T / 2⌉, and it changes the length of
# each utterance in the same way.


# sphinx_gallery_start_ignore
def draw_shapes(stages):
    _, axes = plt.subplots(1, len(stages), figsize=(8, 3.8), layout="constrained")
    longest = max(shape[1] for _, shape, _ in stages if len(shape) > 2)
    for axis, (name, shape, real) in zip(axes, stages, strict=True):
        width = max(0.22, np.prod(shape[2:]) ** 0.5 / 70) if len(shape) > 2 else 0.22
        for b in reversed(range(shape[0])):
            left, top = 0.1 * b, -0.055 * b
            height = shape[1] / longest * 1.6 if len(shape) > 2 else 0.05
            axis.add_patch(plt.Rectangle((left, top), width, height, fc="white", ec="0.4", lw=0.7, hatch="////"))
            done = height * (real[b] / shape[1] if real is not None else 1)
            axis.add_patch(
                plt.Rectangle((left, top), width, done, fc="#fdd0a2" if "LSTM" in name else "#c6dbef", ec="k")
            )
        axis.set(xlim=(-0.05, 1.55), ylim=(1.75, -0.5))
        axis.axis("off")
        axis.set_title(name + "\n" + "\n× ".join(map(str, shape)), fontsize=9)


# sphinx_gallery_end_ignore
stages = [("input", x.shape, lengths)]
real = lengths
for layer in model.convs:
    real = conv2d.output_lengths(real, layer.stride[0])
    stages.append((layer.name, layer.y.shape, real))
flat = (*layer.y.shape[:2], layer.y.shape[2] * layer.y.shape[3])
stages.append(("vectors", flat, real))
stages.append(("Bi-LSTM", model.lstms[0].cache.y.shape, real))
stages.append(("scores", scores.shape, None))
for name, shape, _ in stages:
    print(f"{name:8} {shape}")
draw_shapes(stages)
plt.show()
assert flat[1] == -(-x.shape[1] // 8)

# %%
# And this is what the longest utterance looks like on its way. The network has not been trained
# yet. After the first convolution, the harmonics can still be seen. After the fourth one, only
# large areas are left. Most states of the Bi-LSTM change slowly.


# sphinx_gallery_start_ignore
def draw_activations():
    u = int(lengths.argmax())
    maps = {"input": x[u, :, :, 0], "conv1, mean channel": model.convs[0].y[u].mean(axis=2)}
    maps |= {"conv4, mean channel": model.convs[-1].y[u].mean(axis=2), "states": model.lstms[0].cache.y[u]}
    _, axes = plt.subplots(1, 4, figsize=(8, 2.7), layout="constrained")
    for axis, (title, values), row in zip(axes, maps.items(), ("bin", "position", "position", "unit"), strict=True):
        extent = (0, lengths[u] * 0.032, 0, values.shape[1])
        colours = "RdBu_r" if title == "states" else "magma"
        axis.imshow(values.T, aspect="auto", origin="lower", cmap=colours, extent=extent)
        axis.set(xlabel="time, s", ylabel=row)
        axis.set_title(title, fontsize=9)


# sphinx_gallery_end_ignore
draw_activations()
plt.show()

# %%
# Check 1: a small step does what the gradient says
# -------------------------------------------------
#
# A gradient predicts how much a small step of the parameters changes the loss: multiply gradient
# and step of each parameter, and add up the products. We go against the gradient with steps of
# different sizes and compare the prediction with the real change. How will the error of the
# prediction depend on the step size?


def loss_now():
    return softmax.loss(model.forward(x, lengths), targets, weights)


start = model.parameters.values.copy()
loss, dscores = loss_now()
model.parameters.gradients[:] = 0
model.backward(dscores)
gradient = model.parameters.gradients.copy()
print(f"loss {loss:.4f}, ln 4 {np.log(4):.4f}")
learning_rates = np.geomspace(1e-7, 1e-1, 13)
changes, predictions = [], []
for learning_rate in learning_rates:
    model.parameters.values[:] = start - learning_rate * gradient
    changes.append(loss_now()[0] - loss)
    predictions.append(-learning_rate * gradient @ gradient)
model.parameters.values[:] = start
errors = np.abs(np.array(changes) / predictions - 1)


# sphinx_gallery_start_ignore
def draw_steps():
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    left.loglog(learning_rates, -np.array(predictions), "-", label="predicted")
    down = np.array(changes) < 0
    left.loglog(learning_rates[down], -np.array(changes)[down], "o", label="measured")
    left.set(xlabel="learning rate", ylabel="decrease of the loss, nats")
    left.legend(frameon=False)
    right.loglog(learning_rates, errors, "o-")
    right.set(xlabel="learning rate", ylabel="relative error of the prediction")


# sphinx_gallery_end_ignore
draw_steps()
plt.show()
assert errors[0] < 1e-4 < 1e-2 < errors[-1]

# %%
# The smaller the step, the better the prediction. For a large step the loss is curved, and the
# prediction says little. If a gradient were wrong, the error would not go to 0: it would stay at
# the same value for all small steps. This check is short and works on a real batch. But it sums
# over all parameters, so a small mistake in a small tensor can hide.
#
# Check 2: every gradient
# -----------------------
#
# Now the strict check. It uses a small network with the same layers, utterances of unequal lengths,
# NaN past their ends (it must not matter), soft targets and weights. ``scratchser.gradcheck`` moves
# each tensor in three random directions and compares the change of the loss with the gradient. The
# relative error must be below about :math:`10^{-8}`.

tiny = replace(
    config,
    conv_channels=(2, 3, 2, 2),
    conv_kernels=((3, 5), (2, 3), (3, 2), (1, 3)),
    conv_strides=((2, 2), (1, 2), (2, 1), (1, 2)),
    lstm_units=4,
)
small = Model(tiny, bins=11, classes=4, seed=3, dtype=np.float64)
rng = np.random.default_rng(11)
short = np.array([13, 1, 8, 5])
z = rng.standard_normal((4, 13, 11, 1))
z[np.arange(13) >= short[:, None]] = np.nan
soft, weight = rng.dirichlet(np.ones(4), 4), rng.uniform(0.3, 1, 4)
# biases of 0 would hide terms
small.parameters.values += 0.1 * rng.standard_normal(small.parameters.values.shape)


# %%
# The check calls three functions of the parameters: the loss, its gradients, and ``kinks``. The
# last one gives the values that enter the ReLUs, so that the check can avoid a step across zero.


def loss_of(arrays):
    for name, value in arrays.items():
        small.parameters.W[name][...] = value
    return softmax.loss(small.forward(z, short), soft, weight)


def forward(**arrays):
    return loss_of(arrays)[0]


def backward(dy, **arrays):
    small.parameters.gradients[:] = 0
    small.backward(dy * loss_of(arrays)[1])
    return {name: value.copy() for name, value in small.parameters.dW.items()}


def kinks(**arrays):
    loss_of(arrays)  # every layer keeps its input
    before = []
    for layer in small.convs:
        parameters = layer.W, layer.b, layer.stride
        values = conv2d.forward(layer.x, layer.lengths, *parameters, relu=False)
        frames = conv2d.output_lengths(layer.lengths, layer.stride[0])
        before += [values[u, :n].ravel() for u, n in enumerate(frames)]
    return np.concatenate(before)


# %%
# Each line of the output is one tensor, with its largest error and the limit.

tensors = {name: value.copy() for name, value in small.parameters.W.items()}
reports = check(forward, backward, tensors, directions=3, kinks=kinks)
print(*reports, sep="\n")
require(reports)

# %%
# Does the check find a mistake? We plant one. The layers of a network pass their gradients on, so
# we let the Bi-LSTM pass on only 99 % of its gradient. Which tensors will fail?


def wrong_backward(dy, **arrays):
    layer = small.lstms[0]
    right = layer.backward
    layer.backward = lambda dh: 0.99 * right(dh)
    try:
        return backward(dy, **arrays)
    finally:
        del layer.backward  # the method of the class again


reports = check(forward, wrong_backward, tensors, directions=1, kinks=kinks)
print(*reports, sep="\n")
failed = [report.name for report in reports if not report.passed]
assert failed == [name for name in tensors if name.startswith("conv")]

# %%
# All tensors *below* the mistake fail, each with the factor 0.99, and all others pass. So read such
# a list from the top of the network, here from its last line upwards: the first layer that fails
# got a wrong gradient from the layer above it.
#
# Check 3: alone and in a batch
# -----------------------------
#
# The scores of an utterance must not depend on the other utterances of its batch. Otherwise a
# result depends on the batch size. Two things can go wrong. A convolution or a time loop can read
# past the end of an utterance. And a sum in another order differs in the last digits. Do you expect
# equal scores, or almost equal ones?

together = model.forward(x, lengths).copy()
for u, length in enumerate(lengths):
    alone = model.forward(np.ascontiguousarray(x[u : u + 1, :length]), lengths[u : u + 1])
    assert np.array_equal(alone[0], together[u])
padded = np.pad(x, ((0, 0), (0, 40), (0, 0), (0, 0)), constant_values=np.nan)
reverse = model.forward(padded[::-1].copy(), lengths[::-1].copy())[::-1]
assert np.array_equal(reverse, together)
print("alone, in a batch, in another order, with more padding: equal in every bit")

# %%
# They are equal in every bit. The paper masks the padding before the Bi-LSTM only; we mask it
# before every layer.
#
# Check 4: memorise eight utterances
# ----------------------------------
#
# A network that cannot memorise a few utterances cannot learn anything. If it can, that does not
# show that it learns anything about emotions. We train once with the labels, and once with *wrong*
# labels, shifted by one class. What do you expect from the second training?


def memorise(labels, steps=40):
    targets = np.eye(4)[labels]
    model = Model(config, bins=x.shape[2], classes=4, seed=0, dtype=np.float64)
    optimiser = Optimiser(model.parameters, config)
    losses = []
    for _ in range(steps):
        loss, dscores = softmax.loss(model.forward(x, lengths), targets, weights)
        model.backward(dscores)
        optimiser.step(1.0)
        losses.append(loss)
    return losses


# sphinx_gallery_start_ignore
def draw_memory(runs):
    _, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    for (name, losses), style in zip(runs.items(), ("-", "--"), strict=True):
        axis.semilogy(losses, style, label=name)
    axis.set(xlabel="step", ylabel="loss, nats")
    axis.legend(frameon=False)


# sphinx_gallery_end_ignore
runs = {"labels": memorise(labels), "wrong labels": memorise((labels + 1) % 4)}
for name, losses in runs.items():
    print(f"{name:12} loss {losses[0]:.2f} -> {losses[-1]:.4f}")
    assert losses[-1] < 0.1
draw_memory(runs)
plt.show()

# %%
# It memorises both. So a small training loss says nothing about new data. That is why tutorial 12
# tests on speakers who are not in the training data.
#
# What to try
# -----------
#
# 1. Why is the first loss above ln 4, the loss of a network that prefers no class?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The first scores are not 0. A preference for a wrong class costs more than a preference for
#       the right class saves, because the logarithm is curved.
#
# 2. In check 2, plant the mistake in the dense layer: let ``small.dense.backward`` pass on 0.99 of
#    its gradient. Which tensors fail?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Those of the Bi-LSTM and of all convolutions. Only ``dense.W`` and ``dense.b`` pass.
#
# 3. How would the diagram change with a second Bi-LSTM (``lstm_layers=2``)? How many parameters
#    would it have?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       It reads the 256 states of each frame of the first one and gives 256 again. It has
#       256 · 2 · 512 input weights, 2 · 128 · 512 recurrent weights and 2 · 512 biases: 394,240.
#
# **Your turn.** Write the backward pass of the top layer in
# ``tutorials/exercises/linear_backward.py``. In ``linear_backward_derive.py`` you find the formulas
# yourself, and in ``cuda_weight_gradient.py`` you write the gradient of the weights for CUDA. This
# command judges it::
#
#     python -m scratchser.check tutorials/exercises/linear_backward.py
