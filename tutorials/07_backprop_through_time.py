# %% [markdown]
# # 7. Backprop through time
#
# Tutorial 6 had one step of an LSTM, forward and backward. Here the steps are chained over whole utterances of unequal
# lengths, in both directions, and you will see
#
# 1. what one step back needs from the step after it, and how far a gradient travels;
# 2. two mistakes that let the loss fall all the same: a wrong shift, and a missing mask;
# 3. which test finds which of them, and why one of them passes every gradient check.

# %%
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from scratchser import truth
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import lstm

FIGURES = Path(globals().get("__file__", "notebook")).resolve().parent / "figures"
FIGURES.mkdir(exist_ok=True)

# %% [markdown]
# ## The equations
#
# Forward, the state is all that one step hands to the next:
#
# $$h_n, c_n = \mathrm{cell}(x_n W_x + h_{n-1} W_h + b,\ c_{n-1})$$
#
# Backward, the same wires carry gradients the other way. The loss depends on $h_n$ twice: through the output $y_n$ that
# the layer above reads, and through step $n+1$. The two are **added**:
#
# $$dh_n = dy_n + dz_{n+1} W_h^T \qquad dc_n = dh_n\, o_n (1 - \tanh^2 c_n) + f_{n+1}\, dc_{n+1}$$
#
# $dz_n$ follows from $dh_n, dc_n$ as in tutorial 6. The weights are the same at every step, so their gradient is a sum
# over the steps: $dW_h = \sum_n h_{n-1}^T dz_n$. Mind the index: $dz_n$ meets the state that went **into** step $n$.
#
# The second direction is the same thing on the reversed utterance. Reversed means from its *own* last frame, not from
# the end of the padded batch.

# %% three utterances in one batch; NaN behind each one's end, so that whoever reads there gives himself away
rng = np.random.default_rng(7)
lengths, D, H = np.array([6, 3, 5]), 4, 3
x = rng.standard_normal((3, 7, D))
for u, length in enumerate(lengths):
    x[u, length:] = np.nan
inputs = {
    "x": x,
    "Wx": rng.standard_normal((D, 2, 4 * H)) / 2,
    "Wh": rng.standard_normal((2, H, 4 * H)) / 2,
    "b": rng.standard_normal((2, 4 * H)),
    "h0": rng.uniform(-1, 1, (2, 3, H)),  # [direction, utterance, unit]
    "c0": rng.standard_normal((2, 3, H)),
}


def forward(x, Wx, Wh, b, h0, c0, n=lengths):
    return lstm.forward(x, n, Wx, Wh, b, h0, c0)[0]


def slow_text(x, Wx, Wh, b, h0, c0):
    return truth.lstm.forward(x, lengths, Wx, Wh, b, h0, c0)


y, slow = forward(**inputs), slow_text(**inputs)
print(f"y {y.shape}, largest difference from the slow text: {np.abs(y - slow).max():.1e}")
assert np.abs(y - slow).max() < 1e-13 and np.isfinite(y).all()

# %% [markdown]
# ## Is the backward pass the derivative of the forward pass?
#
# `check` moves every number of every input a little, in float64, and looks how $\sum dy \cdot y$ changes, with a random
# $dy$. Initial states are inputs like the others: their gradient is what would flow on into an earlier piece of the
# utterance. `time_axis` gives each frame a limit of its own. `complex_step` asks the slow text, exactly to rounding.


# %%
def backward(dy, x, Wx, Wh, b, h0, c0, n=lengths, spoil=lambda cache: cache):
    _, cache = lstm.forward(x, n, Wx, Wh, b, h0, c0)
    dWx, dWh, db = (np.zeros_like(weights) for weights in (Wx, Wh, b))
    dx, dh0, dc0 = lstm.backward(dy, spoil(cache), Wx, Wh, dWx, dWh, db)
    return {"x": dx, "Wx": dWx, "Wh": dWh, "b": db, "h0": dh0, "c0": dc0}


reports = check(forward, backward, inputs, time_axis={"x": 1})
reports += complex_step(slow_text, backward, inputs)
print(*reports, sep="\n")
require(reports)

# %% [markdown]
# ## A wrong shift
#
# The classic: $dW_h$ is summed with $h_n$ in place of $h_{n-1}$. We hand the backward pass states that are one step
# late, in the forward direction only, and compare.


# %%
def late(cache):
    y, h0 = cache.y.copy(), cache.h0.copy()
    h0[0], y[:, :-1, :H] = cache.y[:, 0, :H], cache.y[:, 1:, :H]
    return replace(cache, y=y, h0=h0)


dy = rng.standard_normal(y.shape)
right, wrong = backward(dy, **inputs)["Wh"][0], backward(dy, **inputs, spoil=late)["Wh"][0]
cosine = (right * wrong).sum() / np.sqrt((right**2).sum() * (wrong**2).sum())
spoilt = check(forward, partial(backward, spoil=late), inputs, time_axis={"x": 1})
print(*spoilt, f"cosine of right and wrong dWh: {cosine:.2f}", sep="\n")
assert [report.name for report in spoilt if not report.passed] == ["Wh"]
assert 0 < cosine < 0.99  # it still points downhill: "the loss falls" proves nothing

