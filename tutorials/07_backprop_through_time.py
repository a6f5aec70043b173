"""
7. Backprop through time
========================

Tutorial 6 took one step of an LSTM backward. An utterance has many steps, and they all use the same
weights. In this tutorial you will see

- what one backward step needs from the step after it,
- how far back a gradient reaches, as a figure,
- what changes with two directions and with utterances of unequal lengths,
- five typical mistakes, and what a gradient check says about each of them,
- one mistake that passes every gradient check.

You need the cell of tutorial 6 and matrix products.
"""

# %%

# sphinx_gallery_thumbnail_number = 3
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch, Rectangle

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import lstm
from scratchser.presets import PAPER_BEST

# %%
# The unrolled network
# --------------------
#
# An LSTM is one cell that is used again and again. To see what happens over time, we draw a copy of
# the cell for each step. This is called *unrolling*. All copies share the same weights.
#
# A step receives the frame :math:`x[n]` from below. From the step before, it receives only two
# things: the output :math:`h` and the cell state :math:`c`.

# sphinx_gallery_start_ignore


def draw_arrow(axis, start, end, colour, **style):
    axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.4, **style})


def draw_unrolled(steps, backward=False):
    _, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
    colour = "C3" if backward else "0.2"
    d = "d" if backward else ""

    def arrow(start, end, text, dx, dy):
        draw_arrow(axis, *((end, start) if backward else (start, end)), colour)
        middle = (start[0] + end[0]) / 2 + dx, (start[1] + end[1]) / 2 + dy
        axis.text(*middle, text, color=colour, ha="center", va="center", fontsize=10)

    for n in range(steps):
        left = 3 * n
        axis.add_patch(FancyBboxPatch((left, 0), 1.4, 1.6, boxstyle="round,pad=0.08", fc="#9ecae1", ec="0.4"))
        axis.text(left + 0.7, 0.8, f"step {n}", ha="center", va="center", fontsize=11)
        last = n == steps - 1
        if not last or not backward:
            arrow((left + 1.5, 1.25), (left + 2.9, 1.25), f"{d}c[{n}]", 0, 0.25)
            text = f"dz[{n + 1}] Whᵀ" if backward else f"h[{n}]"
            arrow((left + 1.5, 0.35), (left + 2.9, 0.35), text, 0, -0.28)
        arrow((left + 0.7, -1.3), (left + 0.7, -0.1), f"{d}x[{n}]", 0.45, 0)
        arrow((left + 0.7, 1.7), (left + 0.7, 2.8), f"{d}y[{n}]", 0.45, 0.1)
    arrow((-1.6, 1.25), (-0.1, 1.25), f"{d}c0", 0, 0.25)
    arrow((-1.6, 0.35), (-0.1, 0.35), f"{d}h0", 0, -0.28)
    axis.set(xlim=(-2, 3 * steps + 0.1), ylim=(-1.5, 3))
    axis.axis("off")


# sphinx_gallery_end_ignore
draw_unrolled(4)
plt.show()

# %%
# The backward pass turns all arrows around. It begins at the last step and ends at the first one:

draw_unrolled(4, backward=True)
plt.show()

# %%
# Three things follow from the drawing, before any formula.
#
# 1. **Two gradients meet at each output.** The output of step :math:`n` is used by the layer above,
#    as :math:`y[n]`, and by the next step. When something is used twice, the two gradients are
#    added. The cell state is used twice, too (tutorial 6).
# 2. **Each step needs the step after it.** So the loop runs backward, and its steps cannot run at
#    the same time.
# 3. **The weights are used in every step.** So their gradient is the sum over all steps.
#
# In formulas
# -----------
#
# With :math:`dz[n]`, the gradients of the four sums from tutorial 6:
#
# .. math::
#    dh[n] &= dy[n] + dz[n+1] \, W_h^T \\
#    dc[n] &= dh[n] \, o \, (1 - \tanh^2 c[n]) + f[n+1] \, dc[n+1] \\
#    dx[n] &= dz[n] \, W_x^T \\
#    dW_x &= \sum_n x[n]^T \, dz[n] \qquad dW_h = \sum_n h[n-1]^T \, dz[n] \qquad db = \sum_n dz[n]
#
# Look at the index in :math:`dW_h`. The sum :math:`z[n]` was computed from :math:`h[n-1]`, the
# output that went *into* step :math:`n`. Past the last step there is nothing, so :math:`dz[n+1]`
# and :math:`dc[n+1]` start as 0.
#
# In code
# -------
#
# First the forward pass for one direction. ``x`` is (frames, utterances, features), so that
# ``x[n]`` is frame ``n`` of all utterances. It keeps everything that the backward pass will need.


