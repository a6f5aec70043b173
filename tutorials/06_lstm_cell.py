# %% [markdown]
# # 6. The LSTM cell by hand
#
# You will see how a cell remembers, what its three gates do, why it forgets slowly enough to learn from much earlier
# frames, and the gradient of one step, by the chain rule and by hand.
#
# It builds on the frames from tutorial 4, a sequence of vectors. Here each frame has only two elements, so that you can
# follow every step. Tutorial 7 computes the gradient through all steps.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
from _figures import save

from scratchser import reference
from scratchser.kernels import lstm
from scratchser.kernels.parts import cell

# %% [markdown]
# ## Why not simply h = tanh(w x + u h)?
#
# A network that reads frame by frame needs a state h. The simplest network computes it as the tanh of the new frame and
# the old state. To learn in frame 40 that frame 1 mattered, the gradient has to go back through 40 steps, and each step
# multiplies it by u (1 - h²). With u = 0.9 and h = 0.7 that is 0.46, and 0.46⁴⁰ is 3e-14. Every step overwrites the
# state, so almost nothing of it remains.
#
# ## The cell
#
# The LSTM has a second state c. A step adds to c instead of overwriting it, and the network decides when. Each unit has
# four sums z = x Wx + h Wh + b, and σ(z) = 1 / (1 + exp(-z)) is between 0 and 1:
#
#     i, f, o = σ(zi), σ(zf), σ(zo)     gates: write? keep? show?
#     g       = tanh(zg)                what could be written
#     c       = f c + i g               keep some of the old, write some of the new
#     h       = o tanh(c)               the output
#
# One step of one unit, computed here and by the package's formulas, which are the same for CPU and GPU:


# %%
def sigma(z):
    return 1 / (1 + math.exp(-z))


zi, zf, zg, zo, before = 0.4, 1.0, -0.8, 0.2, 0.5
i, f, g, o = sigma(zi), sigma(zf), math.tanh(zg), sigma(zo)
c = f * before + i * g
h = o * math.tanh(c)
print(f"i {i:.4f}, f {f:.4f}, g {g:.4f}, o {o:.4f}: c {before} becomes {c:.4f}, h is {h:.4f}")
assert np.allclose(cell.unit(*np.float64([zi, zf, zg, zo, before])), (i, f, g, o, c, h), rtol=1e-14)

# %% [markdown]
# ## A memory made by hand
#
# Each frame has a value and a mark, and the cell should keep the value of the last marked frame. So it writes where
# there is a mark, zi = 20 mark - 10; it keeps where there is none, zf = 10 - 20 mark; the candidate is the value,
# zg = value; and it always shows its state, zo = 10. It does not use h: Wh = 0. A network would have to learn these
# weights; here we only show that they exist.
#
# `lstm.forward` runs a second cell with the same weights from the last frame to the first. It knows the later frames.
# So each frame has two states, one for each direction: a Bi-LSTM.

# %%
T, rng = 60, np.random.default_rng(2)
value, mark = rng.uniform(-1, 1, T), np.zeros(T)
mark[[10, 38]], value[[10, 38]] = 1, (0.9, -0.6)
x = np.stack([value, mark], axis=1)[None]  # (1, T, 2)
one = np.array([[0.0, 0, 1, 0], [20, -20, 0, 0]])  # from value and mark to the sums of i f g o
Wx, Wh = np.repeat(one[:, None], 2, axis=1), np.zeros((2, 1, 4))
b = np.tile(np.array([-10.0, 10, 0, 10]), (2, 1))
y, cache = lstm.forward(x, np.array([T]), Wx, Wh, b)
print("\nkept:", *(f"{math.tanh(math.tanh(v)):.3f}" for v in (0.9, -0.6)), "   (tanh tanh of 0.9 and -0.6)")
print(f"forward state in frames 11, 37, 39, 59:  {y[0, [11, 37, 39, 59], 0].round(3)}")
print(f"backward state in frames 59, 37, 11, 0:  {y[0, [59, 37, 11, 0], 1].round(3)}")
assert np.allclose(y, reference.lstm.forward(x, [T], Wx, Wh, b, *np.zeros((2, 2, 1, 1))), rtol=0, atol=1e-13)
assert abs(y[0, 37, 0] - math.tanh(math.tanh(0.9))) < 0.01 and abs(y[0, 0, 1] - math.tanh(math.tanh(0.9))) < 0.01

# %% [markdown]
# ## The gradient of a step
#
# Two gradients of the loss are given: dh, with respect to the h of this step, and dc, with respect to c, from the next
# step. Differentiate the lines above from the last to the first, each by the product rule:
#
#     dc  = dc + dh o (1 - tanh² c)                  c is used in h and in the next step
#     dzo = dh tanh c · o (1 - o)                    σ' = σ (1 - σ)
#     dzi = dc g · i (1 - i)       dzf = dc c[n-1] · f (1 - f)       dzg = dc i · (1 - g²)
#     dc  for the step before = dc f
#
# To check it, add a tiny imaginary number to one input. The imaginary part of the output, divided by this number, is
# the derivative to the last digit, because no nearly equal numbers are subtracted.


