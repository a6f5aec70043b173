"""Backpropagation through time with lengths, one direction of an LSTM."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.check.exercises.lstm_cell_forward import ORDERS, SWAPPED, cell

SLOPES: dict[str, Callable] = {  # in place of 1 - tanh² c
    "derivative of tanh c forgotten": lambda c, tanh_c: 1,
    "square forgotten in the derivative of tanh c": lambda c, tanh_c: 1 - tanh_c,
    "tanh forgotten in the derivative of tanh c": lambda c, tanh_c: 1 - c**2,
}
PARTS = {
    "dx, dh0": ex.Part("From which two places does dh come in each step?",
        "dh = dy[n] + dz[n+1] Whᵀ; dx[n] = dz[n] Wxᵀ; at the end dh0 = dz[0] Whᵀ.",
        "dh = dh + dy[b, t] at the beginning of the step, dx[b, t] = dz @ Wx.T and dh = dz @ Wh.T at its end", {
        "state not carried": "dz of step n+1 is a part of dh of step n: dh = dy[n] + dz[n+1] Whᵀ.",
        "accumulation forgotten (last dy)": "add the dy of every frame to dh, not only that of the last one.",
        "accumulation forgotten (dy)": "dh is the sum of two parts: dy[n] and what comes from step n+1.",
        "transposed index in Wx": "dx = dz Wxᵀ.",
        "dh0 and dc0 exchanged": "return dx, dh0, dc0, in this order.",
    }),
    "dc, dc0": ex.Part("From which two places does dc come in each step, and which gate multiplies it on the way?",
        "dc = dh o (1 - tanh² c[n]) + f[n+1] dc[n+1]; at the end dc0 = f[0] dc[0].",
        "dc = dc + dh * o * (1 - np.tanh(c[b, t])**2), and at the end of the step dc = dc * f", {
        "off by one in time (f)": "dc comes from step n+1 times f[n+1], the gate of that step.",
        "cell state not carried": "dc of step n+1, times f[n+1], is a part of dc of step n.",
        "forget gate forgotten": "multiply dc of step n+1 by f[n+1] before it is used in step n.",
        "input gate in place of the forget gate": "dc goes back through f: c[n] = f c[n-1] + i g.",
        "accumulation forgotten (dc)": "dc is the sum of two parts: from h and from step n+1.",
        "output gate forgotten": "from h to c: dc = dh o (1 - tanh² c) + what comes from step n+1.",
        "derivative of tanh c forgotten": "from h to c: dc = dh o (1 - tanh² c) + what comes from step n+1.",
        "square forgotten in the derivative of tanh c": "the derivative of tanh c is 1 - tanh² c.",
        "tanh forgotten in the derivative of tanh c": "the derivative of tanh c is 1 - tanh² c, not 1 - c².",
        "tanh applied twice": "c is the state before its tanh: apply it once.",
        "off by one in time (tanh)": "step n computed tanh c[n] from its new cell state, not from c[n-1].",
    }),
    "gates": ex.Part("What did each gate multiply in the forward pass, and what is the derivative of its σ or tanh?",
        "dz[n] = (dc g i (1-i), dc c[n-1] f (1-f), dc i (1-g²), dh tanh c[n] o (1-o)).",
        "di = dc * g * i * (1 - i), df = dc * c_before * f * (1 - f), dg = dc * i * (1 - g**2), "
        "do = dh * tanh_c * o * (1 - o)", {
        **SWAPPED,
        "derivative of σ forgotten (all)": "back through σ: multiply by i (1 - i); likewise for f and o.",
        "derivative of σ incomplete (all)": "back through σ: multiply by i and by 1 - i; likewise for f and o.",
        "derivative of tanh in place of that of σ (all)": "back through σ: multiply by i (1 - i), not by 1 - i².",
        **{f"derivative of σ forgotten ({s})": f"back through σ: multiply by {s} (1 - {s})." for s in "ifo"},
        **{f"derivative of σ incomplete ({s})": f"back through σ: multiply by {s} and by 1 - {s}." for s in "ifo"},
        "derivative of tanh for g forgotten": "back through the tanh of g: multiply by 1 - g².",
        "derivative of σ in place of that of tanh": "back through the tanh of g: multiply by 1 - g², not by g (1 - g).",
        "tanh of the cell state forgotten": "o multiplied tanh c: do = dh tanh c.",
        "tanh of the cell state left out": "o multiplied tanh c: do = dh tanh c o (1 - o).",
        "i and g exchanged": "i multiplied g: the gradient of i is dc g, that of g is dc i.",
    }),
    "before": ex.Part("Which h and c entered step n, and which ones the first step?",
        "Step n used h[n-1] and c[n-1]; the first step of an utterance used h0 and c0.",
        "h_before = y[b, t - 1] if t > 0 else h0[b], c_before = c[b, t - 1] if t > 0 else c0[b]", {
        "off by one in time (h)": "dWh pairs dz[n] with h[n-1], the state before step n, not with h[n].",
        "off by one in time (c)": "the forget gate multiplied c[n-1], not c[n].",
        "initial state forgotten (h)": "before the first step of an utterance the state is h0.",
        "initial state forgotten (c)": "before the first step of an utterance the cell state is c0.",
        **ex.variants("negative index", "NumPy reads index -1 as the last frame: before the first step the states are "
            "h0 and c0.", "h", "c", "both"),
    }),
    "time": ex.Part("With which frame does the time loop of an utterance begin and end, and what are dh and dc then?",
        "The time loop goes from n = length - 1 down to 0, and begins with dh = dc = 0.",
        "for t in range(lengths[b] - 1, -1, -1), with dh and dc set to 0 before it", {
        **ex.variants("length mask forgotten", "begin at the last frame of each utterance, length - 1: nothing past it "
            "belongs to dh and dc.", "everywhere", "cell state"),
        "state of another utterance": "dh and dc are 0 when the time loop of an utterance begins.",
        "forward in time": "backpropagation goes from the last frame to the first one.",
        "last frame forgotten": "the time loop begins at frame length - 1.",
        "first frame forgotten": "the time loop ends with frame 0: range(length - 1, -1, -1).",
    }),
    "dWx, dWh, db": ex.Part("Over which steps and utterances do the sums run, and what is in them before the call?",
        "dWx += Σ x[n]ᵀ dz[n], dWh += Σ h[n-1]ᵀ dz[n], db += Σ dz[n], over all utterances and steps.",
        "dWx += np.outer(x[b, t], dz), dWh += np.outer(h_before, dz), db += dz", {
        **ex.SUMS,
        "accumulation forgotten (last step)": "= keeps the first frame of the last utterance only: use +=.",
    }),
}  # fmt: skip


def forward(
    x: np.ndarray, lengths: np.ndarray, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray, h0: np.ndarray, c0: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y and c (B, T, H) and the gates (B, T, 4H) of one direction, zero past the ends."""
    (B, T, _), H = x.shape, Wh.shape[0]
    y, c, gates = np.zeros((B, T, H)), np.zeros((B, T, H)), np.zeros((B, T, 4 * H))
    for u in range(B):
        h, state = h0[u], c0[u]
        for t in range(int(lengths[u])):
            z = x[u, t] @ Wx + h @ Wh + b
            step = cell({"z": z[None], "c": state[None]}, ex.NONE)
            gates[u, t], state, h = step["gates"][0], step["c_after"][0], step["h"][0]
            y[u, t], c[u, t] = h, state
    return y, c, gates


