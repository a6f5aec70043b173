# %% [markdown]
# # 8. Batch normalisation of a recurrent layer: three ways, and what each does to a time series
#
# Tutorial 7 walked through an utterance: $z_n = x_n W_x + h_{n-1} W_h + b$. Batch normalisation gives such sums mean 0
# and variance 1, which helps deep image networks. For sequences the question is: mean *over what*? You will see
#
# 1. three answers of the paper (its section 3.1), which differ in the axes of an average;
# 2. what each does to a spectrogram: frame-wise distorts along time, sequence-wise along the features, layer-wise
# least; 3. the gradient *through* the statistics, and what happens if one forgets that they depend on the input;
# 4. how far an utterance's answer depends on what else is in the batch.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from scratchser import truth
from scratchser.corpus import synthetic
from scratchser.features import extract
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import batchnorm, lstm
from scratchser.kernels.batchnorm import KINDS, Norm
from scratchser.presets import PRESETS

FIGURES = Path(globals().get("__file__", "notebook")).resolve().parent / "figures"
FIGURES.mkdir(exist_ok=True)

# %% [markdown]
# ## Three averages
#
# With $s$ the utterance, $t$ the frame, $f$ the feature, each way computes
#
# $$\hat x_{s,t,f} = \frac{x_{s,t,f} - \text{mean}}{\sqrt{\text{variance} + \varepsilon}}, \qquad
#   \text{variance} = \text{mean of } (x - \text{mean})^2$$
#
# | | mean and variance over | so there is one pair for each | the paper's |
# |---|---|---|---|
# | frame-wise | utterances $s$ | frame and feature | (6), (7) |
# | sequence-wise | utterances and frames $s, t$ | feature | (10), (11) |
# | layer-wise | everything $s, t, f$ | nothing: one pair in all | (13), (14) |
#
# Only real frames count. With NaN for padding that is NumPy's `nanmean`, and the three ways are three values of `axis`.

# %%
AXES = {"frame-8": 0, "sequence": (0, 1), "layer": (0, 1, 2)}


