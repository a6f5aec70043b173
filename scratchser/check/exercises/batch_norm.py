"""Sequence-wise batch normalisation backward, eqs. (10) and (11), through the statistics."""

from collections.abc import Callable

import numpy as np

from scratchser import gradcheck
from scratchser.check.exercises.exercise import Arguments, Exercise, Mistake, Outputs
from scratchser.reference.batchnorm import moments

PADDING = "only real frames count, in every mean and sum: bt of eq. (11) is the sum of the lengths, not B T."
UNBIASED = Mistake(
    "variance divided by n - 1", "eq. (11) divides by the number of frames; n - 1 is for what inference remembers."
)
MISTAKES = {
    "constants": Mistake(
        "statistics taken for constants", "x moves mean and variance too: dx = s (g - mean of g - x̂ · mean of g x̂)."
    ),
    "no mean path": Mistake(
        "path through the mean forgotten", "x moves the mean as well: dx = s (g - mean of g - x̂ · mean of g x̂)."
    ),
    "no variance path": Mistake(
        "path through the variance forgotten", "x moves the variance as well: dx = s (g - mean of g - x̂ · mean of g x̂)."
    ),
    "padding counted": Mistake("padding counted", PADDING),
    "divided by B T": Mistake("padding counted", PADDING),
    "padding in the sums": Mistake("padding counted", PADDING),
    "variance n - 1": UNBIASED,
    "all n - 1": UNBIASED,
    "variance n - 1, of one frame too": UNBIASED,  # 0 / 0
    "padding counted, dx too": Mistake("padding counted", PADDING),
    "frame": Mistake("statistics of each frame", "that is eq. (7); here one mean and one variance serve all frames."),
    "layer": Mistake("statistics of all features together", "that is eq. (14); here each feature has its own."),
    "utterance": Mistake("statistics of each utterance", "one mean and one variance serve the whole batch."),
    "no root": Mistake("square root forgotten", "s = 1 / √(variance + ε)."),
    "epsilon outside": Mistake("ε outside the root", "s = 1 / √(variance + ε), not 1 / (√variance + ε)."),
    "no gamma": Mistake("γ forgotten", "y = γ x̂ + β, so what arrives at x̂ is g = γ dy."),
    "of x": Mistake("x in place of x̂", "dγ is the sum of dy x̂: what γ multiplied was x̂."),
    "past the end": Mistake("writes past the end", "dx is 0 behind an utterance's end."),
    "start lost": Mistake(
        "missing accumulate", "what stood in the parameter's gradient before the call is lost: += instead of =."
    ),
    "last utterance": Mistake("missing accumulate", "only the last utterance's sum is kept: += over all of them."),
}


def backward(a: Arguments, mistake: str) -> Outputs:
    dy, x, lengths, gamma = a["dy"], a["x"], a["lengths"], a["gamma"]
    B, T, _ = x.shape
    real = np.arange(T) < lengths[:, None]
    counted = (real | mistake.startswith("padding counted"))[:, :, None]
    bt = int(lengths.sum())

    def average(values: np.ndarray) -> np.ndarray:
        axis = {"frame": (0,), "utterance": (1,), "layer": (0, 1, 2)}.get(mistake, (0, 1))
        numbers = np.broadcast_to(counted, values.shape).sum(axis=axis, keepdims=True)
        numbers = {"divided by B T": B * T, "all n - 1": max(bt - 1, 1)}.get(mistake, np.maximum(numbers, 1))
        return np.where(counted, values, 0).sum(axis=axis, keepdims=True) / numbers

    centred = x - (average(x) * (bt - 1) / bt if mistake == "all n - 1" and bt > 1 else average(x))
    variance = average(centred**2) * (bt / max(bt - 1, 1) if mistake.startswith("variance n - 1") else 1)
    if mistake == "variance n - 1, of one frame too" and bt == 1:
        variance = variance * np.nan
    scale = 1 / np.sqrt(variance + a["epsilon"])
    scale = 1 / (np.sqrt(variance) + a["epsilon"]) if mistake == "epsilon outside" else scale
    scale = 1 / (variance + a["epsilon"]) if mistake == "no root" else scale
    hat = centred * scale
    g = dy if mistake == "no gamma" else gamma * dy
    through_mean = 0 if mistake in ("constants", "no mean path") else average(g)
    through_variance = 0 if mistake in ("constants", "no variance path") else hat * average(g * hat)
    dx = scale * (g - through_mean - through_variance)
    summed = (real | (mistake in ("padding counted", "padding counted, dx too", "padding in the sums")))[:, :, None]
    if mistake == "last utterance":
        summed = summed & (np.arange(B) == B - 1)[:, None, None]
    dgamma, dbeta = (
        np.where(summed, values, 0).sum(axis=(0, 1)) for values in (dy * (x if mistake == "of x" else hat), dy)
    )
    start = 0 if mistake == "start lost" else 1
    return {
        "dx": dx if mistake in ("past the end", "padding counted, dx too") else np.where(real[:, :, None], dx, 0),
        "dgamma": start * a["dgamma"] + dgamma,
        "dbeta": start * a["dbeta"] + dbeta,
    }


