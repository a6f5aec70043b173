"""Sequence-wise batch normalisation backward, eqs. (10) and (11), through the statistics."""

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.reference.batchnorm import mean_and_variance

THROUGH = "dx = s (g - mean of g - x̂ · mean of g x̂)."
AXES = {  # that a mean is taken over
    "statistics of each frame": (0,),
    "statistics of each utterance": (1,),
    "statistics of all features together": (0, 1, 2),
}
PARTS = {
    "dx": ex.Part("On how many paths does x reach y, and what does each of them add to dx?",
        f"{THROUGH} Here g = γ dy, s = 1 / √(variance + ε), and each mean is over all real frames.",
        "dx[real] = s * (g - g.sum(axis=0) / n - hat * (g * hat).sum(axis=0) / n)", {
        "statistics treated as constants": f"mean and variance depend on x too: {THROUGH}",
        "path through the mean forgotten": f"the mean depends on x too: {THROUGH}",
        "path through the variance forgotten": f"the variance depends on x too: {THROUGH}",
        **ex.variants("sign of a path", f"both paths are subtracted: {THROUGH}", "mean", "variance"),
        **ex.variants("sum in place of a mean", f"the paths subtract means, not sums: {THROUGH}", "mean", "variance",
            "both paths"),
        **ex.variants("old gradient in dx", "dγ and dβ contain gradients already: use the sums of this call.", "mean",
            "variance", "both paths"),
        "division by n forgotten": f"s (n g - Σ g - x̂ Σ g x̂) must be divided by n: {THROUGH}",
        "factor 2 forgotten (variance)": f"the derivative of (x - mean)² is 2 (x - mean): {THROUGH}",
        "factor s forgotten": f"dx contains s once: {THROUGH}",
        **ex.variants("γ forgotten", "y = γ x̂ + β, so the gradient of x̂ is g = γ dy.", "everywhere", "both paths"),
        "γ applied twice": "y = γ x̂ + β, so γ appears once in dx, in g = γ dy.",
        "writes past the end": "dx is 0 past the end of an utterance.",
    }),
    "statistics": ex.Part("Over which elements are mean and variance taken, and by which number is each sum divided?",
        "Each feature has one mean and one variance, over all real frames of the batch; n is the sum of the lengths.",
        "a = x[np.arange(T) < lengths[:, None]], mean = a.sum(axis=0) / len(a), s = 1 / np.sqrt(variance + epsilon)", {
        **ex.variants("padding counted", "only real frames count, in every mean and sum: n is the sum of the lengths, "
            "not B T.", "everywhere but in dx", "divided by B T", "paths divided by B T", "in the sums", "in dx too"),
        **ex.variants("variance divided by n - 1", "divide by n, eq. (11); n - 1 is for the variance of inference.",
            "1 for one frame", "0 / 0 for one frame"),
        "statistics of each frame": "that is eq. (7); here all frames share one mean and one variance.",
        "statistics of all features together": "that is eq. (14); here each feature has its own.",
        "statistics of each utterance": "the whole batch shares one mean and one variance.",
        "square root forgotten": "s = 1 / √(variance + ε).",
        "ε outside the root": "s = 1 / √(variance + ε), not 1 / (√variance + ε).",
        "ε forgotten": "s = 1 / √(variance + ε).",
        "mean not subtracted": "x̂ = (x - mean) s.",
    }),
    "dgamma, dbeta": ex.Part("What does γ multiply, and what do dγ and dβ contain before the call?",
        "dγ += Σ dy x̂ and dβ += Σ dy, over all real frames.",
        "dgamma += (d * hat).sum(axis=0), dbeta += d.sum(axis=0)", {
        "x in place of x̂": "dγ is the sum of dy x̂: γ multiplies x̂.",
        "γ in dγ": "dγ is the sum of dy x̂, without γ.",
        "dγ and dβ exchanged": "dγ is the sum of dy x̂, dβ the sum of dy.",
        "mean in place of a sum": "dγ and dβ are sums over all frames.",
        **ex.SUMS,
    }),
}  # fmt: skip