def backward(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    dy, x, lengths, Wx, Wh = a["dy"], a["x"], a["lengths"], a["Wx"], a["Wh"]
    h0, c0, gates, c = a["h0"], a["c0"], a["gates"], a["c"]
    (B, T, _), H = x.shape, Wh.shape[0]
    order = ex.choice(mistakes, ORDERS, (0, 1, 2, 3))
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(4 * H)
    dh0, dc0 = np.zeros_like(h0), np.zeros_like(c0)
    dh, dc = np.zeros(H), np.zeros(H)
    for u in range(B):
        if "state of another utterance" not in mistakes:
            dh, dc = np.zeros(H), np.zeros(H)
        if "accumulation forgotten (last utterance)" in mistakes:
            dWx[:], dWh[:], db[:] = 0, 0, 0
        frames = T if ex.kind(mistakes, "length mask forgotten") else int(lengths[u])
        times = list(range(frames) if "forward in time" in mistakes else reversed(range(frames)))
        times = times[1:] if "last frame forgotten" in mistakes else times
        for t in times[:-1] if "first frame forgotten" in mistakes else times:
            parts = np.split(gates[u, t], 4)
            i, f, g, o = (parts[order.index(gate)] for gate in range(4))
            h_before, c_before = _before(a, u, t, mistakes)
            if "accumulation forgotten (dy)" in mistakes:
                dh = dy[u, t] if t == times[0] else dh
            elif "accumulation forgotten (last dy)" not in mistakes or t == times[0]:
                dh = dh + dy[u, t]
            tanh_c = np.tanh(c_before if "off by one in time (tanh)" in mistakes else c[u, t])
            tanh_c = np.tanh(tanh_c) if "tanh applied twice" in mistakes else tanh_c
            slope = ex.choice(mistakes, SLOPES, lambda c, tanh_c: 1 - tanh_c**2)(c[u, t], tanh_c)
            from_h = dh * (1 if "output gate forgotten" in mistakes else o) * slope
            from_next = dc * f if "off by one in time (f)" in mistakes else dc
            dc = from_h if "accumulation forgotten (dc)" in mistakes else from_h + from_next
            slopes = [_slope(gate, s, mistakes) for gate, s in zip("ifo", (i, f, o), strict=True)]
            of_g = {"derivative of tanh for g forgotten": 1, "derivative of σ in place of that of tanh": g * (1 - g)}
            of_i, of_candidate = (i, g) if "i and g exchanged" in mistakes else (g, i)
            others = {"tanh of the cell state forgotten": c[u, t], "tanh of the cell state left out": 1}
            of_o = ex.choice(mistakes, others, tanh_c)
            parts = [dc * of_i * slopes[0], dc * c_before * slopes[1]]
            parts += [dc * of_candidate * ex.choice(mistakes, of_g, 1 - g**2), dh * of_o * slopes[2]]
            dz = np.concatenate([parts[gate] for gate in order])
            dz = 0 * dz if t >= lengths[u] and "length mask forgotten (cell state)" in mistakes else dz
            dx[u, t] = dz @ (Wx if "transposed index in Wx" in mistakes and Wx.shape[0] == 4 * H else Wx.T)
            step = np.outer(x[u, t], dz), np.outer(h_before, dz), dz
            if "accumulation forgotten (last step)" in mistakes:
                dWx, dWh, db = step
            else:
                dWx, dWh, db = dWx + step[0], dWh + step[1], db + step[2]
            dh = np.zeros(H) if "state not carried" in mistakes else dz @ Wh.T
            kept = {"cell state not carried": 0 * f, "input gate in place of the forget gate": i}
            if not mistakes & {"forget gate forgotten", "off by one in time (f)"}:
                dc = dc * ex.choice(mistakes, kept, f)
        dh0[u], dc0[u] = dh, dc
    sums = {"dWx": dWx, "dWh": dWh, "db": db}
    if "accumulation forgotten (last step)" not in mistakes:
        sums = ex.added(a, sums, mistakes)
    dh0, dc0 = (dc0, dh0) if "dh0 and dc0 exchanged" in mistakes else (dh0, dc0)
    return {"dx": dx, "dh0": dh0, "dc0": dc0, **sums}


def _slope(gate: str, s: np.ndarray, mistakes: ex.Mistakes) -> np.ndarray:
    """The derivative of σ, of which s is the result."""
    forms = {"σ forgotten": s**0, "σ incomplete": s, "tanh in place of that of σ": 1 - s**2}
    options = {f"derivative of {form} ({of})": value for form, value in forms.items() for of in (gate, "all")}
    return ex.choice(mistakes, options, s * (1 - s))


def begins(trial: Any, wrong: Sequence[str]) -> str:
    """Where an unknown mistake begins in the time loop: at dh, at dc or at the gates. dz follows from dx."""
    Wx, lengths = trial.arguments["Wx"], trial.arguments["lengths"]
    if "dx" not in wrong or Wx.shape[0] != Wx.shape[1]:
        return wrong[0]
    got, expected = (np.linalg.solve(Wx, outputs["dx"][..., None]) for outputs in (trial.outputs, trial.expected))
    close = (np.abs(got - expected) < 1e-6).reshape(*got.shape[:2], 4, -1).all(axis=3)  # which gates are right
    for u, length in enumerate(lengths):
        for *of_c, of_h in close[u, :length][::-1]:
            if not all(of_c) or not of_h:
                return "gates" if any(of_c) else "dc" if of_h else "dh0"
    return "time"


def _before(a: ex.Arguments, u: int, t: int, mistakes: ex.Mistakes) -> tuple[np.ndarray, np.ndarray]:
    """h and c before step t of utterance u."""

    def before(name: str, after: np.ndarray, first: np.ndarray) -> np.ndarray:
        if f"off by one in time ({name})" in mistakes:
            return after[t]
        if t or ex.kind(mistakes, "negative index") in (name, "both"):
            return after[t - 1]
        return 0 * first if f"initial state forgotten ({name})" in mistakes else first

    return before("h", a["y"][u], a["h0"][u]), before("c", a["c"][u], a["c0"][u])


def arguments(lengths: tuple[int, ...], D: int, H: int, spare: int = 0, seed: int = 0) -> ex.Arguments:
    """NaN past the ends of x, dy, gates, c and y; `spare` frames of padding even for the longest utterance."""
    rng = np.random.default_rng(seed)
    B, T = len(lengths), max(lengths) + spare
    x, dy = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, H))
    Wx, Wh, b = rng.standard_normal((D, 4 * H)), rng.standard_normal((H, 4 * H)), rng.standard_normal(4 * H)
    h0, c0 = rng.uniform(-1, 1, (B, H)), rng.standard_normal((B, H))
    y, c, gates = forward(x, np.array(lengths), Wx, Wh, b, h0, c0)
    ex.hide_padding(lengths, x, dy, gates, c, y)
    sums = {"d" + name: rng.standard_normal(w.shape) for name, w in (("Wx", Wx), ("Wh", Wh), ("b", b))}
    return {
        "dy": dy, "x": x, "lengths": np.array(lengths, np.int64), "Wx": Wx, "Wh": Wh, "h0": h0, "c0": c0,
        "gates": gates, "c": c, "y": y, **sums,
    }  # fmt: skip


