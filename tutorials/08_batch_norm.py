# %% [markdown]
# # 8. Batch normalisation of a recurrent layer
#
# You will see three ways to normalise a time series; what each does to a spectrogram (frame-wise distorts along time
# and the features, sequence-wise along the features, layer-wise not at all); and the gradient *through* the statistics.
#
# It builds on tutorial 7's layer, z[n] = x[n] Wx + h[n-1] Wh + b. These sums are normalised to mean 0 and variance 1:
# *over what*?

# %%
import matplotlib.pyplot as plt
import numpy as np
from _figures import save

from scratchser import reference
from scratchser.corpus import synthetic
from scratchser.corpus.features import extract
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import batchnorm
from scratchser.kernels.batchnorm import EPSILON, KINDS, Norm
from scratchser.presets import PRESETS

# %% [markdown]
# ## Three averages
#
#     x̂[s, t, f] = (x[s, t, f] - mean) / √(variance + ε)           variance = mean of (x - mean)²
#
#     frame-wise      over utterances s          one mean, variance per frame, feature  eqs. (6), (7)
#     sequence-wise   over s and frames t        one mean, variance per feature         eqs. (10), (11)
#     layer-wise      over s, t and features f   one mean and variance in all           eqs. (13), (14)
#
# Only real frames count. If the padding is NaN, NumPy's `nanmean` leaves it out, and the three ways are three values of
# `axis`.

# %%
AXES = {"frame-8": 0, "sequence": (0, 1), "layer": (0, 1, 2)}


