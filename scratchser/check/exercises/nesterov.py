"""One step of SGD with Nesterov momentum and L2, in place."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchser.check.exercises.exercise import Arguments, Exercise, Mistake, Outputs, copied
from scratchser.kernels import nesterov

MISTAKES = {
    "plain": Mistake(
        "momentum without looking ahead", "W moves by ρ (g + μ v), not by ρ v: that would be plain momentum."
    ),
    "no momentum": Mistake("momentum forgotten", "v = μ v + g keeps a part of the step before."),
    "l2": Mistake("L2 forgotten", "g = dW + λ W."),
    "l2 twice": Mistake("factor 2 in L2", "g = dW + λ W, without a 2."),
    "l2 apart": Mistake(
        "L2 outside of the momentum", "λ W is part of g, so that it goes through v as the gradient does."
    ),
    "sign": Mistake("sign", "W moves against the gradient: W - ρ (g + μ v)."),
    "l2 sign": Mistake("sign of L2", "g = dW + λ W: weights are drawn to 0."),
    "learning_rate in v": Mistake(
        "learning rate inside v", "v sums gradients, not steps: the learning rate comes in when W moves."
    ),
    "dW kept": Mistake("gradient not cleared", "dW is 0 afterwards, for the next step's gradients to be added to."),
    "first rate": Mistake("segments ignored", "each segment has its own rate and L2: ends says where it ends."),
    "ends included": Mistake(
        "off by one at the segments' ends", "segment s is [ends[s-1], ends[s]): ends[s] is the next one's first."
    ),
}


def step(a: Arguments, mistake: str) -> Outputs:
    W, V, dW, ends, mu = a["W"], a["V"], a["dW"], a["ends"], a["momentum"]
    owner = np.searchsorted(ends, np.arange(len(W)), side="left" if mistake == "ends included" else "right")
    owner = np.zeros_like(owner) if mistake == "first rate" else owner
    learning_rate, l2 = a["learning_rate"][owner], a["l2"][owner]
    decay = {"l2": 0, "l2 twice": 2, "l2 sign": -1, "l2 apart": 0}.get(mistake, 1) * l2 * W
    g = dW + decay
    v = g if mistake == "no momentum" else mu * V + (learning_rate * g if mistake == "learning_rate in v" else g)
    move = {"plain": v, "l2 apart": g + mu * v + l2 * W}.get(mistake, g + mu * v)
    if mistake == "learning_rate in v":
        new = W - (learning_rate * g + mu * v)
    else:
        new = W + learning_rate * move if mistake == "sign" else W - learning_rate * move
    return {"W": new, "V": v, "dW": dW.copy() if mistake == "dW kept" else np.zeros_like(dW)}


def arguments(sizes: tuple[int, ...], seed: int = 0) -> Arguments:
    rng = np.random.default_rng(seed)
    n, G = sum(sizes), len(sizes)
    numbers = {name: rng.standard_normal(n) for name in ("W", "V", "dW")}
    learning_rates = {"learning_rate": rng.uniform(0.1, 1, G), "l2": rng.uniform(0.1, 1, G)}
    return {**numbers, "ends": np.cumsum(sizes), **learning_rates, "momentum": 0.8}


def cases() -> dict[str, Arguments]:
    rng = np.random.default_rng(6)
    found = {
        "three segments": arguments((4, 3, 5)),
        "one segment": arguments((6,), 1),
        "an empty segment": arguments((2, 0, 3), 2),
    }
    for n in range(3):
        found[f"random shape {n + 1}"] = arguments(
            tuple(int(i) for i in rng.integers(1, 9, rng.integers(2, 6))), 10 + n
        )
    return found


def ours(a: Arguments) -> Callable[[], Any]:
    given = copied(a)
    return lambda: nesterov.step(*given.values())


NESTEROV = Exercise(
    name="nesterov",
    parameters=("W", "V", "dW", "ends", "learning_rate", "l2", "momentum"),
    returns=(),
    changes=("W", "V", "dW"),
    cases=cases,
    truth=step,
    mistakes=MISTAKES,
    axes={"W": ("parameter",), "V": ("parameter",), "dW": ("parameter",)},
    timed=lambda: arguments((3000, 40, 7000)),
    ours=ours,
)
