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
        "warp in the wrong direction (1 / α)": "this is the warp with 1 / α: what S has at f moves to α f.",
        "hinge in the wrong place": "G⁻¹ bends at α f0, because G maps f0 to α f0.",
        **ex.variants("upper part forgotten", "above the hinge the axis is stretched so that fmax does not move.",
            "straight", "clipped"),
        "slope of the upper part not inverted": "G⁻¹ divides by the slope of G, above the hinge too.",
        **ex.variants("off by one in fmax", "fmax = F - 1, the last bin, not F.", "everywhere", "f0"),
        "wrong axis": "the warp moves frequencies, the second index of S, not frames.",
        "no warp": "Y is S unchanged.",
    }),
    "weights": ex.Part("Which two bins lie around G⁻¹(k), and which of them is nearer?",
        "Y = (1 - w) S[i] + w S[i + 1], with i = ⌊G⁻¹(k)⌋ and w = G⁻¹(k) - i, and i ≤ F - 2.",
        "i = min(int(source), F - 2), w = source - i, Y[t, k] = (1 - w) * S[t, i] + w * S[t, i + 1]", {
        **ex.variants("weight forgotten", f"{INTERPOLATE} lower one.", "lower", "floor"),
        "weight forgotten (nearest)": f"{INTERPOLATE} nearest one.",
        "weight forgotten (mean)": f"{INTERPOLATE} mean of its neighbours.",
        "weights exchanged": "the upper bin has the weight w = G⁻¹(k) - i, the lower one 1 - w.",
        **ex.variants("off by one in the bin", "the lower neighbour is ⌊G⁻¹(k)⌋, here one bin too high.", "+1",
            "+1, in w too"),
        "off by one in the bin (-1)": "the lower neighbour is ⌊G⁻¹(k)⌋, here one bin too low.",
        "off by one in the bin (rounded)": "the lower neighbour is ⌊G⁻¹(k)⌋: round down, not to the nearest bin.",
    }),
}  # fmt: skip


def forward(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    S, alpha = a["S"], a["alpha"]
    if "wrong axis" in mistakes:
        return {"Y": forward({**a, "S": S.T}, mistakes - {"wrong axis"})["Y"].T if len(S) > 1 else S}
    alpha = 1 / alpha if "warp in the wrong direction (1 / α)" in mistakes else alpha
    F = S.shape[1]
    bins, fmax = np.arange(F), F if "off by one in fmax (everywhere)" in mistakes else F - 1
    f0 = 0.9 * (F if "off by one in fmax (f0)" in mistakes else fmax)
    hinge = f0 * (1 if "hinge in the wrong place" in mistakes else alpha)
    slope = (fmax - alpha * f0) / (fmax - f0)
    slope = 1 / slope if "slope of the upper part not inverted" in mistakes else slope
    source = np.where(bins <= hinge, bins / alpha, fmax - (fmax - bins) / slope)
    if "warp in the wrong direction (G)" in mistakes:
        source = reference.vtlp.G(bins, alpha, fmax)
    if mistakes & {"upper part forgotten (straight)", "upper part forgotten (clipped)"}:
        source = bins / alpha
    source = 1.0 * bins if "no warp" in mistakes else source
    nearest = np.round if "off by one in the bin (rounded)" in mistakes else np.floor
    lower = np.clip(nearest(source).astype(int), 0, F - 2)
    if "off by one in the bin (+1, in w too)" in mistakes:
        lower = np.minimum(lower + 1, F - 2)
    w = source - lower
    w = np.minimum(w, 1) if "upper part forgotten (clipped)" in mistakes else w
    w = 1 - w if "weights exchanged" in mistakes else w
    rounded = {"lower": 0 * w, "floor": np.floor(w), "nearest": np.round(w), "mean": 0 * w + 0.5}
    w = rounded.get(ex.kind(mistakes, "weight forgotten"), w)
    shift = {"+1": 1, "-1": -1}.get(ex.kind(mistakes, "off by one in the bin"), 0)
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
    },
    reference=forward,
    parts=PARTS,
    axes={"Y": ("frame", "bin")},
    timed=lambda: arguments(100, 257, 1.07),
    package=vtlp.forward,
)