def sigma(z):
    return 1 / (1 + np.exp(-z))


def forward_pass(x, Wx, Wh, b, h0, c0):
    h, c = h0, c0
    kept = []
    for n in range(len(x)):
        h_before, c_before = h, c
        z = x[n] @ Wx + h_before @ Wh + b
        zi, zf, zg, zo = np.split(z, 4, axis=1)
        i, f, g, o = sigma(zi), sigma(zf), np.tanh(zg), sigma(zo)
        c = f * c_before + i * g
        h = o * np.tanh(c)
        kept.append((h_before, c_before, i, f, g, o, c, h))
    return kept


def forward(x, Wx, Wh, b, h0, c0):
    return np.stack([step[-1] for step in forward_pass(x, Wx, Wh, b, h0, c0)])


# %%
# The backward pass goes through the same steps in the opposite order. The lines in the middle are
# ``step_backward`` of tutorial 6. Find the additions of which we spoke above: at the output, at the
# cell state, and for the weights.


def backward(dy, x, Wx, Wh, b, h0, c0):
    kept = forward_pass(x, Wx, Wh, b, h0, c0)
    dx = np.zeros_like(x)
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh_next, dc_next = np.zeros_like(h0), np.zeros_like(c0)
    for n in reversed(range(len(x))):
        h_before, c_before, i, f, g, o, c, _ = kept[n]
        dh = dy[n] + dh_next
        dc = dh * o * (1 - np.tanh(c) ** 2) + dc_next
        dzi = dc * g * i * (1 - i)
        dzf = dc * c_before * f * (1 - f)
        dzg = dc * i * (1 - g**2)
        dzo = dh * np.tanh(c) * o * (1 - o)
        dz = np.concatenate([dzi, dzf, dzg, dzo], axis=1)
        dx[n] = dz @ Wx.T
        dWx += x[n].T @ dz
        dWh += h_before.T @ dz
        db += dz.sum(axis=0)
        dh_next = dz @ Wh.T
        dc_next = dc * f
    return {"x": dx, "Wx": dWx, "Wh": dWh, "b": db, "h0": dh_next, "c0": dc_next}


# %%
# After the loop, ``dh_next`` and ``dc_next`` are the gradients of the initial states.
#
# Is it the derivative? Tutorial 4 explained ``check``: every element of every input is changed a
# little, in float64, and the change of the loss is compared with the gradient. With ``time_axis``,
# each frame has its own limit. The initial states are not zero here. Otherwise some mistakes in the
# first step would not show.

rng = np.random.default_rng(7)
T, B, D, H = 6, 3, 4, 3
inputs = {
    "x": rng.standard_normal((T, B, D)),
    "Wx": rng.standard_normal((D, 4 * H)) / 2,
    "Wh": rng.standard_normal((H, 4 * H)) / 2,
    "b": rng.standard_normal(4 * H),
    "h0": rng.uniform(-1, 1, (B, H)),
    "c0": rng.standard_normal((B, H)),
}

reports = check(forward, backward, inputs, time_axis={"x": 0})
for report in reports:
    print(report)
require(reports)

# %%
# How far back does a gradient reach?
# -----------------------------------
#
# Take the output of one frame and ask how strongly it depends on each input frame. The answer is
# the size of ``dx``, frame by frame, when ``dy`` is different from 0 in this one frame only. We
# compute it for every output frame of an untrained LSTM, in both directions, and draw the sizes as
# a map: a row for each output frame, a column for each input frame. ``lstm.forward`` and
# ``lstm.backward`` of the package compute both directions at once.
#
# What shape will you see for the forward direction? Think of what the output of frame 10 can know.

T, units = 40, 16
rng = np.random.default_rng(7)
Wx = rng.standard_normal((8, 2, 4 * units)) / np.sqrt(8)
Wh = rng.standard_normal((2, units, 4 * units)) / 4
b = np.zeros((2, 4 * units))
b[:, units : 2 * units] = 1  # the forget gate's bias, as in our model
utterance = rng.standard_normal((1, T, 8))
all_frames = np.array([T])


