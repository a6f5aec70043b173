"""The log power spectrogram, eqs. (1) to (3)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchser import reference
from scratchser.check.exercises.exercise import Arguments, Exercise, Mistake, Outputs
from scratchser.kernels import stft

MISTAKES = {
    "window": Mistake(
        "window forgotten", "each frame is multiplied by the window, sample by sample, before the transform."
    ),
    "window twice": Mistake("window applied twice", "the samples are multiplied by the window once."),
    "amplitude": Mistake("square forgotten", "it is the power |X|² whose logarithm is taken, not |X|."),
    "real": Mistake("imaginary part forgotten", "|X|² is the square of the real part plus that of the imaginary part."),
    "log10": Mistake("decimal logarithm", "it is the natural logarithm."),
    "decibel": Mistake("decibels", "it is the natural logarithm of the power, without a factor."),
    "no log": Mistake("logarithm forgotten", "Y is the logarithm of the power."),
    "floor added": Mistake(
        "floor added", "powers below the floor count as the floor: the larger of the two, not the sum."
    ),
    "hop": Mistake(
        "hop forgotten", "frame t begins at sample t · hop; here frames follow each other without overlap, t · N."
    ),
    "hop 1": Mistake("hop forgotten", "frame t begins at sample t · hop; here each begins one sample after the other."),
    "shift": Mistake("off by one in time", "frame t begins at sample t · hop, here one hop later."),
    "normalised": Mistake("divided by the window's length", "X is the plain sum, without 1 / N."),
    "last sample": Mistake("missing accumulate", "= keeps the last sample only: X is the sum over the window, +=."),
    "bin 1": Mistake("off by one in frequency", "the first bin is k = 0, the mean of the window."),
}


def forward(a: Arguments, mistake: str) -> Outputs:
    x, window, bins, floor = a["x"], a["window"], a["bins"], a["floor"]
    hop: int = a["hop"]
    if not mistake:
        return {"Y": reference.stft.forward(x, window, hop, bins, floor)}
    N = len(window)
    T = 1 + (len(x) - N) // hop
    step = {"hop": N, "hop 1": 1}.get(mistake, hop)
    padded = np.concatenate([x, np.zeros(T * N + hop)])
    first = hop if mistake == "shift" else 0
    w = {"window": np.ones(N), "window twice": window**2}.get(mistake, window)
    frames = np.array([padded[first + t * step : first + t * step + N] * w for t in range(T)])
    if mistake == "last sample":
        frames[:, :-1] = 0
    start = 1 if mistake == "bin 1" else 0
    k = np.arange(start, bins + start)
    X = frames @ np.exp(-2j * np.pi * np.outer(np.arange(N), k) / N)
    power = np.abs(X.real if mistake == "real" else X) ** (1 if mistake == "amplitude" else 2)
    power = power / N if mistake == "normalised" else power
    power = power + floor if mistake == "floor added" else np.maximum(power, floor)
    if mistake == "no log":
        return {"Y": power}
    scale = {"log10": 1 / np.log(10), "decibel": 10 / np.log(10)}.get(mistake, 1)
    return {"Y": scale * np.log(power)}


def arguments(samples: int, N: int, hop: int, bins: int, seed: int = 0) -> Arguments:
    """The last quarter is silent."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(samples)
    x[-(samples // 4) :] = 0
    return {"x": x, "window": stft.hann(N, np.float64) + 0.05, "hop": hop, "bins": bins, "floor": 1e-3}


def cases() -> dict[str, Arguments]:
    rng = np.random.default_rng(5)
    found = {
        "window 16, hop 8": arguments(100, 16, 8, 9),
        "window 32, hop 5, 11 bins": arguments(90, 32, 5, 11, 1),
        "one frame": arguments(19, 16, 8, 9, 2),
    }
    for n in range(4):
        N = int(2 ** rng.integers(2, 7))
        samples, hop, bins = (int(i) for i in rng.integers((N, 1, 1), (N + 90, N + 1, N // 2 + 2)))
        found[f"random shape {n + 1}"] = arguments(samples, N, hop, bins, 10 + n)
    return found


def timed() -> Arguments:
    return arguments(1200, 128, 64, 65)


def ours(a: Arguments) -> Callable[[], Any]:
    return lambda: stft.forward(*a.values())


STFT = Exercise(
    name="stft",
    parameters=("x", "window", "hop", "bins", "floor"),
    returns=("Y",),
    cases=cases,
    truth=forward,
    mistakes=MISTAKES,
    axes={"Y": ("frame", "bin")},
    timed=timed,
    ours=ours,
)
