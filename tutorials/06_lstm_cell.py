"""
6. The LSTM cell by hand
========================

After the convolutions, the network has a sequence of vectors, one for each frame. An LSTM reads
them one after the other and remembers what matters. In this tutorial you will see

- why a simple recurrent network forgets, and what an LSTM adds,
- what its three gates do, drawn over time,
- the gradient of one step: first in words, then as formulas, then as code, then checked.

You need the chain rule and the product rule. A layer has many *units* that work side by side. We
look at one unit, so each quantity is a single number and not a vector. Tutorial 7 goes back through
all steps of an utterance.
"""

# %%

# sphinx_gallery_thumbnail_number = 2
import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch

from scratchser import reference
from scratchser.gradcheck import check, require
from scratchser.kernels import lstm
from scratchser.kernels.parts import cell

# %%
# A simple recurrent network forgets
# ----------------------------------
#
# A network that reads frame by frame needs a *state*: a number that depends on all it has read so
# far. Such a network is called *recurrent*. The simplest network computes the new state from the
# new frame and the old state:
#
# .. math:: h[n] = \tanh(w \, x[n] + u \, h[n-1])
#
# How long does it remember? We run it on two sequences that are equal except for the first frame.
# As long as the two states differ, the network still remembers something of the first frame. Here
# :math:`w` is 1 and :math:`u` is 0.9.
#
# The difference is about 0.9 at the start. How large will it be after 10 frames? Write down your
# guess, then run the cell.

rng = np.random.default_rng(3)
frames = rng.standard_normal(21)
w, u = 1.0, 0.9


def simple_network(first):
    h = 0.0
    states = []
    for n in range(21):
        x = first if n == 0 else frames[n]
        h = math.tanh(w * x + u * h)
        states.append(h)
    return np.array(states)


difference = np.abs(simple_network(0.5) - simple_network(-0.5))
for n in (0, 1, 2, 5, 10, 20):
    print(f"after {n:2} frames the states differ by {difference[n]:.1e}")
assert difference[0] > 0.9
assert difference[10] < 1e-2

# sphinx_gallery_start_ignore


def draw_difference():
    _, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    axis.semilogy(difference, marker=".")
    axis.set(xlabel="frame n", ylabel="difference of the states", xticks=range(0, 21, 5))
    axis.grid(alpha=0.3)


# sphinx_gallery_end_ignore
draw_difference()
plt.show()

# %%
# Each step multiplies the difference by about :math:`u \, (1 - h^2)`, the derivative of the new
# state with respect to the old one. This factor is never larger than :math:`u`, and it is small
# where the tanh is *saturated*, that is, close to -1 or 1. A product of many factors below 1 soon
# becomes very small: it *vanishes*. The gradient takes the same way back and is multiplied by the
# same factors. So the network can hardly *learn*, either, that the first frame mattered.
#
# The cause is that each step replaces the state by something new.
#
# A memory with gates
# -------------------
#
# The LSTM (long short-term memory) has a second state, the *cell state* :math:`c`. It is not
# replaced in each step. Instead, the network answers three questions in each step, each by a number
# between 0 (no) and 1 (yes). These numbers are called *gates*:
#
# - the **forget gate** :math:`f`: how much of the old cell state do we keep?
# - the **input gate** :math:`i`: how much of the *candidate* :math:`g`, the new content, do we
#   write?
# - the **output gate** :math:`o`: how much of the cell state do we show?
#
# In the drawing, the cell state goes along the top, from left to right. There is only one
# multiplication and one addition on its way. The output of the unit is called :math:`h`.