def sizes_of_dx(dy, b):
    _, cache = lstm.forward(utterance, all_frames, Wx, Wh, b)
    unused = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dx, _, _ = lstm.backward(dy, cache, Wx, Wh, *unused)
    return np.sqrt((dx[0] ** 2).sum(axis=1))


reach = np.zeros((2, T, T))  # direction, output frame, input frame
direction_of_dy = rng.standard_normal(units)
for direction in range(2):
    for frame in range(T):
        dy = np.zeros((1, T, 2 * units))
        dy[0, frame, direction * units : (direction + 1) * units] = direction_of_dy
        reach[direction, frame] = sizes_of_dx(dy, b)

assert np.array_equal(reach[0] > 0, np.tri(T, dtype=bool))
assert np.array_equal(reach[1] > 0, np.tri(T, dtype=bool).T)

# sphinx_gallery_start_ignore


def draw_reach():
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.7), layout="constrained", sharey=True)
    for axis, values, name in zip(axes, reach, ("forward direction", "backward direction"), strict=True):
        image = axis.imshow(
            np.log10(np.where(values > 0, values, np.nan)), origin="lower", cmap="viridis", vmin=-5, vmax=0.5
        )
        axis.set(title=name, xlabel="input frame")
    axes[0].set_ylabel("output frame")
    figure.colorbar(image, ax=axes, label="log10 |dx|", pad=0.01)


# sphinx_gallery_end_ignore
draw_reach()
plt.show()

# %%
# White is exactly 0. In the forward direction, an output depends on its own frame and all earlier
# ones; in the backward direction, on its own frame and all later ones. The gradient is largest at
# the frame itself and becomes smaller with each step: it *vanishes*. The reason is the forget gate
# of tutorial 6: in each step, :math:`dc` is multiplied by :math:`f`. A second way, through
# :math:`h` and ``Wh``, is added to this.
#
# Our model reads only one output for each direction, the last one: the forward output of the last
# frame and the backward output of frame 0. These are the top row of the left map and the bottom row
# of the right map. How much does the bias of the forget gate change the top row?

dy = np.zeros((1, T, 2 * units))
dy[0, -1, :units] = direction_of_dy
curves = {}
for bias in (0, 1, 3):
    changed = b.copy()
    changed[:, units : 2 * units] = bias
    curves[bias] = sizes_of_dx(dy, changed)

left = {bias: sizes[0] / sizes[-1] for bias, sizes in curves.items()}
for bias, part in left.items():
    print(f"forget bias {bias}: |dx| of the first frame is {part:.0e} of the last one's")
assert left[0] < left[1] < left[3]
assert curves[0][:20].max() < 1e-3 * curves[0].max()

# sphinx_gallery_start_ignore


def draw_curves():
    _, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for bias, sizes in curves.items():
        axis.semilogy(sizes, marker=".", label=f"forget bias {bias}")
    axis.set(xlabel="input frame", ylabel="|dx|")
    axis.legend()
    axis.grid(alpha=0.3)


# sphinx_gallery_end_ignore
draw_curves()
plt.show()

# %%
# With a bias of 0, the last output hardly depends on the first frames, so the network can hardly
# learn from them. This is why the bias starts at 1. The strides of the convolutions help too. A
# shorter sequence needs fewer steps. With time strides of 2, 2, 2 and 1, one step of the LSTM
# stands for eight frames of the spectrogram, and 40 steps for ten seconds of speech.
#
# Two directions, unequal lengths
# -------------------------------
#
# The utterances of a batch have different lengths, and the array is padded to the longest one. Each
# direction has to run over the real frames only:
#
# - the forward direction from frame 0 to the utterance's own last frame,
# - the backward direction from the utterance's *own* last frame to frame 0, and not from the end of
#   the batch.
#
# In the drawing, an arrow is a direction, and stars are the outputs that our model reads. Hatched
# cells are padding.

# sphinx_gallery_start_ignore


