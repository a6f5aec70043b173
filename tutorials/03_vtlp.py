"""
3. VTLP: a vocal tract of another length
========================================

You will see how a recorded utterance is changed so that it sounds as if another speaker had spoken
it: eq. (4) of the paper, *vocal tract length perturbation* (VTLP). You will also see why it is
computed from the result back to the input, and how to find and check the gradient of a linear map
without any derivative.

You need the spectrogram of tutorial 2, and the race of tutorial 1.
"""

# %%

# sphinx_gallery_thumbnail_number = 8
import matplotlib.pyplot as plt
import numpy as np
import scipy.signal
from numba import cuda
from scipy.ndimage import uniform_filter1d

from scratchser import reference
from scratchser.corpus.synthetic import EXPRESSIONS
from scratchser.corpus.synthetic.voice import SOUND_CM_PER_S, Voice, synthesise
from scratchser.kernels import stft, vtlp
from scratchser.tracer import trace
from scratchser.tracer.drawing import draw

# sphinx_gallery_start_ignore
try:
    from IPython.display import Audio
except ImportError:  # a plain script has no player

    def Audio(sound, rate):
        return None


# sphinx_gallery_end_ignore

# %%
# A voice is a source and a tube
# ------------------------------
#
# The vocal folds make a buzz with many harmonics. The *vocal tract*, from the vocal folds to the
# lips, is a tube of about 17 cm in men and 15 cm in women. A tube has resonances, the *formants*:
# frequencies that it makes louder. They make the difference between an "a" and an "i".
#
# The tube is closed at the vocal folds and open at the lips. A sound wave fits if a quarter of its
# length fits into the tube, or three quarters, or five quarters:


def formants(length_cm):
    """The first three resonances of a straight tube, in Hz."""
    return np.array([1, 3, 5]) * SOUND_CM_PER_S / (4 * length_cm)


# sphinx_gallery_start_ignore


def draw_tubes(lengths):
    figure, axes = plt.subplots(3, len(lengths), figsize=(8, 3.6), layout="constrained", sharex=True)
    for column, length in zip(axes.T, lengths, strict=True):
        for axis, quarters, hertz in zip(column, (1, 3, 5), formants(length), strict=True):
            x = np.linspace(0, length, 200)
            wave = np.sin(quarters * np.pi / 2 * x / length)
            axis.fill_between(x, wave, -wave, color="C0", alpha=0.3)
            axis.plot(x, wave, "C0", x, -wave, "C0")
            axis.plot([length, 0, 0, length], [1.25, 1.25, -1.25, -1.25], color="black", lw=2)
            axis.text(length + 0.4, 0, f"{hertz:.0f} Hz", va="center")
            axis.set(xlim=(-0.5, 22), ylim=(-1.6, 1.6), yticks=[])
            axis.spines[:].set_visible(False)
        column[0].set_title(f"a tube of {length} cm")
    figure.supxlabel("cm from the vocal folds")
    figure.supylabel("movement of the air")


# sphinx_gallery_end_ignore
draw_tubes((17.5, 14.0))
plt.show()
print("17.5 cm:", formants(17.5), "Hz; 14 cm:", formants(14.0), "Hz")
assert np.allclose(formants(17.5), [500, 1500, 2500])

# %%
# All formants are proportional to 1 / length. The left tube is 17.5 / 14 = 1.25 times as long as
# the right one, so the formants of the right one are 1.25 times as high. A real tract is not a
# straight tube, and its formants move with the tongue from vowel to vowel. But the rule is still
# the same: in a shorter tract, **all** formants are higher by one factor.
#
# Listen to it. The synthesiser of the built-in corpus speaks the same utterance twice, first with a
# tract of 17 cm.

PITCH = 120.0  # Hz
RATE = 16000


def speak(tract_cm, pitch_hz):
    """The same angry utterance, spoken with this vocal tract and this pitch."""
    rng = np.random.default_rng(4)
    voice = Voice(tract_cm, pitch_hz)
    return synthesise(voice, EXPRESSIONS["anger"], 1.2, pitch_hz, -26.0, rng)


Audio(speak(17.0, PITCH), rate=RATE)

# %%
# And now with 14 cm and the *same pitch*. The melody is the same, but the speaker sounds different.

Audio(speak(14.0, PITCH), rate=RATE)

# %%
# Here are the spectra of both, averaged over time and smoothed over frequency, so that the
# harmonics disappear and the formants remain.


def spectrogram(sound):
    """Log power (T, 513) up to 8 kHz."""
    return stft.forward(sound, stft.hann(1024), 512, 513, 1e-2)