def backward(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    dy, x, lengths, gamma = a["dy"], a["x"], a["lengths"], a["gamma"]
    epsilon = 0 if "ε forgotten" in mistakes else a["epsilon"]
    B, T, _ = x.shape
    bt = int(lengths.sum())
    real = (np.arange(T) < lengths[:, None])[:, :, None]
    everywhere = bool(mistakes & {"padding counted (everywhere but in dx)", "padding counted (in dx too)"})
    averaged = real | everywhere
    summed = real | everywhere | ("padding counted (in the sums)" in mistakes)
    summed &= (np.arange(B) == B - 1)[:, None, None] | ("accumulation forgotten (last utterance)" not in mistakes)

    def mean(values: np.ndarray) -> np.ndarray:
        axis = ex.choice(mistakes, AXES, (0, 1))
        count = np.maximum(np.broadcast_to(averaged, values.shape).sum(axis=axis, keepdims=True), 1)
        count = B * T if "padding counted (divided by B T)" in mistakes else count
        return np.where(averaged, values, 0).sum(axis=axis, keepdims=True) / count

    centred = x - mean(x)
    variance = mean(centred**2)
    unbiased = ex.kind(mistakes, "variance divided by n - 1")
    if unbiased:
        variance *= bt / (bt - 1) if bt > 1 else np.nan if unbiased == "0 / 0 for one frame" else 1
    roots = {"ε outside the root": np.sqrt(variance) + epsilon, "square root forgotten": variance + epsilon}
    scale = 1 / ex.choice(mistakes, roots, np.sqrt(variance + epsilon))
    hat = (x if "mean not subtracted" in mistakes else centred) * scale
    g = dy if "γ forgotten (everywhere)" in mistakes else gamma * dy

    def factor(path: str) -> float:
        factors = {
            "statistics treated as constants": 0, f"path through the {path} forgotten": 0,
            f"sum in place of a mean ({path})": bt, "sum in place of a mean (both paths)": bt,
            f"sign of a path ({path})": -1, f"factor 2 forgotten ({path})": 0.5,
            "padding counted (paths divided by B T)": bt / (B * T),
        }  # fmt: skip
        return float(np.prod([value for mistake, value in factors.items() if mistake in mistakes]))

    def old(gradient: str, path: str) -> np.ndarray:
        kinds = {f"old gradient in dx ({kind})" for kind in (path, "both paths")}
        return a[gradient] * gamma / bt if mistakes & kinds else 0 * gamma

    through = dy if "γ forgotten (both paths)" in mistakes else g
    of_mean = factor("mean") * (mean(through) + old("dbeta", "mean"))
    of_variance = factor("variance") * (mean(through * hat) + old("dgamma", "variance"))
    dx = (1 if "factor s forgotten" in mistakes else scale) * (g - of_mean - hat * of_variance)
    dx = dx * (gamma if "γ applied twice" in mistakes else 1) * (bt if "division by n forgotten" in mistakes else 1)
    if not mistakes & {"writes past the end", "padding counted (in dx too)"}:
        dx = np.where(real, dx, 0)
    weight = (gamma if "γ in dγ" in mistakes else 1) * (x if "x in place of x̂" in mistakes else hat)
    share = bt if "mean in place of a sum" in mistakes else 1
    dgamma = np.where(summed, dy * weight, 0).sum(axis=(0, 1)) / share
    dbeta = np.where(summed, dy, 0).sum(axis=(0, 1)) / share
    dgamma, dbeta = (dbeta, dgamma) if "dγ and dβ exchanged" in mistakes else (dgamma, dbeta)
    return {"dx": dx, **ex.added(a, {"dgamma": dgamma, "dbeta": dbeta}, mistakes)}


def arguments(lengths: tuple[int, ...], F: int, spare: int = 0, seed: int = 0, epsilon: float = 0.1) -> ex.Arguments:
    """NaN past the ends of x and dy; features of different mean and spread."""
    rng = np.random.default_rng(seed)
    B, T = len(lengths), max(lengths) + spare
    x = rng.uniform(0.5, 2, F) * rng.standard_normal((B, T, F)) + rng.standard_normal(F)
    dy = rng.standard_normal((B, T, F)) + 0.5
    ex.hide_padding(lengths, x, dy)
    return {
        "dy": dy, "x": x, "lengths": np.array(lengths, np.int64), "gamma": rng.uniform(0.5, 1.5, F),
        "epsilon": epsilon, "dgamma": rng.standard_normal(F), "dbeta": rng.standard_normal(F),
    }  # fmt: skip


def gradients() -> list[ex.Differences]:
    """Every coordinate of a small batch."""
    a = arguments((4, 1, 3), F=3, spare=1, seed=20)
    real = np.arange(a["x"].shape[1]) < a["lengths"][:, None]

    def forward(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
        _, mean, variance = mean_and_variance(x[real], 0)
        y = np.zeros_like(x)
        y[real] = gamma * (x[real] - mean) / np.sqrt(variance + a["epsilon"]) + beta
        return y

    inputs = {"x": a["x"], "gamma": a["gamma"], "beta": a["dbeta"]}
    return [ex.Differences(forward=forward, inputs=inputs, arguments=a, options={"time_axis": {"x": 1}})]


EXERCISE = ex.CpuExercise(
    cases=lambda: {
        "3 utterances of 4, 2 and 3 frames": arguments((4, 2, 3), F=3, spare=1),
        "one frame": arguments((1,), F=2, seed=1),
        "equal lengths": arguments((3, 3), F=2, seed=2),
        "usual epsilon": arguments((5, 2), F=4, seed=3, epsilon=1e-5),
        "random shape 1": arguments((5, 1, 5, 3), F=3, spare=1, seed=10),
        "random shape 2": arguments((6, 1), F=2, spare=1, seed=11),
        "random shape 3": arguments((3, 1, 1), F=1, seed=12),
    },
    reference=backward,
    parts=PARTS,
    axes={"dx": ("utterance", "frame", "feature"), "dgamma": ("feature",), "dbeta": ("feature",)},
    gradients=gradients,
    timed=lambda: arguments((40, 30, 25, 10), F=64, seed=30),
    suspect=lambda trial, wrong: "statistics" if {"dx", "dgamma"} <= set(wrong) else wrong[0],  # both contain x̂
)
