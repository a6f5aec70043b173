"""Softmax cross-entropy with soft targets and weights: the loss and its gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchser import gradcheck, reference
from scratchser.check.exercises.exercise import Arguments, Exercise, Mistake, Outputs
from scratchser.kernels import softmax

MISTAKES = {
    "sum": Mistake("factor 1/B forgotten", "the loss is divided by the batch size, and so is its gradient."),
    "weights": Mistake("weights forgotten", "utterance b counts weight[b] times."),
    "divided by weights": Mistake(
        "divided by the sum of weights", "the sum is divided by B, whatever the weights are."
    ),
    "mass": Mistake(
        "targets taken for distributions", "dlogits = w / B (p Σ_j t[j] - t): here the targets need not sum to 1."
    ),
    "hard": Mistake(
        "hard targets", "the target is a distribution: every class counts with its share, not the largest alone."
    ),
    "sign": Mistake("sign", "the loss is -Σ t log p, which is positive; its gradient is p - t."),
    "entropy of p": Mistake("p and t exchanged", "the cross-entropy is -Σ t log p, not -Σ p log t or -Σ p log p."),
    "no log": Mistake("logarithm forgotten", "the cross-entropy is -Σ t log p."),
    "p of batch": Mistake(
        "softmax over the wrong axis", "the probabilities of one utterance sum to 1: sum over its classes."
    ),
    "first row": Mistake("missing accumulate", "the loss is the sum over all utterances: +=."),
    "through p": Mistake(
        "derivative of p twice", "with cross-entropy behind the softmax the derivative is p - t already."
    ),
}


def stable(logits: np.ndarray, axis: int = 1) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def loss(a: Arguments, mistake: str) -> Outputs:
    z, t, w = a["logits"], a["target"], a["weight"]
    B = len(z)
    p = stable(z, axis=0 if mistake == "p of batch" else 1)
    log_p = z - z.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    if mistake == "p of batch":
        log_p = np.log(np.maximum(p, np.finfo(float).tiny))
    if mistake == "hard":
        t = np.eye(t.shape[1])[t.argmax(axis=1)]
    w = np.ones(B) if mistake == "weights" else w
    divisor = {"sum": 1, "divided by weights": w.sum()}.get(mistake, B)
    rows = -(t * (p if mistake == "no log" else log_p)).sum(axis=1)
    if mistake == "entropy of p":
        rows = -(p * log_p).sum(axis=1)
    rows = w * rows / divisor
    mass = 1 if mistake == "mass" else t.sum(axis=1, keepdims=True)
    dz = w[:, None] / divisor * (p * mass - t)
    if mistake == "through p":
        dz = dz * p * (1 - p)
    sign = -1 if mistake == "sign" else 1
    total = rows[-1] if mistake == "first row" else rows.sum()
    return {"loss": np.asarray(sign * total), "dlogits": sign * dz}


def arguments(B: int, K: int, seed: int = 0, mass: float = 0.6, loud: float = 2.0) -> Arguments:
    rng = np.random.default_rng(seed)
    target = mass * rng.dirichlet(np.ones(K), B)
    return {"logits": loud * rng.standard_normal((B, K)), "target": target, "weight": rng.uniform(0.2, 1, B)}


def cases() -> dict[str, Arguments]:
    rng = np.random.default_rng(2)
    found = {
        "5 utterances, 4 classes": arguments(5, 4, 1),
        "one utterance, 2 classes": arguments(1, 2, 2),
        "targets sum to 1": arguments(4, 3, 3, mass=1),
    }
    for n in range(3):
        B, K = (int(i) for i in rng.integers(2, 8, 2))
        found[f"random shape {n + 1}"] = arguments(B, K, 10 + n)
    found["large scores: exp overflows"] = arguments(4, 3, 4, loud=1000)
    return found


def differences(function: Callable[[Arguments], Outputs]) -> list[gradcheck.GradientReport]:
    a = arguments(5, 4, 20)

    def forward(logits: np.ndarray) -> float:
        return float(reference.softmax.loss(logits, a["target"], a["weight"]))

    def gradients(dy: np.ndarray, logits: np.ndarray) -> dict[str, np.ndarray]:
        return {"logits": dy * function({**a, "logits": logits})["dlogits"]}

    return gradcheck.check(forward, gradients, {"logits": a["logits"]})


def ours(a: Arguments) -> Callable[[], Any]:
    return lambda: softmax.loss(*a.values())


SOFTMAX_LOSS = Exercise(
    name="softmax_loss",
    parameters=("logits", "target", "weight"),
    returns=("loss", "dlogits"),
    cases=cases,
    truth=loss,
    mistakes=MISTAKES,
    axes={"dlogits": ("utterance", "class")},
    gradients=differences,
    differences=1,
    timed=lambda: arguments(64, 4),
    ours=ours,
)
