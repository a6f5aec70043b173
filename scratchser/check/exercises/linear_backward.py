"""The dense layer's backward pass."""

import numpy as np

from scratchser import reference
from scratchser.check.exercises import exercise as ex
from scratchser.kernels import linear

PARTS = {
    "dx": ex.Part("Over which index does the sum for dx run, and which array does each factor come from?",
        "dx[b, d] = Σ_k dy[b, k] W[d, k]: a sum over the classes.",
        "dx[b, d] += dy[b, k] * W[d, k]", {
        "accumulation forgotten (last class)": "= keeps the last class only: dx is a sum over the classes, use +=.",
        "transposed index in W": "dx = dy Wᵀ.",
        "x in place of dy": "dx = dy Wᵀ: the gradient of the scores goes back through W.",
    }),
    "dW, db": ex.Part("How often is each product added, and what do dW and db contain before the call?",
        "dW[d, k] += Σ_b x[b, d] dy[b, k] and db[k] += Σ_b dy[b, k]: every utterance once, added to what is there.",
        "dW[d, k] += x[b, d] * dy[b, k], and outside of the loop over d: db[k] += dy[b, k]", {
        **ex.SUMS,
        "accumulation forgotten (last utterance, start lost)": "= keeps the last utterance only: add up all with +=.",
        "transposed index in dW": "dW is [feature, class]: dW = xᵀ dy.",
        "added for every feature": "add dy to db once for each utterance: outside of the loop over the features.",
        "W in place of x": "dW = xᵀ dy: the derivative of x W by W is x.",
        "sign": "y = x W + b: all gradients have the sign of dy.",
        "first utterance forgotten": "the loop over the utterances begins at 0.",
        "last utterance forgotten": "the loop over the utterances ends at B, the number of rows of x.",
    }),
}  # fmt: skip


def backward(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    W, (B, D) = a["W"], a["x"].shape
    rows = slice(int("first utterance forgotten" in mistakes), B - ("last utterance forgotten" in mistakes))
    x, dy = a["x"][rows], (-a["dy"] if "sign" in mistakes else a["dy"])[rows]
    square, dx = W.shape[1] == D, np.zeros_like(a["x"])
    dx[rows] = dy @ (W if "transposed index in W" in mistakes and square else W.T)
    if "x in place of dy" in mistakes:
        dx[rows] = x * W.sum(axis=1)
    if "accumulation forgotten (last class)" in mistakes:
        dx[rows] = np.outer(dy[:, -1], W[:, -1])
    last = mistakes & {"accumulation forgotten (last utterance)", "accumulation forgotten (last utterance, start lost)"}
    x, dy = (x[-1:], dy[-1:]) if last else (x, dy)
    dW, db = x.T @ dy, dy.sum(axis=0) * (D if "added for every feature" in mistakes else 1)
    if "W in place of x" in mistakes:
        dW = W * dy.sum(axis=0)
    if "transposed index in dW" in mistakes and square:
        dW = dW.T
    if "accumulation forgotten (last utterance, start lost)" in mistakes:
        return {"dx": dx, "dW": dW, "db": db}
    return {"dx": dx, **ex.added(a, {"dW": dW, "db": db}, mistakes)}


def arguments(B: int, D: int, K: int, seed: int = 0) -> ex.Arguments:
    rng = np.random.default_rng(seed)
    shapes = {"dy": (B, K), "x": (B, D), "W": (D, K), "dW": (D, K), "db": (K,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def gradients() -> list[ex.Differences]:
    a = arguments(4, 5, 3, seed=9)
    inputs = {"x": a["x"], "W": a["W"], "b": a["db"]}
    return [ex.Differences(forward=reference.linear.forward, inputs=inputs, arguments=a)]


EXERCISE = ex.CpuExercise(
    # as many features as classes in the first: a transposed index gives wrong numbers there, and no error
    cases=lambda: {
        "as many features as classes": arguments(4, 3, 3, seed=0),
        "one of each": arguments(1, 1, 1, seed=1),
        "5 utterances, 7 features, 2 classes": arguments(5, 7, 2, seed=2),
        "random shape 1": arguments(5, 5, 7, seed=3),
        "random shape 2": arguments(9, 1, 2, seed=4),
    },
    reference=backward,
    parts=PARTS,
    axes={"dx": ("utterance", "feature"), "dW": ("feature", "class"), "db": ("class",)},
    gradients=gradients,
    timed=lambda: arguments(32, 64, 4),
    package=linear.backward,
)
