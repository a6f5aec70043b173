"""The dense layer's backward pass."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchser import gradcheck, reference
from scratchser.check.exercises.exercise import Arguments, Exercise, Mistake, Outputs
from scratchser.kernels import linear

MISTAKES = {
    "start lost": Mistake(
        "missing accumulate", "what stood in the parameter's gradient before the call is lost: += instead of =."
    ),
    "last utterance": Mistake(
        "missing accumulate", "= keeps the last utterance only: a gradient is the sum over all of them, +=."
    ),
    "last utterance added": Mistake(
        "missing accumulate", "only the last utterance is added to what was there: sum over all of them."
    ),
    "last class": Mistake("missing accumulate", "= keeps the last class only: dx sums over the classes, +=."),
    "W": Mistake("transposed index in W", "dx = dy Wᵀ."),
    "dW": Mistake("transposed index in dW", "dW is [feature, class]: dW = xᵀ dy."),
    "mean": Mistake("divided by the batch size", "the loss has its 1 / B already; here gradients are summed."),
}


def backward(a: Arguments, mistake: str) -> Outputs:
    dy, x, W = a["dy"], a["x"], a["W"]
    square = W.shape[0] == W.shape[1]
    dx = dy @ (W if mistake == "W" and square else W.T)
    dW, db = x.T @ dy, dy.sum(axis=0)
    if mistake == "last class":
        dx = np.outer(dy[:, -1], W[:, -1])
    if mistake.startswith("last utterance"):
        dW, db = np.outer(x[-1], dy[-1]), dy[-1]
    if mistake == "dW" and square:
        dW = dW.T
    if mistake == "mean":
        dW, db = dW / len(x), db / len(x)
    start = 0 if mistake in ("start lost", "last utterance") else 1
    return {"dx": dx, "dW": start * a["dW"] + dW, "db": start * a["db"] + db}


def arguments(B: int, D: int, K: int, seed: int = 0) -> Arguments:
    rng = np.random.default_rng(seed)
    shapes = {"dy": (B, K), "x": (B, D), "W": (D, K), "dW": (D, K), "db": (K,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def cases() -> dict[str, Arguments]:
    """As many features as classes in the first: there a transposed index is a wrong number and not an error."""
    rng = np.random.default_rng(1)
    shapes = {
        "as many features as classes": (4, 3, 3),
        "one of each": (1, 1, 1),
        "5 utterances, 7 features, 2 classes": (5, 7, 2),
    }
    for n in range(4):
        shapes[f"random shape {n + 1}"] = tuple(int(i) for i in rng.integers(1, 10, 3))  # type: ignore[assignment]
    return {name: arguments(*shape, seed=n) for n, (name, shape) in enumerate(shapes.items())}


def differences(function: Callable[[Arguments], Outputs]) -> list[gradcheck.GradientReport]:
    def gradients(dy: np.ndarray, x: np.ndarray, W: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        got = function({"dy": dy, "x": x, "W": W, "dW": np.zeros_like(W), "db": np.zeros_like(b)})
        return {"x": got["dx"], "W": got["dW"], "b": got["db"]}

    a = arguments(4, 5, 3, seed=9)
    return gradcheck.check(reference.linear.forward, gradients, {"x": a["x"], "W": a["W"], "b": a["db"]})


def ours(a: Arguments) -> Callable[[], Any]:
    return lambda: linear.backward(*a.values())


LINEAR_BACKWARD = Exercise(
    name="linear_backward",
    parameters=("dy", "x", "W", "dW", "db"),
    returns=("dx",),
    changes=("dW", "db"),
    cases=cases,
    truth=backward,
    mistakes=MISTAKES,
    axes={"dx": ("utterance", "feature"), "dW": ("feature", "class"), "db": ("class",)},
    gradients=differences,
    differences=3,
    timed=lambda: arguments(32, 64, 4),
    ours=ours,
)