# sphinx_gallery_start_ignore
NODES = {
    "before": (0.4, 5.6, "c[n-1]", "none"), "keep": (3, 5.6, "×", "circle"), "add": (6, 5.6, "+", "circle"),
    "after": (12.3, 5.6, "c[n]", "none"), "write": (6, 3.9, "×", "circle"), "tanh": (9.6, 4.5, "tanh", "g"),
    "show": (9.6, 3.2, "×", "circle"), "state": (12.3, 3.2, "h[n]", "none"), "f": (3, 2, "f   σ", "gate"),
    "i": (5.1, 2, "i   σ", "gate"), "g": (6.9, 2, "g  tanh", "g"), "o": (9.6, 2, "o   σ", "gate"),
}  # fmt: skip
FORWARD = {
    ("before", "keep"): "", ("f", "keep"): "keep?", ("keep", "add"): "f c[n-1]", ("i", "write"): "write?",
    ("g", "write"): "candidate", ("write", "add"): "i g", ("add", "after"): "", ("add", "tanh"): "",
    ("tanh", "show"): "tanh c", ("o", "show"): "show?", ("show", "state"): "o tanh c",
}  # fmt: skip
BACKWARD = {
    ("before", "keep"): "dc f", ("f", "keep"): "dc c[n-1]", ("keep", "add"): "dc", ("i", "write"): "dc g",
    ("g", "write"): "dc i", ("write", "add"): "dc", ("add", "after"): "dc from step n+1",
    ("add", "tanh"): "dh o (1 - tanh² c)", ("tanh", "show"): "dh o", ("o", "show"): "dh tanh c",
    ("show", "state"): "dh",
}  # fmt: skip
SHIFTS = {  # of a label, from the middle of its arrow
    ("f", "keep"): (-0.1, 0, "right"), ("i", "write"): (-0.25, 0.1, "right"), ("g", "write"): (0.3, 0.1, "left"),
    ("write", "add"): (0.12, 0, "left"), ("tanh", "show"): (0.12, 0, "left"), ("o", "show"): (0.12, 0, "left"),
}  # fmt: skip


def draw_arrow(axis, start, end, colour, gaps=(13, 13)):
    style = {"arrowstyle": "-|>", "color": colour, "lw": 1.5, "shrinkA": gaps[0], "shrinkB": gaps[1]}
    axis.annotate("", end, start, arrowprops=style)


def draw_lstm(labels, backward=False):
    _, axis = plt.subplots(figsize=(9, 4.7), layout="constrained")
    colour = "C3" if backward else "0.2"
    for (start, end), label in labels.items():
        (x0, y0), (x1, y1) = NODES[start][:2], NODES[end][:2]
        if (start, end) == ("add", "tanh"):
            x0 = x1  # a branch from the cell state, down to the tanh
        gaps = (0 if x0 == x1 == 9.6 and start == "add" else 13, 13)
        if backward:
            draw_arrow(axis, (x1, y1), (x0, y0), colour, gaps[::-1])
        else:
            draw_arrow(axis, (x0, y0), (x1, y1), colour, gaps)
        dx, dy, side = SHIFTS.get((start, end), (0, 0.25, "center"))
        middle = (x0 + x1) / 2 + dx, (y0 + y1) / 2 + dy
        if (start, end) == ("add", "tanh"):
            middle, side = (x1 + 0.12, (y0 + y1) / 2), "left"
        if (start, end) == ("add", "after"):
            middle = (x1 - 1.7, y1 + 0.25)
        axis.text(*middle, label, color=colour, ha=side, va="center", fontsize=11)
    for name, (x, y, text, kind) in NODES.items():
        if kind in ("gate", "g"):
            face = "#9ecae1" if kind == "gate" else "#fdae6b"
            axis.add_patch(FancyBboxPatch((x - 0.6, y - 0.27), 1.2, 0.54, boxstyle="round,pad=0.05", fc=face, ec="0.4"))
        elif kind == "circle":
            axis.plot(x, y, "o", ms=21, mfc="white", mec="0.4")
        side = {"before": "right", "after": "left", "state": "left"}.get(name, "center")
        axis.text(x, y, text, ha=side, va="center", fontsize=12)
        if name in "figo":
            if backward:
                draw_arrow(axis, (x, y), (x, 0.75), colour, (14, 0))
            else:
                draw_arrow(axis, (x, 0.75), (x, y), colour, (0, 14))
            sum_name = f"dz{name}" if backward else f"z{name}"
            axis.text(x + 0.12, 1.2, sum_name, color=colour, fontsize=11)
    axis.add_patch(FancyBboxPatch((1.9, 0.15), 8.8, 0.5, boxstyle="round,pad=0.05", fc="#eeeeee", ec="0.4"))
    axis.text(6.3, 0.4, "z = x[n] Wx + h[n-1] Wh + b", ha="center", va="center", fontsize=12)
    axis.set(xlim=(-0.7, 13.2), ylim=(-0.1, 6.3))
    axis.axis("off")


