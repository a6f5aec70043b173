"""
4. Strided convolution and its two gradients
============================================

The first layers of the network are convolutions. In this tutorial you will see

- what one convolution computes, and which inputs one output sees,
- what a stride and "same" padding do to the length of an utterance,
- how both gradients follow from the forward sum, without any new formula,
- how to check that a backward pass is right.

You need the spectrogram of tutorial 2, and derivatives of sums. Everything starts in one
dimension, with nine numbers that you can follow by hand.
"""

# %%

# sphinx_gallery_thumbnail_number = 3
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from scipy.signal import correlate

from scratchser import reference
from scratchser.corpus import synthetic
from scratchser.gradcheck import check, require
from scratchser.kernels import conv2d, stft

# sphinx_gallery_start_ignore
INPUT, WEIGHT, OUTPUT, ZERO = "#9ecae1", "#fdae6b", "#a1d99b", "#eeeeee"


def draw_cell(axis, left, bottom, text, colour, edge="0.4", width=1.0):
    axis.add_patch(Rectangle((left, bottom), width, 1, facecolor=colour, edgecolor=edge))
    axis.text(left + width / 2, bottom + 0.48, text, ha="center", va="center", fontsize=9)


def without_frame(axis, left, right, bottom, top):
    axis.set(xlim=(left, right), ylim=(bottom, top))
    axis.axis("off")


# sphinx_gallery_end_ignore

# %%
# A window that slides
# --------------------
#
# A convolution has a small set of weights, called its *kernel*. The kernel is placed on a part of
# the input, the *window*. Each weight is multiplied by the input below it, and the products are
# added up. (This kernel has nothing to do with the kernels of tutorial 1. The word has two
# meanings.) The result is one output. Then the window moves on and the same weights are used again.
#
# Here are nine inputs and three weights. The window that begins at input 2 covers 1, 3 and -1.
# What is the output? Write down your guess, then run the cell.

x = np.array([2.0, 0, 1, 3, -1, 0, 0, 2, 1])
W = np.array([1.0, 2, -1])

window = x[2:5]
print("window:  ", window)
print("products:", window * W)
print("output:  ", np.sum(window * W))
assert np.sum(window * W) == 8

# %%
# Why does the network use the same weights at all positions, and not separate weights for each
# position? A pattern of speech can come early or late in an utterance. With shared weights, what
# the network learns about the pattern in one place helps in all places. The network also needs far
# fewer weights.
#
# Same padding
# ------------
#
# A window of three weights has seven positions inside nine inputs, so the output would be shorter
# than the input. To avoid this, we continue the input with zeros on both sides. With :math:`I`
# weights, the first window begins :math:`p = \lfloor (I - 1) / 2 \rfloor` elements before the
# input. Now there are as many windows as inputs, and the output has the *same* length as the input.
# This is why it is called *same padding*.
#
# In the drawing, each row is one position of the window. Grey inputs are the added zeros.

# sphinx_gallery_start_ignore


def draw_windows(x, W, stride):
    T, I = len(x), len(W)
    p, stops = (I - 1) // 2, -(-T // stride)
    padded = np.pad(x, (p, I))
    _, axis = plt.subplots(figsize=(8, 0.9 + 0.32 * stops))
    for u in range(-p, T + 1):
        inside = 0 <= u < T
        draw_cell(axis, u, 0, f"{x[u]:g}" if inside else "0", INPUT if inside else ZERO)
    axis.text(-p - 0.2, 0.5, "x", ha="right", va="center")
    for t in range(stops):
        for i in range(I):
            draw_cell(axis, t * stride - p + i, -1.4 - 1.15 * t, f"{W[i]:g}", WEIGHT)
        y = padded[t * stride : t * stride + I] @ W
        axis.text(T + 1.6, -0.9 - 1.15 * t, f"y[{t}] = {y:g}", va="center")
    without_frame(axis, -p - 1, T + 4, -0.6 - 1.15 * stops, 1.1)


# sphinx_gallery_end_ignore
draw_windows(x, W, stride=1)
plt.show()

# %%
# A stride
# --------
#
# Neighbouring windows overlap and cover nearly the same inputs, so their outputs are often similar.
# With a *stride* of 2 the window moves two elements at a time, and only half of the outputs are
# computed. A strided layer makes an utterance shorter for all the layers above it.
#
# How many outputs do you expect for nine inputs and stride 2? And for eight inputs? Write down your
# guess, then run the cell.