# %%
def step(zi, zf, zg, zo, c):
    """h and c of a step, for complex numbers too."""
    c = reference.lstm.sigmoid(zf) * c + reference.lstm.sigmoid(zi) * np.tanh(zg)
    return reference.lstm.sigmoid(zo) * np.tanh(c), c


dh, dc, inputs = 0.7, -0.3, np.array([zi, zf, zg, zo, before])
by_hand = cell.unit_gradient(*np.float64([dh, dc, i, f, g, o, c, before]))
print()
for n, name in enumerate(("dzi", "dzf", "dzg", "dzo", "dc")):
    moved = inputs + 1e-30j * (np.arange(5) == n)
    out_h, out_c = step(*moved)
    right = (dh * out_h.imag + dc * out_c.imag) / 1e-30
    print(f"{name:4} by hand {by_hand[n]:18.15f}, complex step {right:18.15f}")
    assert abs(by_hand[n] - right) < 1e-14

# %% [markdown]
# ## What is left after forty steps
#
# Each step multiplies dc by f, so after n steps the product of n forget gates is left. The gate decides how long the
# cell remembers, and how far back it can learn. At the beginning of training, the weights are small and zf is about
# equal to its bias. A bias of 0 means f = 0.5: half of the gradient is lost in every step. So this package begins with
# a bias of 1, f = 0.73. The memory above has f = 0.99995 where there is no mark.

# %%
steps, left = 40, {}
for name, bias in (("bias 0", 0.0), ("bias 1", 1.0), ("the memory above, 10", 10.0)):
    d, left[name] = 1.0, [1.0]
    for _ in range(steps):
        gates = cell.unit(0.0, bias, 0.0, 0.0, 0.0)
        d = cell.unit_gradient(0.0, d, *gates[:5], 0.0)[4]
        left[name].append(d)
    print(f"{name:22} {left[name][-1]:.1e} of the gradient is left after {steps} steps")
    assert np.isclose(left[name][-1], sigma(bias) ** steps, rtol=1e-12)
left["plain, u = 0.9, h = 0.7"] = [(0.9 * (1 - 0.7**2)) ** n for n in range(steps + 1)]

# %%
figure, axes = plt.subplots(2, 2, figsize=(11, 6), layout="constrained")
axes[0, 0].plot(value, ".", color="grey", label="value")
axes[0, 0].plot(np.flatnonzero(mark), value[mark > 0], "ro", mfc="none", ms=10, label="marked")
axes[0, 0].set_title("the input of the cell")
axes[0, 1].plot(y[0, :, 0], label="forward: the last mark")
axes[0, 1].plot(y[0, :, 1], ls="--", label="backward: the next mark")
axes[0, 1].set_title("what it remembers, h")
for n, name in enumerate(("i, write", "f, keep", "g, candidate", "o, show")):  # o is 1 where f is: drawn as dots on it
    style = {"ls": "-:"[n == 3], "lw": 0.8 if n == 2 else 2, "zorder": (1, 2, 0, 3)[n]}
    axes[1, 0].plot(cache.gates[:, 0, n], label=name, **style)
axes[1, 0].set_title("gates of the forward direction")
for name, numbers in left.items():
    axes[1, 1].semilogy(numbers, label=name)
axes[1, 1].set(title="gradient left after n steps", ylim=(1e-14, 10), xlabel="n")
for axis in axes.ravel():
    axis.legend(fontsize="small", **({} if axis is axes[1, 1] else {"loc": "upper center", "ncols": 4}))
for axis in axes.ravel()[:3]:
    axis.set(xlabel="frame", ylim=(-1.1, 1.6))
save(figure, "06_lstm_cell")

# %% [markdown]
# ## What to try
#
# - Set the memory's forget bias to 2 instead of 10. What is left of 0.9 after 27 frames? (f = 0.88, and 0.88²⁷ is 3 %.)
# - Why is dh not multiplied by f on its way to the step before, as dc is? (dh goes there through the four sums: dz Whᵀ,
#   see tutorial 7.)
# - `cell.sigmoid` is 1 / (2 + (exp(-z) - 1)). Why does it use exp - 1? (The package computes exp x - 1 by arithmetic
#   that compiles to vector instructions, and tanh needs it: exp x alone would lose the digits of a small x.)
# - Your turn: `tutorials/exercises/lstm_cell_forward.py`, judged by
#   `python -m scratchser.check tutorials/exercises/lstm_cell_forward.py`.
