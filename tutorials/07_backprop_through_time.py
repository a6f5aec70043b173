# %% [markdown]
# # 7. Backprop through time
#
# You will see what one backward step needs from the step after it, how far a gradient reaches, and two mistakes with
# which the loss still falls: a wrong shift and a missing mask. You will also see which test finds which mistake, and
# why one of them passes every gradient check.
#
# It builds on the cell of tutorial 6, which is one step, and repeats it over utterances of unequal lengths, in both
# directions.

# %%
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from _figures import save

from scratchser import reference
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import lstm

# %% [markdown]
# ## The equations
#
# In the forward pass, each step passes only its state to the next step. In the backward pass, the gradients take the
# same path in the other direction:
#
#     forward    h[n], c[n] = cell(x[n] Wx + h[n-1] Wh + b, c[n-1])
#     backward   dh[n] = dy[n] + dz[n+1] Whᵀ
#                dc[n] = dh[n] o (1 - tanh² c[n]) + f[n+1] dc[n+1]         dz[n] from these two as in tutorial 6
#                dWh   = Σ h[n-1]ᵀ dz[n]                                   the weights are the same at every step
#
# The loss depends on h[n] twice, through the output that the layer above reads and through step n+1: the two gradients
# are **added**. Note the index in dWh: dz[n] is multiplied by the state that went *into* step n.
#
# The second direction does the same on the reversed utterance. It begins at the utterance's *own* last frame, not at
# the end of the padded batch.

# %% three utterances in one batch; NaN past the end of each one, so that reading there is visible
rng = np.random.default_rng(7)
lengths, D, H = np.array([6, 3, 5]), 4, 3
x = rng.standard_normal((3, 7, D))
for u, length in enumerate(lengths):
    x[u, length:] = np.nan
inputs = {
    "x": x, "Wx": rng.standard_normal((D, 2, 4 * H)) / 2, "Wh": rng.standard_normal((2, H, 4 * H)) / 2,
    "b": rng.standard_normal((2, 4 * H)), "h0": rng.uniform(-1, 1, (2, 3, H)), "c0": rng.standard_normal((2, 3, H)),
}  # fmt: skip


def forward(x, Wx, Wh, b, h0, c0, n=lengths):
    return lstm.forward(x, n, Wx, Wh, b, h0, c0)[0]


def reference_forward(x, Wx, Wh, b, h0, c0):
    return reference.lstm.forward(x, lengths, Wx, Wh, b, h0, c0)


y = forward(**inputs)
assert np.abs(y - reference_forward(**inputs)).max() < 1e-13

# %% [markdown]
# ## Is the backward pass the derivative of the forward pass?
#
# `check` changes every element of every input a little, in float64, and measures how Σ dy · y changes, with a random
# dy. Initial states are inputs like the others. With `time_axis` each frame has its own error limit. `complex_step`
# differentiates the reference implementation, exactly to rounding.


# %%
def backward(dy, x, Wx, Wh, b, h0, c0, n=lengths, spoil=lambda cache: cache):
    _, cache = lstm.forward(x, n, Wx, Wh, b, h0, c0)
    dWx, dWh, db = (np.zeros_like(weights) for weights in (Wx, Wh, b))
    dx, dh0, dc0 = lstm.backward(dy, spoil(cache), Wx, Wh, dWx, dWh, db)
    return {"x": dx, "Wx": dWx, "Wh": dWh, "b": db, "h0": dh0, "c0": dc0}


moved, exact = check(forward, backward, inputs, time_axis={"x": 1}), complex_step(reference_forward, backward, inputs)
print("against differences of our forward pass:", *moved, "against the complex step:", *exact, sep="\n")
require(moved + exact)

# %% [markdown]
# ## A wrong shift
#
# A common mistake: dWh uses h[n] instead of h[n-1]. We give the backward pass states that are one step late, in the
# forward direction only, and compare.


# %%
def late(cache):
    y, h0 = cache.y.copy(), cache.h0.copy()
    h0[0], y[:, :-1, :H] = cache.y[:, 0, :H], cache.y[:, 1:, :H]
    return replace(cache, y=y, h0=h0)


dy = rng.standard_normal(y.shape)
right, wrong = (backward(dy, **inputs, spoil=way)["Wh"][0] for way in (lambda cache: cache, late))
cosine = (right * wrong).sum() / np.sqrt((right**2).sum() * (wrong**2).sum())
spoilt = check(forward, partial(backward, spoil=late), inputs, time_axis={"x": 1})
print("\na wrong shift, against differences:", spoilt[2], f"cosine of right and wrong dWh: {cosine:.2f}", sep="\n")
assert [report.name for report in spoilt if not report.passed] == ["Wh"]
assert 0 < cosine < 0.99  # it still points downhill: "the loss falls" proves nothing