def draw_batch(lengths, T, mask=True):
    _, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    forward_colour, backward_colour = ("C0", "C1") if mask else ("C3", "C3")
    for u, length in enumerate(lengths):
        bottom = -1.5 * u
        end = length if mask else T
        for t in range(T):
            face, hatch = ("#deebf7", None) if t < length else ("white", "///")
            axis.add_patch(Rectangle((t, bottom), 1, 1, facecolor=face, edgecolor="0.7", hatch=hatch))
        draw_arrow(axis, (0.1, bottom + 0.72), (end - 0.55, bottom + 0.72), forward_colour, lw=2)
        draw_arrow(axis, (end - 0.1, bottom + 0.28), (0.55, bottom + 0.28), backward_colour, lw=2)
        axis.plot(end - 0.3, bottom + 0.72, "*", color=forward_colour, ms=14)
        axis.plot(0.3, bottom + 0.28, "*", color=backward_colour, ms=14)
        axis.text(-0.3, bottom + 0.5, f"utterance {u}", ha="right", va="center")
    for t in range(T):
        axis.text(t + 0.5, 1.2, str(t), ha="center", color="0.4")
    axis.text(-0.3, 1.2, "frame", ha="right", color="0.4")
    axis.set(xlim=(-2, T + 0.1), ylim=(-1.5 * len(lengths) + 1.3, 1.7))
    axis.axis("off")


# sphinx_gallery_end_ignore
draw_batch(lengths=(6, 3, 5), T=7)
plt.show()

# %%
# The rule that nothing past the end is read or changed is called a *mask*. There are two ways to do
# this. One computes everything and sets the results in the padding to 0. The other one does not
# compute the padding at all. The package does the second, which also saves time.
#
# Now the package's kernel, with both directions and unequal lengths. Past each end we write NaN. If
# a NaN were read anywhere, the results would be NaN.

lengths = np.array([6, 3, 5])
x = rng.standard_normal((3, 7, D))
for u, length in enumerate(lengths):
    x[u, length:] = np.nan
bi_inputs = {
    "x": x,
    "Wx": rng.standard_normal((D, 2, 4 * H)) / 2,
    "Wh": rng.standard_normal((2, H, 4 * H)) / 2,
    "b": rng.standard_normal((2, 4 * H)),
    "h0": rng.uniform(-1, 1, (2, 3, H)),
    "c0": rng.standard_normal((2, 3, H)),
}


def bi_forward(x, Wx, Wh, b, h0, c0):
    y, _ = lstm.forward(x, lengths, Wx, Wh, b, h0, c0)
    return y


def bi_backward(dy, x, Wx, Wh, b, h0, c0):
    _, cache = lstm.forward(x, lengths, Wx, Wh, b, h0, c0)
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dx, dh0, dc0 = lstm.backward(dy, cache, Wx, Wh, dWx, dWh, db)
    return {"x": dx, "Wx": dWx, "Wh": dWh, "b": db, "h0": dh0, "c0": dc0}


# %%
# The kernel is checked twice: by differences of its own forward pass, and by the complex step of
# tutorial 6 with another implementation of the forward pass (``scratchser/reference/lstm.py``).


def bi_reference(x, Wx, Wh, b, h0, c0):
    return reference.lstm.forward(x, lengths, Wx, Wh, b, h0, c0)


assert np.abs(bi_forward(**bi_inputs) - bi_reference(**bi_inputs)).max() < 1e-13

by_differences = check(bi_forward, bi_backward, bi_inputs, time_axis={"x": 1})
by_complex_step = complex_step(bi_reference, bi_backward, bi_inputs)
print("by differences:", *by_differences, sep="\n")
print("by the complex step:", *by_complex_step, sep="\n")
require(by_differences + by_complex_step)

# %%
# Both directions also agree with our own loop. For utterance 1 and the backward direction, we
# reverse its three frames, run the loop, and reverse the result:

reversed_frames = x[1, :3][::-1, None]
Wx_back, Wh_back, b_back = bi_inputs["Wx"][:, 1], bi_inputs["Wh"][1], bi_inputs["b"][1]
h0_back, c0_back = bi_inputs["h0"][1, 1:2], bi_inputs["c0"][1, 1:2]
by_loop = forward(reversed_frames, Wx_back, Wh_back, b_back, h0_back, c0_back)[::-1, 0]
assert np.allclose(by_loop, bi_forward(**bi_inputs)[1, :3, H:], rtol=0, atol=1e-13)
print("utterance 1, backward direction, unit 0:", by_loop[:, 0])