def normalised(x, axis, epsilon=batchnorm.EPSILON):
    mean = np.nanmean(x, axis=axis, keepdims=True)
    variance = np.nanmean((x - mean) ** 2, axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


# %% [markdown]
# ## Seen on spectrograms
#
# Six utterances of the built-in corpus, 64 frequency bins. To see the normalisation and nothing else, the layer gets
# $W_x = 1$ and $W_h = 0$: then what the package's kernel normalises is the spectrogram itself. Its result must be that
# of the three lines above.

# %%
config = PRESETS["demo"]
features = extract(synthetic.load(size=10), config)
chosen = np.argsort(features.lengths)[::-1][:6]
lengths, F, H = features.lengths[chosen], 64, 16  # four gates of 16 units: 64 features
x = np.full((6, lengths.max(), F), np.nan)
for u, (length, utterance) in enumerate(zip(lengths, chosen, strict=True)):
    x[u, :length] = features.of(utterance)[:, :F]
unit = np.stack([np.eye(F)] * 2, axis=1)  # Wx (F, 2, 4H)


def norm_of(kind, gamma, beta, steps=256, epsilon=batchnorm.EPSILON):
    """Without a past: running means 0, variances 1."""
    shape = (KINDS[kind], steps if kind.startswith("frame") else 1, *beta.shape)
    return Norm(kind, gamma, beta, np.zeros(shape), np.ones(shape), np.zeros(shape[1]), epsilon)


hats = {}
for kind, axis in AXES.items():
    norm = norm_of(kind, np.ones((1, 2, F)), np.zeros((2, F)))
    _, cache = batchnorm.forward(x, lengths, unit, np.zeros((2, H, F)), norm, training=True)
    hats[kind] = np.full_like(x, np.nan)
    for u, length in enumerate(lengths):
        start = cache.walk.starts[u]
        hats[kind][u, :length] = cache.hat[0, start : start + length, 0]
    assert np.allclose(hats[kind], normalised(x, axis), rtol=0, atol=1e-9, equal_nan=True)


def likeness(a, b):
    """Correlation of two arrays: 1 where one is the other, moved and stretched as a whole."""
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


print("correlation with the spectrogram before: of all pixels, of the loudness over time, of the spectrum")
alike = {}
for kind, hat in hats.items():
    pairs = [(x[u, :length], hat[u, :length]) for u, length in enumerate(lengths)]
    profiles = [[(a, b), (a.mean(axis=1), b.mean(axis=1)), (a.mean(axis=0), b.mean(axis=0))] for a, b in pairs]
    alike[kind] = np.mean([[likeness(*pair) for pair in three] for three in profiles], axis=0)
    print(f"    {kind:9}", *(f"{value:6.3f}" for value in alike[kind]))
assert min(alike["layer"]) > 1 - 1e-9 and alike["sequence"][1] > 0.98 > alike["sequence"][2]
assert max(alike["frame-8"]) < 0.9

# %% [markdown]
# Layer-wise moves and stretches all pixels alike: nothing is lost. Sequence-wise keeps the loudness over time and bends
# the spectrum, since every bin is made equally loud. Frame-wise subtracts from each frame what *other* utterances
# happen to say at that moment. Once they have ended, there is nobody to be compared with, and nothing is left but 0.

# %%
figure, axes = plt.subplots(2, 4, figsize=(14, 5), layout="constrained", height_ratios=(2, 1))
names = {"frame-8": "frame-wise", "sequence": "sequence-wise", "layer": "layer-wise"}
for column, (name, values) in enumerate({"before": x, **{names[kind]: hat for kind, hat in hats.items()}}.items()):
    top, bottom = axes[:, column]
    picture = (values[0] - np.nanmean(values[0])) / np.nanstd(values[0])
    top.imshow(picture.T, aspect="auto", origin="lower", cmap="magma", vmin=-2, vmax=3)
    top.set(title=name)
    bottom.plot(picture.mean(axis=1), color="tab:blue")
    bottom.set(xlabel="frame", xlim=(0, lengths[0] - 1), ylim=(-1.5, 2.2))
    for length in lengths[1:]:
        bottom.axvline(length, color="0.7", lw=0.8)
axes[0, 0].set_ylabel("bin")
axes[1, 0].set_ylabel("mean of the bins")
axes[1, 1].text(lengths[1] + 0.5, 1.75, "alone", fontsize="small", color="0.4")
figure.suptitle("the longest of six utterances; grey lines: where another one ends")
figure.savefig(FIGURES / "08_batch_norm.png", dpi=120)

# %% [markdown]
# ## Back through the statistics
#
# In the layer, $\gamma$ and $\beta$ follow, so that it can undo all this, and $\beta$ is the bias:
# $z_n = \gamma\, \hat a_n + \beta + h_{n-1} W_h$ with $a = x W_x$ (eq. (12); frame-wise there are two placements, (8)
# and (9)). A number $a_i$ reaches the loss by three ways: through its own $\hat a_i$, through the mean, and through
# the variance of everybody. The last two give the averages:
#
# $$da_i = \frac{1}{\sqrt{\sigma^2 + \varepsilon}} \Big( \gamma\, dz_i - \overline{\gamma\, dz} - \hat a_i\,
# \overline{\gamma\, dz\, \hat a} \Big)$$
#
# with the bar over the same numbers as the mean's. All four kinds, with unequal lengths, and NaN behind the ends:

# %%
rng, n, D, H = np.random.default_rng(8), np.array([6, 1, 4, 6, 2]), 3, 2
batch = rng.standard_normal((5, 7, D))
for u, length in enumerate(n):
    batch[u, length:] = np.nan


def inputs_of(kind):
    rng = np.random.default_rng(9)  # the same weights for every kind
    return {
        "x": batch, "Wx": rng.standard_normal((D, 2, 4 * H)), "Wh": rng.standard_normal((2, H, 4 * H)),
        "beta": rng.standard_normal((2, 4 * H)), "gamma": rng.uniform(0.5, 1.5, (KINDS[kind], 2, 4 * H)),
    }  # fmt: skip


def functions_of(kind, epsilon):
    """forward and backward for the checker, and the slow text."""

    def walk(x, Wx, Wh, gamma, beta):
        norm = norm_of(kind, gamma, beta, epsilon=epsilon)
        return norm, *batchnorm.forward(x, n, Wx, Wh, norm, training=True)

    def backward(dy, x, Wx, Wh, gamma, beta):
        norm, _, cache = walk(x, Wx, Wh, gamma, beta)
        d = {name: np.zeros_like(a) for name, a in (("Wx", Wx), ("Wh", Wh), ("gamma", gamma), ("beta", beta))}
        return {"x": batchnorm.backward(dy, cache, Wx, Wh, norm, *d.values())[0], **d}

    def slow(x, Wx, Wh, gamma, beta):
        zero = np.zeros((2, 5, H))
        return truth.batchnorm.forward(x, n, Wx, Wh, gamma, beta, zero, zero, kind, epsilon)[0]

    return lambda **inputs: walk(**inputs)[1], backward, slow


for kind in KINDS:
    inputs = inputs_of(kind)
    # of two utterances the normalised numbers are +1 and -1, with a jump as narrow as the root of ε: differences need a
    # wide one, the complex step needs no width
    forward, backward, _ = functions_of(kind, epsilon=0.3)
    reports = check(forward, backward, inputs, time_axis={"x": 1})
    _, backward, slow = functions_of(kind, epsilon=batchnorm.EPSILON)
    reports += complex_step(slow, backward, inputs)
    require(reports)
    worst = max(report.error / report.limit for report in reports)
    print(f"{kind:8}: {len(reports)} gradients, the worst at {worst:.0e} of its limit")

# %% [markdown]
# ## The statistics taken for constants
#
# The typical mistake keeps the first way only: $da = \gamma\, dz / \sqrt{\sigma^2 + \varepsilon}$. With constants, the
# normalisation is a change of $W_x$ and $b$, so tutorial 7's layer does it: same output, wrong gradient.


# %%
def folded(Wx, gamma, beta, mean, variance, epsilon=0.3):
    scale = gamma[0] / np.sqrt(variance + epsilon)
    return Wx * scale, beta - mean * scale


inputs = inputs_of("sequence")
forward, backward, _ = functions_of("sequence", epsilon=0.3)
a = np.einsum("btd,dej->btej", batch, inputs["Wx"])
mean = np.nanmean(a, axis=(0, 1))
variance = np.nanmean((a - mean) ** 2, axis=(0, 1))
W, b = folded(inputs["Wx"], inputs["gamma"], inputs["beta"], mean, variance)
y, cache = lstm.forward(batch, n, W, inputs["Wh"], b)
assert np.allclose(y, forward(**inputs), rtol=0, atol=1e-13)  # this is how a trained network loses its batch norm


def constants(dy, **inputs):
    sums = [np.zeros_like(weights) for weights in (W, inputs["Wh"], b)]
    return {"x": lstm.backward(dy, cache, W, inputs["Wh"], *sums)[0]}


wrong = check(forward, constants, inputs, wrt=["x"])
print(wrong[0])
assert not wrong[0].passed

# %% [markdown]
# ## In company
#
# In training an utterance's answer depends on its batch. By how much? The same utterance with four others, ten times;
# and at inference, where running statistics take the batch's place, not at all.

# %%
many, m = rng.standard_normal((51, 6, D)) + rng.standard_normal((51, 1, D)), np.full(5, 6)
for kind in KINDS:
    inputs = inputs_of(kind)
    norm = norm_of(kind, inputs["gamma"], inputs["beta"])
    seen = {training: [] for training in (True, False)}
    for training in seen:
        for draw in range(10):
            company = np.ascontiguousarray(many[[0, *range(5 * draw + 1, 5 * draw + 5)]])
            y, _ = batchnorm.forward(company, m, inputs["Wx"], inputs["Wh"], norm, training=training)
            seen[training].append(y[0])
    moves = {training: np.ptp(answers, axis=0).mean() for training, answers in seen.items()}
    print(f"{kind:8}: its states spread over {moves[True]:.2f} in training, over {moves[False]} at inference")
    assert moves[True] > 0.05 and moves[False] == 0

# %% [markdown]
# The fewer numbers a statistic is made of, the more it says about the company: five per frame, thirty per feature, 240
# in all. The paper found layer-wise normalisation to depend on the batch size still (its table 3: UA 58.9, 59.0, 60.8
# with batches of 16, 32, 64) and its best model, with 61.7, has none.
#
# ## What to try
#
# - *What is the gradient of the plain sum of all $\hat a$?* Exactly 0 for every $a$: the sum is 0 by construction. With
#   $dz = 1$ a backward pass that returns nothing but zeros would pass. That is why the checker draws `dy` at random.
# - *A frame gets no gradient from above, $dz_i = 0$. Is its $da_i$ 0 too?* No: it moves the mean and the variance of
#   all the others. Sequence-wise, $da$ sums to 0 over the real frames of each feature: to move all of them together
#   changes nothing.
# - *Take 0.3 for `epsilon` away and use 1e-5 in `check`: frame-wise fails. Is the backward pass wrong?* No, the
#   complex step says so. Of two utterances the normalised numbers are $\pm 1$, a jump; a difference across it is no
#   derivative.
# - *Feed one utterance alone, in training, frame-wise.* Every $\hat a$ is 0, and all frames are alike: $\beta$ is left.
#
# Your turn: `tutorials/exercises/batch_norm.py`, sequence-wise, backward through the statistics, with lengths:
#
# ```sh
# python -m scratchser.check tutorials/exercises/batch_norm.py
# ```
#
# Next: `09_nesterov_and_rates.py` takes the gradients and moves the weights.
