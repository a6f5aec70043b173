"""
2. From sound to spectrogram
============================

You will see how a sound becomes a spectrogram, the input of the network. This is the short-time
Fourier transform of eqs. (1) to (3) of the paper. We compute it first as a plain sum, then with a
fast algorithm. You will also see why it needs a window, a highest frequency and a logarithm.

You need tutorial 1 for the last part only, in which a block of threads computes the transform.
"""

# %%

# sphinx_gallery_thumbnail_number = 10
import matplotlib.pyplot as plt
import numpy as np
import scipy.signal
from numba import complex64, cuda

from scratchser import reference
from scratchser.corpus import synthetic
from scratchser.kernels import stft
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
# A sound is a list of numbers
# ----------------------------
#
# A microphone measures the air pressure 16,000 times a second. Each measurement is a *sample*. Here
# is an angry utterance of the corpus that is built into this project. A synthesiser speaks it: it
# has a voice and a mood, but no words.

RATE = 16000  # samples in a second
corpus = synthetic.load(size=10)
utterance = next(one for one in corpus.utterances if corpus.classes[one.label] == "anger")
sound, _ = corpus.read(utterance)
seconds = len(sound) / RATE
print(f"{utterance.name}: anger, {len(sound)} samples, {seconds:.2f} s")

Audio(sound, rate=RATE)

# %%
# The upper figure is the whole utterance, the lower one a part of 64 ms. How many samples is that?

N = 1024  # samples in a window
start = 9216

# sphinx_gallery_start_ignore


def draw_sound(sound, start, length):
    _, (above, below) = plt.subplots(2, 1, figsize=(8, 4), layout="constrained")
    above.plot(np.arange(len(sound)) / RATE, sound, lw=0.5)
    above.axvspan(start / RATE, (start + length) / RATE, color="C1", alpha=0.5)
    above.set(xlabel="time, s", ylabel="pressure", xlim=(0, len(sound) / RATE))
    below.plot(np.arange(length) / RATE * 1000, sound[start : start + length], color="C1")
    below.set(xlabel="time, ms", ylabel="pressure", xlim=(0, 1000 * length / RATE))


# sphinx_gallery_end_ignore
draw_sound(sound, start, N)
plt.show()
assert 64 * RATE // 1000 == N

# %%
# It is 64 · 16 = 1024 samples. The sound nearly repeats itself every few milliseconds. The number
# of repetitions in a second is the *pitch* of the voice. A sound that repeats consists of the pitch
# and its multiples, the *harmonics*. To see them, we need a way to measure how much of one
# frequency is in a sound.
#
# How much of one frequency is in a sound?
# ----------------------------------------
#
# Multiply the sound by a wave of that frequency, and add up the products. If sound and wave rise
# and fall together, all products are positive and the sum is large. If they do not, positive and
# negative products cancel. Below, the sound is a tone with 4 periods. Which sums do you expect for
# a wave with 4 periods and for one with 5? The product of a cosine with itself is 1/2 on average.

n = np.arange(N)
tone = np.cos(2 * np.pi * 4 * n / N)  # 4 periods in the window
waves = {periods: np.cos(2 * np.pi * periods * n / N) for periods in (4, 5)}
sums = {periods: np.sum(tone * wave) for periods, wave in waves.items()}

# sphinx_gallery_start_ignore


def draw_products(tone, waves, sums):
    _, axes = plt.subplots(2, 2, figsize=(8, 3.6), layout="constrained", sharex=True, sharey="row")
    for (above, below), (periods, wave) in zip(axes.T, waves.items(), strict=True):
        above.plot(n, tone, label="sound")
        above.plot(n, wave, "--", label="wave")
        above.set(title=f"a wave with {periods} periods", ylim=(-1.1, 1.7))
        above.legend(loc="upper right", ncols=2)
        below.fill_between(n, tone * wave, where=tone * wave >= 0, color="C2", label="positive")
        below.fill_between(n, tone * wave, where=tone * wave < 0, color="C3", label="negative")
        below.set(xlabel="sample", title=f"products, sum {abs(sums[periods]):.0f}")
    axes[0, 0].set_ylabel("pressure")
    axes[1, 0].set_ylabel("product")
    axes[1, 0].legend(loc="lower right", ncols=2)


# sphinx_gallery_end_ignore
draw_products(tone, waves, sums)
plt.show()
assert np.isclose(sums[4], N / 2)
assert abs(sums[5]) < 1e-9

