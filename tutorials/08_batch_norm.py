"""
8. Batch normalisation of a recurrent layer
===========================================

Normalisation subtracts a mean and divides by a standard deviation. For an array with utterances,
frames and features, the question is: the mean over what? In this tutorial you will see

- three answers, as drawings, and what each does to utterances of unequal lengths,
- where the normalisation is placed in an LSTM: eqs. (8), (9) and (12) of the paper,
- the gradient through the mean and the variance,
- what replaces the statistics of the batch when the trained model is used.

You need the LSTM with lengths of tutorial 7.
"""

# %%

# sphinx_gallery_thumbnail_number = 3
import matplotlib.pyplot as plt
import numba
import numpy as np
from matplotlib.patches import FancyBboxPatch

from scratchser import reference
from scratchser.corpus import synthetic
from scratchser.corpus.features import extract
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import batchnorm
from scratchser.kernels.batchnorm import EPSILON, KINDS, Norm
from scratchser.presets import PRESETS

numba.set_num_threads(1)  # the arrays are small: a second thread would mostly wait

# %%
# Why normalise?
# --------------
#
# The gates of an LSTM are :math:`\sigma(z)`. If the sums :math:`z` are far from zero, all gates are
# fully open or closed, their slopes are almost 0, and the layer hardly learns. How large :math:`z`
# is depends on the layers below, which change during training.
#
# Normalisation removes this dependence. Take a group of numbers, subtract their mean, and divide by
# the square root of their variance. What will be the mean and the variance of the result?

group = np.array([2.0, 3.0, 7.0, 4.0])
mean = group.mean()
variance = ((group - mean) ** 2).mean()
hat = (group - mean) / np.sqrt(variance)

print("before:", group, f" mean {mean}, variance {variance}")
print("after: ", hat.round(3), f" mean {hat.mean():.0f}, variance {(hat**2).mean():.0f}")
assert np.isclose(hat.mean(), 0) and np.isclose((hat**2).mean(), 1)

# sphinx_gallery_start_ignore


def draw_group():
    _, axes = plt.subplots(1, 2, figsize=(8, 2.5), layout="constrained")
    for axis, values, title in zip(axes, (group, hat), ("before", "after"), strict=True):
        axis.bar(range(4), values, color="C0")
        axis.axhline(values.mean(), color="C3", label="mean")
        axis.set(title=title, xticks=range(4), xlabel="element")
        axis.legend()


# sphinx_gallery_end_ignore
draw_group()
plt.show()

# %%
# If all numbers of a group are equal, the variance is 0. So a small number :math:`\varepsilon` is
# added to the variance before the root is taken. The package uses :math:`10^{-5}`.
#
# Which numbers form a group?
# ---------------------------
#
# The sums of a layer form a block: utterances, frames and features. Here is a small one with four
# utterances of 6, 5, 3 and 2 frames, and three features. Only the real frames are drawn; the
# padding is not there. In the array, we write NaN into the padding. NumPy's ``nanmean`` leaves it
# out.

lengths = np.array([6, 5, 3, 2])
rng = np.random.default_rng(8)
x = rng.standard_normal((4, 6, 3)) * [1, 2, 0.5] + [0, 3, -1]
for u, length in enumerate(lengths):
    x[u, length:] = np.nan

# sphinx_gallery_start_ignore


def draw_block(group=None):
    """Voxels of the real frames; group(utterance, frame, feature) says which ones are coloured."""
    figure = plt.figure(figsize=(6, 3.4))
    axis = figure.add_axes([-0.15, -0.12, 1.3, 1.3], projection="3d")
    t, u, f = np.indices((6, 4, 3))
    real = t < lengths[u]
    marked = real & np.array(group(u, t, f) if group else np.zeros(real.shape, bool))
    colours = np.where(marked[..., None], (0.99, 0.55, 0.24, 1.0), (0.62, 0.79, 0.88, 0.22 if group else 0.75))
    axis.voxels(real, facecolors=colours, edgecolor=(0.3, 0.3, 0.3, 0.5), linewidth=0.6, shade=False)
    axis.set_xlabel("frame", labelpad=14)
    axis.set_ylabel("utterance", labelpad=14)
    axis.set_zlabel("feature")
    for name, size in (("x", 6), ("y", 4), ("z", 3)):
        axis.set(**{f"{name}ticks": np.arange(size) + 0.5, f"{name}ticklabels": range(size)})
    axis.set_box_aspect((6, 4, 3), zoom=0.85)
    axis.view_init(elev=24, azim=-62)
    return axis