def normalised(x, axis):
    mean = np.nanmean(x, axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(np.nanmean((x - mean) ** 2, axis=axis, keepdims=True) + EPSILON)


def norm_of(kind, gamma, beta, epsilon=EPSILON):  # its running statistics: mean 0, variance 1, no update seen
    shape = (KINDS[kind], 256 if kind.startswith("frame") else 1, *beta.shape)  # a pair for each of 256 frames, or one
    return Norm(kind, gamma, beta, np.zeros(shape), np.ones(shape), np.zeros(shape[1]), epsilon)


# %% [markdown]
# ## Seen on spectrograms
#
# Six utterances of the built-in corpus, 64 bins. We set Wx to the identity and Wh to 0: then the package's kernel
# normalises the spectrogram itself, and its result must agree with the function above.

# %%
features = extract(synthetic.load(size=10), PRESETS["demo"])
chosen = np.argsort(features.lengths)[::-1][:6]
lengths, F = features.lengths[chosen], 64  # four gates of 16 units: 64 features
x = np.full((6, lengths.max(), F), np.nan)
for u, utterance in enumerate(chosen):
    x[u, : lengths[u]] = features.of(utterance)[:, :F]


def likeness(a, b):
    """Correlations of all pixels, of the loudness over time, of the spectrum; 1: only shifted and scaled."""
    pairs = (a.ravel(), b.ravel()), (a.mean(axis=1), b.mean(axis=1)), (a.mean(axis=0), b.mean(axis=0))
    return [np.corrcoef(*pair)[0, 1] for pair in pairs]


spectrograms, unit = {"before": x}, np.stack([np.eye(F)] * 2, axis=1)
print("correlation with the spectrogram before: all pixels, loudness over time, spectrum")
for kind, axis in AXES.items():
    norm, Wh = norm_of(kind, np.ones((1, 2, F)), np.zeros((2, F))), np.zeros((2, 16, F))
    _, cache = batchnorm.forward(x, lengths, unit, Wh, norm, training=True)
    hat = spectrograms[kind] = np.full_like(x, np.nan)
    for u, start in enumerate(cache.bilstm.utterances.starts):
        hat[u, : lengths[u]] = cache.hat[0, start : start + lengths[u], 0]
    assert np.allclose(hat, normalised(x, axis), rtol=0, atol=1e-9, equal_nan=True)
    alike = np.mean([likeness(x[u, :n], hat[u, :n]) for u, n in enumerate(lengths)], axis=0)
    print(f"    {kind:9}", *(f"{value:6.3f}" for value in alike))
    assert {"layer": alike.min() > 1 - 1e-9, "sequence": alike[1] > 0.98 > alike[2]}.get(kind, alike.max() < 0.9)

# %% [markdown]
# Layer-wise normalisation shifts and scales all pixels in the same way: nothing is lost. Sequence-wise keeps the
# loudness over time but changes the spectrum, because every bin becomes equally loud. Frame-wise subtracts from each
# frame the mean over the utterances at that time, so the result depends on *other* speech. Once all others have ended
# (grey lines in the figure), only 0 is left.

# %%
figure, axes = plt.subplots(2, 4, figsize=(14, 4.6), layout="constrained", height_ratios=(2, 1))
for (top, bottom), (name, values) in zip(axes.T, spectrograms.items(), strict=True):
    shown = values[0] if name != "before" else (values[0] - np.nanmean(values[0])) / np.nanstd(values[0])
    top.imshow(shown.T, aspect="auto", origin="lower", cmap="magma", vmin=-2, vmax=3)
    top.set(title={"before": "the longest of six"}.get(name, name.replace("-8", "") + "-wise"), ylabel="bin")
    bottom.plot(shown.mean(axis=1))
    bottom.vlines(lengths[1:], -1.5, 2.2, color="0.7", lw=0.8)
    bottom.set(xlabel="frame", ylabel="mean of bins", xlim=(0, lengths[0] - 1), ylim=(-1.5, 2.2))
save(figure, "08_batch_norm")

# %% [markdown]
# ## Back through the statistics
#
# In the layer, a scale γ and a shift β follow, which can undo the normalisation: z[n] = γ â[n] + β + h[n-1] Wh with
# a = x Wx, eq. (12). Frame-wise normalisation has two variants, eqs. (8) and (9). An element of a changes the loss on
# three paths: through its own â, through the mean and through the variance. The last two paths give the averages in
#
#     da = ( γ dz - average of γ dz - â · average of γ dz â ) / √(variance + ε)      over the same elements as the mean

# %%
n, D, H = np.array([6, 1, 4, 6, 2]), 3, 2
batch = np.random.default_rng(8).standard_normal((5, 7, D))
batch[np.arange(7) >= n[:, None]] = np.nan


def inputs_of(kind):
    rng = np.random.default_rng(9)  # the same weights for every kind
    return {
        "x": batch, "Wx": rng.standard_normal((D, 2, 4 * H)), "Wh": rng.standard_normal((2, H, 4 * H)),
        "beta": rng.standard_normal((2, 4 * H)), "gamma": rng.uniform(0.5, 1.5, (KINDS[kind], 2, 4 * H)),
    }  # fmt: skip


def functions_of(kind, epsilon):  # forward and backward for the checker, and the reference implementation
    def run(x, Wx, Wh, beta, gamma):
        norm = norm_of(kind, gamma, beta, epsilon)
        return norm, *batchnorm.forward(x, n, Wx, Wh, norm, training=True)

    def backward(dy, **inputs):
        norm, _, cache = run(**inputs)
        d = {name: np.zeros_like(inputs[name]) for name in ("Wx", "Wh", "gamma", "beta")}
        return d | {"x": batchnorm.backward(dy, cache, inputs["Wx"], inputs["Wh"], norm, *d.values())[0]}

    def slow(x, Wx, Wh, beta, gamma):
        return reference.batchnorm.forward(x, n, Wx, Wh, gamma, beta, *np.zeros((2, 2, 5, H)), kind, epsilon)[0]

    return lambda **inputs: run(**inputs)[1], backward, slow


for kind in KINDS:  # with two utterances â jumps from -1 to 1 within about √ε: differences need a large ε
    (forward, backward, _), (_, usual, slow) = functions_of(kind, epsilon=0.3), functions_of(kind, EPSILON)
    reports = check(forward, backward, inputs_of(kind), time_axis={"x": 1})
    reports += complex_step(slow, usual, inputs_of(kind))
    require(reports)
    print(f"{kind:8}: {len(reports)} gradients, worst at {max(r.error / r.limit for r in reports):.0e} of its limit")

# %% [markdown]
# ## The influence of the batch
#
# In training, the output of an utterance depends on its batch. How much? Here one utterance is in ten batches, with
# four others in each. The fewer elements a mean has, the more each of them changes it: five in frame-wise, thirty in
# sequence-wise and 240 in layer-wise normalisation. At inference, running statistics replace those of the batch. The
# paper found even the layer-wise kind to depend on the batch size (table 3: UA 58.9, 59.0, 60.8 with batches of 16, 32,
# 64); its best model, with 61.7, has no batch normalisation.

# %%
many, equal = np.random.default_rng(10).standard_normal((41, 6, D)), np.full(5, 6)
for kind in KINDS:
    _, Wx, Wh, beta, gamma = inputs_of(kind).values()
    norm, spread = norm_of(kind, gamma, beta), {}
    for training in (True, False):
        batches = [np.concatenate([many[:1], many[first : first + 4]]) for first in range(1, 41, 4)]
        outputs = [batchnorm.forward(x, equal, Wx, Wh, norm, training=training)[0] for x in batches]
        spread[training] = np.ptp([y[0] for y in outputs], axis=0).mean()
    print(f"{kind:8}: states spread over {spread[True]:.2f} in training, over {spread[False]} at inference")
    assert spread[True] > 0.01 and spread[False] == 0

# %% [markdown]
# ## What to try
#
# - What is the gradient of the sum of all â, frame-wise or sequence-wise? (Exactly 0, because the sum is always 0. So
#   with dz = 1 even a backward pass that returns zeros would pass. This is why the checker draws dy at random.)
# - Check frame-wise with ε = 1e-5 by differences: it fails. Is the backward pass wrong? (No, the complex step agrees
#   with it. With two utterances â is ±1: it jumps, and a difference across a jump is not a derivative.)
# - Your turn: `tutorials/exercises/batch_norm.py`, sequence-wise, with lengths, judged by
#   `python -m scratchser.check tutorials/exercises/batch_norm.py`. A common mistake is to compute only the first path.
