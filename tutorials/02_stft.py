# %% [markdown]
# # 2. From sound to spectrogram
#
# You will see the short-time Fourier transform of eqs. (1) to (3), first as a plain sum and then as the fast transform,
# and why it needs a window, a highest frequency and a logarithm. The result is the network's input.
#
# It builds on tutorial 1, in which threads and blocks share the work: on a GPU a block computes one frame of the
# spectrogram.

# %%
import matplotlib.pyplot as plt
import numba
import numpy as np
import scipy.signal
from _figures import save
from _timing import race

from scratchser import reference
from scratchser.corpus import synthetic
from scratchser.kernels import stft

N, HOP, RATE = 1024, 512, 16000  # samples in a window (64 ms), between windows (32 ms), in a second
corpus = synthetic.load(size=10)
sound, _ = corpus.read(corpus.utterances[0])
print(f"{len(sound)} samples, {len(sound) / RATE:.2f} s, peak at {np.abs(sound).max():.3f} of full scale")

# %% [markdown]
# ## How much of one frequency is in a sound?
#
# Multiply the sound by a wave of that frequency and add up the products. If the two agree, all products are positive
# and the sum is large; if they do not, positive and negative products cancel. The wave in the sound may be shifted, so
# take two waves, a cosine and a sine, and add the squares of the two sums: then a shift has no effect. With
# exp(-iφ) = cos φ - i sin φ both sums become one complex sum, eq. (1):
#
#     X[t, k] = Σ_n x[S t + n] w[n] exp(-2πi k n / N)         S = 512 samples, N = 1024
#
# Bin k is a wave with k periods in the window: its frequency is k · 16000 / 1024 Hz = k · 15.625 Hz. The code below
# leaves out the window w:

# %%
n = np.arange(N)


def how_much(x, k):
    """|X|² of one frame and one bin."""
    return np.sum(x * np.cos(2 * np.pi * k * n / N)) ** 2 + np.sum(x * np.sin(2 * np.pi * k * n / N)) ** 2


tone = np.sin(2 * np.pi * 64 * n / N + 0.7)  # 1000 Hz
print("\n1000 Hz, power at 1000 Hz and one bin above:", how_much(tone, 64), how_much(tone, 65).round(9))
assert np.isclose(how_much(tone, 64), (N / 2) ** 2) and how_much(tone, 65) < 1e-18 * N**2

# %% [markdown]
# ## Why a window
#
# The sum uses N samples only, and treats them as one period of a periodic signal. If the window does not hold a whole
# number of periods of a tone, the signal jumps at the ends, and a jump contains all frequencies: it *leaks* into bins
# far away. Eq. (2) fades both ends to zero, so that nothing jumps:  w[n] = sin²(π n / (N - 1)).

# %%
between = np.sin(2 * np.pi * 64.5 * n / N)
window = stft.hann(N, np.float64)
for name, w in (("no window", np.ones(N)), ("eq. (2)", window)):
    here, away = how_much(between * w, 64), how_much(between * w, 84)
    print(f"{name:10} 64.5 periods: 20 bins away the power is {10 * np.log10(away / here):6.1f} dB of that at the tone")
    assert (away / here < 1e-8) == (name == "eq. (2)")

# %% [markdown]
# ## All bins of a frame are a matrix product
#
# X = F x with F[k, n] = exp(-2πi k n / N): N² products for a frame. That is `scratchser.reference.stft`, the reference
# implementation that the kernel is compared with. It computes more than necessary: separate even and odd samples, and
# the sum becomes two sums of half the length, E and O, with one factor between them:
#
#     X[k]         = E[k] + exp(-2πi k / N) O[k]           k < N / 2
#     X[k + N / 2] = E[k] - exp(-2πi k / N) O[k]           because the factor has the opposite sign there
#
# Each element of E and O serves two bins. One split leaves N² / 4 + N² / 4 + N / 2 products; splitting again and again
# leaves N / 2 · log2 N instead of N².


# %%
def fft(x):
    """The transform of x, its length a power of two."""
    if len(x) == 1:
        return x.astype(complex)
    even, odd, half = fft(x[::2]), fft(x[1::2]), len(x) // 2
    odd = odd * np.exp(-2j * np.pi * np.arange(half) / len(x))
    return np.concatenate([even + odd, even - odd])