# sphinx_gallery_end_ignore
draw_lstm(FORWARD)
plt.show()

# %%
# In formulas: each gate, and the candidate, is computed from its own weighted sum :math:`z` of the
# new frame and the last output. The weights are called ``Wx`` and ``Wh``, and there is a bias
# ``b``. The function :math:`\sigma(z) = 1 / (1 + e^{-z})` turns any number into one between 0 and
# 1, and tanh turns it into one between -1 and 1.
#
# .. math::
#    i = \sigma(z_i) \qquad f = \sigma(z_f) \qquad g = \tanh(z_g) \qquad o = \sigma(z_o)
#
# .. math::
#    c[n] = f \, c[n-1] + i \, g \qquad\qquad h[n] = o \, \tanh c[n]
#
# Here is one step of one unit with numbers. The package's formulas are in
# ``kernels/parts/cell.py``; the CPU and the GPU use the same ones.


def sigma(z):
    return 1 / (1 + math.exp(-z))


zi, zf, zg, zo = 0.4, 1.0, -0.8, 0.2
c_before = 0.5

i = sigma(zi)
f = sigma(zf)
g = math.tanh(zg)
o = sigma(zo)
c = f * c_before + i * g
h = o * math.tanh(c)

print(f"gates:      i {i:.4f}, f {f:.4f}, o {o:.4f}; candidate g {g:.4f}")
print(f"cell state: 0.5 becomes {f:.3f} · 0.5 + {i:.3f} · {g:.3f} = {c:.4f}")
print(f"output:     {h:.4f}")
by_package = cell.unit(*np.float64([zi, zf, zg, zo, c_before]))
assert np.allclose(by_package, (i, f, g, o, c, h), rtol=1e-14)

# %%
# A memory made by hand
# ---------------------
#
# Can a cell with fixed weights do something useful? We give it this task: each frame has a value
# and a mark. The cell has to remember the value of the last marked frame, and to ignore all others.
#
# There are 60 frames, and frames 10 and 38 are marked.

T = 60
rng = np.random.default_rng(2)
value = rng.uniform(-1, 1, T)
mark = np.zeros(T)
mark[[10, 38]] = 1
value[10] = 0.9
value[38] = -0.6

# sphinx_gallery_start_ignore


def draw_input(axis):
    axis.plot(value, ".", color="0.5", label="value")
    axis.plot(np.flatnonzero(mark), value[mark > 0], "o", color="C3", mfc="none", ms=11, mew=2, label="marked")
    axis.set(ylabel="input", ylim=(-1.2, 1.8))
    axis.legend(loc="upper right", ncols=2)


def draw_task():
    _, axis = plt.subplots(figsize=(8, 2.5), layout="constrained")
    draw_input(axis)
    axis.set_xlabel("frame")


# sphinx_gallery_end_ignore
draw_task()
plt.show()

# %%
# Think about it for a moment: when should each gate be open (1), and when closed (0)?
#
# .. admonition:: Answer
#    :class: dropdown
#
#    - Write where there is a mark: :math:`z_i = 20 \cdot \text{mark} - 10`. This is 10 or -10, so
#      :math:`i` is almost exactly 1 or 0.
#    - Keep where there is no mark: :math:`z_f = 10 - 20 \cdot \text{mark}`.
#    - The candidate is the value: :math:`z_g = \text{value}`.
#    - Always show the memory: :math:`z_o = 10`.
#
# The cell does not need its last output, so ``Wh`` is zero. A network would have to learn these
# weights; here we only show that such weights exist. The LSTM of the package reads each utterance
# in two directions (see below), with one set of weights for each. We use the same weights for both.
# The order of the gates is i, f, g, o.

