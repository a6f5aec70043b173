"""One step of SGD with Nesterov momentum and L2 regularisation, in place."""

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.kernels import nesterov

PARTS = {
    "W": ex.Part("How far does W move, in which direction, and with which v?",
        "W = W - ρ (g + μ v), with the new v.",
        "W[i] -= learning_rate[s] * (g + momentum * V[i])", {
        "momentum without looking ahead": "W moves by ρ (g + μ v) with the new v; ρ v is plain momentum.",
        "momentum forgotten in the step": "W moves by ρ (g + μ v), not by ρ g.",
        "sign": "W moves against the gradient: W - ρ (g + μ v).",
        "learning rate forgotten": "W moves by ρ (g + μ v).",
    }),
    "V": ex.Part("What is added to v, and which part of the old v stays?",
        "g = dW + λ W, then v = μ v + g.",
        "g = dW[i] + l2[s] * W[i], then V[i] = momentum * V[i] + g", {
        "momentum forgotten": "v = μ v + g keeps a part of the previous step.",
        "momentum factor forgotten": "only the part μ of the old v stays: v = μ v + g.",
        "sign of the momentum": "v = μ v + g: the old v is added.",
        "sign of v": "v sums gradients: v = μ v + g and W = W - ρ (g + μ v). Here v is the negative of that.",
        "gradient times 1 - μ": "v = μ v + g: g counts fully.",
        "learning rate inside v": "v sums gradients, not steps: multiply by the learning rate when W moves.",
        "L2 forgotten": "g = dW + λ W.",
        "factor 2 in L2": "g = dW + λ W, without a 2.",
        "factor 1/2 in L2": "g = dW + λ W: the derivative of λ/2 W² is λ W.",
        "sign of L2": "g = dW + λ W: L2 makes weights smaller.",
        "L2 outside of the momentum": "λ W is part of g, so that v contains it like the gradient.",
    }),
    "segments": ex.Part("Which learning rate and which L2 does element i have?",
        "Segment s is [ends[s-1], ends[s]), and has learning_rate[s] and l2[s].",
        "for s in range(len(ends)): for i in range(start, ends[s]): ..., then start = ends[s]", {
        "segments ignored": "each segment has its own learning rate and L2: ends[s] is the end of segment s.",
        **ex.variants("off by one at the segments' ends", "segment s is [ends[s-1], ends[s]): ends[s] belongs to the "
            "next one, and is its first element.", "end", "start"),
        "first segment only": "go through all segments: the next one begins at the end of this one.",
    }),
    "dW": ex.Part("What must dW contain when the next step begins?",
        "dW = 0 at the end: the next gradients are added to it.",
        "dW[i] = 0",
        {"gradient not cleared": "write 0 to dW at the end, dW[:] = 0: the gradients of the next step are added."},
    ),
}  # fmt: skip


def step(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    W, V, dW, mu = a["W"], a["V"], a["dW"], a["momentum"]
    ends = a["ends"] + ("off by one at the segments' ends (end)" in mistakes)
    segment = np.searchsorted(ends, np.arange(len(W)), side="right")
    done = segment == 0 if "first segment only" in mistakes else segment < len(ends)
    done &= ~np.isin(np.arange(len(W)), ends if "off by one at the segments' ends (start)" in mistakes else [])
    segment = np.zeros_like(segment) if "segments ignored" in mistakes else np.minimum(segment, len(ends) - 1)
    learning_rate, l2 = a["learning_rate"][segment], a["l2"][segment]
    factors = {"L2 forgotten": 0, "factor 2 in L2": 2, "factor 1/2 in L2": 0.5, "sign of L2": -1}
    decay = ex.choice(mistakes, factors, 1) * l2 * W
    outside = "L2 outside of the momentum" in mistakes
    g = dW + (0 if outside else decay)
    rate = np.ones_like(W) if "learning rate forgotten" in mistakes else learning_rate
    g, rate = (rate * g, np.ones_like(W)) if "learning rate inside v" in mistakes else (g, rate)
    kept = {"momentum forgotten": 0, "momentum factor forgotten": 1, "sign of the momentum": -mu}
    sign = -1 if "sign of v" in mistakes else 1
    v = ex.choice(mistakes, kept, mu) * V + sign * (1 - mu if "gradient times 1 - μ" in mistakes else 1) * g
    move = g if "momentum forgotten in the step" in mistakes else g + sign * mu * v
    move = sign * v if "momentum without looking ahead" in mistakes else move
    move = rate * (move + decay if outside else move)
    new = W + move if "sign" in mistakes else W - move
    cleared = dW if "gradient not cleared" in mistakes else np.zeros_like(dW)
    return {name: np.where(done, *pair) for name, pair in {"W": (new, W), "V": (v, V), "dW": (cleared, dW)}.items()}


def arguments(sizes: tuple[int, ...], seed: int = 0) -> ex.Arguments:
    rng = np.random.default_rng(seed)
    n, G = sum(sizes), len(sizes)
    vectors = {name: rng.standard_normal(n) for name in ("W", "V", "dW")}
    settings = {"learning_rate": rng.uniform(0.1, 1, G), "l2": rng.uniform(0.1, 1, G)}
    return {**vectors, "ends": np.cumsum(sizes), **settings, "momentum": 0.8}


EXERCISE = ex.CpuExercise(
    cases=lambda: {
        "three segments": arguments((4, 3, 5)),
        "one segment": arguments((6,), 1),
        "an empty segment": arguments((2, 0, 3), 2),
        "random shape 1": arguments((5, 5, 3), 10),
        "random shape 2": arguments((3, 6, 3, 4, 8), 11),
    },
    reference=step,
    parts=PARTS,
    axes={"W": ("parameter",), "V": ("parameter",), "dW": ("parameter",)},
    suspect=lambda trial, wrong: "segments" if len(wrong) == 3 else "V" if "V" in wrong else wrong[0],  # V changes W
    timed=lambda: arguments((3000, 40, 7000)),
    package=nesterov.step,
)