# %%
# Five typical mistakes
# ---------------------
#
# A wrong backward pass rarely crashes. Here are five mistakes that are easily made. In each, one
# line of our backward pass is different:
#
# ============================ ============================ =============================
# mistake                      right                        wrong
# ============================ ============================ =============================
# A. wrong shift               ``dWh += h_before.T @ dz``   ``dWh += h.T @ dz``
# B. no sum over steps         ``dWx += x[n].T @ dz``       ``dWx = x[n].T @ dz``
# C. output only               ``dh = dy[n] + dh_next``     ``dh = dy[n]``
# D. state not passed on       ``... + dc_next``            ``...``
# E. wrong gate                ``dc_next = dc * f``         ``dc_next = dc * i``
# ============================ ============================ =============================
#
# In A, ``h`` is the output of step ``n`` itself. Which gradients will be wrong in each case? Fill
# in a table of 5 rows (A to E) and 6 columns (x, Wx, Wh, b, h0, c0) before you look. Hint for A:
# follow where ``dWh`` is used afterwards.

# sphinx_gallery_start_ignore
MISTAKES = dict(A="wrong shift", B="no sum over steps", C="output only", D="state not passed on", E="wrong gate")


def backward_with(mistake):
    """`backward` with one of the mistakes."""

    def wrong(dy, x, Wx, Wh, b, h0, c0):
        kept = forward_pass(x, Wx, Wh, b, h0, c0)
        dx = np.zeros_like(x)
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dh_next, dc_next = np.zeros_like(h0), np.zeros_like(c0)
        for n in reversed(range(len(x))):
            h_before, c_before, i, f, g, o, c, h = kept[n]
            dh = dy[n] + (0 if mistake == "C" else dh_next)
            dc = dh * o * (1 - np.tanh(c) ** 2) + (0 if mistake == "D" else dc_next)
            dzi = dc * g * i * (1 - i)
            dzf = dc * c_before * f * (1 - f)
            dzg = dc * i * (1 - g**2)
            dzo = dh * np.tanh(c) * o * (1 - o)
            dz = np.concatenate([dzi, dzf, dzg, dzo], axis=1)
            dx[n] = dz @ Wx.T
            dWx = (0 if mistake == "B" else dWx) + x[n].T @ dz
            dWh += (h if mistake == "A" else h_before).T @ dz
            db += dz.sum(axis=0)
            dh_next = dz @ Wh.T
            dc_next = dc * (i if mistake == "E" else f)
        return {"x": dx, "Wx": dWx, "Wh": dWh, "b": db, "h0": dh_next, "c0": dc_next}

    return wrong


# sphinx_gallery_end_ignore
wrong_ones = {}
for mistake in "ABCDE":
    reports = check(forward, backward_with(mistake), inputs, time_axis={"x": 0})
    wrong_ones[mistake] = [report.name for report in reports if not report.passed]
    print(mistake, "wrong:", *wrong_ones[mistake])
assert wrong_ones["A"] == ["Wh"]
assert wrong_ones["B"] == ["Wx"]
assert all(len(wrong_ones[mistake]) == 6 for mistake in "CDE")

# sphinx_gallery_start_ignore


def draw_wrong_ones():
    names = list(inputs)
    table = np.array([[name in wrong_ones[mistake] for name in names] for mistake in MISTAKES])
    _, axis = plt.subplots(figsize=(7, 3), layout="constrained")
    axis.imshow(table, cmap="RdYlGn_r", vmin=-0.5, vmax=1.5, aspect="auto")
    for (row, column), is_wrong in np.ndenumerate(table):
        axis.text(column, row, "wrong" if is_wrong else "right", ha="center", va="center", fontsize=10)
    axis.set_xticks(range(6), [f"d{name}" for name in names])
    axis.set_yticks(range(5), [f"{letter}. {text}" for letter, text in MISTAKES.items()])
    axis.xaxis.tick_top()


# sphinx_gallery_end_ignore
draw_wrong_ones()
plt.show()

# %%
# The pattern shows where to look. If only one weight gradient is wrong, the mistake is in its own
# line, since nothing else depends on it (A, B). If everything is wrong, the mistake is in what is
# passed on from step to step (C, D, E). Then look at the frames of ``dx``, one by one. In the last
# frame there is no later step, so ``dx`` is right there. Counted from the end, frame 4 is the first
# wrong one. There the mistake has been made only once, so it is easiest to find.

right = backward(np.ones((6, B, H)), **inputs)["x"]
for mistake in "CDE":
    wrong = backward_with(mistake)(np.ones((6, B, H)), **inputs)["x"]
    errors = np.abs(wrong - right).max(axis=(1, 2))
    print(mistake, "error of dx in frames 0 to 5:", *(f"{error:.2f}" for error in errors))
    assert errors[5] == 0
    assert errors[4] > 0.01