from_value = [0, 0, 1, 0]
from_mark = [20, -20, 0, 0]
one_direction = np.array([from_value, from_mark], dtype=float)
Wx = np.stack([one_direction, one_direction], axis=1)  # (inputs, directions, gates)
Wh = np.zeros((2, 1, 4))
b = np.array([[-10.0, 10, 0, 10], [-10, 10, 0, 10]])

x = np.stack([value, mark], axis=1)[None]  # one utterance: (1, T, 2)
y, cache = lstm.forward(x, np.array([T]), Wx, Wh, b)
gates = cache.gates[:, 0]  # of the forward direction
cell_state = cache.c[:, 0, 0]

# sphinx_gallery_start_ignore


def draw_gates():
    _, axes = plt.subplots(3, 1, figsize=(8, 5.4), layout="constrained", sharex=True, height_ratios=(2, 1.2, 2))
    draw_input(axes[0])
    axes[1].imshow(gates[:, [1, 0, 3]].T, aspect="auto", cmap="viridis", vmin=0, vmax=1)
    axes[1].set_yticks(range(3), ["f: keep", "i: write", "o: show"])
    axes[2].plot(gates[:, 2], ".", color="0.6", label="candidate g")
    axes[2].plot(cell_state, color="C0", lw=2, label="cell state c")
    axes[2].set(xlabel="frame", ylim=(-1.2, 1.8), ylabel="memory")
    axes[2].legend(loc="upper right", ncols=2)
    for axis in axes:
        for frame in np.flatnonzero(mark):
            axis.axvline(frame, color="C3", lw=1, ls=":")


# sphinx_gallery_end_ignore
draw_gates()
plt.show()

# %%
# In the middle panel, yellow is 1 and dark violet is 0. At a mark, the forget gate closes and the
# input gate opens for one frame: the old value is forgotten and the new one is written. Between the
# marks, the cell state does not move, whatever the other values are.
#
# What is stored is tanh of the value, since the candidate passes through a tanh. The output passes
# through a second tanh. So after frame 10 the output should be tanh(tanh(0.9)):

shown = math.tanh(math.tanh(0.9))
print(f"tanh(tanh(0.9)) = {shown:.4f}")
for frame in (11, 24, 37, 39, 59):
    print(f"output in frame {frame}: {y[0, frame, 0]:7.4f}")
assert abs(y[0, 37, 0] - shown) < 2e-3
by_loops = reference.lstm.forward(x, [T], Wx, Wh, b, *np.zeros((2, 2, 1, 1)))
assert np.allclose(y, by_loops, rtol=0, atol=1e-13)

# %%
# ``lstm.forward`` runs a second cell from the last frame to the first. The two outputs of a frame,
# one for each direction, are placed next to each other. This is called a bidirectional LSTM, or
# Bi-LSTM. What do you expect from the second cell in frame 20: 0.9, -0.6, or nothing?

print(f"frame 20: forward {y[0, 20, 0]:.3f}, backward {y[0, 20, 1]:.3f}")
assert y[0, 20, 0] > 0.6 and y[0, 20, 1] < -0.4

# sphinx_gallery_start_ignore


def draw_directions():
    _, axis = plt.subplots(figsize=(8, 2.8), layout="constrained")
    axis.plot(y[0, :, 0], lw=2, label="forward →")
    axis.plot(y[0, :, 1], lw=2, ls="--", label="← backward")
    axis.plot(np.flatnonzero(mark), np.tanh(np.tanh(value[mark > 0])), "o", color="C3", mfc="none", ms=11, mew=2)
    axis.set(xlabel="frame", ylabel="output h", ylim=(-1.1, 1.1))
    axis.legend(loc="upper right", ncols=2)


# sphinx_gallery_end_ignore
draw_directions()
plt.show()

# %%
# The forward cell has already seen 0.9, in frame 10. The backward cell comes from the other end and
# has seen -0.6, in frame 38. Together, they contain what was before and what comes after. (The
# values are smaller because of the two tanh.)
#
# What the forget gate remembers
# ------------------------------
#
# The memory above has :math:`f = \sigma(10) = 0.99995` between the marks. What happens with a
# smaller bias? After :math:`n` frames without a mark, :math:`f^n` of the cell state is left. Half
# of it is gone after :math:`\log 0.5 / \log f` frames.
#
# How many frames do you expect for a bias of 2, where :math:`f` is 0.88?

