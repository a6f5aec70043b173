# %% [markdown]
# # 3. VTLP: a vocal tract of another length
#
# You will see eq. (4), the warp of the frequency axis that makes a new speaker from a recorded one, why it is computed
# from the result back to the input (a *gather*), and how the gradient of a linear map is found and checked without any
# derivative.
#
# It builds on the spectrogram of tutorial 2 and on the idea from tutorial 1 that each element of the result has its own
# thread.

# %%
import matplotlib.pyplot as plt
import numpy as np
from _figures import save
from scipy.ndimage import uniform_filter1d

from scratchser import reference
from scratchser.corpus.synthetic import EXPRESSIONS
from scratchser.corpus.synthetic.voice import Voice, synthesise
from scratchser.kernels import stft, vtlp


def spoken(tract_cm, pitch_hz):
    """Log spectrogram (T, 513) of the same angry utterance, spoken with this vocal tract and pitch."""
    voice, rng = Voice(tract_cm, pitch_hz), np.random.default_rng(4)
    sound = synthesise(voice, EXPRESSIONS["anger"], 1.2, pitch_hz, -26.0, rng)
    return stft.forward(sound, stft.hann(1024), 512, 513, 1e-2)


# %% [markdown]
# ## Why warp at all
#
# A vocal tract is a tube, about 17 cm long in men and 15 in women. Its resonances, the *formants*, make an "a" sound
# like an "a", and all of them are proportional to 1 / length. There are few speakers in a corpus, so a network
# memorises the lengths of their tubes. If you stretch the frequency axis by α, the same words seem to come from a tube
# 1 / α times as long.
#
# ## Eq. (4)
#
#     G(f) = α f                                              f ≤ f0 = 0.9 fmax
#     G(f) = (fmax - α f0) / (fmax - f0) (f - f0) + α f0      f > f0
#
# Up to f0 the axis is simply stretched. If it were stretched up to fmax, α = 1.1 would move the top of the spectrum out
# of range, and α = 0.9 would leave a gap. So the second part is a straight line that maps fmax to fmax.

# %%
F = 513
f = np.arange(F, dtype=np.float64)
for alpha in (0.9, 1.1):
    ends = [float(vtlp.target(x, alpha, F)) for x in (0.0, 0.9 * 512, 512.0)]
    print(f"α = {alpha}: 0 goes to {ends[0]:.1f}, the hinge {0.9 * 512} to {ends[1]:.1f}, 512 to {ends[2]:.1f}")
    assert np.allclose([vtlp.target(x, alpha, F) for x in f], reference.vtlp.G(f, alpha, 512.0), rtol=1e-14)
    assert np.allclose(ends, [0, alpha * 0.9 * 512, 512])

# %% [markdown]
# ## Gather instead of scatter
#
# The value of S at f moves to G(f) in the result Y. The obvious loop *scatters* the bins: Y[round(G(f))] = S[f]. Where
# G is steep, some bins of Y get nothing. Where G is flat, two bins of S go to the same bin of Y, and on a GPU two
# threads write the same element: the race of tutorial 1. So use the other direction: each bin k of Y has one thread,
# which *gathers* from G⁻¹(k). This is usually between two bins i and i + 1, and Y is interpolated linearly between
# them:
#
#     Y[t, k] = (1 - w) S[t, i] + w S[t, i + 1],      i + w = G⁻¹(k)

# %%
landed = np.bincount([round(vtlp.target(x, 1.1, F)) for x in f], minlength=F)
print(f"\nscattered with α = 1.1: {np.sum(landed == 0)} bins get nothing, {np.sum(landed > 1)} get several values")
assert np.sum(landed == 0) > 0 and np.sum(landed > 1) > 0
for k in (100, 512):
    i, w = vtlp.source(k, 1.1, F)
    print(f"gathered: bin {k} is {1 - w:.3f} of bin {i} and {w:.3f} of bin {i + 1}; G leads back to", end=" ")
    print(f"{vtlp.target(i + w, 1.1, F):.12f}")
    assert np.isclose(vtlp.target(i + w, 1.1, F), k, rtol=1e-12)

S = spoken(17.0, 120.0)
assert np.array_equal(vtlp.forward(S, 1.0), S)  # to the bit
error = np.abs(vtlp.forward(S.astype(np.float64), 1.1) - reference.vtlp.forward(S.astype(np.float64), 1.1)).max()
print(f"α = 1 changes nothing; α = 1.1 differs from np.interp by {error:.1e}")
assert error < 1e-10

# %% [markdown]
# ## A test with a known answer
#
# The built-in synthesiser can change the length of its tube, so it can give the right answer: the same words from a
# tube 1 / 1.06 times as long, with the same pitch and with a pitch 1.06 times as high. Which α brings S nearest to this
# answer? We compare all bins, and then the *envelope*: means over 9 bins (140 Hz), in which the harmonics of the pitch
# merge.