# %%
# The loss still falls
# --------------------
#
# Would you have noticed these mistakes without a check? We train a small LSTM on a task that needs
# memory: each frame has a value and a mark, exactly one frame has a mark, and the last output of
# unit 0 should be half of the value at the mark. This is the task of tutorial 6 again, but now the
# weights are learned.

rng = np.random.default_rng(11)
steps, batch, size = 8, 64, 8
values = rng.uniform(-1, 1, (steps, batch))
marks = np.zeros((steps, batch))
marks[rng.integers(0, steps, batch), np.arange(batch)] = 1
task = np.stack([values, marks], axis=2)  # (frames, utterances, 2)
target = (values * marks).sum(axis=0) / 2

# %%
# Each step of the training goes forward, computes the gradient of the mean squared error, goes
# backward, and moves the weights against their gradients. All runs begin with the same weights.


def train(backward, epochs=500, learning_rate=1.0):
    rng = np.random.default_rng(12)
    W = {
        "Wx": rng.standard_normal((2, 4 * size)) / 2,
        "Wh": rng.standard_normal((size, 4 * size)) / 4,
        "b": np.zeros(4 * size),
    }
    W["b"][size : 2 * size] = 1
    start = {"h0": np.zeros((batch, size)), "c0": np.zeros((batch, size))}
    losses = []
    for _ in range(epochs):
        error = forward(task, **W, **start)[-1, :, 0] - target
        losses.append(np.mean(error**2))
        dy = np.zeros((steps, batch, size))
        dy[-1, :, 0] = 2 * error / batch
        gradients = backward(dy, task, **W, **start)
        for name in W:
            W[name] -= learning_rate * gradients[name]
    return losses


# %%
# We train with the right gradient and with A, C and D. For which do you expect the loss to fall?

losses = {"right": train(backward)}
for mistake in "ACD":
    losses[mistake] = train(backward_with(mistake))
for name, of_run in losses.items():
    print(f"{name:5}: loss {of_run[0]:.4f} at the start, {of_run[-1]:.5f} at the end")
assert all(of_run[-1] < 0.7 * of_run[0] for of_run in losses.values())
assert all(losses[name][-1] < 0.15 * losses[name][0] for name in ("right", "A", "C"))

# sphinx_gallery_start_ignore


def draw_losses():
    _, axis = plt.subplots(figsize=(8, 3.4), layout="constrained")
    for name, of_run in losses.items():
        label = name if name == "right" else f"{name}. {MISTAKES[name]}"
        axis.semilogy(of_run, label=label, lw=2.5 if name == "right" else 1.3, color="k" if name == "right" else None)
    axis.set(xlabel="epoch", ylabel="mean squared error")
    axis.legend(fontsize=9, ncols=2)


# sphinx_gallery_end_ignore
draw_losses()
plt.show()

# %%
# It falls for all of them. D learns more slowly, which you would notice only if you knew the right
# curve. A and C bring the error down to about a tenth. So a falling loss proves nothing about the
# gradient.
#
# Why can a wrong gradient work? It only has to point roughly downhill. We measure it by the cosine
# of the angle between the right and the wrong gradient of ``Wh``, for the inputs of the check. The
# cosine is 1 for the same direction, 0 for a right angle, and negative if the step goes uphill.

dy = np.random.default_rng(13).standard_normal((6, B, H))
right = backward(dy, **inputs)["Wh"]
for mistake in "ACDE":
    wrong = backward_with(mistake)(dy, **inputs)["Wh"]
    cosine = (right * wrong).sum() / np.sqrt((right**2).sum() * (wrong**2).sum())
    print(f"{mistake}: cosine {cosine:.3f}")
    assert 0 < cosine < 0.999

# %%
# All four are positive: for ``Wh``, a small step still goes downhill. C and E come very close to
# the right direction, A and D do not.
#
# A mistake that no gradient check finds
# --------------------------------------
#
# Now forget the mask. The padding is zero and both loops, forward and backward, run to the end of
# the batch:

draw_batch(lengths=(6, 3, 5), T=7, mask=False)
plt.show()

# %%
# The forward output is now read after the padding. The backward direction begins in the padding,
# and arrives at the utterance's last frame with a state that is no longer 0. So the result depends
# on how long the *other* utterances of the batch are.
#
# We measure it: the same utterance of 40 frames, with 0 to 40 frames of padding after it.