# %%
# A shift must not matter
# -----------------------
#
# The tone above was a cosine, and so was the wave. But a sound may begin anywhere. What is the sum
# if the tone is shifted by a quarter of its period, so that it is a sine?
#
# Predict the sum, then look at the blue curve. It shows the square of the sum.

shifts = np.linspace(0, 1, 101)  # of a period
shifted = [np.cos(2 * np.pi * (4 * n / N - shift)) for shift in shifts]
cosines = np.array([np.sum(x * np.cos(2 * np.pi * 4 * n / N)) for x in shifted])
sines = np.array([np.sum(x * np.sin(2 * np.pi * 4 * n / N)) for x in shifted])

# sphinx_gallery_start_ignore


def draw_shifts(shifts, cosines, sines):
    _, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    axis.plot(shifts, cosines**2, label="(sum with the cosine)²")
    axis.plot(shifts, sines**2, "--", label="(sum with the sine)²")
    axis.plot(shifts, cosines**2 + sines**2, color="black", label="both added")
    axis.set(xlabel="shift of the tone, periods", ylabel="power", ylim=(0, 3.7e5))
    axis.legend(ncols=3, loc="upper center")


# sphinx_gallery_end_ignore
draw_shifts(shifts, cosines, sines)
plt.show()
assert np.allclose(cosines**2 + sines**2, (N / 2) ** 2)

# %%
# At a quarter of a period the sum with the cosine is 0, although the frequency is right. So take
# two waves, a cosine and a sine. What one of them misses, the other one finds: the sum of the two
# squares does not depend on the shift. It is the *power* of the sound at this frequency.
#
# Eq. (1): all frequencies
# ------------------------
#
# A cosine and a sine can be written as one complex number, :math:`e^{-i\varphi} = \cos\varphi -
# i \sin\varphi`. The real part of the sum is then the sum with the cosine, and the imaginary part
# the one with the sine (and a minus). This is eq. (1) of the paper:
#
# .. math:: X[t, k] = \sum_{n=0}^{N-1} x[S t + n] \, w[n] \, e^{-2\pi i k n / N}
#
# In words: take part t of the sound. It begins at sample S · t. Multiply its N samples by a window
# function w, which we explain below, and by a wave with k periods. Add up. Here N is 1024.
# The *hop* S, the distance from one part to the next, is 512. The result number k is called
# frequency *bin* k. It has k periods in 64 ms, so its frequency is k · 15.625 Hz.
#
# Which bin is 1000 Hz?

k = round(1000 / (RATE / N))
print(f"bin {k} is {k * RATE / N} Hz")
assert k == 64

# %%
# The sums of all bins are one product of a matrix and the samples. Each row of the matrix is a
# wave. This is the real part of the matrix for N = 32:

# sphinx_gallery_start_ignore