def cases() -> dict[str, ex.Arguments]:
    """As many features as gate units in the first: a transposed index gives wrong numbers there, and no error."""
    return {
        "3 utterances of 4, 2 and 3 frames": arguments((4, 2, 3), D=12, H=3, spare=1),
        "one step": arguments((1,), D=2, H=2, seed=1),
        "equal lengths": arguments((5, 5), D=3, H=4, seed=2),
        "random shape 1": arguments((1, 2, 2, 2), D=5, H=5, spare=1, seed=10),
        "random shape 2": arguments((1, 2), D=3, H=4, spare=1, seed=11),
    }


def gradients() -> list[ex.Differences]:
    """Every coordinate of a small layer, and random directions of a larger one."""
    small, large = arguments((4, 2), 2, 2, 1, seed=20), arguments((6, 3, 5), 5, 4, 2, seed=21)
    return [_differences(small, None), _differences(large, 2)]


def _differences(a: ex.Arguments, directions: int | None) -> ex.Differences:
    def outputs(**inputs: np.ndarray) -> ex.Arguments:
        return dict(zip(("y", "c", "gates"), forward(lengths=a["lengths"], **inputs), strict=True))

    b = np.random.default_rng(22).standard_normal(a["Wx"].shape[1])
    return ex.Differences(
        forward=lambda **inputs: outputs(**inputs)["y"],
        inputs={name: a[name] for name in ("x", "Wx", "Wh", "h0", "c0")} | {"b": b},
        arguments=a,
        remembered=outputs,
        options={"directions": directions, "time_axis": {"x": 1}},
    )


EXERCISE = ex.CpuExercise(
    cases=cases,
    reference=backward,
    parts=PARTS,
    axes={
        "dx": ("utterance", "frame", "feature"),
        "dh0": ("utterance", "unit"),
        "dc0": ("utterance", "unit"),
        "dWx": ("feature", "gate unit"),
        "dWh": ("unit", "gate unit"),
        "db": ("gate unit",),
    },
    gradients=gradients,
    timed=lambda: arguments((40, 30, 25, 10), D=24, H=16, seed=30),
    suspect=begins,
)
