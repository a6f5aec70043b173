"""One step of an LSTM."""

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.reference.lstm import sigmoid

GATES = "ifgo"  # the order in which z and the gates are stored
ORDERS = {  # mistake -> which gate stands where
    f"swapped gate order ({order})": tuple(map(GATES.index, order))
    for order in ("ifog", "igfo", "figo", "iogf", "gifo", "fiog", "ofgi", "gfio")
}
SWAPPED = {
    mistake: f"the four parts are i f g o; these numbers follow from the order {' '.join(mistake[-5:-1])}."
    for mistake in ORDERS
}
PARTS = {
    "gates": ex.Part("Which part of z belongs to which gate, and through which function does it go?",
        "i, f, g, o = σ, σ, tanh, σ of the four parts of z, in this order.",
        "i, f, g, o = np.split(z, 4, axis=1), then σ of i, f, o and tanh of g", {
        **{mistake: hint for mistake, hint in SWAPPED.items() if "figo" not in mistake},  # f and i exchanged
        "σ in place of tanh for g": "the candidate g goes through tanh: it may be negative.",
        "tanh in place of σ": "i, f and o go through σ: they lie between 0 and 1.",
        "σ forgotten": "i, f and o go through σ, g through tanh.",
        "σ applied twice": "i, f and o go through σ once.",
        "tanh of g forgotten": "g goes through tanh.",
        "tanh applied twice (g)": "g goes through tanh once.",
        "tanh applied twice (g, for c only)": "g went through tanh already.",
        "sign in σ": "σ(z) = 1 / (1 + exp(-z)).",
    }),
    "c_after": ex.Part("What does the cell keep of its old state, and what comes new?",
        "c_after = f c + i g.",
        "c_after = f * c + i * g", {
        "accumulation forgotten": "c = f c_before + i g: the old state is missing.",
        "f and i exchanged": "f multiplies the old state, i the candidate; i is the first part of z, f the second.",
        "input gate forgotten": "multiply the candidate by i before you add it.",
        **ex.variants("candidate forgotten", "c = f c_before + i g: the new part is i times g.", "i alone", "i too"),
        "forget gate forgotten": "multiply the old state by f before you add the candidate.",
        "forget gate times both": "f multiplies the old state only: c = f c_before + i g.",
    }),
    "h": ex.Part("From which cell state is h computed, and through which function does it go?",
        "h = o tanh c_after.",
        "h = o * tanh(c_after), with the tanh of NumPy or math", {
        "tanh of the cell state forgotten": "h = o tanh c.",
        "tanh applied twice (h)": "h = o tanh c, with one tanh.",
        "tanh of the product": "h = o tanh c: o is outside of the tanh.",
        "σ in place of tanh for c": "h = o tanh c.",
        "output gate forgotten": "h = o tanh c.",
        "c and h exchanged": "return the gates, then c_after, then h.",
        "off by one step": "h is computed from the new cell state, not from the previous one.",
    }),
}  # fmt: skip


def cell(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    order, before = ex.choice(mistakes, ORDERS, (0, 1, 2, 3)), a["c"]
    parts = np.split(a["z"], 4, axis=1)
    i, f, g, o = (parts[order.index(gate)] for gate in range(4))
    g = g if "tanh of g forgotten" in mistakes else (sigmoid if "σ in place of tanh for g" in mistakes else np.tanh)(g)
    g = np.tanh(g) if "tanh applied twice (g)" in mistakes else g
    sign = -1 if "sign in σ" in mistakes else 1
    squash = np.tanh if "tanh in place of σ" in mistakes else sigmoid
    for _ in range(ex.choice(mistakes, {"σ forgotten": 0, "σ applied twice": 2}, 1)):
        i, f, o = squash(sign * i), squash(sign * f), squash(sign * o)
    candidate = np.tanh(g) if "tanh applied twice (g, for c only)" in mistakes else g
    new = candidate if "input gate forgotten" in mistakes else i * candidate
    new = {"i alone": i, "i too": 0 * i}.get(ex.kind(mistakes, "candidate forgotten"), new)
    changes = {
        "accumulation forgotten": new,
        "f and i exchanged": i * before + f * candidate,
        "forget gate forgotten": before + new,
        "forget gate times both": f * (before + new),
    }
    c = ex.choice(mistakes, changes, f * before + new)
    state = before if "off by one step" in mistakes else c
    outside = o**0 if "output gate forgotten" in mistakes else o
    squashed = sigmoid(state) if "σ in place of tanh for c" in mistakes else np.tanh(state)
    squashed = np.tanh(squashed) if "tanh applied twice (h)" in mistakes else squashed
    h = outside * (state if "tanh of the cell state forgotten" in mistakes else squashed)
    h = np.tanh(outside * state) if "tanh of the product" in mistakes else h
    c, h = (h, c) if "c and h exchanged" in mistakes else (c, h)
    return {
        "gates": np.concatenate([(i, f, g, o)[gate] for gate in order], axis=1),
        "c_after": c,
        "h": h,
    }


def arguments(B: int, H: int, seed: int = 0) -> ex.Arguments:
    rng = np.random.default_rng(seed)
    return {"z": 2 * rng.standard_normal((B, 4 * H)), "c": rng.standard_normal((B, H))}


EXERCISE = ex.CpuExercise(
    cases=lambda: {
        "3 utterances, 4 units": arguments(3, 4, seed=0),
        "one of each": arguments(1, 1, seed=1),
        "5 utterances, 1 unit": arguments(5, 1, seed=2),
        "random shape 1": arguments(6, 6, seed=3),
        "random shape 2": arguments(4, 3, seed=4),
    },
    reference=cell,
    parts=PARTS,
    axes={"gates": ("utterance", "gate unit"), "c_after": ("utterance", "unit"), "h": ("utterance", "unit")},
    timed=lambda: arguments(16, 64),
)