# sphinx_gallery_start_ignore


def draw_envelopes(lengths):
    _, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    kilohertz = np.arange(513) / 64
    ends = []
    for length, style in zip(lengths, ("-", "--"), strict=True):
        mean = uniform_filter1d(spectrogram(speak(length, PITCH)).mean(axis=0), 15)
        axis.plot(kilohertz, mean, style, label=f"{length:g} cm")
        peaks = np.array([7, 9, 11]) * SOUND_CM_PER_S / (4000 * length)  # resonances 4 to 6 of a straight tube
        ends.append(np.stack([peaks, np.interp(peaks, kilohertz, mean)], axis=1))
    for start, end in zip(*ends, strict=True):
        axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "black", "shrinkA": 0, "shrinkB": 0})
    axis.set(xlabel="frequency, kHz", ylabel="mean of log |X|²", xlim=(0, 8))
    axis.legend(title="vocal tract")


# sphinx_gallery_end_ignore
draw_envelopes((17.0, 14.0))
plt.show()

# %%
# The arrows join three peaks of the two curves. Each peak of the dashed curve lies further right by
# the same factor, 17 / 14 = 1.21. A corpus has few speakers. A network can adapt too closely to
# their vocal tracts, and then it fails for a new speaker. So we stretch the frequency axis of each
# utterance by a random factor α between 0.9 and 1.1. The result is the same utterance, as if from a
# tube 1 / α times as long.
#
# Eq. (4)
# -------
#
# Stretching has a problem at the top. Let the highest frequency be fmax = 8 kHz and α = 1.1. Where
# does 7.9 kHz go? And for α = 0.9, what is left between 7.2 and 8 kHz?
#
# .. admonition:: Answer
#    :class: dropdown
#
#    With α = 1.1 it goes to 8.69 kHz, out of range. With α = 0.9 there is nothing between 7.2 and 8
#    kHz: a gap.
#
# For this reason, eq. (4) stretches only up to f0 = 0.9 fmax. From this point, the *hinge*, a
# second straight line leads to fmax:
#
# .. math::
#
#    G(f) = \begin{cases}
#    \alpha f & f \le f_0 \\
#    \frac{f_{max} - \alpha f_0}{f_{max} - f_0} \, (f - f_0) + \alpha f_0 & f > f_0
#    \end{cases}
#
# Frequencies are counted in bins here: 0 to 512, and 64 bins are 1 kHz.

F = 513
f = np.arange(F, dtype=np.float64)
for alpha in (0.9, 1.1):
    low, hinge, high = (float(vtlp.target(x, alpha, F)) for x in (0.0, 0.9 * 512, 512.0))
    print(f"α = {alpha}: 0 -> {low:.1f}, hinge 460.8 -> {hinge:.1f}, 512 -> {high:.1f}")
    assert np.allclose([low, hinge, high], [0, alpha * 0.9 * 512, 512])
    ours = [vtlp.target(x, alpha, F) for x in f]
    assert np.allclose(ours, reference.vtlp.G(f, alpha, 512.0), rtol=1e-14)

# sphinx_gallery_start_ignore


def draw_warp(alphas):
    _, axis = plt.subplots(figsize=(8, 3.8), layout="constrained")
    for alpha, style in zip(alphas, ("--", "-", "-."), strict=True):
        axis.plot(f / 64, reference.vtlp.G(f, alpha, 512.0) / 64, style, label=f"α = {alpha}")
    axis.axvline(7.2, color="grey", ls=":")
    axis.text(7.1, 0.3, "f0 = 0.9 fmax", ha="right", color="grey")
    axis.set(xlabel="f, kHz", ylabel="G(f), kHz", xlim=(0, 8), ylim=(0, 8), aspect="equal")
    axis.legend()


# sphinx_gallery_end_ignore
draw_warp((0.9, 1.0, 1.1))
plt.show()

# %%
# Scatter: holes and races
# ------------------------
#
# The value of the spectrogram S at bin f moves to G(f) in the result Y. The obvious loop takes each
# bin of S and puts its value where it belongs: ``Y[round(G(f))] = S[f]``. This is a *scatter*.
#
# The arrows show it for 16 bins and α = 1.1. Which bin of Y gets no value? Which bin gets two?

# sphinx_gallery_start_ignore