draw_windows(x, W, stride=2)
plt.show()

# %%
# The window stops at the positions 0, 2, 4, ... up to the last input. With stride :math:`s`, these
# are :math:`\lceil T / s \rceil` stops for :math:`T` inputs, for any size of the kernel: five for
# nine inputs and four for eight. The stops are :math:`s` inputs apart, so output :math:`t` is
#
# .. math:: y[t] = \sum_i W[i] \; x[t s + i - p]
#
# where :math:`x` is zero outside of the input. A layer also adds a bias, the same to all outputs;
# it is zero here. The loops below are this formula. The package's ``conv2d.forward`` works on
# batches of spectrograms, so we give it the nine numbers as one utterance with one frequency bin
# and one channel.


def convolve(x, W, stride):
    T, I = len(x), len(W)
    p = (I - 1) // 2
    y = np.zeros(-(-T // stride))  # -(-T // s) is T / s, rounded up
    for t in range(len(y)):
        for i in range(I):
            u = t * stride + i - p
            if 0 <= u < T:
                y[t] += W[i] * x[u]
    return y


y = convolve(x, W, stride=2)
shaped_x = x.reshape(1, 9, 1, 1)  # utterances, frames, bins, channels
shaped_W = W.reshape(3, 1, 1, 1)
nine = np.array([9])  # the length of each utterance
no_bias = np.zeros(1)
by_kernel = conv2d.forward(shaped_x, nine, shaped_W, no_bias, (2, 1), relu=False)
print("loops:         ", y)
print("package kernel:", by_kernel.ravel())
assert len(convolve(x[:8], W, stride=2)) == 4
assert np.allclose(y, by_kernel.ravel())
# SciPy computes all outputs, we keep every second one
assert np.allclose(y, correlate(np.pad(x, 1), W, "valid")[::2])

# %%
# Which inputs does an output see?
# --------------------------------
#
# One output of one layer sees three inputs. When layers are stacked, an output of the second layer
# sees three outputs of the first layer, and each of these sees three inputs. The windows overlap,
# so these are fewer than nine inputs. What an output sees is called its *receptive field*.
#
# The drawing shows three layers with stride 2 on top of 24 frames. How many frames does the marked
# output of layer 3 see? First guess the number, then follow the lines.

# sphinx_gallery_start_ignore


def draw_receptive_field(T, layers, marked):
    _, axis = plt.subplots(figsize=(8, 3.6))
    counts = [T]
    for _ in range(layers):
        counts.append(-(-counts[-1] // 2))
    seen = [{marked}]  # from the top layer down to the input
    for layer in range(layers, 0, -1):
        below = {2 * t + i for t in seen[0] for i in (-1, 0, 1)}
        seen.insert(0, {u for u in below if 0 <= u < counts[layer - 1]})
    for layer, count in enumerate(counts):
        width = 2**layer
        for t in range(count):
            of_marked = t in seen[layer]
            colour = (INPUT, *[OUTPUT] * layers)[layer] if of_marked else "white"
            draw_cell(axis, t * width + width / 2 - 0.45, 3 * layer, str(t), colour, width=0.9)
            for i in (-1, 0, 1) if layer else ():
                if 0 <= 2 * t + i < counts[layer - 1]:
                    below = (2 * t + i) * width / 2 + width / 4
                    style = {"color": "0.2", "lw": 1} if of_marked else {"color": "0.85", "lw": 0.6, "zorder": 0}
                    axis.plot([t * width + width / 2, below], [3 * layer, 3 * layer - 2], **style)
        axis.text(-0.6, 3 * layer + 0.5, f"layer {layer}" if layer else "frames", ha="right", va="center")
    without_frame(axis, -3, T + 0.5, -0.2, 3 * layers + 1.2)


# sphinx_gallery_end_ignore
draw_receptive_field(T=24, layers=3, marked=1)
plt.show()

# %%
# We can also measure it. Set one frame to 1 and all others to 0, run the layers, and see whether
# the marked output is different from 0. Repeat this for each frame. With weights that are all 1,
# nothing can cancel out.


def three_layers(x):
    lengths = np.array([x.shape[1]])
    for _ in range(3):
        x = conv2d.forward(x, lengths, np.ones((3, 1, 1, 1)), no_bias, (2, 1))
        lengths = conv2d.output_lengths(lengths, 2)
    return x


seen = []
for u in range(24):
    impulse = np.zeros((1, 24, 1, 1))
    impulse[0, u] = 1
    if three_layers(impulse)[0, 1, 0, 0] != 0:
        seen.append(u)
print(f"layer 3, output 1 sees the {len(seen)} frames from {seen[0]} to {seen[-1]}")
assert seen == list(range(1, 16))

# %%
# The receptive field grows from 3 to 7 to 15 frames: each layer doubles it and adds one. Frames are
# 32 ms apart and 64 ms long, so 15 frames are about half a second of speech. This is one purpose of
# strides. Without them, three layers would see only 7 frames.
#
# The sum as a table
# ------------------
#
# We go back to nine inputs and stride 2, and prepare the gradients. The table below shows which
# input enters which output with which weight. Row :math:`t` belongs to output :math:`t` and column
# :math:`u` to input :math:`u`. An entry is the weight between the two. Empty means 0: this input
# does not enter this output.
#
# Call this table :math:`M`. Then the whole convolution is the matrix product :math:`y = M x`.

M = np.zeros((5, 9))
for t in range(5):
    for i in range(3):
        u = 2 * t + i - 1
        if 0 <= u < 9:
            M[t, u] = W[i]
assert np.allclose(M @ x, y)

# sphinx_gallery_start_ignore


def draw_table(axis, marked=(), colour=WEIGHT):
    """The entries of M; the marked (t, u) in colour."""
    for t in range(5):
        for u in range(9):
            text = f"{M[t, u]:g}" if M[t, u] else ""
            draw_cell(axis, u, -t, text, colour if (t, u) in marked else "white", edge="0.7")
    for u in range(9):
        axis.text(u + 0.5, 1.3, str(u), ha="center", color="0.4", fontsize=8)
    for t in range(5):
        axis.text(-0.3, 0.5 - t, str(t), ha="right", va="center", color="0.4", fontsize=8)
    axis.set_aspect("equal")
    without_frame(axis, -1.2, 9.2, -4.2, 2.8)


def draw_whole_table():
    _, axis = plt.subplots(figsize=(6, 3))
    draw_table(axis, {(t, u) for t in range(5) for u in range(9) if M[t, u]})
    axis.text(4.5, 2.2, "input u", ha="center")
    axis.text(-1.2, -1.5, "output t", rotation=90, ha="center", va="center")


# sphinx_gallery_end_ignore
draw_whole_table()
plt.show()

# %%
# One sum, read in three ways
# ---------------------------
#
# Suppose the layers above give us :math:`dy[t]`. This is the gradient of the loss with respect to
# output :math:`t`: if :math:`y[t]` grows by a small number :math:`\varepsilon`, the loss grows by
# :math:`\varepsilon \, dy[t]`. We need the same for each input and for each weight.
#
# Each coloured entry of the table stands for one product :math:`W[i] \, x[u]` that is added to
# :math:`y[t]`. For small changes, only the sum of all :math:`dy[t] \, y[t]` matters for the loss.
# In this sum, the entry is the term
#
# .. math:: dy[t] \cdot W[i] \cdot x[u]
#
# It has three factors. To get the derivative with respect to one of them, leave this factor out,
# and add up the terms of all entries in which it occurs:
#
# - **Output** :math:`y[t]` is the sum of its **row**, over :math:`W[i] \, x[u]`.
# - **Input** :math:`x[u]` occurs in its **column**. So :math:`dx[u]` is the sum of the column, over
#   :math:`dy[t] \, W[i]`.
# - **Weight** :math:`W[i]` occurs on a **diagonal**, once in each window (but not on the padding).
#   So :math:`dW[i]` is the sum of the diagonal, over :math:`dy[t] \, x[u]`.

# sphinx_gallery_start_ignore


def draw_three_sums():
    _, axes = plt.subplots(1, 3, figsize=(9, 2.4), layout="constrained")
    draw_table(axes[0], {(2, u) for u in (3, 4, 5)}, OUTPUT)
    draw_table(axes[1], {(t, 3) for t in (1, 2)}, INPUT)
    draw_table(axes[2], {(t, 2 * t + 1) for t in range(4)}, WEIGHT)
    for axis, title in zip(axes, ("row: y[2]", "column: dx[3]", "diagonal: dW[2]"), strict=True):
        axis.set_title(title, fontsize=11)


# sphinx_gallery_end_ignore
draw_three_sums()
plt.show()

# %%
# So the same two loops compute all three. Compare the three lines with ``+=``: they differ only in
# which of the three factors is missing on the right.
#
# Before you run the cell, count the entries in the columns: how many outputs does ``x[3]`` reach,
# and how many does ``x[4]`` reach?

dy = np.array([1.0, -1, 0.5, 2, 0])
y = np.zeros(5)
dx = np.zeros(9)
dW = np.zeros(3)
for t in range(5):
    for i in range(3):
        u = 2 * t + i - 1
        if 0 <= u < 9:
            y[t] += W[i] * x[u]
            dx[u] += W[i] * dy[t]
            dW[i] += x[u] * dy[t]

print("dx:", dx)
print("dW:", dW)
assert np.allclose(dx, M.T @ dy)
assert np.count_nonzero(M[:, 3]) == 2
assert np.count_nonzero(M[:, 4]) == 1

# %%
# ``x[3]`` reaches two outputs and ``x[4]`` only one. With stride 2, an input at an even position
# reaches one output, through the middle weight ``W[1]``. An input at an odd position reaches two
# outputs, through ``W[2]`` and ``W[0]``. So the positions fall into two classes, and each class has
# its own small kernel. The package computes ``dx`` in this way, class by class:
# ``input_gradient_cpu`` in ``kernels/conv2d.py``.
#
# The bias is added to each output with factor 1, so its gradient is the sum of all ``dy``. The
# package's backward pass agrees with our loops:

dW_kernel = np.zeros((3, 1, 1, 1))
dbias = np.zeros(1)
shaped_y = y.reshape(1, 5, 1, 1)
shaped_dy = dy.reshape(1, 5, 1, 1)
forward_pass = shaped_x, shaped_y, nine, shaped_W, (2, 1)
dx_kernel = conv2d.backward(shaped_dy, *forward_pass, dW_kernel, dbias, relu=False)
print("dx:   ", dx_kernel.ravel())
print("dW:   ", dW_kernel.ravel())
print("dbias:", dbias)
assert np.allclose(dx, dx_kernel.ravel())
assert np.allclose(dW, dW_kernel.ravel())
assert dbias[0] == dy.sum() == 2.5

# %%
# The weights are shared, so their gradients are added up: over all positions of the window, over
# the utterances of a batch, and in the package also over calls. ``conv2d.backward`` adds to ``dW``
# and ``dbias``, so they have to be set to zero before each batch. ``dx`` is written, not added to.
#
# ReLU and its mask
# -----------------
#
# Two convolutions in a row are again a convolution, only with a larger kernel. To compute more than
# this, a layer sets negative outputs to zero. This function is called ReLU: :math:`y = \max(0, z)`.
#
# In the backward pass, ask again: if :math:`z[t]` grows a little, what happens to :math:`y[t]`?
# Where :math:`z` is positive, :math:`y` grows equally. Where :math:`z` is negative, :math:`y` stays
# zero. So
#
# .. math:: dz[t] = dy[t] \text{ where } y[t] > 0, \text{ else } 0
#
# and :math:`dz` takes the place of :math:`dy` in the sums above. Which elements of ``dy`` will be
# removed? Look at the outputs in the drawing of stride 2.

z = convolve(x, W, stride=2)
y = np.maximum(z, 0)
dz = np.where(y > 0, dy, 0)
print("z: ", z)
print("y: ", y)
print("dy:", dy)
print("dz:", dz)
assert list(np.flatnonzero(y == 0)) == [1, 3]
assert np.argmax(np.abs(dy)) == 3 and dz[3] == 0

# sphinx_gallery_start_ignore


def draw_relu():
    _, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
    for axis, before, after, names, title in (
        (axes[0], z, y, ("z", "y"), "forward"),
        (axes[1], dy, dz, ("dy", "dz"), "backward"),
    ):
        axis.bar(np.arange(5) - 0.2, before, 0.38, label=names[0], color="0.75")
        axis.bar(np.arange(5) + 0.2, after, 0.38, label=names[1], color="C2")
        axis.axhline(0, color="0.3", lw=0.8)
        axis.set(title=title, xlabel="output t")
        for t in np.flatnonzero(z < 0):
            axis.axvspan(t - 0.45, t + 0.45, color="C3", alpha=0.12)
        axis.legend()


# sphinx_gallery_end_ignore
draw_relu()
plt.show()

# %%
# Outputs 1 and 3, marked in red, are negative. Their gradients end here, although ``dy[3]`` is the
# largest of all.
#
# Time, frequency and channels
# ----------------------------
#
# A spectrogram has two dimensions, time and frequency. The window now covers :math:`I` frames and
# :math:`J` frequency bins, and slides in both directions, with a stride for each. Nothing else
# changes:
#
# .. math::
#    y[b, t, f, d] = \mathrm{ReLU}\Big( \mathrm{bias}[d] + \sum_i \sum_j \sum_c
#    x[b,\; t s_t + i - p_t,\; f s_f + j - p_f,\; c] \; W[i, j, c, d] \Big)
#
# Here :math:`b` is the utterance of the batch. An input has :math:`C` channels, counted by
# :math:`c`. The spectrogram has one channel. A layer has several kernels, and each of them makes
# one output channel, counted by :math:`d`. The strides are :math:`s_t` and :math:`s_f`, and
# :math:`p_t` and :math:`p_f` are the sizes of the padding in front.
#
# We load three synthetic utterances and compute their spectrograms. They have different lengths, so
# the shorter ones are padded to the length of the longest. We write NaN ("not a number") into the
# padding on purpose. A sum with a NaN is NaN, so if a kernel ever reads the padding, we will see
# it.

corpus = synthetic.load(size=10)
spectrograms = []
for utterance in corpus.utterances[:3]:
    sound, rate = corpus.read(utterance)
    S = stft.forward(sound, stft.hann(1024), 512, 257, 1e-2)
    spectrograms.append(S - S.mean())
lengths = np.array([len(S) for S in spectrograms])

batch = np.full((3, lengths.max(), 257, 1), np.nan, np.float32)
for b, S in enumerate(spectrograms):
    batch[b, : lengths[b], :, 0] = S
print("frames of each utterance:", lengths)
print("batch (utterances, frames, bins, channels):", batch.shape)
assert rate == 16000

# %%
# A network learns its kernels. To see what kernels can do, we make two by hand, with 3 frames and 5
# bins each:
#
# - *rise*: the last frame minus the first one. Its output is large where the sound becomes louder.
# - *ridge*: the middle bins minus the outer bins. Its output is large on lines along time, such as
#   harmonics.

kernels = np.zeros((3, 5, 1, 2), np.float32)  # I, J, C, D
kernels[0, :, 0, 0] = -0.2
kernels[2, :, 0, 0] = 0.2
kernels[:, :, 0, 1] = np.array([-1, 0.5, 1, 0.5, -1]) / 3

# sphinx_gallery_start_ignore


def draw_kernels():
    _, axes = plt.subplots(1, 2, figsize=(5.2, 2.8), layout="constrained")
    for axis, d, title in zip(axes, (0, 1), ("rise", "ridge"), strict=True):
        shown = kernels[:, :, 0, d].T
        axis.imshow(shown, origin="lower", cmap="RdBu_r", vmin=-0.4, vmax=0.4)
        for (j, i), weight in np.ndenumerate(shown):
            colour = "k" if abs(weight) < 0.3 else "w"
            axis.text(i, j, f"{weight:.2f}", ha="center", va="center", fontsize=9, color=colour)
        axis.set(title=title, xlabel="frame i", ylabel="bin j", xticks=range(3), yticks=range(5))


# sphinx_gallery_end_ignore
draw_kernels()
plt.show()

# %%
# The stride is 1 in time and 2 in frequency. What shape do you expect for the output?

bias = np.zeros(2, np.float32)
stride = (1, 2)

y = conv2d.forward(batch, lengths, kernels, bias, stride)
print("input: ", batch.shape)
print("output:", y.shape)
assert y.shape == (3, lengths.max(), 129, 2)

# sphinx_gallery_start_ignore


def draw_outputs():
    figure, axes = plt.subplots(3, 1, figsize=(8, 6.4), layout="constrained", sharex=True)
    for axis, values, bins, title in (
        (axes[0], batch[0, ..., 0], 257, "input"),
        (axes[1], y[0, ..., 0], 129, "rise"),
        (axes[2], y[0, ..., 1], 129, "ridge"),
    ):
        shown = values[: lengths[0]].T
        lowest, highest = np.quantile(shown, (0.02, 0.99))
        image = axis.imshow(shown, origin="lower", aspect="auto", cmap="magma", vmin=lowest, vmax=highest)
        figure.colorbar(image, ax=axis, pad=0.01)
        axis.set(title=title, ylabel="bin", ylim=(0, bins - 1))
    axes[-1].set_xlabel("frame (32 ms each)")


# sphinx_gallery_end_ignore
draw_outputs()
plt.show()

# %%
# The outputs have half as many bins as the input, because of the stride in frequency. The number of
# frames is the same, because the stride in time is 1. SciPy gives the same result, one utterance at
# a time:

for b in range(3):
    padded = np.pad(spectrograms[b], ((1, 1), (2, 2)))
    by_scipy = correlate(padded, kernels[:, :, 0, 1], "valid")[:, ::2]
    assert np.allclose(np.maximum(by_scipy, 0), y[b, : lengths[b], :, 1], atol=1e-4)
print("the package's ridges agree with SciPy's for all three utterances")

# %%
# Lengths
# -------
#
# A time stride shortens the padded batch, and it shortens each utterance in the same way: an
# utterance with :math:`n` frames has :math:`\lceil n / s \rceil` frames afterwards. The network
# passes the lengths on from layer to layer.
#
# The drawing shows a batch of three utterances and three layers with time stride 2. White cells are
# padding. A cell is drawn as wide as the time that it stands for.

# sphinx_gallery_start_ignore


def draw_lengths(lengths, layers):
    _, axes = plt.subplots(layers + 1, 1, figsize=(8, 4.6), layout="constrained", sharex=True)
    T = lengths.max()
    for layer, axis in enumerate(axes):
        width = 2**layer
        for b, length in enumerate(lengths):
            for t in range(T):
                colour = f"C{b}" if t < length else "white"
                axis.add_patch(Rectangle((t * width, -b), width, 0.8, facecolor=colour, edgecolor="0.5"))
            axis.text(16.4, 0.35 - b, f"{length}", va="center", fontsize=10)
        axis.set(xlim=(-0.2, 17.5), ylim=(0.9 - len(lengths), 0.9), yticks=[])
        axis.set_ylabel(f"layer {layer}" if layer else "input", rotation=0, ha="right", va="center")
        axis.spines[:].set_visible(False)
        axis.tick_params(bottom=False, labelbottom=layer == layers)
        lengths, T = conv2d.output_lengths(lengths, 2), -(-T // 2)
    axes[-1].set_xlabel("frames of the input")
    axes[0].set_title("length at each layer", loc="right", fontsize=10)


# sphinx_gallery_end_ignore
draw_lengths(np.array([16, 9, 5]), layers=3)
plt.show()

# %%
# What happens at the end of an utterance that is shorter than its batch? Its last window reaches
# into the padding. There it has to read zeros, exactly as it would at the end of the batch. The
# package does this at every layer. It also computes nothing for the outputs past the end; they are
# 0.
#
# So an utterance has the same outputs alone and in any batch. Not only nearly: every bit is equal.
# And no NaN of the padding has reached the result.

shortest = np.argmin(lengths)
frames = lengths[shortest]
alone = batch[shortest : shortest + 1, :frames].copy()
y_alone = conv2d.forward(alone, lengths[shortest : shortest + 1], kernels, bias, stride)
print(f"shortest utterance, {frames} frames: {y_alone.size} outputs")
print("NaN among them:", np.isnan(y_alone).any())
assert np.array_equal(y_alone[0], y[shortest, :frames])
assert not np.isnan(y).any()
assert np.all(y[shortest, frames:] == 0)

# %%
# There is a second condition for this: the padding *before* the first frame has to be fixed. Some
# libraries compute it from the length of the whole batch. They pad as little as possible and put
# half of it in front. For three weights and stride 2 this is one zero in front of 9 inputs, but
# none in front of 8. So the windows of an utterance are one frame earlier in a batch of odd length
# than in a batch of even length. How large is the effect? We compute the outputs of 8 inputs with
# both kinds of padding.

odd_batch = correlate(np.pad(x[:8], (1, 1)), W, "valid")[::2]  # one zero in front
even_batch = correlate(np.pad(x[:8], (0, 1)), W, "valid")[::2]  # none
print("one zero in front:", odd_batch)
print("none in front:    ", even_batch)
assert np.abs(odd_batch - even_batch).max() > 1

# %%
# No output is the same in both. The package always has :math:`\lfloor (I - 1) / 2 \rfloor` zeros
# in front.
#
# Is the backward pass the derivative?
# ------------------------------------
#
# We have derived the gradients, but the program can still be wrong. The test is simple: change one
# element of an input a little, measure how the loss changes, and compare this with the gradient. Do
# it for every element of every input. Three precautions make this test sharp:
#
# - **float64**, so that the tolerance can be :math:`10^{-8}`. With float32, rounding would hide
#   small mistakes.
# - **A random dy**, never all ones. Many mistakes do not show when all ``dy`` are equal.
# - **Care at the kink.** ReLU has no derivative at 0. If a step would cross 0, ``check`` takes a
#   shorter step. To know where, it needs ``z``, the output without ReLU.
#
# The lengths are unequal and there are two channels, so that mixed-up indices show.

rng = np.random.default_rng(1)
unequal = np.array([6, 3])
inputs = {
    "x": rng.standard_normal((2, 6, 5, 2)),
    "W": rng.standard_normal((3, 2, 2, 3)),
    "bias": rng.standard_normal(3),
}


def forward(x, W, bias, relu=True):
    return conv2d.forward(x, unequal, W, bias, (2, 2), relu)


def backward(dy, x, W, bias):
    dW = np.zeros_like(W)
    dbias = np.zeros_like(bias)
    dx = conv2d.backward(dy, x, forward(x, W, bias), unequal, W, (2, 2), dW, dbias)
    return {"x": dx, "W": dW, "bias": dbias}


def z_of(x, W, bias):
    return forward(x, W, bias, relu=False)


reports = check(forward, backward, inputs, time_axis={"x": 1}, kinks=z_of)
for report in reports:
    print(report)
require(reports)
assert all(report.error < report.limit / 1000 for report in reports)

# %%
# Each line shows the largest error, the limit for it, the index of this element, and the number of
# elements that were changed (*probes*). The errors are more than a thousand times smaller than the
# limits.
#
# A test is worth something only if it fails for wrong programs. So we plant a mistake: a backward
# pass without the mask of ReLU. Which of the three gradients will be wrong?


def without_mask(dy, x, W, bias):
    dW = np.zeros_like(W)
    dbias = np.zeros_like(bias)
    y = forward(x, W, bias)
    dx = conv2d.backward(dy, x, y, unequal, W, (2, 2), dW, dbias, relu=False)
    return {"x": dx, "W": dW, "bias": dbias}


wrong = check(forward, without_mask, inputs, time_axis={"x": 1}, kinks=z_of)
for report in wrong:
    print(report)
assert not any(report.passed for report in wrong)

# %%
# All three, because ``dz`` enters all three sums. The factor at the end of each line compares the
# wrong value with the right one. It is a different number each time, so the mistake is not a
# forgotten constant factor.
#
# One more thing can be wrong: the forward pass itself. A gradient check does not see this, since it
# only compares the two passes with each other. So we compare the forward pass with another
# implementation, plain loops in ``scratchser/reference/conv2d.py``.

x, W, bias = inputs.values()
by_loops = reference.conv2d.forward(x, unequal, W, bias, (2, 2))
difference = np.abs(forward(**inputs) - by_loops).max()
print(f"largest difference from the reference: {difference:.1e}")
assert difference < 1e-12

# %%
# What to try
# -----------
#
# 1. Take a kernel of 2 weights and a stride of 3. Which inputs have a gradient of 0, and why?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Inputs 2, 5, 8, ... Each window covers two inputs and the next one begins three later, so
#       every third input is in no window. Its column of :math:`M` is empty.
#
# 2. A batch has 100 frames, and one of its utterances has 37. How many frames do the batch and the
#    utterance have after four layers with time strides 2, 2, 2 and 1?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The batch: 50, 25, 13, 13. The utterance: 19, 10, 5, 5.
#
# 3. In the figure of *rise*, the last frame is bright in nearly all bins. But the sound does not
#    become louder there. Why is the output large?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The utterance ends in silence. We subtracted the mean, so silence has negative values. The
#       zeros past the end are larger than these, which looks like a rise to the kernel.
#
# 4. Why is there no ReLU in the table :math:`M`?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       A matrix can only describe a linear function, and ReLU is not linear. Its effect on the
#       gradient is one more factor for each output, 0 or 1.
#
# **Your turn.** Write the convolution in ``tutorials/exercises/conv2d_forward.py``. This command
# judges it::
#
#     python -m scratchser.check tutorials/exercises/conv2d_forward.py
#
# ``conv2d_backward.py`` is for its gradients and ``cuda_conv2d_forward.py`` for a CUDA kernel.
