"""The LSTM's cell, and backprop through time of one direction, as equations that can be wrong on purpose."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchser import gradcheck
from scratchser.check.exercises.exercise import Arguments, Exercise, Mistake, Outputs
from scratchser.kernels import lstm
from scratchser.reference.lstm import sigmoid

ORDERS = {  # which of i f g o stands in each place
    "i f o g": (0, 1, 3, 2),
    "i g f o": (0, 2, 1, 3),
    "f i g o": (1, 0, 2, 3),
    "i o g f": (0, 3, 2, 1),
    "g i f o": (2, 0, 1, 3),
    "f i o g": (1, 0, 3, 2),
    "o f g i": (3, 1, 2, 0),
    "g f i o": (2, 1, 0, 3),
}
SWAPPED = {
    order: Mistake(
        "swapped gate order",
        f"the four parts are i f g o here; these are the numbers of {order}, taken one after the other.",
    )
    for order in ORDERS
}

# ---- the cell -------------------------------------------------------------------------------------------------------

CELL = {
    **{order: swapped for order, swapped in SWAPPED.items() if order != "f i g o"},  # which is f and i exchanged
    "sigmoid g": Mistake("σ in place of tanh for g", "the candidate g goes through tanh: it may be negative."),
    "no sigmoid": Mistake("σ forgotten", "i, f and o go through σ, g through tanh."),
    "no tanh": Mistake("tanh of the cell state forgotten", "h = o tanh c."),
    "old c": Mistake("off by one step", "h is made of the new cell state, not of the one before."),
    "no memory": Mistake("missing accumulate", "c = f c_before + i g: the old state is forgotten altogether."),
    "f and i": Mistake(
        "f and i exchanged", "f multiplies the old state, i the candidate; i is the first part of z, f the second."
    ),
    "no input gate": Mistake("input gate forgotten", "the candidate is multiplied by i before it is added."),
    "no forget gate": Mistake(
        "forget gate forgotten", "the old state is multiplied by f before the candidate is added."
    ),
}


def cell(a: Arguments, mistake: str) -> Outputs:
    z, before = a["z"], a["c"]
    i, f, g, o = np.split(z, 4, axis=1)
    if mistake in ORDERS:
        parts = np.split(z, 4, axis=1)
        i, f, g, o = (parts[ORDERS[mistake].index(n)] for n in range(4))
    g = sigmoid(g) if mistake == "sigmoid g" else np.tanh(g)
    i, f, o = (i, f, o) if mistake == "no sigmoid" else (sigmoid(i), sigmoid(f), sigmoid(o))
    gates = {n: part for n, part in enumerate((i, f, g, o))}
    order = ORDERS.get(mistake, (0, 1, 2, 3))
    c = {
        "no memory": i * g,
        "f and i": i * before + f * g,
        "no input gate": f * before + g,
        "no forget gate": before + i * g,
    }.get(mistake, f * before + i * g)
    seen = before if mistake == "old c" else c
    h = o * (seen if mistake == "no tanh" else np.tanh(seen))
    return {"gates": np.concatenate([gates[n] for n in order], axis=1), "c_after": c, "h": h}


def cell_cases() -> dict[str, Arguments]:
    rng = np.random.default_rng(0)
    shapes = {"3 utterances, 4 units": (3, 4), "one of each": (1, 1), "5 utterances, 1 unit": (5, 1)}
    for n in range(3):
        shapes[f"random shape {n + 1}"] = (int(rng.integers(1, 7)), int(rng.integers(2, 9)))
    return {name: cell_arguments(*shape, seed=n) for n, (name, shape) in enumerate(shapes.items())}


def cell_arguments(B: int, H: int, seed: int = 0) -> Arguments:
    rng = np.random.default_rng(seed)
    return {"z": 2 * rng.standard_normal((B, 4 * H)), "c": rng.standard_normal((B, H))}


LSTM_CELL_FORWARD = Exercise(
    name="lstm_cell_forward",
    parameters=("z", "c"),
    returns=("gates", "c_after", "h"),
    cases=cell_cases,
    truth=cell,
    mistakes=CELL,
    axes={"gates": ("utterance", "gate unit"), "c_after": ("utterance", "unit"), "h": ("utterance", "unit")},
    timed=lambda: cell_arguments(16, 64),
)

# ---- backprop through time ------------------------------------------------------------------------------------------

WRAPS = Mistake(
    "negative index", "NumPy takes index -1 for the last frame: in front of the first step stand h0 and c0."
)
BACKWARD = {
    **SWAPPED,
    "h after": Mistake(
        "off by one in time", "dWh pairs dz[n] with h[n-1], the state that went into step n, not with h[n]."
    ),
    "c after": Mistake("off by one in time", "the forget gate multiplied c[n-1], not c[n]."),
    "f now": Mistake("off by one in time", "dc comes from step n+1 times f[n+1], the gate of that step."),
    "no carry of c": Mistake("cell state not carried", "dc of step n+1 goes on to step n, times f[n+1]."),
    "no carry of h": Mistake("state not carried", "dz of step n+1 goes on to step n: dh = dy[n] + dz[n+1] Whᵀ."),
    "no forget gate": Mistake("forget gate forgotten", "dc of step n+1 is multiplied by f[n+1] on its way to step n."),
    "first h zero": Mistake("initial state forgotten", "in front of an utterance's first step stands h0."),
    "first c zero": Mistake("initial state forgotten", "in front of an utterance's first step stands c0."),
    "y wraps": WRAPS,
    "c wraps": WRAPS,
    "both wrap": WRAPS,
    "lengths": Mistake("length mask forgotten", "an utterance's walk back begins at its own last frame, length - 1."),
    "leak": Mistake("state of another utterance", "dh and dc are 0 when an utterance's walk back begins."),
    "no tanh'": Mistake(
        "derivative of tanh c forgotten", "from h to c: dc = dh o (1 - tanh² c) + what comes from step n+1."
    ),
    "no sigmoid'": Mistake("derivative of σ forgotten", "from i to its z: times i (1 - i); likewise f and o."),
    "no g'": Mistake("derivative of tanh for g forgotten", "from g to its z: times 1 - g²."),
    "last dy": Mistake("missing accumulate", "every frame's dy is added to dh, not the last one's alone."),
    "dy lost": Mistake("missing accumulate", "dh is dy[n] and what comes from step n+1: added, not put in its place."),
    "dc lost": Mistake(
        "missing accumulate", "dc has two parts, from h and from step n+1: added, not put in its place."
    ),
    "start lost": Mistake(
        "missing accumulate", "what stood in the parameter's gradient before the call is lost: += instead of =."
    ),
    "last utterance": Mistake("missing accumulate", "only the last utterance's sum is kept: += over all of them."),
    "last step": Mistake(
        "missing accumulate", "= keeps the step that comes last, the first frame of the last utterance: += over all."
    ),
    "transposed": Mistake("transposed index in Wx", "dx = dz Wxᵀ."),
    "mean": Mistake("divided by the batch size", "the loss has its 1 / B already; here gradients are summed."),
}


def walk(
    x: np.ndarray, lengths: np.ndarray, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray, h0: np.ndarray, c0: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y and c (B, T, H) and the gates (B, T, 4H) of one direction, zero past the ends."""
    (B, T, _), H = x.shape, Wh.shape[0]
    y, c, gates = np.zeros((B, T, H)), np.zeros((B, T, H)), np.zeros((B, T, 4 * H))
    for u in range(B):
        h, state = h0[u], c0[u]
        for t in range(int(lengths[u])):
            z = x[u, t] @ Wx + h @ Wh + b
            step = cell({"z": z[None], "c": state[None]}, "")
            gates[u, t], state, h = step["gates"][0], step["c_after"][0], step["h"][0]
            y[u, t], c[u, t] = h, state
    return y, c, gates