def draw_arrows(arrows, size, title):
    """Arrows (i, k, strength) from bin i of S to bin k of Y."""
    _, axis = plt.subplots(figsize=(8, 2.7), layout="constrained")
    hits = np.bincount([k for _, k, _ in arrows], minlength=size)
    for i in range(size):
        axis.add_patch(plt.Rectangle((i - 0.45, 1), 0.9, 0.35, color="C0", alpha=0.6))
        axis.text(i, 1.17, f"{i}", ha="center", va="center")
        colour = "#dddddd" if hits[i] == 0 else "C3" if title == "scatter" and hits[i] > 1 else "C2"
        axis.add_patch(plt.Rectangle((i - 0.45, -0.35), 0.9, 0.35, color=colour, alpha=0.8))
        axis.text(i, -0.18, f"{i}", ha="center", va="center")
    for i, k, strength in arrows:
        style = {"arrowstyle": "-|>", "color": "black", "alpha": 0.15 + 0.85 * strength, "lw": 0.5 + 1.5 * strength}
        axis.annotate("", (k, 0), (i, 1), arrowprops=style)
    axis.text(-0.8, 1.17, "S", ha="right", va="center", fontsize=12)
    axis.text(-0.8, -0.18, "Y", ha="right", va="center", fontsize=12)
    axis.set(xlim=(-1.5, size - 0.4), ylim=(-0.4, 1.4), title=title)
    axis.axis("off")


# sphinx_gallery_end_ignore
arrows = [(i, round(vtlp.target(float(i), 1.1, 16)), 1.0) for i in range(16)]
draw_arrows(arrows, 16, "scatter")
plt.show()
landed = [k for _, k, _ in arrows]
assert set(range(16)) - set(landed) == {5}
assert [k for k in range(16) if landed.count(k) > 1] == [15]

# %%
# Bin 5 (grey) gets nothing: below f0 the slope of G is 1.1, so from time to time a bin of Y is
# missed. Bin 15 (red) gets two values: above f0 the slope is only 0.1. On a GPU two threads then
# write the same element. The tracer of tutorial 1 finds this race.


@cuda.jit
def scatter(S, alpha, Y):
    i = cuda.threadIdx.x
    Y[round(vtlp.target(float(i), alpha, S.size))] = S[i]


S = np.arange(16.0)
report = trace(scatter, 1, 16, S, 1.1, np.zeros(16))
print(report.races[0])
assert report.races

# %%
# Gather: each result has one thread
# ----------------------------------
#
# Go in the other direction, from Y to S. For each bin k of Y, ask where its value comes from. The
# answer is :math:`G^{-1}(k)`, which is usually between two bins i and i + 1 of S. So take a
# weighted mean of both, with the larger weight for the nearer one:
#
# .. math:: Y[t, k] = (1 - w) \, S[t, i] + w \, S[t, i + 1], \qquad i + w = G^{-1}(k)
#
# This is a *gather*. There is no hole, because every k is computed. There is no race, because each
# k is written by one thread.

arrows = []
for k in range(16):
    i, w = vtlp.source(k, 1.1, 16)
    arrows += [(i, k, 1 - w), (i + 1, k, w)]
arrows = [(i, k, weight) for i, k, weight in arrows if weight > 1e-9]
draw_arrows(arrows, 16, "gather (dark arrows have large weights)")
plt.show()

# %%
# The CUDA kernel of the project does this, with one block for each frame. The drawing shows one
# frame of 12 bins and 12 threads. Each thread reads two neighbours and writes one bin.

S = np.arange(12, dtype=np.float64).reshape(1, 12)
Y = np.zeros((1, 12))
report = trace(vtlp.forward_cuda, 1, 12, S, 1.1, Y)
report.require_clean()
assert np.allclose(Y, reference.vtlp.forward(S, 1.1), rtol=0, atol=1e-12)
draw(report, "vtlp.forward_cuda")
plt.show()

# %%
# Does the warp do what eq. (4) says? We make three checks. G leads from the source back to k. The
# result agrees with NumPy's linear interpolation. And α = 1 changes nothing, not even the last bit.

for k in (100, 512):
    i, w = vtlp.source(k, 1.1, F)
    back = vtlp.target(i + w, 1.1, F)
    print(f"bin {k} is {1 - w:.3f} of bin {i} and {w:.3f} of bin {i + 1}")
    print(f"G leads back to {back}")
    assert np.isclose(back, k, rtol=1e-12)

S = spectrogram(speak(17.0, PITCH))
exact = S.astype(np.float64)
error = np.abs(vtlp.forward(exact, 1.1) - reference.vtlp.forward(exact, 1.1)).max()
print(f"difference from np.interp: {error:.1e}")
assert error < 1e-10
assert np.array_equal(vtlp.forward(S, 1.0), S)