def draw_matrix(size):
    rows = np.arange(size // 2 + 1)
    waves = np.cos(2 * np.pi * np.outer(rows, np.arange(size)) / size)
    figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
    image = axis.imshow(waves, cmap="RdBu", aspect="auto")
    axis.set(xlabel="sample n", ylabel="bin k, periods", yticks=[0, 1, 2, 4, 8, 16])
    figure.colorbar(image, ax=axis, label="cos(2π k n / N)")


# sphinx_gallery_end_ignore
draw_matrix(32)
plt.show()

# %%
# Why a window
# ------------
#
# The sum contains N samples only. It treats them as if they were repeated forever. A tone with 64
# periods in the window fits. A tone with 64.5 periods does not: it jumps where the repetition
# begins. The left side of the figure below shows it for 4.5 periods.
#
# The *Hann window*, eq. (2) of the paper, fades both ends to zero, so that nothing jumps:
#
# .. math:: w[n] = \sin^2 \frac{\pi n}{N - 1}

window = stft.hann(N, np.float64)
assert np.allclose(window, np.sin(np.pi * n / (N - 1)) ** 2, atol=1e-15)

# sphinx_gallery_start_ignore


def draw_repetition(window):
    piece = np.sin(2 * np.pi * 4.5 * n / N)
    _, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained", sharey=True)
    for axis, name, w in zip(axes, ("no window", "Hann window"), (np.ones(N), window), strict=True):
        twice = np.tile(piece * w, 2)
        axis.plot(twice, lw=1)
        axis.plot(np.tile(w, 2), ":", color="grey")
        axis.axvline(N, color="C3", ls="--")
        axis.set(title=name, xlabel="sample", xticks=[0, N, 2 * N])
    axes[0].set_ylabel("pressure")


# sphinx_gallery_end_ignore
draw_repetition(window)
plt.show()

# %%
# A jump contains all frequencies. It *leaks* into bins far away from the tone. How strong is the
# leak 20 bins away, without a window and with one? Power is given in decibels: 10 dB less is a
# tenth of the power, 20 dB less a hundredth.

between = np.sin(2 * np.pi * 64.5 * n / N)
spectra = {
    "no window": np.fft.rfft(between),
    "Hann window": np.fft.rfft(between * window),
}
leak = {}
for name, X in spectra.items():
    power = np.abs(X) ** 2
    leak[name] = 10 * np.log10(power[84] / power[64])
    print(f"{name:12} 20 bins away: {leak[name]:6.1f} dB")
assert leak["no window"] > -40
assert leak["Hann window"] < -80

# sphinx_gallery_start_ignore


def draw_leak(spectra):
    _, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for (name, X), style in zip(spectra.items(), ("-", "--"), strict=True):
        power = np.abs(X[:160]) ** 2 / (N / 2) ** 2
        axis.plot(10 * np.log10(power), style, label=name)
    axis.set(xlabel="bin", ylabel="power, dB", ylim=(-150, 5), title="a tone with 64.5 periods in the window")
    axis.legend()


# sphinx_gallery_end_ignore
draw_leak(spectra)
plt.show()

# %%
# Without a window, a loud tone hides everything 20 bins away that has less than about a
# two-thousandth of its power (-33 dB). With the window, the peak is a little wider, but far away
# from it the leak is very small.
#
# The fast Fourier transform
# --------------------------
#
# The product with the matrix needs N² multiplications for one window, about a million. There is a
# faster way. Separate the samples with even numbers from those with odd numbers. Both halves have a
# transform of half the length, E and O. The transform of all samples follows from them:
#
# .. math::
#
#    X[k] &= E[k] + e^{-2\pi i k / N} \, O[k] \\
#    X[k + N/2] &= E[k] - e^{-2\pi i k / N} \, O[k] \qquad k < N/2
#
# The second line holds because E and O repeat after N/2 bins, and the factor changes its sign after
# N/2 bins. So each element of E and O serves two bins. One split halves the work. Then we split E
# and O again, and so on, until each sum has one sample only.


def fft(x):
    """The transform of x, whose length is a power of two."""
    if len(x) == 1:
        return x.astype(complex)
    half = len(x) // 2
    even = fft(x[::2])
    odd = fft(x[1::2])
    odd = odd * np.exp(-2j * np.pi * np.arange(half) / len(x))
    return np.concatenate([even + odd, even - odd])


frame = sound[start : start + N] * window
by_sum = np.array([np.sum(frame * np.exp(-2j * np.pi * k * n / N)) for k in range(N)])
largest = np.abs(by_sum).max()
error = np.abs(fft(frame) - by_sum).max() / largest
print(f"the fast transform differs from the sum by {error:.1e} of the largest element")
assert error < 1e-11
assert np.allclose(fft(frame), np.fft.fft(frame), rtol=0, atol=1e-11 * largest)

# %%
# Here are all steps for N = 8, from left to right. The samples stand in the order in which the
# splits leave them. In each step two elements make two new ones. The crossed lines look like a
# butterfly, so these two sums are called a *butterfly*. The orange one is in the last step: it
# makes X[1] and X[5] from E[1] and O[1].
#
# How many butterflies are there in the drawing? How many are there for N = 1024?

# sphinx_gallery_start_ignore


def draw_butterflies(steps=3):
    size = 2**steps
    box = {"color": "white", "pad": 1}
    order = [int(f"{i:0{steps}b}"[::-1], 2) for i in range(size)]
    figure, axis = plt.subplots(figsize=(8, 4.2), layout="constrained")
    for step in range(steps):
        half = 2**step
        for a in (r for r in range(size) if r // half % 2 == 0):
            b = a + half
            chosen = step == steps - 1 and a == 1
            style = {"color": "C1" if chosen else "C0", "lw": 2.5 if chosen else 1, "zorder": 2 + chosen}
            for source, target in ((a, a), (a, b), (b, a), (b, b)):
                axis.plot([step, step + 1], [source, target], **style)
            factor = a % half
            axis.text(
                step + 0.06,
                b - 0.18,
                f"· $w_{{{2 * half}}}^{{{factor}}}$",
                fontsize=10,
                va="bottom",
                bbox=box,
                zorder=4,
            )
    for column in range(steps + 1):
        axis.plot(np.full(size, column), np.arange(size), "o", color="black", zorder=5)
    for row in range(size):
        axis.text(-0.08, row, f"x[{order[row]}]", ha="right", va="center")
        axis.text(steps + 0.08, row, f"X[{row}]", ha="left", va="center")
    for name, top in (("E", 0), ("O", size / 2)):
        axis.plot([steps - 1.12] * 2, [top - 0.2, top + size / 2 - 0.8], color="C1", lw=4, alpha=0.5)
        axis.text(
            steps - 1.2,
            top + size / 4 - 0.5,
            name,
            color="C1",
            fontsize=13,
            ha="center",
            va="center",
            bbox=box,
            zorder=4,
        )
    axis.set(xlim=(-0.4, steps + 0.4), ylim=(size - 0.4, -0.6))
    axis.axis("off")
    figure.supxlabel("$w_m^k = e^{-2πi k / m}$, the factor of the lower element", fontsize=11)


# sphinx_gallery_end_ignore
draw_butterflies()
plt.show()
butterflies = N // 2 * int(np.log2(N))
print(f"N = 1024: {N**2} products in the sum, {butterflies} butterflies")
assert butterflies == 5120

# %%
# There are 3 steps of 4 butterflies, 12 in all. In general there are :math:`\log_2 N` steps of N/2
# butterflies, and each has one multiplication. This makes 5120 complex multiplications instead of a
# million.

# sphinx_gallery_start_ignore


def draw_growth():
    sizes = 2 ** np.arange(1, 13)
    _, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    axis.loglog(sizes, sizes.astype(float) ** 2, "o-", label="sum: N²")
    axis.loglog(sizes, sizes / 2 * np.log2(sizes), "s--", label="fast transform: N/2 · log₂ N")
    axis.axvline(1024, color="grey", ls=":")
    axis.set(xlabel="N, samples in a window", ylabel="complex products")
    axis.legend()


# sphinx_gallery_end_ignore
draw_growth()
plt.show()

# %%
# From frames to a spectrogram
# ----------------------------
#
# A sound changes all the time, and one transform of the whole utterance would mix all its vowels.
# So we cut it into *frames* of 1024 samples, which overlap by half. A sample at the end of one
# frame has a small weight there, but it is in the middle of the next frame. Its two weights add up
# to about 1. The figure shows four frames and their windows.
#
# An utterance has 24,000 samples. How many complete frames fit?

HOP = 512
print(f"24000 samples: {stft.frames(24000, N, HOP)} frames")
assert stft.frames(24000, N, HOP) == 1 + (24000 - N) // HOP == 45

# sphinx_gallery_start_ignore


def draw_frames(sound, first, count):
    _, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    length = (count + 1) * HOP
    part = sound[first : first + length]
    axis.plot(part / np.abs(part).max(), color="grey", lw=0.7)
    for t in range(count):
        axis.plot(t * HOP + n, window, color=f"C{t}", lw=2)
        axis.text(t * HOP + N / 2, 1.06, f"frame {t}", ha="center", color=f"C{t}")
    axis.set(xlabel="sample", ylabel="sound and windows", xticks=np.arange(0, length + 1, HOP), ylim=(-1.1, 1.3))


# sphinx_gallery_end_ignore
draw_frames(sound, start, 4)
plt.show()

# %%
# Power, cut, logarithm
# ---------------------
#
# Eq. (3) of the paper keeps the power :math:`|X[t, k]|^2` of each bin. The *phase*, which says
# where in its period a wave began, is dropped.
#
# Then the bins above a highest frequency are removed, here above 4 kHz. This makes the input of the
# network smaller. Listen to what is left: it sounds like an old telephone.

spectrum = np.fft.rfft(sound)
frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
spectrum[frequency > 4000] = 0
telephone = np.fft.irfft(spectrum, len(sound))

Audio(telephone, rate=RATE)

# %%
# The last step is the logarithm. It turns a factor into a difference: twice the power is always the
# same step up, for a soft sound and for a loud one. The ear works in a similar way. The power of
# silence is zero, and its logarithm is minus infinity. So powers below a *floor* are replaced by
# the floor.
#
# ``stft.forward`` of ``kernels/stft.py`` computes all of this. The figure shows power and logarithm
# of the utterance. In which one do you see more?

BINS = 257  # up to 4 kHz
FLOOR = 1e-2
Y = stft.forward(sound, stft.hann(N), HOP, BINS, FLOOR)
print(f"{Y.shape[0]} frames of {Y.shape[1]} bins, from {Y.min():.1f} to {Y.max():.1f}")
assert Y.shape == (stft.frames(len(sound), N, HOP), BINS)

# sphinx_gallery_start_ignore


def draw_spectrogram(Y):
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharey=True)
    extent = 0, (len(Y) - 1) * HOP / RATE + N / RATE, 0, RATE / N * (Y.shape[1] - 1) / 1000
    for axis, values, label in zip(axes, (np.exp(Y), Y), ("power |X|²", "log |X|²"), strict=True):
        image = axis.imshow(values.T, origin="lower", aspect="auto", cmap="magma", extent=extent)
        axis.set(xlabel="time, s", title=label)
        figure.colorbar(image, ax=axis)
    axes[0].set(ylabel="frequency, kHz")


# sphinx_gallery_end_ignore
draw_spectrogram(Y)
plt.show()

# %%
# On the left only the loudest harmonics can be seen. On the right the whole structure appears: thin
# horizontal lines are the harmonics of the pitch, broad bright bands are the resonances of throat
# and mouth, and dark columns are pauses.
#
# Is the kernel right? We compare it with the plain sum, which is
# ``scratchser/reference/stft.py``, and with SciPy.

slow = reference.stft.forward(sound, window, HOP, BINS, FLOOR)
framing = {"nperseg": N, "noverlap": N - HOP, "boundary": None, "padded": False}
_, _, scaled = scipy.signal.stft(sound, window=window, **framing)
X = scaled.T[:, :BINS] * window.sum()  # SciPy divides by the sum of the window
by_scipy = np.log(np.maximum(np.abs(X) ** 2, FLOOR))
for name, other in (("kernel", Y), ("SciPy", by_scipy)):
    difference = np.abs(other - slow).max()
    print(f"{name}: largest difference from the sum {difference:.1e}")
    assert difference < 1e-4

# %%
# The transform on a GPU
# ----------------------
#
# The butterflies of one step do not depend on each other, so each can have its own thread. But each
# step needs the results of the step before, so there is a barrier between two steps, as in the
# block sum of tutorial 1.
#
# Here is a kernel for one frame of N = 8, with 4 threads. Compare the drawing with the butterflies
# above: which elements does thread 1 read in each of the three steps?

ORDER = np.array([0, 4, 2, 6, 1, 5, 3, 7])  # where the splits leave the samples
ROOTS = np.exp(-2j * np.pi * np.arange(4) / 8).astype(np.complex64)


@cuda.jit
def fft_of_8(x, X):
    z = cuda.shared.array(8, complex64)
    t = cuda.threadIdx.x
    for i in range(t, 8, 4):
        z[i] = x[ORDER[i]]
    half = 1
    while half < 8:
        cuda.syncthreads()  # the step before is complete
        a = t // half * 2 * half + t % half
        b = a + half
        even = z[a]
        odd = z[b] * ROOTS[t % half * (4 // half)]
        z[a] = even + odd
        z[b] = even - odd
        half *= 2
    cuda.syncthreads()  # the transform is complete
    for i in range(t, 8, 4):
        X[i] = z[i]


# %%
# We run it on eight random numbers and compare the result with NumPy's.

x = np.random.default_rng(0).standard_normal(8).astype(np.complex64)
X = np.zeros(8, np.complex64)
report = trace(fft_of_8, 1, 4, x, X)
report.require_clean()
assert np.allclose(X, np.fft.fft(x), atol=1e-6)
draw(report, "fft_of_8")
plt.show()

# %%
# Thread 1 computes the butterfly of elements 2 and 3, then of 1 and 3, then of 1 and 5. The kernel
# of the project, ``stft.forward_cuda``, works in the same way, but a butterfly has four elements
# instead of two. So it needs half as many steps and barriers. One block computes one frame, from
# samples to logarithms.
#
# What to try
# -----------
#
# 1. Use a window of 512 samples. What becomes sharper in the spectrogram, time or frequency?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Time becomes sharper and frequency blurs. Bins are then 31.25 Hz wide, and the harmonics of
#       a deep voice, 100 Hz apart, begin to merge. No window is sharp in both time and frequency.
#
# 2. How does ``Y`` change if the sound has twice the amplitude?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The power is four times as large. So ``Y`` grows by log 4 = 1.39 everywhere above the floor.
#
# 3. Why is the second half of ``fft(frame)`` not needed?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The sound is real. Then X[N - k] is the complex conjugate of X[k], and both have the same
#       power.
#
# 4. Each step writes into the same array from which it reads. Why is one barrier for each step
#    enough?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       A thread writes exactly the two elements that it has read itself in this step. No other
#       thread accesses them before the next barrier.
#
# **Your turn.** Write the transform in ``tutorials/exercises/stft.py``. This command judges it::
#
#     python -m scratchser.check tutorials/exercises/stft.py