frame = sound[8192 : 8192 + N] * window
by_sum = np.array([np.sum(frame * np.exp(-2j * np.pi * k * n / N)) for k in range(N)])
error = np.abs(fft(frame) - by_sum).max() / np.abs(by_sum).max()
print(f"\nsix lines of FFT against the sum: {error:.1e} of the largest; {N**2} products became {N * 10 // 2}")
assert error < 1e-11 and np.allclose(fft(frame), np.fft.fft(frame), rtol=0, atol=1e-11 * np.abs(by_sum).max())

# %% [markdown]
# ## Power, cut, logarithm
#
# Eq. (3) keeps |X|² and drops the phase, which says when a wave began. Bins above 4 or 8 kHz are cut off. The logarithm
# turns a factor into a difference, as the ear does: then a pattern looks the same in loud and in soft speech. Silence
# has the logarithm -∞, so values below a floor are replaced by the floor. `stft.forward` is the kernel; it splits as
# above, into four parts instead of two, and computes 16 frames at once.

# %%
Y = stft.forward(sound, stft.hann(N), HOP, 257, 1e-2)
slow = reference.stft.forward(sound, window, HOP, 257, 1e-2)
_, _, scaled = scipy.signal.stft(sound, window=window, nperseg=N, noverlap=N - HOP, boundary=None, padded=False)
by_scipy = np.log(np.maximum(np.abs(scaled.T[:, :257] * window.sum()) ** 2, 1e-2))  # scipy divides by the window's sum
print(f"{Y.shape[0]} frames of {Y.shape[1]} bins, difference from the sum: {np.abs(Y - slow).max():.1e}", end=", ")
print(f"from SciPy: {np.abs(Y - by_scipy).max():.1e}; the values span {np.ptp(Y):.1f}")
assert Y.shape == (1 + (len(sound) - N) // HOP, 257)
assert np.abs(Y - slow).max() < 1e-4 and np.abs(slow - by_scipy).max() < 1e-4

# %% [markdown]
# How much time does the fast transform save? `_timing.py` runs both in turn and keeps the best time of each. The waves
# of the sum are computed beforehand, in float32 like the kernel, so that the sum is one matrix product of NumPy. The
# kernel uses one core.

# %%
numba.set_num_threads(1)
turns = 2 * np.pi * np.outer(np.arange(257), n) / N
waves = np.concatenate([np.cos(turns), np.sin(turns)]).astype(np.float32)
frames = np.stack([sound[t * HOP : t * HOP + N] * window for t in range(len(Y))], axis=1).astype(np.float32)


def by_matrix():
    both = (waves @ frames) ** 2  # of the cosines, then of the sines
    return np.log(np.maximum(both[:257] + both[257:], 1e-2)).T


race({"sum": by_matrix, "kernel": lambda: stft.forward(sound, stft.hann(N), HOP, 257, 1e-2)}, slow)

# %%
figure, (top, left) = plt.subplots(2, 1, figsize=(9, 6), layout="constrained", height_ratios=[1, 2])
for name, w in (("no window", np.ones(N)), ("window of eq. (2)", window)):
    top.plot(10 * np.log10(np.abs(np.fft.rfft(between * w)[:160]) ** 2 / (N / 2) ** 2), label=name)
top.set(title="a tone between two bins leaks", xlabel="bin", ylabel="power, dB", ylim=(-150, 5))
top.legend()
image = left.imshow(Y.T, origin="lower", aspect="auto", cmap="magma", extent=(0, len(Y) * HOP / RATE, 0, 4))
left.set(title="log power of an utterance of the built-in corpus", xlabel="time, s", ylabel="frequency, kHz")
figure.colorbar(image, ax=left, label="log |X|²")
save(figure, "02_stft")

# %% [markdown]
# ## What to try
#
# - Halve the window to 512 samples. What becomes sharper, what blurs? (Time becomes sharper and frequency blurs: bins
#   are then 31.25 Hz wide, and the harmonics of a deep voice, 100 Hz apart, begin to merge. No window is sharp in
#   both.)
# - How does Y change if the sound has twice the amplitude? (It grows by log 4 = 1.39 wherever it is above the floor.)
# - Why is the second half of `fft(frame)` not needed? (The sound is real: X[N - k] is the conjugate of X[k].)
# - Your turn: `tutorials/exercises/stft.py`, judged by `python -m scratchser.check tutorials/exercises/stft.py`.