# %%
# A test with a known answer
# --------------------------
#
# Is a *warped* utterance (one after VTLP) really like one of another speaker? The synthesiser can
# answer this. It speaks the same utterance with a tube 1 / 1.06 times as long, once with the same
# pitch and once with a pitch 1.06 times as high. For which α is the warped spectrogram S nearest to
# this answer?
#
# We compare in two ways: bin by bin, and by the *envelope*, the mean over 9 bins (140 Hz), in which
# the harmonics of the pitch merge. This makes four cases. In which of them is the best α not 1.06?

answers = {
    "higher pitch": spectrogram(speak(17 / 1.06, PITCH * 1.06)),
    "same pitch": spectrogram(speak(17 / 1.06, PITCH)),
}
alphas = np.linspace(0.9, 1.1, 21)
warped = [vtlp.forward(S, alpha) for alpha in alphas]
distances = {}
best = {}
for pitch, answer in answers.items():
    for detail, width in (("bins", 1), ("envelope", 9)):
        # up to f0 = bin 460: above it, eq. (4) is no longer the stretch of a shorter tube
        goal = uniform_filter1d(answer, width, axis=1)[:, :460]
        smooth = [uniform_filter1d(one, width, axis=1)[:, :460] for one in warped]
        distances[pitch, detail] = [np.sqrt(np.mean((one - goal) ** 2)) for one in smooth]
        best[pitch, detail] = alphas[np.argmin(distances[pitch, detail])]
        print(f"{pitch}, by {detail}: nearest for α = {best[pitch, detail]:.2f}")
step = alphas[1] - alphas[0]
assert abs(best["higher pitch", "bins"] - 1.06) < 1.1 * step
assert abs(best["higher pitch", "envelope"] - 1.06) < 1.1 * step
assert abs(best["same pitch", "envelope"] - 1.06) < 1.1 * step
assert abs(best["same pitch", "bins"] - 1.00) < 1.1 * step

# sphinx_gallery_start_ignore


def draw_distances(alphas, distances):
    _, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for (pitch, detail), numbers in distances.items():
        colour = "C0" if pitch == "same pitch" else "C1"
        axis.plot(alphas, numbers, color=colour, ls="-" if detail == "bins" else "--", label=f"{pitch}, by {detail}")
    axis.axvline(1.06, color="grey", ls=":")
    axis.set(xlabel="α", ylabel="distance of log |X|²", ylim=(0, None))
    axis.legend(ncols=2)


# sphinx_gallery_end_ignore
draw_distances(alphas, distances)
plt.show()

# %%
# In three of four cases the best α is 1.06, to within one step. The exception is the same pitch,
# compared bin by bin. There the harmonics decide, and a warp moves them together with the formants.
# A real speaker with a shorter tube does not always have a higher pitch. So VTLP also makes unusual
# combinations of tube and pitch. This is acceptable: its purpose is more varied data, not the
# imitation of a certain speaker. The figure compares the spectrograms.

# sphinx_gallery_start_ignore


def draw_spectrograms(panels):
    _, axes = plt.subplots(1, len(panels), figsize=(8, 3.4), layout="constrained", sharey=True)
    for axis, (name, values) in zip(axes, panels.items(), strict=True):
        axis.imshow(values[:, :257].T, origin="lower", aspect="auto", cmap="magma", extent=(0, 1.2, 0, 4))
        axis.set(title=name, xlabel="time, s")
    axes[0].set_ylabel("frequency, kHz")


# sphinx_gallery_end_ignore
panels = {
    "17 cm": S,
    "17 cm, α = 1.06": vtlp.forward(S, 1.06),
    "16 cm, higher": answers["higher pitch"],
}
draw_spectrograms(panels)
plt.show()

# %%
# The second and the third panel look nearly the same, although the third was synthesised with
# another tube.
#
# What does a warped utterance sound like? A spectrogram has no phase, so we must find one. The
# method of Griffin and Lim starts with some phase, here the one of the recording, and repeats two
# steps. First, make a sound from the wanted magnitudes :math:`|X|` and this phase. Second, compute
# the transform of this sound and take over its phase. We use α = 1.2, so that the change is easy to
# hear. Eq. (4) allows only α below 1 / 0.9 = 1.11, so this cell stretches the whole axis, without
# the second line of eq. (4).