def backward(a: Arguments, mistake: str) -> Outputs:
    dy, x, lengths, Wx, Wh = a["dy"], a["x"], a["lengths"], a["Wx"], a["Wh"]
    h0, c0, gates, c, y = a["h0"], a["c0"], a["gates"], a["c"], a["y"]
    (B, T, _), H = x.shape, Wh.shape[0]
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(4 * H)
    dh0, dc0 = np.zeros_like(h0), np.zeros_like(c0)
    dh, dc = np.zeros(H), np.zeros(H)
    for u in range(B):
        if mistake != "leak":
            dh, dc = np.zeros(H), np.zeros(H)
        if mistake == "last utterance":
            dWx[:], dWh[:], db[:] = 0, 0, 0
        last = T if mistake == "lengths" else int(lengths[u])
        for t in reversed(range(last)):
            order = ORDERS.get(mistake, (0, 1, 2, 3))
            parts = np.split(gates[u, t], 4)
            i, f, g, o = (parts[order.index(n)] for n in range(4))
            h_before = y[u, t - 1] if t or mistake in ("y wraps", "both wrap") else h0[u] * (mistake != "first h zero")
            c_before = c[u, t - 1] if t or mistake in ("c wraps", "both wrap") else c0[u] * (mistake != "first c zero")
            h_before = y[u, t] if mistake == "h after" else h_before
            c_before = c[u, t] if mistake == "c after" else c_before
            if mistake == "dy lost":
                dh = dy[u, t] if t == last - 1 else dh
            elif mistake != "last dy" or t == last - 1:
                dh = dh + dy[u, t]
            squashed = np.tanh(c[u, t])
            from_h = dh * o * (1 if mistake == "no tanh'" else 1 - squashed**2)
            from_next = dc * f if mistake == "f now" else dc
            dc = from_h if mistake == "dc lost" else from_h + from_next
            of_i, of_f, of_o = (1 if mistake == "no sigmoid'" else gate * (1 - gate) for gate in (i, f, o))
            of_g = 1 if mistake == "no g'" else 1 - g**2
            parts = [dc * g * of_i, dc * c_before * of_f, dc * i * of_g, dh * squashed * of_o]
            dz = np.concatenate([parts[n] for n in order])
            dx[u, t] = dz @ (Wx if mistake == "transposed" and Wx.shape[0] == 4 * H else Wx.T)
            step = np.outer(x[u, t], dz), np.outer(h_before, dz), dz
            if mistake == "last step":
                dWx, dWh, db = step
            else:
                dWx, dWh, db = dWx + step[0], dWh + step[1], db + step[2]
            dh = np.zeros(H) if mistake == "no carry of h" else dz @ Wh.T
            if mistake == "no carry of c":
                dc = np.zeros(H)
            elif mistake not in ("no forget gate", "f now"):
                dc = dc * f
        dh0[u], dc0[u] = dh, dc
    share = B if mistake == "mean" else 1
    start = 0 if mistake in ("start lost", "last step") else 1
    sums = {"dWx": dWx, "dWh": dWh, "db": db}
    return {"dx": dx, "dh0": dh0, "dc0": dc0} | {n: start * a[n] + s / share for n, s in sums.items()}


