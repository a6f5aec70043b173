"""One step of SGD with Nesterov momentum and L2 regularisation, in place."""

import numpy as np

from scratchser.check.exercises.exercise import Arguments, CpuExercise, Mistakes, Outputs, Part, choice
from scratchser.kernels import nesterov

MISTAKES = {
    "momentum without looking ahead": "W moves by ρ (g + μ v), not by ρ v, which is plain momentum.",
    "momentum forgotten": "v = μ v + g keeps a part of the previous step.",
    "L2 forgotten": "g = dW + λ W.",
    "factor 2 in L2": "g = dW + λ W, without a 2.",
    "L2 outside of the momentum": "λ W is part of g, so that v contains it like the gradient.",
    "sign": "W moves against the gradient: W - ρ (g + μ v).",
    "sign of L2": "g = dW + λ W: L2 makes weights smaller.",
    "learning rate inside v": "v sums gradients, not steps: multiply by the learning rate when W moves.",
    "gradient not cleared": "set dW to 0 afterwards: the gradients of the next step are added to it.",
    "segments ignored": "each segment has its own learning rate and L2: ends[s] is the end of segment s.",
    "off by one at the segments' ends": "segment s is [ends[s-1], ends[s]): ends[s] belongs to the next one.",
}


def step(a: Arguments, mistakes: Mistakes) -> Outputs:
    W, V, dW, ends, mu = a["W"], a["V"], a["dW"], a["ends"], a["momentum"]
    ends = ends + ("off by one at the segments' ends" in mistakes)
    segment = np.searchsorted(ends, np.arange(len(W)), side="right")
    segment = np.zeros_like(segment) if "segments ignored" in mistakes else segment
    learning_rate, l2 = a["learning_rate"][segment], a["l2"][segment]
    factor = choice(
        mistakes, {"L2 forgotten": 0, "factor 2 in L2": 2, "sign of L2": -1, "L2 outside of the momentum": 0}, 1
    )
    g = dW + factor * l2 * W
    inside = "learning rate inside v" in mistakes
    v = (learning_rate * g if inside else g) + (0 if "momentum forgotten" in mistakes else mu * V)
    move = learning_rate * (g + mu * v)
    if inside:
        move = learning_rate * g + mu * v
    if "momentum without looking ahead" in mistakes:
        move = learning_rate * v
    if "L2 outside of the momentum" in mistakes:
        move = learning_rate * (g + mu * v + l2 * W)
    new = W + move if "sign" in mistakes else W - move
    return {"W": new, "V": v, "dW": dW.copy() if "gradient not cleared" in mistakes else np.zeros_like(dW)}


def arguments(sizes: tuple[int, ...], seed: int = 0) -> Arguments:
    rng = np.random.default_rng(seed)
    n, G = sum(sizes), len(sizes)
    vectors = {name: rng.standard_normal(n) for name in ("W", "V", "dW")}
    settings = {"learning_rate": rng.uniform(0.1, 1, G), "l2": rng.uniform(0.1, 1, G)}
    return {**vectors, "ends": np.cumsum(sizes), **settings, "momentum": 0.8}


EXERCISE = CpuExercise(
    cases=lambda: {
        "three segments": arguments((4, 3, 5)),
        "one segment": arguments((6,), 1),
        "an empty segment": arguments((2, 0, 3), 2),
        "random shape 1": arguments((5, 5, 3), 10),
        "random shape 2": arguments((3, 6, 3, 4, 8), 11),
        "random shape 3": arguments((6, 4), 12),
    },
    reference=step,
    parts={"": Part("", "", "", MISTAKES)},
    axes={"W": ("parameter",), "V": ("parameter",), "dW": ("parameter",)},
    timed=lambda: arguments((3000, 40, 7000)),
    package=nesterov.step,
)
