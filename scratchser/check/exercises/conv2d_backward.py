"""The three gradients of the strided convolution."""

import numpy as np

from scratchser import reference
from scratchser.check.exercises import conv2d_forward
from scratchser.check.exercises import exercise as ex
from scratchser.check.exercises.conv2d_forward import AXES, FRAMES, frames, window
from scratchser.kernels import conv2d

LAST = {  # kept by = in place of +=, in the order of the loops
    "accumulation forgotten (last position)": "= keeps the last position only: sum over all positions with +=.",
    "accumulation forgotten (last open position)": "= keeps the last position with y > 0: sum over all with +=.",
    "accumulation forgotten (last product)": "= keeps the last channel of the last position: sum over all with +=.",
}
PARTS = {
    "mask": ex.Part("Where does the ReLU let dy through, and which frames of dy are padding?",
        "dz = dy where y > 0, else 0, for the frames t < ⌈length / st⌉.",
        "for t in range(-(-lengths[b] // st)), and dz = np.where(y[b, t, f] > 0, dy[b, t, f], 0)", {
        "ReLU mask forgotten": "where y is 0, the ReLU blocks the gradient: dz is 0 there, and dy elsewhere.",
        "mask of the wrong array": "the ReLU's mask is y > 0, not dy > 0.",
        "sign of the mask": "the gradient passes where y > 0, not where y is 0.",
        "lengths ignored (dy)": "dy past ⌈length / st⌉ is padding: stop at the end of the utterance.",
        "lengths ignored": "each utterance has its own length, in x and in dy.",
        **FRAMES,
    }),
    "window": conv2d_forward.PARTS["window"]._replace(mistakes={
        **conv2d_forward.PARTS["window"].mistakes,
        "strides exchanged (lengths too)": "stride is (time, frequency): st belongs to t, sf to f.",
        "length mask forgotten": "x past the end of an utterance counts as 0, and its dx stays 0.",
        "negative index": "NumPy reads index -1 as the last element: skip taps that reach below 0.",
    }),
    "dx": ex.Part("Through which elements of W does an element of x reach the outputs?",
        "dx[b, u, v, c] = Σ dz[b, t, f, d] W[i, j, c, d], over d and all t, i, f, j that meet u and v.",
        "dx[b, u, v] += W[i, j] @ dz", {
        "kernel not flipped": "input u meets output t through tap i = u + pt - t · st: later outputs use earlier "
        "taps.",
        "transposed index in W": "dx sums over output channels: dz @ W[i, j].T.",
        "transposed index in W (kernel)": "the kernel's axes are time, then frequency: W[i, j].",
        "sign": "the gradients have the sign of dz.",
    }),
    "dW, dbias": ex.Part("How often is each dz added, and what do dW and dbias contain before the call?",
        "dW[i, j] += Σ x dzᵀ over all positions, dbias += Σ dz, each position once; what is there stays in the sum.",
        "dW[i, j] += np.outer(x[b, u, v], dz), and outside of the loops over the taps: dbias += dz", {
        "transposed index in dW": "dW is [kernel row, kernel column, input channel, output channel]: "
        "np.outer(x, dz).",
        **ex.variants("added for every tap", "add dz to dbias once for each position, outside of the loops over taps.",
            "all", "that meets x", "rows", "rows that meet x"),
        **ex.SUMS,
        **LAST,
    }),
}  # fmt: skip