# %% [markdown]
# ## A missing mask
#
# Now walk over the padding too: zeros behind the end, and every length the batch's. Two things happen. The loss reads
# the state behind the padding, so its gradient has to come back through all padding steps, each time through a forget
# gate. And the answer depends on how much padding there is, that is, on what else is in the batch.

# %%
T, H = 40, 16
W = {
    "Wx": rng.standard_normal((8, 2, 4 * H)) / np.sqrt(8),
    "Wh": rng.standard_normal((2, H, 4 * H)) / np.sqrt(H),
    "b": np.zeros((2, 4 * H)),
}
W["b"][:, H : 2 * H] = 1  # forget gates start open, as in our model
utterance, dr = rng.standard_normal((1, T, 8)), rng.standard_normal((1, 2 * H))


def readout(padding, mask, half=slice(None)):
    """Scores of the utterance with so many zeros behind it, and |dx| per frame; `half` is where dr is not 0."""
    x = np.concatenate([utterance, np.zeros((1, padding, 8))], axis=1)
    n = np.array([T if mask else T + padding])
    y, cache = lstm.forward(x, n, **W)
    part = np.zeros_like(dr)
    part[:, half] = dr[:, half]
    dy, sums = lstm.readout_backward(part, n, T + padding), [np.zeros_like(weights) for weights in W.values()]
    dx, _, _ = lstm.backward(dy, cache, W["Wx"], W["Wh"], *sums)
    return lstm.readout_forward(y, n), np.sqrt((dx[0] ** 2).sum(axis=1))


alone, _ = readout(0, mask=True)
for padding in (1, 10, 40):
    masked, unmasked = readout(padding, mask=True)[0], readout(padding, mask=False)[0]
    print(f"{padding:2} frames of padding move the readout by {np.abs(masked - alone).max()} with the mask", end="")
    print(f", {np.abs(unmasked - alone).max():.2f} without")
    assert np.array_equal(masked, alone) and np.abs(unmasked - alone).max() > 0.05

# %% [markdown]
# **No gradient check finds this**: forward and backward agree with each other, both walk too far. It takes a test of
# what the layer *means*: alone or in a batch, the same bits; NaN in the padding, and nothing changes.

# %%
too_far, zeros_behind = np.full(3, 7), {**inputs, "x": np.nan_to_num(inputs["x"])}
require(check(partial(forward, n=too_far), partial(backward, n=too_far), zeros_behind))  # passes, and is wrong
assert np.isnan(forward(**inputs, n=too_far)).any()  # NaN in the padding gives it away
print("without a mask every gradient check passes; with NaN in the padding, NaN comes out")

# %% [markdown]
# The picture. Left, a loss at the readout sends its gradient back along each direction's own walk: the forward
# direction from the utterance's last frame, the backward direction from its first. Every step multiplies it by about
# $f_n$, so it fades. Right, without a mask it has faded before it reaches the first real frame.

# %%
directions = {"forward": slice(0, H), "backward": slice(H, 2 * H)}
figure, (left, bare) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", sharey=True)
for (name, half), colour in zip(directions.items(), ("tab:blue", "tab:orange"), strict=True):
    left.semilogy(readout(0, True, half)[1], color=colour, marker=".", label=f"{name} direction")
left.set(title="the readout's gradient on its way back", xlabel="frame", ylabel="|dx|")
for padding, colour in zip((0, 10, 40), ("tab:blue", "tab:purple", "tab:red"), strict=True):
    size = readout(padding, False, directions["forward"])[1]
    bare.semilogy(size, color=colour, marker=".", label=f"{padding} frames of padding")
bare.axvspan(T - 0.5, T + 39.5, color="0.92", zorder=0)
bare.text(T + 20, 3e-7, "padding", ha="center", color="0.4")
bare.set(title="forward direction without a mask", xlabel="frame")
for axes in (left, bare):
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
figure.savefig(FIGURES / "07_backprop_through_time.png", dpi=120)
print("gradient at the first frame, as a share of that at the last:", end=" ")
first, last = readout(0, True, directions["forward"])[1][[0, -1]]
print(f"{first / last:.0e}")
assert first / last < 1e-3

# %% [markdown]
# ## What to try
#
# - *Why did only `dWh` fail under the wrong shift?* $h_{n-1}$ stands in the equation of $dW_h$ and in no other of the
#   way back. A check of `dx` alone would have passed.
# - *Mask the forward pass and not the backward pass: is that found?* Yes. Call `check(forward, partial(backward,
#   n=too_far), zeros_behind)`: all six gradients fail. It is the *consistent* mistake that hides.
# - *What does the forget gate's bias do for the gradient?* Set it to 0 in `W["b"]`: the share printed last falls from
#   7e-5 to 9e-9. Set it to 3: 7e-2. That is why it starts at 1.
# - *Cut off after ten frames (truncated backprop): what is lost?* With these random weights the last ten frames hold
#   94 % of $\sum_t |dx_t|$. A trained network that remembers has open forget gates, and loses more.
#
# Your turn: `tutorials/exercises/lstm_backward.py` asks for this walk, one direction, with lengths. The judge knows the
# wrong shift, the missing mask and a dozen other mistakes by name:
#
# ```sh
# python -m scratchser.check tutorials/exercises/lstm_backward.py
# ```
#
# Next: `08_batch_norm.py` normalises what goes into this layer.