def arguments(lengths: tuple[int, ...], F: int, spare: int = 0, seed: int = 0, epsilon: float = 0.1) -> Arguments:
    """NaN past the ends of x and dy; features of unlike mean and spread; numbers in dgamma and dbeta."""
    rng = np.random.default_rng(seed)
    B, T = len(lengths), max(lengths) + spare
    x = rng.uniform(0.5, 2, F) * rng.standard_normal((B, T, F)) + rng.standard_normal(F)
    dy = rng.standard_normal((B, T, F)) + 0.5
    for u, length in enumerate(lengths):
        x[u, length:] = dy[u, length:] = np.nan
    return {
        "dy": dy, "x": x, "lengths": np.array(lengths, np.int64), "gamma": rng.uniform(0.5, 1.5, F),
        "epsilon": epsilon, "dgamma": rng.standard_normal(F), "dbeta": rng.standard_normal(F),
    }  # fmt: skip


def cases() -> dict[str, Arguments]:
    rng = np.random.default_rng(5)
    cases = {
        "3 utterances of 4, 2 and 3 frames": arguments((4, 2, 3), F=3, spare=1),
        "one frame": arguments((1,), F=2, seed=1),
        "equal lengths": arguments((3, 3), F=2, seed=2),
        "usual epsilon": arguments((5, 2), F=4, seed=3, epsilon=1e-5),
    }
    for n in range(3):
        lengths = tuple(int(i) for i in rng.integers(1, 7, rng.integers(2, 5)))
        F, spare = int(rng.integers(1, 6)), int(rng.integers(0, 3))
        cases[f"random shape {n + 1}"] = arguments(lengths, F, spare, seed=10 + n)
    return cases


def forward(x: np.ndarray, lengths: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> np.ndarray:
    """y (B, T, F) in training, zero past the ends, of the statistics that the package's slow text takes."""
    real = np.arange(x.shape[1]) < lengths[:, None]
    _, mean, variance = moments(x[real], 0)
    y = np.zeros_like(x)
    y[real] = gamma * (x[real] - mean) / np.sqrt(variance + epsilon) + beta
    return y


def differences(function: Callable[[Arguments], Outputs]) -> list[gradcheck.GradientReport]:
    """Every coordinate of a small batch."""
    a = arguments((4, 1, 3), F=3, spare=1, seed=20)
    known = {name: a[name] for name in ("lengths", "epsilon")}

    def gradients(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> dict[str, np.ndarray]:
        sums = {"dgamma": np.zeros_like(gamma), "dbeta": np.zeros_like(beta)}
        got = function({"dy": dy, "x": x, "lengths": a["lengths"], "gamma": gamma, "epsilon": a["epsilon"], **sums})
        return {name: got["d" + name] for name in ("x", "gamma", "beta")}

    inputs = {"x": a["x"], "gamma": a["gamma"], "beta": a["dbeta"]}
    return gradcheck.check(lambda **moved: forward(**moved, **known), gradients, inputs, time_axis={"x": 1})


def timed() -> Arguments:
    return {name: np.nan_to_num(value) for name, value in arguments((40, 30, 25, 10), F=64, seed=30).items()}


BATCH_NORM = Exercise(
    name="batch_norm",
    parameters=("dy", "x", "lengths", "gamma", "epsilon", "dgamma", "dbeta"),
    returns=("dx",),
    changes=("dgamma", "dbeta"),
    cases=cases,
    truth=backward,
    mistakes=MISTAKES,
    axes={"dx": ("utterance", "frame", "feature"), "dgamma": ("feature",), "dbeta": ("feature",)},
    gradients=differences,
    differences=3,
    timed=timed,
)