memories = {}
for bias in (0, 1, 2, 4, 10):
    weaker = b.copy()
    weaker[:, 1] = bias
    _, of_bias = lstm.forward(x, np.array([T]), Wx, Wh, weaker)
    memory = of_bias.c[:, 0, 0]
    memories[bias] = memory
    kept = sigma(bias)
    half = math.log(0.5) / math.log(kept)
    print(f"bias {bias:2}: f = {kept:.5f}, half is lost in {half:7.1f} frames", end=", ")
    print(f"frame 20: c = {memory[20]:.4f}")
    assert math.isclose(memory[20], memory[10] * kept**10, rel_tol=2e-3, abs_tol=2e-3)

# sphinx_gallery_start_ignore


def draw_memories():
    _, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    draw_input(axis)
    for bias, memory in memories.items():
        axis.plot(memory, lw=1.8, label=f"c, bias {bias}")
    axis.set(xlabel="frame", ylim=(-1.1, 2.2), ylabel="cell state")
    axis.legend(loc="upper center", ncols=4, fontsize=9)


# sphinx_gallery_end_ignore
draw_memories()
plt.show()

# %%
# The forget gate decides how long the cell remembers. And since it is computed from the frame, the
# cell can keep for a long time and still forget everything at the right moment.
#
# One step backward, in words
# ---------------------------
#
# To train the weights, we need gradients. The backward pass begins with the gradients that the
# later parts of the network give us. For one step these are two numbers:
#
# - :math:`dh`, the gradient of the loss with respect to this step's output,
# - :math:`dc`, the gradient with respect to this step's cell state, as far as it is used by the
#   *next* step.
#
# Now go through the forward formulas from the last one to the first. For each product, ask what
# happens to the result when one factor grows by a small number :math:`\varepsilon`.
#
# 1. **The output is** :math:`o` **times** :math:`\tanh c`. If :math:`o` grows by
#    :math:`\varepsilon`, the output grows by :math:`\varepsilon \tanh c`. So the gradient of
#    :math:`o` is :math:`dh` times the other factor. The same holds for :math:`\tanh c`: its
#    gradient is :math:`dh` times :math:`o`.
# 2. **Through the tanh.** The slope of tanh is 1 minus its square. It is 1 in the middle and almost
#    0 where the tanh is saturated.
# 3. **The cell state is used twice**: in this step's output, and by the next step. Its gradient is
#    the *sum* of both.
# 4. **The cell state is a sum.** An addition passes the gradient to both parts unchanged.
# 5. **Each part is a product.** Again, each factor gets the gradient times the other factor. So the
#    forget gate gets :math:`dc` times the old cell state, and the old cell state gets :math:`dc`
#    times the forget gate.
# 6. **Through the gates.** The slope of :math:`\sigma` is :math:`\sigma (1 - \sigma)`: 0.25 in the
#    middle, almost 0 where the gate is fully open or fully closed.
#
# In the drawing, all arrows of the forward step are reversed. Each label is the gradient that goes
# along the arrow.

draw_lstm(BACKWARD, backward=True)
plt.show()

# %%
# In formulas
# -----------
#
# The six sentences, in the same order:
#
# .. math::
#    do &= dh \, \tanh c \\
#    dc &\leftarrow dc + dh \, o \, (1 - \tanh^2 c) \\
#    df &= dc \, c[n-1] \qquad di = dc \, g \qquad dg = dc \, i \\
#    dz_f &= df \, f (1 - f) \qquad dz_i = di \, i (1 - i) \qquad
#    dz_o = do \, o (1 - o) \qquad dz_g = dg \, (1 - g^2) \\
#    dc[n-1] &= dc \, f
#
# In code
# -------
#
# Each line of the forward step becomes one or two lines, in the opposite order.


def step(zi, zf, zg, zo, c_before):
    i = sigma(zi)
    f = sigma(zf)
    g = math.tanh(zg)
    o = sigma(zo)
    c = f * c_before + i * g
    h = o * math.tanh(c)
    return h, c