# sphinx_gallery_end_ignore
draw_block()
plt.show()

# %%
# All kinds of batch normalisation use the same formula. They differ only in the elements that share
# a mean and a variance. So one function is enough for all of them, and ``axis`` says over what it
# averages:


def normalised(x, axis):
    mean = np.nanmean(x, axis=axis, keepdims=True)
    variance = np.nanmean((x - mean) ** 2, axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(variance + EPSILON)


# %%
# **First way: each frame and each feature on its own.** A group is the same feature of the same
# frame, in all utterances of the batch. The coloured group belongs to frame 1 and feature 2. Each
# frame of each feature has its own mean and variance.
#
# How many elements are in the groups of frames 1, 4 and 5? Look at the lengths.

draw_block(lambda u, t, f: (t == 1) & (f == 2))
plt.show()

first_way = normalised(x, axis=0)
sizes = np.sum(~np.isnan(x[:, :, 2]), axis=0)
print("elements in the groups of frames 0 to 5:", sizes)
print("utterance 0, frame 5, feature 2, before:", x[0, 5, 2].round(3))
print("and after:", first_way[0, 5, 2])
assert list(sizes) == [4, 4, 3, 2, 2, 1]
assert first_way[0, 5, 2] == 0

# %%
# An utterance that has ended is not in the group any more. So the groups become smaller with time.
# In frame 5, a single element is left. It is its own mean, and the result is 0, whatever the
# element was.
#
# **Second way: each feature on its own.** A group is one feature of all frames of all utterances.
# Each feature has one mean and one variance.

draw_block(lambda u, t, f: f == 2)
plt.show()

second_way = normalised(x, axis=(0, 1))
print("elements in a group:", np.sum(~np.isnan(x[:, :, 2])))
assert np.sum(~np.isnan(x[:, :, 2])) == lengths.sum() == 16

# %%
# **Third way: all together.** There is only one group, and one mean and one variance for the whole
# block.

draw_block(lambda u, t, f: f >= 0)
plt.show()

third_way = normalised(x, axis=(0, 1, 2))
print("elements in the group:", np.sum(~np.isnan(x)))
assert np.sum(~np.isnan(x)) == 48

# %%
# Their names
# -----------
#
# Now the names that the paper gives them, with its equations for the mean and the variance:
#
# ============== ============================= ============= ==================== ==========
# name           averaged over                 ``axis``      means                equations
# ============== ============================= ============= ==================== ==========
# frame-wise     utterances                    ``0``         frames x features    (6), (7)
# sequence-wise  utterances, frames            ``(0, 1)``    features             (10), (11)
# layer-wise     utterances, frames, features  ``(0, 1, 2)`` 1                    (13), (14)
# ============== ============================= ============= ==================== ==========
#
# All of them are
#
# .. math:: \hat{x}_{s,t,f} = \frac{x_{s,t,f} - \text{mean}}{\sqrt{\text{variance} + \varepsilon}}
#
# for utterance :math:`s`, frame :math:`t` and feature :math:`f`. In the paper, :math:`\sigma` is
# the variance in eqs. (7), (11) and (14), though its square stands under the root. We use the
# variance. In eqs. (11) and (14), :math:`bt` is the number of *real* frames, which are 16 here.
#
# What does each do to a time series?
# -----------------------------------
#
# We make three utterances with two features. Feature 0 has large values, feature 1 has small ones.
# Utterance 0 rises slowly, utterance 1 falls and ends after 25 frames, and utterance 2 is constant
# and ends after 15 frames.
#
# What will be left of the slow rise of utterance 0 in each kind? After which kind is feature 0
# still larger than feature 1?

time = np.arange(40)
series = np.full((3, 40, 2), np.nan)
series[0] = np.stack([5 + time / 10, 1 + time / 40], axis=1)
series[1, :25] = np.stack([9 - time[:25] / 6, 1.5 - time[:25] / 50], axis=1)
series[2, :15] = [6, 1.2]

versions = {
    "before": series,
    "frame-wise": normalised(series, axis=0),
    "sequence-wise": normalised(series, axis=(0, 1)),
    "layer-wise": normalised(series, axis=(0, 1, 2)),
}

# sphinx_gallery_start_ignore


def draw_series():
    _, axes = plt.subplots(2, 4, figsize=(10, 4), layout="constrained", sharex=True)
    for column, (name, values) in enumerate(versions.items()):
        for f in range(2):
            axis = axes[f, column]
            for u in range(3):
                axis.plot(values[u, :, f], label=f"utterance {u}", lw=2)
            axis.set(ylim=(0, 10) if column == 0 else (-2.5, 2.5))
            if column == 0:
                axis.set_ylabel(f"feature {f}")
        axes[0, column].set_title(name)
        axes[1, column].set_xlabel("frame")
    axes[0, 0].legend(fontsize=8, loc="lower right")


# sphinx_gallery_end_ignore
draw_series()
plt.show()

frame_wise = versions["frame-wise"]
assert np.all(frame_wise[0, 25:] == 0)
assert np.allclose(np.abs(frame_wise[:2, 18:19, 0]), 1, atol=1e-2)

# %%
# **Frame-wise**, the straight lines are gone. While three utterances run, a curve only says where
# its utterance lies relative to the two others. When two are left, one of them is +1 and the other
# -1, however far apart they are. When one is left, the result is 0. And at frames 15 and 25 there
# are jumps, only because *other* utterances end. The paper calls this kind potentially the most
# destructive one.
#
# **Sequence-wise**, the rise and the fall are kept, but both features now have the same scale.
#
# **Layer-wise**, everything is shifted and scaled together. Feature 0 is still the larger one.
# Nothing is lost.
#
# On speech
# ---------
#
# The same with speech: six utterances of the built-in corpus, with 64 frequency bins.

features = extract(synthetic.load(size=10), PRESETS["demo"])
chosen = np.argsort(features.lengths)[::-1][:6]
speech_lengths = features.lengths[chosen]
F = 64  # four gates of 16 units: 64 sums
speech = np.full((6, speech_lengths.max(), F), np.nan)
for u, utterance in enumerate(chosen):
    speech[u, : speech_lengths[u]] = features.of(utterance)[:, :F]

# %%
# Here we use the package's kernel. It normalises the sums :math:`x W_x` inside an LSTM. If ``Wx``
# is the identity matrix, these sums are the spectrogram itself.

AXES = {"frame-8": 0, "sequence": (0, 1), "layer": (0, 1, 2)}


def new_norm(kind, gamma, beta, epsilon=EPSILON):
    """Scale, shift and running statistics: mean 0 and variance 1, before any update."""
    steps = 256 if kind.startswith("frame") else 1
    shape = (KINDS[kind], steps, *beta.shape)
    mean = np.zeros(shape)
    variance = np.ones(shape)
    return Norm(kind, gamma, beta, mean, variance, np.zeros(steps), epsilon)


spectrograms = {"before": speech}
identity = np.stack([np.eye(F), np.eye(F)], axis=1)
no_recurrence = np.zeros((2, F // 4, F))
inputs = speech, speech_lengths, identity, no_recurrence
for kind, axis in AXES.items():
    norm = new_norm(kind, np.ones((1, 2, F)), np.zeros((2, F)))
    _, cache = batchnorm.forward(*inputs, norm, training=True)
    hat = np.full_like(speech, np.nan)
    for u, start in enumerate(cache.bilstm.utterances.starts):
        hat[u, : speech_lengths[u]] = cache.hat[0, start : start + speech_lengths[u], 0]
    assert np.allclose(hat, normalised(speech, axis), rtol=0, atol=1e-9, equal_nan=True)
    spectrograms[kind] = hat
print("The package's kernel and our function agree for all three kinds.")

# sphinx_gallery_start_ignore


def draw_spectrograms():
    _, axes = plt.subplots(4, 2, figsize=(8, 7), layout="constrained", width_ratios=(3, 2), sharex=True)
    for (left, right), (name, values) in zip(axes, spectrograms.items(), strict=True):
        shown = values[0]
        if name == "before":
            shown = (shown - np.nanmean(shown)) / np.nanstd(shown)
        left.imshow(shown.T, aspect="auto", origin="lower", cmap="magma", vmin=-2, vmax=3)
        left.set(title=name if name == "before" else f"{name.removesuffix('-8')}-wise", ylabel="bin")
        right.plot(shown.mean(axis=1))
        right.vlines(speech_lengths[1:], -1.5, 2.2, color="C3", lw=0.8, ls=":")
        right.set(ylabel="mean of bins", xlim=(0, speech_lengths[0] - 1), ylim=(-1.5, 2.2))
    for axis in axes[-1]:
        axis.set_xlabel("frame")


# sphinx_gallery_end_ignore
draw_spectrograms()
plt.show()

# %%
# The figure shows the longest of the six utterances. On the left is its spectrogram, and on the
# right its loudness, which here is the mean of all bins of a frame. The dotted lines mark the ends
# of the other five. Frame-wise, the harmonics are hard to see, the loudness is different, and after
# the last dotted line everything is 0. Sequence-wise, the loudness is kept, but the high bins are
# now as bright as the low ones. Layer-wise, the spectrogram looks the same as before.
#
# How similar are they in numbers? We compute three correlations between a spectrogram before and
# after the normalisation: of all pixels, of the loudness over time, and of the spectrum, which is
# the mean of each bin over time. A correlation of 1 means that the values were only shifted and
# scaled. Which kind will have the lowest values?


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


print("            pixels  loudness  spectrum")
for kind in AXES:
    rows = []
    for u, n in enumerate(speech_lengths):
        before, after = speech[u, :n], spectrograms[kind][u, :n]
        over_time = correlation(before.mean(axis=1), after.mean(axis=1))
        over_bins = correlation(before.mean(axis=0), after.mean(axis=0))
        rows.append((correlation(before, after), over_time, over_bins))
    pixels, loudness, spectrum = np.mean(rows, axis=0)
    print(f"{kind:9}  {pixels:7.3f}  {loudness:8.3f}  {spectrum:8.3f}")
    if kind == "layer":
        assert min(pixels, loudness, spectrum) > 1 - 1e-9
    elif kind == "sequence":
        assert loudness > 0.98 > spectrum
    else:
        assert max(pixels, loudness, spectrum) < 0.9

# %%
# Layer-wise, all three are 1. Sequence-wise, the loudness hardly changes, but the spectrum does.
# Frame-wise, all three change.
#
# In the LSTM
# -----------
#
# After the normalisation, each feature is multiplied by :math:`\gamma` and shifted by
# :math:`\beta`, two parameters that are learned. So the layer can choose its own scale, and
# :math:`\beta` replaces the bias. With :math:`BN(a) = \gamma \, \hat{a}`, there are three places in
# the LSTM where this can be done. In eq. (9), each :math:`BN` has its own :math:`\gamma`.
#
# .. math::
#    \text{eq. (8)}: \quad & z[n] = BN( h[n-1] \, W_h + x[n] \, W_x ) + \beta \\
#    \text{eq. (9)}: \quad & z[n] = BN( h[n-1] \, W_h ) + BN( x[n] \, W_x ) + \beta \\
#    \text{eq. (12)}: \quad & z[n] = h[n-1] \, W_h + BN( x[n] \, W_x ) + \beta

# sphinx_gallery_start_ignore


def draw_places():
    _, axes = plt.subplots(1, 3, figsize=(9, 2.9), layout="constrained")
    for axis, title, at in zip(axes, ("eq. (8)", "eq. (9)", "eq. (12)"), ("z", "hx", "x"), strict=True):
        points = {"h": (0, 2), "x": (0, 0), "+": (3.4, 1), "z": (6.6, 1)}
        for start, end in (("h", "+"), ("x", "+"), ("+", "z")):
            style = {"arrowstyle": "-|>", "lw": 1.4, "color": "0.3", "shrinkA": 12, "shrinkB": 12}
            axis.annotate("", points[end], points[start], arrowprops=style)
        for name, place in (("h", (1.75, 1.5)), ("x", (1.75, 0.5)), ("z", (5, 1))):
            if name in at:
                box = FancyBboxPatch((place[0] - 0.45, place[1] - 0.2), 0.9, 0.4, boxstyle="round,pad=0.05")
                box.set(facecolor="#fdae6b", edgecolor="0.4", zorder=3)
                axis.add_patch(box)
                axis.text(*place, "BN", ha="center", va="center", zorder=4)
        axis.plot(*points["+"], "o", ms=20, mfc="white", mec="0.4")
        axis.text(*points["+"], "+", ha="center", va="center")
        axis.text(0.3, 2, "h[n-1] Wh", ha="right", va="center")
        axis.text(0.3, 0, "x[n] Wx", ha="right", va="center")
        axis.text(6.5, 1, "z[n]", ha="left", va="center")
        axis.set(xlim=(-2.6, 7.8), ylim=(-0.5, 2.5), title=title)
        axis.axis("off")


# sphinx_gallery_end_ignore
draw_places()

# %%
# Frame-wise normalisation can use eq. (8) or eq. (9). The package calls them ``frame-8`` and
# ``frame-9``. The other two kinds use eq. (12), which does not normalise the part with :math:`h`.
# Why not? Think of what they average over, and of the order in which an LSTM computes.
#
# .. admonition:: Answer
#    :class: dropdown
#
#    Sequence-wise and layer-wise statistics need all frames. The sums :math:`x W_x` of all frames
#    are known before the time loop. But :math:`h[n-1]` is computed in the loop, step by step, so
#    its mean over all frames is not known while it is needed. Frame-wise statistics need one step
#    only, in all utterances. For this reason the frame-wise loop has to process all utterances
#    together, step by step (``kernels/batchnorm_frame.py``).
#
# Back through the statistics
# ---------------------------
#
# Now the gradient. Raise one element of a group a little. What happens to the results? Its own
# result grows. But the mean grows too, and this lowers all results. And the variance changes, which
# moves all of them a second time. So there are three paths: directly to its own result, and through
# the mean and through the variance to all results.
#
# We try it with the group from the beginning and raise the element 7. In which direction does each
# result move?


def normalise(group):
    mean = group.mean()
    variance = ((group - mean) ** 2).mean()
    return (group - mean) / np.sqrt(variance)


raised = group.copy()
raised[2] += 0.1
change = normalise(raised) - normalise(group)
print("change of the results:", change.round(4))
print(f"their sum: {change.sum():.1e}")
assert abs(change.sum()) < 1e-12

# sphinx_gallery_start_ignore


def draw_paths():
    _, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained", width_ratios=(1.3, 1))
    for k in range(4):
        for x, text in ((0, f"a[{k}]"), (4, f"â[{k}]")):
            left.text(x, -k, text, ha="center", va="center", fontsize=11, zorder=3, backgroundcolor="white")
        left.plot([0.3, 3.7], [-k, -k], color="0.4" if k == 2 else "0.85", lw=2 if k == 2 else 1, zorder=0)
        for y, colour in ((-0.5, "C0"), (-2.5, "C1")):
            left.plot([2.3, 3.7], [y, -k], color=colour, lw=1)
    for y, name, colour in ((-0.5, "mean", "C0"), (-2.5, "variance", "C1")):
        left.plot([0.3, 1.7], [-2, y], color=colour, lw=2)
        left.text(2, y, name, ha="center", va="center", color=colour, fontsize=11, backgroundcolor="white")
    left.set(xlim=(-0.6, 4.6), ylim=(-3.5, 0.5))
    left.axis("off")
    right.bar(range(4), change, color=["C0" if c < 0 else "C3" for c in change])
    right.axhline(0, color="0.3", lw=0.8)
    right.set(xlabel="element k", ylabel="change of â[k]", xticks=range(4))


# sphinx_gallery_end_ignore
draw_paths()

# %%
# Element 0 even rises. The variance has grown, so results that are far from the mean move towards
# it. The sum of the results is always 0, so their changes add up to 0 as well.
#
# There is a short way to the formula. For a moment, let :math:`\varepsilon` be 0. Ask which changes
# of the group have *no* effect on the results, and so none on the loss:
#
# - If all elements grow by the same amount, nothing changes, because the mean is subtracted. The
#   loss would change by this amount times the sum of the gradients. So this sum must be 0: we
#   subtract the average.
# - If the whole group is stretched about its mean, nothing changes, because we divide by the
#   standard deviation. Stretching moves each element in proportion to its :math:`\hat{a}`. So the
#   sum of gradient times :math:`\hat{a}` must be 0: we subtract the part along :math:`\hat{a}`.
#   (The average of :math:`\hat{a}^2` is 1, so the factor of this part is the average of
#   :math:`d\hat{a} \, \hat{a}`.)
#
# What remains is divided by the standard deviation, as in the forward pass. With the gradient
# :math:`d\hat{a}` of the results:
#
# .. math::
#    da = \frac{ d\hat{a} - \text{average of } d\hat{a}
#    - \hat{a} \cdot \text{average of } (d\hat{a} \, \hat{a}) }
#    {\sqrt{\text{variance} + \varepsilon}}
#
# The averages are over the same group as the mean. This argument is short, but it is not a full
# proof. The chain rule through all three paths gives the same formula, also with
# :math:`\varepsilon`. We check it with differences:


def normalise_backward(dhat, hat, variance):
    from_mean = dhat.mean()
    from_variance = hat * (dhat * hat).mean()
    return (dhat - from_mean - from_variance) / np.sqrt(variance)


def backward_of_group(dhat, group):
    variance = ((group - group.mean()) ** 2).mean()
    return {"group": normalise_backward(dhat, normalise(group), variance)}


dhat = np.array([0.5, -1.0, 0.3, 2.0])
da = backward_of_group(dhat, group)["group"]
hat = normalise(group)
print("gradient:", da.round(4))
print(f"sum: {da.sum():.0e}, part along â: {(da * hat).sum():.0e}")
assert abs(da.sum()) < 1e-12 and abs((da * hat).sum()) < 1e-12

reports = check(normalise, backward_of_group, {"group": group})
print(*reports)
require(reports)

# %%
# A common mistake is to treat the mean and the variance as constants, and to compute only the
# direct path. What will the check say? And what is the *right* gradient if ``dy``, the gradient of
# the results, is all ones instead of random?


def direct_path_only(dhat, group):
    variance = ((group - group.mean()) ** 2).mean()
    return {"group": dhat / np.sqrt(variance)}


reports = check(normalise, direct_path_only, {"group": group})
print(*reports)
assert not reports[0].passed

ones = backward_of_group(np.ones(4), group)["group"]
print("right gradient for dy = 1:", ones.round(15) + 0.0)
assert np.abs(ones).max() < 1e-12

# %%
# With ``dy`` all ones, the loss is the sum of all results. It is always 0, and so is its gradient.
# A backward pass that returns zeros would pass such a test. This is why ``check`` draws ``dy`` at
# random.
#
# The whole layer
# ---------------
#
# Now the package's layer with all its inputs, both directions and unequal lengths, for all kinds.
# It is checked by differences of its forward pass and by the complex step through
# ``scratchser/reference/batchnorm.py``.
#
# One detail: with two utterances in a frame-wise group, the results are +1 and -1, as you saw
# above. When the two elements cross each other, the results jump. A difference across such a jump
# is not a derivative. So the differences use a large :math:`\varepsilon` of 0.3, which makes the
# jump smooth. The complex step needs no differences and uses the normal :math:`\varepsilon`.

n = np.array([6, 1, 4, 6, 2])  # lengths
D, H = 3, 2
batch = np.random.default_rng(8).standard_normal((5, 7, D))
batch[np.arange(7) >= n[:, None]] = np.nan


def inputs_of(kind):
    rng = np.random.default_rng(9)
    return {
        "x": batch,
        "Wx": rng.standard_normal((D, 2, 4 * H)),
        "Wh": rng.standard_normal((2, H, 4 * H)),
        "beta": rng.standard_normal((2, 4 * H)),
        "gamma": rng.uniform(0.5, 1.5, (KINDS[kind], 2, 4 * H)),
    }


# %%
# ``check`` needs functions of the inputs alone. ``layer_of`` makes them for one kind and one
# :math:`\varepsilon`.


def layer_of(kind, epsilon):
    """Forward and backward pass of the package, and the forward pass of the reference."""

    def run(x, Wx, Wh, beta, gamma):
        norm = new_norm(kind, gamma, beta, epsilon)
        y, cache = batchnorm.forward(x, n, Wx, Wh, norm, training=True)
        return norm, y, cache

    def forward(**inputs):
        _, y, _ = run(**inputs)
        return y

    def backward(dy, **inputs):
        norm, _, cache = run(**inputs)
        d = {name: np.zeros_like(inputs[name]) for name in ("Wx", "Wh", "gamma", "beta")}
        weights = inputs["Wx"], inputs["Wh"]
        dx, _, _ = batchnorm.backward(dy, cache, *weights, norm, *d.values())
        return {**d, "x": dx}

    def by_reference(x, Wx, Wh, beta, gamma):
        h0, c0 = np.zeros((2, 2, 5, H))
        inputs = x, n, Wx, Wh, gamma, beta, h0, c0
        y, _ = reference.batchnorm.forward(*inputs, kind, epsilon)
        return y

    return forward, backward, by_reference


# %%
# Now both checks for each kind:

for kind in KINDS:
    forward, backward, _ = layer_of(kind, epsilon=0.3)
    reports = check(forward, backward, inputs_of(kind), time_axis={"x": 1})
    _, backward, by_reference = layer_of(kind, EPSILON)
    reports += complex_step(by_reference, backward, inputs_of(kind))
    require(reports)
    worst = max(report.error / report.limit for report in reports)
    print(f"{kind:8}: {len(reports)} gradients, largest error {worst:.0e} of the limit")

# %%
# When the model is used: running statistics
# ------------------------------------------
#
# During training, the output of an utterance depends on the batch that it is in. A trained model
# has to classify a single utterance, and its answer must not depend on others. So another mean and
# variance are needed. They are collected during training: after each batch, the *running* mean
# moves a little towards the mean of the batch,
#
# .. math:: \text{running} \leftarrow \text{running} + w \, (\text{batch} - \text{running})
#
# and the running variance likewise. In the package, :math:`w` is
# :math:`1, 1/2, 1/3, \dots` for the first ten batches and 0.1 for all others, so that the starting
# value is forgotten at once. In inference, the running statistics are used and not changed.
#
# We draw many batches from one distribution. How will the running mean move, compared with the
# means of the batches?

rng = np.random.default_rng(10)
norm = new_norm("sequence", np.ones((1, 2, 4 * H)), np.zeros((2, 4 * H)))
weights = inputs_of("sequence")
Wx, Wh = weights["Wx"], weights["Wh"]
lengths = np.full(5, 6)
of_batches, running = [], []
for _ in range(60):
    utterances = rng.standard_normal((5, 6, D)) + 1
    batchnorm.forward(utterances, lengths, Wx, Wh, norm, training=True)
    of_batches.append((utterances @ Wx[:, 0, 0]).mean())
    running.append(norm.mean[0, 0, 0, 0])
expected = Wx[:, 0, 0].sum()  # every input has the mean 1
print(f"expected mean {expected:.3f}, running mean at the end {running[-1]:.3f}")
print("deviation over the last 40:")
print(f"batches {np.std(of_batches[20:]):.3f}, running mean {np.std(running[20:]):.3f}")
assert np.isclose(running[0], of_batches[0])
assert np.isclose(running[1], np.mean(of_batches[:2]))
assert np.std(running[20:]) < np.std(of_batches[20:]) / 2

# sphinx_gallery_start_ignore


def draw_running_mean():
    _, axis = plt.subplots(figsize=(8, 2.9), layout="constrained")
    axis.plot(of_batches, ".", color="0.6", label="mean of the batch")
    axis.plot(running, color="C3", lw=2, label="running mean")
    axis.axhline(expected, color="C0", ls="--", lw=1, label="expected mean")
    axis.set(xlabel="batch", ylabel="mean of the first sum")
    axis.legend(ncols=3)


# sphinx_gallery_end_ignore
draw_running_mean()
plt.show()

# %%
# Frame-wise normalisation keeps a running mean and variance for *each step*. This has two weak
# points. Late steps are seen in few batches and with few utterances. And an utterance can be longer
# than all in training; the package then uses the statistics of the last step that was seen.
#
# How much does the batch matter?
# -------------------------------
#
# Put one utterance into ten batches, each time with four other utterances. By how much do its
# outputs differ? Frame-wise groups have 5 elements here, sequence-wise groups 30, and layer-wise
# groups 240. In which kind will the other utterances matter most?

many = np.random.default_rng(10).standard_normal((41, 6, D))
spread = {}
for kind in KINDS:
    weights = inputs_of(kind)
    norm = new_norm(kind, weights["gamma"], weights["beta"])
    Wx, Wh = weights["Wx"], weights["Wh"]
    for training in (True, False):
        outputs = []
        for others in range(1, 41, 4):
            utterances = np.concatenate([many[:1], many[others : others + 4]])
            y, _ = batchnorm.forward(utterances, lengths, Wx, Wh, norm, training=training)
            outputs.append(y[0])
        spread[kind, training] = np.ptp(outputs, axis=0).mean()
    in_training, in_inference = spread[kind, True], spread[kind, False]
    print(f"{kind:8}: outputs spread over {in_training:.2f}, in inference {in_inference}")
    assert in_inference == 0
assert spread["frame-8", True] > spread["sequence", True] > spread["layer", True]

# sphinx_gallery_start_ignore


def draw_spread():
    _, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
    axis.barh(list(KINDS), [spread[kind, True] for kind in KINDS], color="C0")
    axis.invert_yaxis()
    axis.set(xlabel="spread of one utterance's outputs over ten batches (outputs are between -1 and 1)")


# sphinx_gallery_end_ignore
draw_spread()
plt.show()

# %%
# The smaller the group, the more its other members matter. In inference the spread is exactly 0.
#
# Did it help in the paper? Its table 3 has an unweighted accuracy of 58.9, 59.0 and 60.8 % for
# layer-wise normalisation with batches of 16, 32 and 64 utterances. So the result depended on the
# size of the batch, even with the largest groups. The best model of the paper, with 61.7 %, has no
# batch normalisation.
#
# What to try
# -----------
#
# 1. Three utterances with 10, 10 and 4 frames are in a batch. How many elements does a group of
#    each kind have, for 8 features?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Frame-wise: 3 in frames 0 to 3 and 2 in frames 4 to 9. Sequence-wise: 24. Layer-wise: 192.
#
# 2. What does a frame-wise layer give for a batch of one utterance, during training?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Every group has one element, so :math:`\hat{x}` is 0 everywhere, and the sums are
#       :math:`\beta`. The layer ignores its input.
#
# 3. Someone computes the statistics over the padded array, with zeros in the padding. What happens
#    to an utterance when a much longer one joins its batch?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The padding adds many zeros. The mean moves towards 0 and the variance changes. So the
#       result depends on the length of the longest utterance, although its padding carries no
#       information.
#
# 4. Check frame-wise normalisation by differences with the usual :math:`\varepsilon`. The check
#    fails. Is the backward pass wrong?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       No, the complex step agrees with it. With two utterances, the results change from -1 to 1
#       where the two elements cross, within a distance of about :math:`\sqrt{\varepsilon}`. A
#       difference across this jump is not a derivative.
#
# **Your turn.** Write the backward pass of sequence-wise normalisation, with lengths, in
# ``tutorials/exercises/batch_norm.py``. In ``batch_norm_derive.py`` you find the formulas yourself.
# This command judges it::
#
#     python -m scratchser.check tutorials/exercises/batch_norm.py
