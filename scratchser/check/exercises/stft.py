"""The log power spectrogram, eqs. (1) to (3)."""

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.kernels import stft

PARTS = {
    "Y": ex.Part("What happens to the sum X on its way to Y, and in which order?",
        "Y = log max(|X|², floor), with |X|² = (real part)² + (imaginary part)².",
        "Y[t] = np.log(np.maximum(real**2 + imaginary**2, floor))", {
        "square forgotten": "take the logarithm of the power |X|², not of |X|.",
        "imaginary part forgotten": "|X|² is the square of the real part plus that of the imaginary part.",
        "square of the sum": "|X|² is the sum of two squares, not the square of the sum.",
        "decimal logarithm": "take the natural logarithm.",
        "decibels": "take the natural logarithm of the power, without a factor.",
        "logarithm forgotten": "Y is the logarithm of the power.",
        "floor added": "powers below the floor count as the floor: take the larger of the two, not the sum.",
        "floor forgotten": "log 0 is infinite: powers below the floor count as the floor.",
        "floor of the wrong quantity (|X|)": "the floor applies to the power |X|², not to |X|.",
        "floor of the wrong quantity (Y)": "the floor applies to the power, before the logarithm.",
    }),
    "frames": ex.Part("Which samples belong to frame t, and by what is each multiplied?",
        "Frame t is x[t hop + n] window[n], n = 0 ... N - 1.",
        "frame = x[t * hop : t * hop + N] * window", {
        "window forgotten": "multiply each frame by the window, sample by sample, before the transform.",
        "window applied twice": "multiply the samples by the window once.",
        "hop forgotten (no overlap)": "frame t begins at sample t · hop; here it begins at t · N.",
        "hop forgotten (hop 1)": "frame t begins at sample t · hop; here it begins at sample t.",
    }),
    "X": ex.Part("How far does the angle turn from one sample to the next, in bin k?",
        "X[t, k] = Σ_n frame[n] exp(-2πi k n / N), for k = 0 ... bins - 1, a plain sum.",
        "angle = -2 * np.pi * np.outer(np.arange(N), np.arange(bins)) / N", {
        **ex.variants("divided by the window's length", "X is the plain sum, without 1 / N.", "power", "X"),
        "accumulation forgotten": "= keeps the last sample only: X is the sum over the window, use +=.",
        "off by one in frequency": "the first bin is k = 0, the mean of the window.",
        **ex.variants("factor of the angle forgotten", "it is 2π k n / N: bin 1 turns once in a window.", "2", "1 / N"),
    }),
}  # fmt: skip


def forward(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    x, window, bins, floor = a["x"], a["window"], a["bins"], a["floor"]
    N, hop = len(window), int(a["hop"])
    T = 1 + (len(x) - N) // hop
    step = ex.choice(mistakes, {"hop forgotten (no overlap)": N, "hop forgotten (hop 1)": 1}, hop)
    padded = np.concatenate([x, np.zeros(T * N + N)])
    w = ex.choice(mistakes, {"window forgotten": np.ones(N), "window applied twice": window**2}, window)
    frames = np.array([padded[t * step : t * step + N] * w for t in range(T)])
    if "accumulation forgotten" in mistakes:
        frames[:, :-1] = 0
    k: np.ndarray = np.arange(bins) + ("off by one in frequency" in mistakes)
    k = k * {"2": 0.5, "1 / N": N}.get(ex.kind(mistakes, "factor of the angle forgotten"), 1)
    X = frames @ np.exp(-2j * np.pi * np.outer(np.arange(N), k) / N)
    X = X / N if "divided by the window's length (X)" in mistakes else X
    size = np.abs(ex.choice(mistakes, {"imaginary part forgotten": X.real, "square of the sum": X.real + X.imag}, X))
    size = np.maximum(size, floor) if "floor of the wrong quantity (|X|)" in mistakes else size
    power = size if "square forgotten" in mistakes else size**2
    power = power / N if "divided by the window's length (power)" in mistakes else power
    after = mistakes & {"floor forgotten", "floor of the wrong quantity (Y)", "floor of the wrong quantity (|X|)"}
    if not after:
        power = power + floor if "floor added" in mistakes else np.maximum(power, floor)
    scale = ex.choice(mistakes, {"decimal logarithm": 1 / np.log(10), "decibels": 10 / np.log(10)}, 1)
    with np.errstate(divide="ignore"):
        Y = power if "logarithm forgotten" in mistakes else scale * np.log(power)
    return {"Y": np.maximum(Y, floor) if "floor of the wrong quantity (Y)" in mistakes else Y}


def arguments(samples: int, N: int, hop: int, bins: int, seed: int = 0) -> ex.Arguments:
    """The last quarter is silent."""
    x = np.random.default_rng(seed).standard_normal(samples)
    x[-(samples // 4) :] = 0
    return {"x": x, "window": stft.hann(N, np.float64) + 0.05, "hop": hop, "bins": bins, "floor": 1e-3}


EXERCISE = ex.CpuExercise(
    cases=lambda: {
        "window 16, hop 8": arguments(100, 16, 8, 9),
        "window 32, hop 5, 11 bins": arguments(90, 32, 5, 11, 1),
        "one frame": arguments(19, 16, 8, 9, 2),
        "random shape 1": arguments(104, 32, 1, 14, 10),
        "random shape 2": arguments(68, 64, 18, 13, 12),
        "1 bin": arguments(52, 16, 3, 1, 13),
    },
    reference=forward,
    parts=PARTS,
    axes={"Y": ("frame", "bin")},
    suspect=lambda trial, wrong: "X" if trial.right("Y")[:, 0].all() else "Y",  # bin 0 does not turn
    timed=lambda: arguments(1200, 128, 64, 65),
    package=stft.forward,
)