def step_backward(dh, dc, i, f, g, o, c, c_before):
    do = dh * math.tanh(c)
    dc = dc + dh * o * (1 - math.tanh(c) ** 2)
    df = dc * c_before
    di = dc * g
    dg = dc * i
    dzi = di * i * (1 - i)
    dzf = df * f * (1 - f)
    dzg = dg * (1 - g**2)
    dzo = do * o * (1 - o)
    return dzi, dzf, dzg, dzo, dc * f


dh, dc = 0.7, -0.3
by_hand = step_backward(dh, dc, i, f, g, o, c, c_before)
by_package = cell.unit_gradient(*np.float64([dh, dc, i, f, g, o, c, c_before]))
assert np.allclose(by_hand, by_package, rtol=1e-14)

# %%
# By finite differences
# ---------------------
#
# Is this right? We test it with the forward step only: we change each input by a tiny amount, once
# up and once down, and look at the change of the loss. The loss of this little experiment is
# :math:`dh \cdot h + dc \cdot c`. Its gradients with respect to :math:`h` and :math:`c` are
# :math:`dh` and :math:`dc`, exactly what we assumed.

point = [zi, zf, zg, zo, c_before]
tiny = 1e-5


def loss(inputs):
    h, c = step(*inputs)
    return dh * h + dc * c


print("          by hand   by differences")
for n, name in enumerate(("dzi", "dzf", "dzg", "dzo", "dc before")):
    more = list(point)
    less = list(point)
    more[n] += tiny
    less[n] -= tiny
    difference = (loss(more) - loss(less)) / (2 * tiny)
    print(f"{name:9} {by_hand[n]:8.6f}  {difference:8.6f}")
    assert abs(by_hand[n] - difference) < 1e-9

# %%
# The two agree. The package's ``check`` does the same with a better formula, a random loss and a
# strict limit. Here it checks our step with 1000 units at once, each with different random numbers.
# With so many inputs, it changes all of them together, along 20 random directions:

rng = np.random.default_rng(0)
names = "zi", "zf", "zg", "zo", "c_before"
inputs = {name: rng.standard_normal(1000) for name in names}


def forward(zi, zf, zg, zo, c_before):
    h, c = np.vectorize(step)(zi, zf, zg, zo, c_before)
    return h, c


def backward(dy, **inputs):
    dh, dc = dy
    of_step = np.vectorize(cell.unit)(*inputs.values())
    i, f, g, o, c, _ = of_step
    gradients = np.vectorize(step_backward)(dh, dc, i, f, g, o, c, inputs["c_before"])
    return dict(zip(inputs, gradients, strict=True))


reports = check(forward, backward, inputs, directions=20)
for report in reports:
    print(report)
require(reports)

# %%
# A mistake
# ---------
#
# What if we forget sentence 3, and *replace* the :math:`dc` from the next step instead of adding to
# it? Which of the five gradients become wrong? Does one stay right? Look at the drawing, write down
# your guess, then run the cell.


def replaced(dy, **inputs):
    dh, dc = dy
    return backward((dh, np.zeros_like(dc)), **inputs)


wrong = check(forward, replaced, inputs, directions=20)
for report in wrong:
    print(report)
assert [report.name for report in wrong if report.passed] == ["zo"]

# %%
# Only the output gate stays right, because the gradient on its way does not contain :math:`dc`.
# This is how a gradient check helps to find a mistake: see which gradients are wrong, and which
# part of the way they have in common.
#
# With this mistake, a step gets no gradient from what later steps do with its cell state. A network
# can still learn from the rest, so a falling loss does not show the mistake.
#
# A derivative without a difference
# ---------------------------------
#
# There is an even more exact test, the *complex step*. Add a tiny *imaginary* number to one input.
# The imaginary part of the loss, divided by this number, is the derivative. Nothing is subtracted,
# so no digits are lost, and the number can be as small as :math:`10^{-30}`. The forward step only
# has to work for complex numbers.


def complex_step(zi, zf, zg, zo, c_before):
    c = reference.lstm.sigmoid(zf) * c_before + reference.lstm.sigmoid(zi) * np.tanh(zg)
    return reference.lstm.sigmoid(zo) * np.tanh(c), c


