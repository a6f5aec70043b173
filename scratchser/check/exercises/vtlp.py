"""The warp of the frequency axis, eq. (4)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchser import reference
from scratchser.check.exercises.exercise import Arguments, Exercise, Mistake, Outputs
from scratchser.kernels import vtlp

MISTAKES = {
    "G": Mistake(
        "warp in the wrong direction", "Y at bin k is S at G⁻¹(k), not at G(k): G says where a frequency goes."
    ),
    "alpha inverted": Mistake(
        "warp in the wrong direction", "this is the warp with 1 / α: a formant at f goes to α f."
    ),
    "lower": Mistake("weight forgotten", "G⁻¹(k) lies between two bins: interpolate, do not take the lower one."),
    "floor": Mistake("weight forgotten", "G⁻¹(k) lies between two bins: interpolate, do not take the lower one."),
    "nearest": Mistake("weight forgotten", "G⁻¹(k) lies between two bins: interpolate, do not take the nearest one."),
    "weights exchanged": Mistake(
        "weights exchanged", "the upper bin has the weight w = G⁻¹(k) - i, the lower one 1 - w."
    ),
    "hinge": Mistake("hinge in the wrong place", "G⁻¹ bends at α f0, which is where G puts f0."),
    "linear": Mistake("upper part forgotten", "above the hinge the axis is stretched so that fmax stays where it is."),
    "F": Mistake("off by one in fmax", "fmax = F - 1, the last bin, not F."),
    "shift +1": Mistake("off by one in the bin", "the lower neighbour is ⌊G⁻¹(k)⌋, here one bin too high."),
    "shift -1": Mistake("off by one in the bin", "the lower neighbour is ⌊G⁻¹(k)⌋, here one bin too low."),
    "time": Mistake("wrong axis", "the warp moves frequencies, the second index of S, not frames."),
    "none": Mistake("no warp", "Y is S unchanged."),
}


def forward(a: Arguments, mistake: str) -> Outputs:
    S, alpha = a["S"], a["alpha"]
    if not mistake:
        return {"Y": reference.vtlp.forward(S, alpha)}
    if mistake == "none":
        return {"Y": S.copy()}
    if mistake == "time" and len(S) > 1:
        return {"Y": reference.vtlp.forward(S.T.copy(), alpha).T}
    if mistake == "alpha inverted":
        return {"Y": reference.vtlp.forward(S, 1 / alpha)}
    F = S.shape[1]
    bins, fmax = np.arange(F), F if mistake == "F" else F - 1
    hinge = 0.9 * fmax * (1 if mistake == "hinge" else alpha)
    slope = (fmax - alpha * 0.9 * fmax) / (fmax - 0.9 * fmax)
    source = np.where(bins <= hinge, bins / alpha, fmax - (fmax - bins) / slope)
    if mistake == "G":
        source = reference.vtlp.G(bins, alpha, fmax)
    if mistake == "linear":
        source = bins / alpha
    lower = np.clip(np.floor(source).astype(int), 0, F - 2)
    w = source - lower
    if mistake == "linear":
        w = np.minimum(w, 1)
    w = {"lower": 0 * w, "floor": np.floor(w), "nearest": np.round(w)}.get(mistake, w)
    if mistake == "weights exchanged":
        w = 1 - w
    if mistake.startswith("shift"):
        lower = np.clip(lower + int(mistake[-2:]), 0, F - 2)
    return {"Y": (1 - w) * S[:, lower] + w * S[:, lower + 1]}


def arguments(T: int, F: int, alpha: float, seed: int = 0) -> Arguments:
    return {"S": np.random.default_rng(seed).standard_normal((T, F)), "alpha": alpha}


def cases() -> dict[str, Arguments]:
    rng = np.random.default_rng(4)
    found = {
        "alpha 1.08": arguments(3, 33, 1.08),
        "alpha 0.92": arguments(3, 33, 0.92, 1),
        "alpha 1, which changes nothing": arguments(2, 20, 1.0, 2),
        "2 bins": arguments(4, 2, 1.05, 3),
    }
    for n in range(4):
        T, F = (int(i) for i in rng.integers((1, 5), (6, 80)))
        found[f"random shape {n + 1}"] = arguments(T, F, float(rng.uniform(0.9, 1.1)), 10 + n)
    return found


def ours(a: Arguments) -> Callable[[], Any]:
    return lambda: vtlp.forward(a["S"], a["alpha"])


VTLP = Exercise(
    name="vtlp",
    parameters=("S", "alpha"),
    returns=("Y",),
    cases=cases,
    truth=forward,
    mistakes=MISTAKES,
    axes={"Y": ("frame", "bin")},
    timed=lambda: arguments(100, 257, 1.07),
    ours=ours,
)