def last_outputs(padding, mask):
    padded = np.concatenate([utterance, np.zeros((1, padding, 8))], axis=1)
    length = np.array([T if mask else T + padding])
    y, cache = lstm.forward(padded, length, Wx, Wh, b)
    return lstm.readout_forward(y, length), cache


alone, _ = last_outputs(0, mask=True)
print("frames of padding   change with mask   without mask")
for padding in (0, 1, 10, 40):
    with_mask, _ = last_outputs(padding, mask=True)
    no_mask, _ = last_outputs(padding, mask=False)
    changes = np.abs(with_mask - alone).max(), np.abs(no_mask - alone).max()
    print(f"{padding:17}   {changes[0]:16}   {changes[1]:12.2f}")
    assert changes[0] == 0
    assert padding == 0 or changes[1] > 0.05

# %%
# With the mask, the change is 0: not small, but exactly 0. Without it, the change is up to 0.5, for
# outputs that are always between -1 and 1.
#
# Will the gradient check find it? Forward and backward both get the wrong lengths.

wrong_lengths = np.full(3, 7)


def no_mask_forward(x, Wx, Wh, b, h0, c0):
    y, _ = lstm.forward(x, wrong_lengths, Wx, Wh, b, h0, c0)
    return y


def no_mask_backward(dy, x, Wx, Wh, b, h0, c0):
    _, cache = lstm.forward(x, wrong_lengths, Wx, Wh, b, h0, c0)
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dx, dh0, dc0 = lstm.backward(dy, cache, Wx, Wh, dWx, dWh, db)
    return {"x": dx, "Wx": dWx, "Wh": dWh, "b": db, "h0": dh0, "c0": dc0}


zero_padded = {**bi_inputs, "x": np.nan_to_num(bi_inputs["x"])}
reports = check(no_mask_forward, no_mask_backward, zero_padded)
for report in reports:
    print(report)
require(reports)
assert np.isnan(no_mask_forward(**bi_inputs)).any()

# %%
# Every line says "ok", although the layer is wrong. **A gradient check compares the backward pass
# with the forward pass. If both make the same mistake, it cannot see it.** You need a second kind
# of test, which checks what the layer should do:
#
# - An utterance has the same outputs alone and in a batch, bit by bit.
# - With NaN in the padding, no output and no gradient is NaN. (The last line of the cell is this
#   test: the output without a mask contains NaN.)
#
# Without a mask, training suffers too. The gradient of the last output goes back through the
# padding first, and becomes smaller there. Here it is for the forward direction, with the padding in
# grey:

without_mask = {}
for padding in (0, 10, 40):
    _, cache = last_outputs(padding, mask=False)
    dy = np.zeros((1, T + padding, 2 * units))
    dy[0, -1, :units] = direction_of_dy
    unused = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dx, _, _ = lstm.backward(dy, cache, Wx, Wh, *unused)
    sizes = np.sqrt((dx[0] ** 2).sum(axis=1))
    print(f"{padding:2} frames of padding: last real frame |dx| = {sizes[T - 1]:.0e}")
    without_mask[padding] = sizes

# sphinx_gallery_start_ignore


def draw_without_mask():
    _, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for padding, sizes in without_mask.items():
        axis.semilogy(sizes, marker=".", label=f"{padding} frames of padding")
    axis.axvspan(T - 0.5, T + 39.5, color="0.92", zorder=0)
    axis.set(xlabel="frame", ylabel="|dx|")
    axis.legend()


# sphinx_gallery_end_ignore
draw_without_mask()
plt.show()

# %%
# Most of the gradient is lost in the first ten frames of padding. After some frames of zeros the
# state hardly changes, and little more is lost: 40 frames are not much worse than 10.
#
# What it costs
# -------------
#
# **Time.** We count multiplications for each frame and direction, for the size of the paper's best
# model. The LSTM has :math:`D` inputs and :math:`H` units, and so :math:`4H` sums.
#
# - Forward: :math:`x W_x` needs :math:`4HD` and :math:`h W_h` needs :math:`4HH`.
# - Backward: each of the two products has two gradients, one for each factor. So the backward pass
#   needs twice as many multiplications.
#
# But not all of them have to be in the loop over time. Which ones must? Look at the formulas: what
# depends on the step before or after?