# %%
answers = {"higher pitch": spoken(17 / 1.06, 120 * 1.06), "same pitch": spoken(17 / 1.06, 120.0)}
alphas, distance = np.linspace(0.9, 1.1, 21), {}
for pitch, answer in answers.items():
    for detail, width in (("bins", 1), ("envelope", 9)):
        # up to f0 = bin 460: from there on eq. (4) bends back to fmax, which a shorter tube does not
        smooth = [uniform_filter1d(A, width, axis=1)[:, :460] for A in [answer, *[vtlp.forward(S, a) for a in alphas]]]
        distance[pitch, detail] = [np.sqrt(np.mean((A - smooth[0]) ** 2)) for A in smooth[1:]]
        best = alphas[np.argmin(distance[pitch, detail])]
        print(f"shorter tube, {pitch}, by {detail}: nearest for α = {best:.2f}")
        assert abs(best - (1.0 if (pitch, detail) == ("same pitch", "bins") else 1.06)) < 0.011  # a step of alphas

# %% [markdown]
# In three of four cases the best α is 1.06 to within one step, as it should be. Only the third line differs: when all
# bins are compared, the harmonics decide, and a warp moves them together with the formants. A real speaker with a
# shorter tube need not have a higher pitch, so VTLP makes some unusual speakers. It augments the data; it does not
# convert voices.

# %% [markdown]
# ## The gradient of a linear map
#
# Y is linear in S: Y = M S for a matrix M of weights w and 1 - w. When Y changes by ΔY, the loss L changes by dY · ΔY.
# When S changes by ΔS, it changes by dY · (M ΔS) = (Mᵀ dY) · ΔS. So dS = Mᵀ dY: the same weights in the other
# direction. For bin i of S, add the gradients of all bins of Y that have read it, each times its weight.
#
# This gives a check that needs no finite differences: for any S and any dY, dY · (M S) = (Mᵀ dY) · S.

# %%
rng = np.random.default_rng(0)
S64, dY = rng.standard_normal((5, F)), rng.standard_normal((5, F))
for alpha in (0.9, 1.04, 1.1):
    forth, back = np.sum(dY * vtlp.forward(S64, alpha)), np.sum(vtlp.backward(dY, alpha) * S64)
    print(f"α = {alpha}: dY · Y = {forth:.12f}, dS · S = {back:.12f}")
    assert np.isclose(forth, back, rtol=1e-12)

# %%
figure, axes = plt.subplots(2, 3, figsize=(11, 6.6), layout="constrained")
for alpha, style in ((0.9, "tab:blue"), (1.0, "grey"), (1.1, "tab:orange")):
    axes[0, 0].plot(f / 64, reference.vtlp.G(f, alpha, 512.0) / 64, color=style, label=f"α = {alpha}")
axes[0, 0].set(xlabel="f, kHz", ylabel="G(f), kHz", title="eq. (4)")
for (pitch, detail), numbers in distance.items():
    axes[0, 1].plot(alphas, numbers, ls="-" if detail == "bins" else "--", label=f"{pitch}, {detail}")
axes[0, 1].set(xlabel="α", ylabel="distance, logarithms", title="from the shorter tube", ylim=(0, None))
for axis in axes[0, :2]:
    axis.legend(fontsize="small")
panels = {"17 cm": S, "warped by 1.06": vtlp.forward(S, 1.06), "16 cm, pitch × 1.06": answers["higher pitch"]}
for axis, (name, spectrogram) in zip(axes[1], panels.items(), strict=True):
    axis.imshow(spectrogram[:, :257].T, origin="lower", aspect="auto", cmap="magma", extent=(0, 1.2, 0, 4))
    axis.set(title=name, xlabel="time, s", ylabel="kHz")
weights = np.zeros((24, 24))
for k in range(24):
    lower, w = vtlp.source(k, 1.1, 24)
    weights[k, lower : lower + 2] = 1 - w, w
axes[0, 2].imshow(weights, cmap="Blues")
axes[0, 2].set(title="the matrix M for 24 bins", xlabel="bin i of S", ylabel="bin k of Y")
save(figure, "03_vtlp")

# %% [markdown]
# ## What to try
#
# - For which α is G one-to-one? (0 < α < 1 / 0.9: for a larger α, G decreases in its second part.)
# - The batch is normalised by eq. (5) after the warp. Would the result be the same if it were normalised before? (Yes:
#   each element of Y is a weighted mean, and the mean of shifted and scaled values is the shifted and scaled mean.)
# - Warp by 1.1 and then by 1 / 1.1. Is the result the original spectrogram? (Nearly: the hinges differ, and
#   interpolation blurs.)
# - Your turn: `tutorials/exercises/vtlp.py`, judged by `python -m scratchser.check tutorials/exercises/vtlp.py`.