def stretched(sound, alpha, rounds=40):
    """The sound with a stretched frequency axis, by the method of Griffin and Lim."""
    shape = {"fs": RATE, "nperseg": 1024, "noverlap": 1024 - 128}
    _, _, X = scipy.signal.stft(sound, **shape)
    bins = np.arange(len(X))
    frames = [np.interp(bins / alpha, bins, frame) for frame in np.abs(X).T]
    magnitude = np.stack(frames, axis=1)
    guess = X
    for _ in range(rounds):
        _, sound = scipy.signal.istft(magnitude * np.exp(1j * np.angle(guess)), **shape)
        _, _, guess = scipy.signal.stft(sound, **shape)
        guess = guess[:, : X.shape[1]]
    missing = np.linalg.norm(np.abs(guess) - magnitude) / np.linalg.norm(magnitude)
    print(f"the magnitudes of the sound differ from the wanted ones by {missing:.0%}")
    return sound


Audio(stretched(speak(17.0, PITCH), 1.2), rate=RATE)

# %%
# The gradient of a linear map
# ----------------------------
#
# Each element of Y is a weighted sum of elements of S. So Y is linear in S: for one frame, Y = M S
# with a matrix M. Row k of M holds the weights 1 - w and w of bin k, and zeros.

M = np.zeros((24, 24))
for k in range(24):
    i, w = vtlp.source(k, 1.1, 24)
    M[k, i] = 1 - w
    M[k, i + 1] = w
S24 = np.random.default_rng(1).standard_normal((1, 24))
assert np.allclose(vtlp.forward(S24, 1.1)[0], M @ S24[0])

# sphinx_gallery_start_ignore


def draw_matrices(M):
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
    for axis, matrix, title, names in zip(
        axes, (M, M.T), ("forward: Y = M S", "backward: dS = Mᵀ dY"), ("SY", "YS"), strict=True
    ):
        image = axis.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
        axis.set(title=title, xlabel=f"bin of {names[0]}", ylabel=f"bin of {names[1]}")
    figure.colorbar(image, ax=axes, label="weight")


# sphinx_gallery_end_ignore
draw_matrices(M)
plt.show()

# %%
# Now the gradient. The loss changes by dY · ΔY when Y changes a little, where dY is the gradient of
# the loss with respect to Y. The dot means: multiply element by element and add up. If S changes by
# ΔS, then ΔY = M ΔS, and the loss changes by
#
# .. math:: dY \cdot (M \, \Delta S) = (M^T dY) \cdot \Delta S
#
# So the gradient of S is :math:`dS = M^T dY`: the same weights in the other direction. In words:
# the gradient of bin i of S is the sum of the gradients of all bins of Y that have read it, each
# times its weight.
#
# The obvious loop for this is a scatter again, with the same race as before. ``vtlp.backward``
# gathers instead: the bins k that have read bin i are neighbours, so one thread adds them up.
#
# The last equation is also a check that needs no derivative. For any S and any dY, both sides must
# be equal:

rng = np.random.default_rng(0)
S64 = rng.standard_normal((5, F))
dY = rng.standard_normal((5, F))
for alpha in (0.9, 1.04, 1.1):
    left = np.sum(dY * vtlp.forward(S64, alpha))
    right = np.sum(vtlp.backward(dY, alpha) * S64)
    print(f"α = {alpha}: dY · (M S) = {left:.12f}, (Mᵀ dY) · S = {right:.12f}")
    assert np.isclose(left, right, rtol=1e-12)

# %%
# What to try
# -----------
#
# 1. For which α is G one-to-one?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       For 0 < α < 1 / 0.9. For a larger α, the hinge goes to a frequency above fmax, and the
#       second line falls.
#
# 2. After the warp, eq. (5) of the paper normalises the batch: it subtracts one mean from all
#    elements and divides by one standard deviation. Would the result be the same if we normalised
#    before the warp, with the same two numbers?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Yes, apart from rounding. Each element of Y is a weighted mean, with weights that add up to
#       1. The mean of normalised values is the normalised mean.
#
# 3. Warp by 1.1 and then by 1 / 1.1. Is the result the original spectrogram?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Not exactly. The hinges of the two warps do not fit together, and each interpolation blurs a
#       little.
#
# 4. In the drawing of the gather, bin 1 of S is read by three threads. Which of them does not need
#    it? Is this a race?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Thread 0. Its source is bin 0 exactly, so bin 1 has the weight 0 for it. There is no race,
#       because all of them only read.
#
# **Your turn.** Write the warp in ``tutorials/exercises/vtlp.py``. This command judges it::
#
#     python -m scratchser.check tutorials/exercises/vtlp.py