def backward(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    dy, x, y, W = a["dy"], a["x"], a["y"], a["W"]
    B, (I, J, C, D) = len(x), W.shape
    masks = {
        "ReLU mask forgotten": np.full(y.shape, True),
        "mask of the wrong array": dy > 0,
        "sign of the mask": ~(y > 0),
    }
    dz = np.where(ex.choice(mistakes, masks, y > 0), -dy if "sign" in mistakes else dy, 0)
    kernel_turned = "transposed index in W (kernel)" in mistakes and I == J
    back = W[::-1, ::-1] if "kernel not flipped" in mistakes else W
    back = back.swapaxes(2, 3) if "transposed index in W" in mistakes and C == D else back
    back = back.swapaxes(0, 1) if kernel_turned else back
    dx, dW, dbias = np.zeros_like(x), np.zeros_like(W), np.zeros(D)
    last = mistakes & LAST.keys()
    if last:  # a tap that meets no input and a channel that is never open keep their old values
        dW, dbias = a["dW"].copy(), a["dbias"].copy()
    for u in range(B):
        if "accumulation forgotten (last utterance)" in mistakes:
            dW[:], dbias[:] = 0, 0
        for t in range(frames(a, u, mistakes)):
            for f in range(dy.shape[2]):
                d, (taps, row, column) = dz[u, t, f], window(a, W, (u, t, f), mistakes)
                kept = y[u, t, f] > 0 if "accumulation forgotten (last open position)" in mistakes else np.full(D, True)
                counts = {"all": I * J, "that meets x": len(row) * len(column), "rows": I, "rows that meet x": len(row)}
                times = counts.get(ex.kind(mistakes, "added for every tap"), 1)
                dbias[kept] = d[kept] if last else (dbias + d * times)[kept]
                at, of_x = np.ix_(*taps), np.ix_([u], row, column)
                to_x, to_W = back[at] @ d, x[of_x][0][..., None] * d
                if not last:
                    np.add.at(dx, of_x, to_x)
                    dW[at] += to_W
                    continue
                dW[at] = np.where(kept, to_W, dW[at])
                if "accumulation forgotten (last position)" in mistakes:
                    dx[of_x] = to_x
                elif kept.any():
                    k = np.flatnonzero(kept)[-1]
                    dx[of_x] = back[at][..., k] * d[k]
    dW = dW.swapaxes(0, 1) if kernel_turned else dW
    dW = dW.swapaxes(2, 3) if "transposed index in dW" in mistakes and C == D else dW
    if last:
        return {"dx": dx, "dW": dW, "dbias": dbias}
    return {"dx": dx, **ex.added(a, {"dW": dW, "dbias": dbias}, mistakes)}


def with_gradient(a: ex.Arguments, seed: int = 0) -> ex.Arguments:
    """Arguments of the backward pass for those of the forward pass; NaN past the ends of dy and y."""
    rng = np.random.default_rng(seed)
    y = reference.conv2d.forward(a["x"], a["lengths"], a["W"], a["bias"], a["stride"])
    dy = rng.standard_normal(y.shape)
    ex.hide_padding([-(-length // a["stride"][0]) for length in a["lengths"]], y, dy)
    dW, dbias = rng.standard_normal(a["W"].shape), rng.standard_normal(a["bias"].shape)
    given = {"dy": dy, "x": a["x"], "y": y, "lengths": a["lengths"], "W": a["W"], "stride": a["stride"]}
    return {**given, "dW": dW, "dbias": dbias}


def cases() -> dict[str, ex.Arguments]:
    return {name: with_gradient(a, 20 + n) for n, (name, a) in enumerate(conv2d_forward.EXERCISE.cases().items())}


def gradients() -> list[ex.Differences]:
    """Every coordinate of a small layer, and random directions of a larger one."""
    small = conv2d_forward.arguments((4, 2), 3, 2, 2, (3, 2), (2, 1), spare=1, seed=30)
    large = conv2d_forward.arguments((6, 3), 7, 2, 3, (3, 4), (1, 2), seed=31)
    return [_differences(small, None), _differences(large, 2)]


def _differences(a: ex.Arguments, directions: int | None) -> ex.Differences:
    def before_relu(x: np.ndarray, W: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return reference.conv2d.forward(x, a["lengths"], W, bias, a["stride"], relu=False)

    def layer(**inputs: np.ndarray) -> np.ndarray:
        return np.maximum(before_relu(**inputs), 0)

    return ex.Differences(
        forward=layer,
        inputs={name: a[name] for name in ("x", "W", "bias")},
        arguments=with_gradient(a),
        remembered=lambda **inputs: {"y": layer(**inputs)},
        options={"directions": directions, "time_axis": {"x": 1}, "kinks": before_relu},
    )


EXERCISE = ex.CpuExercise(
    cases=cases,
    reference=backward,
    parts=PARTS,
    axes={
        "dx": AXES,
        "dW": ("kernel row", "kernel column", "input channel", "output channel"),
        "dbias": ("output channel",),
    },
    gradients=gradients,
    timed=lambda: with_gradient(conv2d_forward.EXERCISE.timed()),
    package=conv2d.backward,
    suspect=lambda trial, wrong: {("dx", "dW"): "window", ("dx", "dW", "dbias"): "mask"}.get(tuple(wrong), wrong[0]),
)