bins = 513
for _, stride in PAPER_BEST.conv_strides:
    bins = -(-bins // stride)
D = PAPER_BEST.conv_channels[-1] * bins
H = PAPER_BEST.lstm_units
products = {
    "x Wx": (4 * H * D, "before the loop"),
    "h Wh": (4 * H * H, "in the loop"),
    "dz Whᵀ": (4 * H * H, "in the loop"),
    "dx = dz Wxᵀ": (4 * H * D, "after the loop"),
    "dWx = xᵀ dz": (4 * H * D, "after the loop"),
    "dWh = hᵀ dz": (4 * H * H, "after the loop"),
}
total = sum(count for count, _ in products.values())
print(f"D = {D}, H = {H}")
for name, (count, where) in products.items():
    print(f"{name:12} {count:7} multiplications, {count / total:5.1%}, {where}")
in_loop = sum(count for count, where in products.values() if where == "in the loop")
print(f"in the loop: {in_loop / total:.1%}")
assert in_loop / total < 0.1

# sphinx_gallery_start_ignore


def draw_products():
    _, axis = plt.subplots(figsize=(8, 2.4), layout="constrained")
    left = 0
    colours = {"before the loop": "C0", "in the loop": "C3", "after the loop": "C2"}
    for name, (count, where) in products.items():
        axis.barh(0, count / total, left=left, color=colours[where], edgecolor="white")
        turned = 90 if count < 1e5 else 0
        axis.text(left + count / total / 2, 0, name, ha="center", va="center", rotation=turned, fontsize=9)
        left += count / total
    for where, colour in colours.items():
        axis.barh(0, 0, color=colour, label=where)
    axis.set(yticks=[], xlabel="share of the multiplications", xlim=(0, 1))
    axis.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.35))


# sphinx_gallery_end_ignore
draw_products()
plt.show()

# %%
# Only the products with ``Wh`` that carry the state from step to step must be in the loop (red).
# Everything else is one large matrix product over all frames of all utterances, which a CPU or a
# GPU computes much faster than many small ones. This is how ``kernels/lstm.py`` does it. The small
# red part can still take a large part of the time, since its steps have to wait for each other.
#
# **Memory.** The backward pass needs the gates, cell states and outputs of every step. So the
# forward pass has to keep them, and its memory grows with the length of the utterance:

for frames in (10, 20, 40):
    _, cache = lstm.forward(utterance[:, :frames].copy(), np.array([frames]), Wx, Wh, b)
    kept = cache.gates.size + cache.c.size + cache.y.size
    print(f"{frames} frames, {units} units: {kept} numbers are kept")
    assert kept == frames * 2 * 6 * units  # two directions; four gates, c and h

# %%
# **Padding.** The steps past the end are skipped, so a batch costs only as much as its real frames.
# In the drawing above, 14 of 21 frames are real.
#
# What to try
# -----------
#
# 1. Mask the forward pass, but not the backward pass. Does the gradient check find this?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Yes: ``check(bi_forward, no_mask_backward, zero_padded)`` fails for all six inputs. Only a
#       mistake that both passes make stays hidden.
#
# 2. In mistake A, all gradients except ``dWh`` are right. Why is that so, although the weights are
#    used in every step?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       ``dWh`` is a result. Nothing else is computed from it, so its mistake cannot spread. A check
#       of ``dx`` alone would have passed.
#
# 3. Some programs stop the backward pass after a fixed number of steps ("truncated backprop"). If
#    it stops after 20 steps, for which output frames in the maps above would ``dx`` still be exact?
#    What would be lost for the others?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       For the first 20 outputs of each direction, since there is nothing to cut off. For the last
#       output, the curves show it: with a forget bias of 0, ``dx`` is below a thousandth of its
#       largest value in the frames that are cut off. With 3, it is still between 7 % and 20 %. So
#       the networks that remember for a long time lose most.
#
# 4. Why can the forward direction of an utterance run on one core and its backward direction on
#    another, but not two halves of the utterance?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The two directions share only the frames, which do not change. The second half needs the
#       state at the end of the first half.
#
# **Your turn.** Write the loop above for one direction, but with lengths, in
# ``tutorials/exercises/lstm_backward.py``. In ``lstm_backward_derive.py`` you find the formulas
# yourself. This command judges it, and recognises typical mistakes::
#
#     python -m scratchser.check tutorials/exercises/lstm_backward.py