# %% [markdown]
# ## A missing mask
#
# Now let the time loop run over the padding too: the padding is zero, and every utterance gets the length of the batch.
# The readout (forward state of the last frame, backward state of frame 0) then reads a state after the padding, and its
# gradient goes back through the padding.

# %%
T, units = 40, 16
W = {"Wx": rng.standard_normal((8, 2, 4 * units)) / np.sqrt(8), "Wh": rng.standard_normal((2, units, 4 * units)) / 4}
W["b"] = np.zeros((2, 4 * units))
W["b"][:, units : 2 * units] = 1  # forget gates start open, as in our model
utterance, dr = rng.standard_normal((1, T, 8)), rng.standard_normal((1, 2 * units))


def readout(padding, mask, half=slice(None)):
    """The readout with this many zeros after the utterance, and |dx| per frame; `half` is where dr is not 0."""
    n, part = np.array([T if mask else T + padding]), np.zeros_like(dr)
    y, cache = lstm.forward(np.concatenate([utterance, np.zeros((1, padding, 8))], axis=1), n, **W)
    part[:, half] = dr[:, half]
    dy, sums = lstm.readout_backward(part, n, T + padding), [np.zeros_like(weights) for weights in W.values()]
    dx, _, _ = lstm.backward(dy, cache, W["Wx"], W["Wh"], *sums)
    return lstm.readout_forward(y, n), np.sqrt((dx[0] ** 2).sum(axis=1))


alone, _ = readout(0, mask=True)
for padding in (1, 10, 40):
    masked, unmasked = (np.abs(readout(padding, mask)[0] - alone).max() for mask in (True, False))
    print(f"{padding:2} frames of padding move the readout by {masked} with the mask, {unmasked:.2f} without")
    assert masked == 0 and unmasked > 0.05
too_far, zero_padded = np.full(3, 7), {**inputs, "x": np.nan_to_num(inputs["x"])}
require(check(partial(forward, n=too_far), partial(backward, n=too_far), zero_padded))  # passes, and is wrong
assert np.isnan(forward(**inputs, n=too_far)).any()  # NaN in the padding shows it

# %% [markdown]
# **No gradient check finds this**: forward and backward agree with each other, because both loops run too far. You need
# a test of what the layer *should do*: an utterance gives the same bits alone and in a batch, and NaN in the padding
# changes nothing.
#
# On the left of the figure, the gradient of the readout goes back through the time loop of each direction. Every step
# multiplies it by about f, so it becomes smaller. On the right, without a mask, it is already small when it reaches the
# utterance.

# %%
ahead, back = slice(0, units), slice(units, 2 * units)
figure, (left, bare) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", sharey=True)
fading = {"forward direction": readout(0, True, ahead)[1], "backward direction": readout(0, True, back)[1]}
for name, sizes in fading.items():
    left.semilogy(sizes, marker=".", label=name)
first, *_, last = fading["forward direction"]
print(f"forward direction, |dx| of the first frame: {first / last:.0e} of the last one's")
for padding, colour in ((0, "tab:blue"), (10, "tab:purple"), (40, "tab:red")):
    bare.semilogy(readout(padding, False, ahead)[1], color=colour, marker=".", label=f"{padding} frames of padding")
bare.axvspan(T - 0.5, T + 39.5, color="0.92", zorder=0)
left.set(title="the readout's gradient on its way back", xlabel="frame", ylabel="|dx|")
bare.set(title="forward direction without a mask (padding is grey)", xlabel="frame")
left.legend(frameon=False, loc="lower left")
bare.legend(frameon=False, loc="lower right")
save(figure, "07_backprop_through_time")

# %% [markdown]
# ## What to try
#
# - Why did only dWh fail under the wrong shift? (In the backward pass only its equation contains h[n-1]. A check of dx
#   alone would have passed.)
# - Mask the forward pass and not the backward pass. Does the check find this? (Yes:
#   `check(forward, partial(backward, n=too_far), zero_padded)` fails for all six inputs. Only the *consistent* mistake
#   stays hidden.)
# - How does the bias of the forget gate change the gradient? (With a bias of 1, the gradient of the first frame is 7e-5
#   of the last frame's; with 0 it is 9e-9, with 3 it is 7e-2. This is why the bias does not start at 0.)
# - Your turn: `tutorials/exercises/lstm_backward.py`, this time loop in one direction, judged by
#   `python -m scratchser.check tutorials/exercises/lstm_backward.py`, which recognises a dozen mistakes.