def arguments(lengths: tuple[int, ...], D: int, H: int, spare: int = 0, seed: int = 0) -> Arguments:
    """Of the backward pass, NaN past the ends of x, dy, gates, c and y; numbers in dWx, dWh, db."""
    rng = np.random.default_rng(seed)
    B, T = len(lengths), max(lengths) + spare
    x, dy = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, H))
    Wx, Wh, b = rng.standard_normal((D, 4 * H)), rng.standard_normal((H, 4 * H)), rng.standard_normal(4 * H)
    h0, c0 = rng.uniform(-1, 1, (B, H)), rng.standard_normal((B, H))
    y, c, gates = walk(x, np.array(lengths), Wx, Wh, b, h0, c0)
    for u, length in enumerate(lengths):
        for array in (x, dy, gates, c, y):
            array[u, length:] = np.nan
    sums = {"d" + name: rng.standard_normal(w.shape) for name, w in (("Wx", Wx), ("Wh", Wh), ("b", b))}
    return {
        "dy": dy, "x": x, "lengths": np.array(lengths, np.int64), "Wx": Wx, "Wh": Wh, "h0": h0, "c0": c0,
        "gates": gates, "c": c, "y": y, **sums,
    }  # fmt: skip


def backward_cases() -> dict[str, Arguments]:
    """As many features as gate units in first: there a transposed index is a wrong number and not an error."""
    rng = np.random.default_rng(3)
    cases = {
        "3 utterances of 4, 2 and 3 frames": arguments((4, 2, 3), D=12, H=3, spare=1),
        "one step": arguments((1,), D=2, H=2, seed=1),
        "equal lengths": arguments((5, 5), D=3, H=4, seed=2),
    }
    for n in range(3):
        lengths = tuple(int(i) for i in rng.integers(1, 7, rng.integers(2, 5)))
        D, H, spare = (int(rng.integers(*ends)) for ends in ((1, 7), (2, 6), (0, 3)))
        cases[f"random shape {n + 1}"] = arguments(lengths, D, H, spare, seed=10 + n)
    return cases