print("          by hand             by complex step")
for n, name in enumerate(("dzi", "dzf", "dzg", "dzo", "dc before")):
    moved = np.array(point, dtype=complex)
    moved[n] += 1e-30j
    h_moved, c_moved = complex_step(*moved)
    derivative = (dh * h_moved + dc * c_moved).imag / 1e-30
    print(f"{name:9} {by_hand[n]:18.15f}  {derivative:18.15f}")
    assert abs(by_hand[n] - derivative) < 1e-14

# %%
# What is left after forty steps
# ------------------------------
#
# Look again at the top of the drawing: on its way to the step before, :math:`dc` is multiplied by
# :math:`f` and by nothing else. After :math:`n` steps, it is multiplied by the product of :math:`n`
# forget gates. (There is a second way, through the sums and ``Wh``, which we leave to tutorial 7.)
# So the forget gate decides how far back the cell can *learn*, exactly as it decides how long the
# cell remembers.
#
# Before training, the weights are small, and :math:`z_f` is about equal to its bias. With a bias of
# 0, half of the gradient is lost in each step. For this reason, the package starts with bias 1. We
# compare this with the simple network, whose factor is :math:`u \, (1 - 0.7^2) = 0.46` in each step
# if its state is 0.7.

left = {"simple network": (u * (1 - 0.7**2)) ** np.arange(41)}
for name, bias in (("bias 0", 0.0), ("bias 1", 1.0), ("memory, bias 10", 10.0)):
    d = 1.0
    factors = [d]
    for _ in range(40):
        of_gates = cell.unit(0.0, bias, 0.0, 0.0, 0.0)
        *_, d = cell.unit_gradient(0.0, d, *of_gates[:5], 0.0)
        factors.append(d)
    left[name] = factors
    assert math.isclose(d, sigma(bias) ** 40, rel_tol=1e-12)
for name, factors in left.items():
    print(f"{name:16} {factors[-1]:.1e} of the gradient is left after 40 steps")

# sphinx_gallery_start_ignore


def draw_left():
    _, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for name, factors in left.items():
        axis.semilogy(factors, label=name, lw=2, ls="--" if "simple" in name else "-")
    axis.set(xlabel="steps back", ylabel="gradient that is left", ylim=(1e-14, 10))
    axis.legend()
    axis.grid(alpha=0.3)


# sphinx_gallery_end_ignore
draw_left()
plt.show()

# %%
# What to try
# -----------
#
# 1. :math:`dc` is multiplied by :math:`f` on its way to the step before. Why is :math:`dh` not?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The old output :math:`h[n-1]` does not enter the cell state directly. It enters the four
#       sums :math:`z`, through ``Wh``. So :math:`dh` goes back through the four :math:`dz` and
#       ``Wh``, see tutorial 7.
#
# 2. In the memory made by hand, change the bias of the input gate from -10 to -2. What do you see?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Without a mark, the input gate is now :math:`\sigma(-2) = 0.12` instead of 0. Each frame
#       adds 12 % of its candidate, and the forget gate keeps all of it. So the cell state changes
#       at random from frame to frame, and the stored value is lost.
#
# 3. Set all gates to 1 by hand, so that :math:`c[n] = c[n-1] + g`. The gradient then never
#    vanishes. Why do we need gates at all?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Such a cell can only add. It cannot forget, and it cannot ignore a frame: all frames count
#       equally, also those that contain only noise. The first LSTM of 1997 had no forget gate; it
#       was added in 2000 for long sequences.
#
# 4. A gate that is fully open has a slope of almost 0. What does this mean for the weights made by
#    hand, if you wanted to train them further?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       For :math:`z = 10` the slope :math:`\sigma (1 - \sigma)` is 0.00005. The gradients of these
#       gates are nearly zero, and training would hardly change them. So networks begin with small
#       weights.
#
# **Your turn.** Write a step of the LSTM in ``tutorials/exercises/lstm_cell_forward.py``. This
# command judges it::
#
#     python -m scratchser.check tutorials/exercises/lstm_cell_forward.py
#
# ``cuda_lstm_cell.py`` is the same step as a CUDA kernel.
