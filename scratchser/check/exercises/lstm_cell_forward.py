"""One step of an LSTM."""

import numpy as np

from scratchser.check.exercises.exercise import Arguments, CpuExercise, Mistakes, Outputs, Part, choice
from scratchser.reference.lstm import sigmoid

GATES = "ifgo"  # the order in which z and the gates are stored
ORDERS = {  # mistake -> which gate stands where
    f"swapped gate order ({order})": tuple(map(GATES.index, order))
    for order in ("ifog", "igfo", "figo", "iogf", "gifo", "fiog", "ofgi", "gfio")
}
SWAPPED = {
    mistake: f"the four parts are i f g o; these numbers follow from {mistake[-5:-1]}, one gate after the other."
    for mistake in ORDERS
}
MISTAKES = {
    **{mistake: hint for mistake, hint in SWAPPED.items() if "figo" not in mistake},  # that is f and i exchanged
    "σ in place of tanh for g": "the candidate g goes through tanh: it may be negative.",
    "σ forgotten": "i, f and o go through σ, g through tanh.",
    "tanh of the cell state forgotten": "h = o tanh c.",
    "off by one step": "h is computed from the new cell state, not from the previous one.",
    "missing accumulate": "c = f c_before + i g: the old state is missing.",
    "f and i exchanged": "f multiplies the old state, i the candidate; i is the first part of z, f the second.",
    "input gate forgotten": "multiply the candidate by i before you add it.",
    "forget gate forgotten": "multiply the old state by f before you add the candidate.",
}


def cell(a: Arguments, mistakes: Mistakes) -> Outputs:
    order, before = choice(mistakes, ORDERS, (0, 1, 2, 3)), a["c"]
    parts = np.split(a["z"], 4, axis=1)
    i, f, g, o = (parts[order.index(gate)] for gate in range(4))
    g = sigmoid(g) if "σ in place of tanh for g" in mistakes else np.tanh(g)
    if "σ forgotten" not in mistakes:
        i, f, o = sigmoid(i), sigmoid(f), sigmoid(o)
    c = choice(
        mistakes,
        {
            "missing accumulate": i * g,
            "f and i exchanged": i * before + f * g,
            "input gate forgotten": f * before + g,
            "forget gate forgotten": before + i * g,
        },
        f * before + i * g,
    )
    state = before if "off by one step" in mistakes else c
    h = o * (state if "tanh of the cell state forgotten" in mistakes else np.tanh(state))
    return {"gates": np.concatenate([(i, f, g, o)[gate] for gate in order], axis=1), "c_after": c, "h": h}


def arguments(B: int, H: int, seed: int = 0) -> Arguments:
    rng = np.random.default_rng(seed)
    return {"z": 2 * rng.standard_normal((B, 4 * H)), "c": rng.standard_normal((B, H))}


EXERCISE = CpuExercise(
    cases=lambda: {
        "3 utterances, 4 units": arguments(3, 4, seed=0),
        "one of each": arguments(1, 1, seed=1),
        "5 utterances, 1 unit": arguments(5, 1, seed=2),
        "random shape 1": arguments(6, 6, seed=3),
        "random shape 2": arguments(4, 3, seed=4),
        "random shape 3": arguments(2, 2, seed=5),
    },
    reference=cell,
    parts={"": Part("", "", "", MISTAKES)},
    axes={"gates": ("utterance", "gate unit"), "c_after": ("utterance", "unit"), "h": ("utterance", "unit")},
    timed=lambda: arguments(16, 64),
)