def differences(function: Callable[[Arguments], Outputs]) -> list[gradcheck.GradientReport]:
    """Every coordinate of a small layer and random directions of a larger one."""
    reports = []
    for directions, a in ((None, arguments((4, 2), 2, 2, 1, seed=20)), (2, arguments((6, 3, 5), 5, 4, 2, seed=21))):
        b = np.random.default_rng(22).standard_normal(a["Wx"].shape[1])
        inputs = {name: a[name] for name in ("x", "Wx", "Wh", "h0", "c0")} | {"b": b}
        reports += gradcheck.check(
            _forward_of(a["lengths"]), _backward_of(a["lengths"], function), inputs,
            directions=directions, time_axis={"x": 1},
        )  # fmt: skip
    return reports


def _forward_of(lengths: np.ndarray) -> Callable[..., np.ndarray]:
    return lambda x, Wx, Wh, h0, c0, b: walk(x, lengths, Wx, Wh, b, h0, c0)[0]


def _backward_of(lengths: np.ndarray, function: Callable) -> Callable[..., dict[str, np.ndarray]]:
    def gradients(dy: np.ndarray, x: Any, Wx: Any, Wh: Any, h0: Any, c0: Any, b: Any) -> dict[str, np.ndarray]:
        y, c, gates = walk(x, lengths, Wx, Wh, b, h0, c0)
        given = {"dy": dy, "x": x, "lengths": lengths, "Wx": Wx, "Wh": Wh, "h0": h0, "c0": c0, "gates": gates}
        sums = {"dWx": np.zeros_like(Wx), "dWh": np.zeros_like(Wh), "db": np.zeros_like(b)}
        got = function({**given, "c": c, "y": y, **sums})
        return {name: got["d" + name] for name in ("x", "Wx", "Wh", "h0", "c0", "b")}

    return gradients


def timed() -> Arguments:
    given = arguments((40, 30, 25, 10), D=24, H=16, seed=30)
    return {name: np.nan_to_num(value) for name, value in given.items()}


def ours(a: Arguments) -> Callable[[], Any]:
    """The package's layer walks both ways: the same weights for either."""
    Wx, Wh = (np.ascontiguousarray(np.stack([a[name]] * 2, axis=axis)) for name, axis in (("Wx", 1), ("Wh", 0)))
    _, cache = lstm.forward(a["x"], a["lengths"], Wx, Wh, np.zeros((2, Wh.shape[2]), Wx.dtype))
    dy, sums = np.concatenate([a["dy"]] * 2, axis=2), [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(Wh[:, 0])]
    return lambda: lstm.backward(dy, cache, Wx, Wh, *sums)


LSTM_BACKWARD = Exercise(
    name="lstm_backward",
    parameters=("dy", "x", "lengths", "Wx", "Wh", "h0", "c0", "gates", "c", "y", "dWx", "dWh", "db"),
    returns=("dx", "dh0", "dc0"),
    changes=("dWx", "dWh", "db"),
    cases=backward_cases,
    truth=backward,
    mistakes=BACKWARD,
    axes={
        "dx": ("utterance", "frame", "feature"),
        "dh0": ("utterance", "unit"),
        "dc0": ("utterance", "unit"),
        "dWx": ("feature", "gate unit"),
        "dWh": ("unit", "gate unit"),
        "db": ("gate unit",),
    },
    gradients=differences,
    differences=12,
    timed=timed,
    ours=ours,
    ours_is="ours, in both directions,",
)
