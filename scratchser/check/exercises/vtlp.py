"""The warp of the frequency axis, eq. (4)."""

import numpy as np

from scratchser import reference
from scratchser.check.exercises import exercise as ex
from scratchser.kernels import vtlp

INTERPOLATE = "G⁻¹(k) lies between two bins: interpolate instead of taking the"
PARTS = {
    "G": ex.Part("From which bin of S does bin k of Y come, below the hinge and above it?",
        "G⁻¹(k) = k / α up to k = α f0, and above it fmax - (fmax - k) / slope, slope = (fmax - α f0) / (fmax - f0).",
        "source = k / alpha if k <= alpha * 0.9 * fmax else fmax - (fmax - k) / (10 - 9 * alpha)", {
        "warp in the wrong direction (G)": "Y at bin k is S at G⁻¹(k), not at G(k): G maps a frequency to its new "
        "one.",
        "warp in the wrong direction (1 / α)": "this is the warp with 1 / α: a formant at f moves to α f.",
        "hinge in the wrong place": "G⁻¹ bends at α f0, because G maps f0 to α f0.",
        "upper part forgotten": "above the hinge the axis is stretched so that fmax does not move.",
        "upper part forgotten (clipped)": "above the hinge the axis is stretched so that fmax does not move.",
        "slope of the upper part not inverted": "G⁻¹ divides by the slope of G, above the hinge too.",
        "off by one in fmax": "fmax = F - 1, the last bin, not F.",
        "wrong axis": "the warp moves frequencies, the second index of S, not frames.",
        "no warp": "Y is S unchanged.",
    }),
    "weights": ex.Part("Which two bins lie around G⁻¹(k), and which of them is nearer?",
        "Y = (1 - w) S[i] + w S[i + 1], with i = ⌊G⁻¹(k)⌋ and w = G⁻¹(k) - i, and i ≤ F - 2.",
        "i = min(int(source), F - 2), w = source - i, Y[t, k] = (1 - w) * S[t, i] + w * S[t, i + 1]", {
        "weight forgotten (lower)": f"{INTERPOLATE} lower one.",
        "weight forgotten (floor)": f"{INTERPOLATE} lower one.",
        "weight forgotten (nearest)": f"{INTERPOLATE} nearest one.",
        "weight forgotten (mean)": f"{INTERPOLATE} mean of its neighbours.",
        "weights exchanged": "the upper bin has the weight w = G⁻¹(k) - i, the lower one 1 - w.",
        "off by one in the bin (+1)": "the lower neighbour is ⌊G⁻¹(k)⌋, here one bin too high.",
        "off by one in the bin (+1, in w too)": "the lower neighbour is ⌊G⁻¹(k)⌋, here one bin too high.",
        "off by one in the bin (-1)": "the lower neighbour is ⌊G⁻¹(k)⌋, here one bin too low.",
    }),
}  # fmt: skip


def forward(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    S, alpha = a["S"], a["alpha"]
    if "wrong axis" in mistakes:
        return {"Y": forward({**a, "S": S.T}, mistakes - {"wrong axis"})["Y"].T if len(S) > 1 else S}
    alpha = 1 / alpha if "warp in the wrong direction (1 / α)" in mistakes else alpha
    F = S.shape[1]
    bins, fmax = np.arange(F), F if "off by one in fmax" in mistakes else F - 1
    hinge = 0.9 * fmax * (1 if "hinge in the wrong place" in mistakes else alpha)
    slope = (fmax - alpha * 0.9 * fmax) / (fmax - 0.9 * fmax)
    slope = 1 / slope if "slope of the upper part not inverted" in mistakes else slope
    source = np.where(bins <= hinge, bins / alpha, fmax - (fmax - bins) / slope)
    if "warp in the wrong direction (G)" in mistakes:
        source = reference.vtlp.G(bins, alpha, fmax)
    if mistakes & {"upper part forgotten", "upper part forgotten (clipped)"}:
        source = bins / alpha
    source = 1.0 * bins if "no warp" in mistakes else source
    lower = np.clip(np.floor(source).astype(int), 0, F - 2)
    if "off by one in the bin (+1, in w too)" in mistakes:
        lower = np.minimum(lower + 1, F - 2)
    w = source - lower
    w = np.minimum(w, 1) if "upper part forgotten (clipped)" in mistakes else w
    w = 1 - w if "weights exchanged" in mistakes else w
    rounded = {"lower": 0 * w, "floor": np.floor(w), "nearest": np.round(w), "mean": 0 * w + 0.5}
    w = ex.choice(mistakes, {f"weight forgotten ({kind})": value for kind, value in rounded.items()}, w)
    shift = ex.choice(mistakes, {"off by one in the bin (+1)": 1, "off by one in the bin (-1)": -1}, 0)
    lower = np.clip(lower + shift, 0, F - 2)
    return {"Y": (1 - w) * S[:, lower] + w * S[:, lower + 1]}


def arguments(T: int, F: int, alpha: float, seed: int = 0) -> ex.Arguments:
    return {"S": np.random.default_rng(seed).standard_normal((T, F)), "alpha": alpha}


EXERCISE = ex.CpuExercise(
    cases=lambda: {
        "alpha 1.08": arguments(3, 33, 1.08),
        "alpha 0.92": arguments(3, 33, 0.92, 1),
        "alpha 1, which changes nothing": arguments(2, 20, 1.0, 2),
        "2 bins": arguments(4, 2, 1.05, 3),
        "random shape 1": arguments(4, 75, 1.0023, 10),
        "random shape 2": arguments(5, 78, 0.9162, 11),
        "random shape 3": arguments(3, 50, 0.9753, 12),
        "random shape 4": arguments(4, 65, 0.9349, 13),
    },
    reference=forward,
    parts=PARTS,
    axes={"Y": ("frame", "bin")},
    timed=lambda: arguments(100, 257, 1.07),
    package=vtlp.forward,
)
