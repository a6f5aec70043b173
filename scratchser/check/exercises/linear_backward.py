"""The dense layer's backward pass."""

import numpy as np

from scratchser import reference
from scratchser.check.exercises.exercise import (
    SUMS,
    Arguments,
    CpuExercise,
    Differences,
    Mistakes,
    Outputs,
    Part,
    added,
)
from scratchser.kernels import linear

MISTAKES = {
    **SUMS,
    "missing accumulate (last utterance, start lost)": "= keeps the last utterance only: add up all of them with +=.",
    "missing accumulate (last class)": "= keeps the last class only: dx is a sum over the classes, use +=.",
    "transposed index in W": "dx = dy Wᵀ.",
    "transposed index in dW": "dW is [feature, class]: dW = xᵀ dy.",
}


def backward(a: Arguments, mistakes: Mistakes) -> Outputs:
    dy, x, W = a["dy"], a["x"], a["W"]
    square = W.shape[0] == W.shape[1]
    dx = dy @ (W if "transposed index in W" in mistakes and square else W.T)
    dW, db = x.T @ dy, dy.sum(axis=0)
    if "missing accumulate (last class)" in mistakes:
        dx = np.outer(dy[:, -1], W[:, -1])
    if mistakes & {"missing accumulate (last utterance)", "missing accumulate (last utterance, start lost)"}:
        dW, db = np.outer(x[-1], dy[-1]), dy[-1]
    if "transposed index in dW" in mistakes and square:
        dW = dW.T
    if "missing accumulate (last utterance, start lost)" in mistakes:
        return {"dx": dx, "dW": dW, "db": db}
    return {"dx": dx, **added(a, {"dW": dW, "db": db}, mistakes)}


def arguments(B: int, D: int, K: int, seed: int = 0) -> Arguments:
    rng = np.random.default_rng(seed)
    shapes = {"dy": (B, K), "x": (B, D), "W": (D, K), "dW": (D, K), "db": (K,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def gradients() -> list[Differences]:
    a = arguments(4, 5, 3, seed=9)
    inputs = {"x": a["x"], "W": a["W"], "b": a["db"]}
    return [Differences(forward=reference.linear.forward, inputs=inputs, arguments=a)]


EXERCISE = CpuExercise(
    # as many features as classes in the first: a transposed index gives wrong numbers there, and no error
    cases=lambda: {
        "as many features as classes": arguments(4, 3, 3, seed=0),
        "one of each": arguments(1, 1, 1, seed=1),
        "5 utterances, 7 features, 2 classes": arguments(5, 7, 2, seed=2),
        "random shape 1": arguments(5, 5, 7, seed=3),
        "random shape 2": arguments(9, 1, 2, seed=4),
        "random shape 3": arguments(8, 9, 3, seed=5),
        "random shape 4": arguments(3, 8, 4, seed=6),
    },
    reference=backward,
    parts={"": Part("", "", "", MISTAKES)},
    axes={"dx": ("utterance", "feature"), "dW": ("feature", "class"), "db": ("class",)},
    gradients=gradients,
    timed=lambda: arguments(32, 64, 4),
    package=linear.backward,
)
