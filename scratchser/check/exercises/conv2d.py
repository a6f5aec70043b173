"""The strided convolution, forward and backward, as scatter loops that can be wrong on purpose."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchser import gradcheck, reference
from scratchser.check.exercises.exercise import Arguments, Exercise, Mistake, Outputs
from scratchser.kernels import conv2d

AXES = ("utterance", "frame", "bin", "channel")
TAPS = ("kernel row", "kernel column", "input channel", "output channel")

FORWARD = {
    "stride forgotten": Mistake(
        "stride forgotten", "output frame t reads around input frame t · st, bin f around f · sf."
    ),
    "strides exchanged": Mistake("strides exchanged", "stride is (time, frequency): frames move by st, bins by sf."),
    "flipped": Mistake("kernel flipped", "this convolution goes through kernel and window in the same direction."),
    "transposed": Mistake("transposed index in W", "W is [kernel row, kernel column, input channel, output channel]."),
    "kernel transposed": Mistake("kernel rows and columns exchanged", "W's first index is time, its second frequency."),
    "shift +1": Mistake(
        "off by one in time", "every window begins one frame too late: frame t · st + i - ⌊(I - 1) / 2⌋."
    ),
    "shift -1": Mistake(
        "off by one in time", "every window begins one frame too early: frame t · st + i - ⌊(I - 1) / 2⌋."
    ),
    "half kernel": Mistake(
        "off by one in the padding", "⌊(I - 1) / 2⌋ frames lie before the window's centre, not ⌊I / 2⌋."
    ),
    "no padding": Mistake(
        "padding forgotten", "the window of frame t is centred: it begins ⌊(I - 1) / 2⌋ frames earlier."
    ),
    "relu": Mistake("ReLU forgotten", "negative results become 0."),
    "bias": Mistake("bias forgotten", "bias[d] is added once to each output of channel d, before the ReLU."),
    "reads padding": Mistake(
        "length mask forgotten", "a window that reaches past its utterance's end reads 0 there, not the padding."
    ),
    "writes padding": Mistake(
        "writes past the end", "frames from ⌈length / st⌉ on stay 0: loop to the utterance's own end."
    ),
    "lengths": Mistake("lengths ignored", "each utterance ends at its own length, for reading and for writing."),
    "wraps": Mistake(
        "negative index", "NumPy takes index -1 for the last element: frames and bins below 0 must read 0."
    ),
    "last tap": Mistake("missing accumulate", "= keeps the last tap only; taps are added up by +=."),
    "last tap and bias": Mistake("missing accumulate", "= keeps the last tap only; taps are added up by +=."),
    "last product": Mistake(
        "missing accumulate", "= keeps the last product only; taps and channels are added up by +=."
    ),
    "last channel": Mistake("missing accumulate", "= keeps the last input channel only; channels are added up by +=."),
}


def forward(a: Arguments, mistake: str) -> Outputs:
    """y of the exercise's arguments."""
    if not mistake:
        return {"y": reference.conv2d.forward(a["x"], a["lengths"], a["W"], a["bias"], a["stride"])}
    x, lengths, W, bias, (st, sf) = a["x"], a["lengths"], a["W"], a["bias"], a["stride"]
    W = W[::-1, ::-1] if mistake == "flipped" else W
    if mistake == "transposed" and W.shape[2] == W.shape[3]:
        W = W.swapaxes(2, 3)
    if mistake == "kernel transposed" and W.shape[0] == W.shape[1]:
        W = W.swapaxes(0, 1)
    (B, T, F, _), (I, J, _, D) = x.shape, W.shape
    pt, pf = ((I - 1) // 2, (J - 1) // 2) if mistake != "half kernel" else (I // 2, J // 2)
    pt, pf = (0, 0) if mistake == "no padding" else (pt, pf)
    pt -= {"shift +1": 1, "shift -1": -1}.get(mistake, 0)
    step = {"stride forgotten": (1, 1), "strides exchanged": (sf, st)}.get(mistake, (st, sf))
    y = np.zeros((B, -(-T // st), -(-F // sf), D), x.dtype)
    lowest = -1 - I - J if mistake == "wraps" else 0
    for u in range(B):
        ends = T if mistake in ("reads padding", "lengths") else lengths[u]
        last = y.shape[1] if mistake in ("writes padding", "lengths") else -(-lengths[u] // st)
        for t in range(last):
            for f in range(y.shape[2]):
                pixel = np.zeros(D) if mistake in ("bias", "last tap and bias") else bias.copy()
                for i in range(I):
                    for j in range(J):
                        frame, bin = t * step[0] + i - pt, f * step[1] + j - pf
                        if not (lowest <= frame < ends and lowest <= bin < F and frame >= -T and bin >= -F):
                            continue
                        value = x[u, frame, bin] @ W[i, j]
                        if mistake in ("last channel", "last product"):
                            value = x[u, frame, bin, -1] * W[i, j, -1]
                        kept = mistake.startswith("last tap") or mistake == "last product"
                        pixel = value if kept else pixel + value
                if mistake == "last tap and bias":
                    pixel = pixel + bias
                y[u, t, f] = pixel if mistake == "relu" else np.maximum(pixel, 0)
    return {"y": y}


STRIDES = Mistake("strides exchanged", "stride is (time, frequency): st goes with t, sf with f.")
LAST = "last position", "last open position", "last product"  # what = in place of += keeps, as the loops go
BACKWARD = {
    "relu": Mistake("ReLU mask forgotten", "where y is 0 the ReLU was closed: dz is 0 there, and dy elsewhere."),
    "mask dy": Mistake("mask of the wrong array", "the ReLU's mask is y > 0, not dy > 0."),
    "mask x": Mistake("sign of the mask", "the ReLU lets through where y > 0, not where y is 0."),
    "last frames": Mistake(
        "lengths ignored", "dy past ⌈length / st⌉ means nothing: sum up to the utterance's own end."
    ),
    "reads padding": Mistake("length mask forgotten", "x past an utterance's end counts as 0, and its dx stays 0."),
    "lengths": Mistake("lengths ignored", "each utterance ends at its own length, in x and in dy."),
    "stride forgotten": Mistake(
        "stride forgotten", "output frame t came from around input frame t · st, bin f from around f · sf."
    ),
    "not flipped": Mistake(
        "kernel not flipped",
        "an output that lies later saw this input through an earlier tap: "
        "input u meets output t through i = u + pt - t · st.",
    ),
    "transposed": Mistake("transposed index in W", "dx sums over output channels: dz @ W[i, j].T."),
    "kernel transposed": Mistake("transposed index in W", "the kernel's axes are time, then frequency: W[i, j]."),
    "strides exchanged": STRIDES,
    "strides exchanged, lengths too": STRIDES,
    "shift +1": Mistake(
        "off by one in time", "output t meets input t · st + i - ⌊(I - 1) / 2⌋, here it is one frame too late."
    ),
    "shift -1": Mistake(
        "off by one in time", "output t meets input t · st + i - ⌊(I - 1) / 2⌋, here it is one frame too early."
    ),
    "half kernel": Mistake(
        "off by one in the padding", "⌊(I - 1) / 2⌋ frames lie before the window's centre, not ⌊I / 2⌋."
    ),
    "no padding": Mistake(
        "padding forgotten", "the window of frame t is centred: it begins ⌊(I - 1) / 2⌋ frames earlier, t · st - pt."
    ),
    "outer exchanged": Mistake(
        "transposed index in dW", "dW is [kernel row, kernel column, input channel, output channel]: np.outer(x, dz)."
    ),
    "start lost": Mistake(
        "missing accumulate", "what stood in the parameter's gradient before the call is lost: += instead of =."
    ),
    "last utterance": Mistake(
        "missing accumulate", "only the last utterance's sum is kept, beside what was there: += over all of them."
    ),
    "last position": Mistake(
        "missing accumulate", "= keeps the last position only: a gradient is the sum over all positions, +=."
    ),
    "last open position": Mistake(
        "missing accumulate",
        "= keeps the last position where the ReLU was open: a gradient is the sum over all positions, +=.",
    ),
    "last product": Mistake(
        "missing accumulate", "= keeps the last channel of the last position: a gradient is the sum over all, +=."
    ),
    "mean": Mistake("divided by the batch size", "the loss has its 1 / B already; here gradients are summed."),
    "wraps": Mistake(
        "negative index", "NumPy takes index -1 for the last element: taps that reach below 0 count nothing."
    ),
}


def backward(a: Arguments, mistake: str) -> Outputs:
    """dx, and dW and dbias with what was in them."""
    dy, x, y, lengths, W, (st, sf) = a["dy"], a["x"], a["y"], a["lengths"], a["W"], a["stride"]
    (B, T, F, _), (I, J, C, D) = x.shape, W.shape
    dz = np.where(y > 0, dy, 0)
    dz = {"relu": dy, "mask dy": np.where(dy > 0, dy, 0), "mask x": np.where(y > 0, 0, dy)}.get(mistake, dz)
    pt, pf = ((I - 1) // 2, (J - 1) // 2) if mistake != "half kernel" else (I // 2, J // 2)
    pt, pf = (0, 0) if mistake == "no padding" else (pt, pf)
    pt -= {"shift +1": 1, "shift -1": -1}.get(mistake, 0)
    step = {"stride forgotten": (1, 1)}.get(mistake, (sf, st) if mistake.startswith("strides") else (st, sf))
    divisor = sf if mistake == "strides exchanged, lengths too" else st
    back = W[::-1, ::-1] if mistake == "not flipped" else W
    if mistake == "transposed" and C == D:
        back = back.swapaxes(2, 3)
    turned = mistake == "kernel transposed" and I == J
    if turned:
        back = back.swapaxes(0, 1)
    dx, dW, dbias = np.zeros_like(x), np.zeros_like(W), np.zeros(D)
    if mistake in LAST:  # a tap that meets no input, a channel that is never open, keeps what it had
        dW, dbias = a["dW"].copy(), a["dbias"].copy()
    for u in range(B):
        ends = T if mistake in ("reads padding", "lengths") else lengths[u]
        last = dy.shape[1] if mistake in ("last frames", "lengths") else min(-(-lengths[u] // divisor), dy.shape[1])
        if mistake == "last utterance":
            dW[:], dbias[:] = 0, 0
        for t in range(last):
            for f in range(dy.shape[2]):
                d = dz[u, t, f]
                kept = y[u, t, f] > 0 if mistake == "last open position" else np.full(D, True)
                if mistake in LAST:
                    dbias[kept] = d[kept]
                else:
                    dbias = dbias + d
                for i in range(I):
                    for j in range(J):
                        frame, bin = t * step[0] + i - pt, f * step[1] + j - pf
                        below = -1 - I - J if mistake == "wraps" else 0
                        if not (max(below, -T) <= frame < ends and max(below, -F) <= bin < F):
                            continue
                        to_x, to_W = back[i, j] @ d, np.outer(x[u, frame, bin], d)
                        if mistake in LAST:
                            dW[i, j][:, kept] = to_W[:, kept]
                            if mistake == "last position":
                                dx[u, frame, bin] = to_x
                            elif kept.any():
                                k = np.flatnonzero(kept)[-1]
                                dx[u, frame, bin] = back[i, j, :, k] * d[k]
                        else:
                            dx[u, frame, bin] += to_x
                            dW[i, j] += to_W
    share = B if mistake == "mean" else 1
    dW = dW.swapaxes(0, 1) if turned else dW
    dW = dW.swapaxes(2, 3) if mistake == "outer exchanged" and C == D else dW
    if mistake in ("start lost", *LAST):
        return {"dx": dx, "dW": dW, "dbias": dbias}
    return {"dx": dx, "dW": a["dW"] + dW / share, "dbias": a["dbias"] + dbias / share}


# ---- cases ----------------------------------------------------------------------------------------------------------


def drawn(
    lengths: tuple[int, ...], F: int, C: int, D: int, kernel: tuple[int, int], stride: tuple[int, int],
    spare: int = 0, seed: int = 0,
) -> Arguments:  # fmt: skip
    """Arguments of the forward pass, NaN past the ends of x."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((len(lengths), max(lengths) + spare, F, C))
    for u, length in enumerate(lengths):
        x[u, length:] = np.nan
    W, bias = rng.standard_normal((*kernel, C, D)), rng.standard_normal(D)
    return {"x": x, "lengths": np.array(lengths, np.int64), "W": W, "bias": bias, "stride": stride}


def forward_cases() -> dict[str, Arguments]:
    """As many channels out as in first: there a transposed index is a wrong number and not an error."""
    rng = np.random.default_rng(7)
    cases = {
        "3 x 3 kernel, stride 1": drawn((6,), F=5, C=2, D=2, kernel=(3, 3), stride=(1, 1)),
        "stride 2 x 3": drawn((7, 5), F=8, C=2, D=2, kernel=(3, 3), stride=(2, 3), seed=1),
        "unequal lengths, even kernel": drawn((5, 1, 8), F=6, C=2, D=3, kernel=(4, 2), stride=(2, 1), spare=2, seed=2),
        "one frame, one bin": drawn((1,), F=1, C=1, D=2, kernel=(3, 3), stride=(1, 1), seed=3),
        "1 x 1 kernel": drawn((3, 4), F=3, C=3, D=2, kernel=(1, 1), stride=(1, 1), spare=1, seed=4),
    }
    for n in range(4):
        lengths = tuple(int(i) for i in rng.integers(1, 9, rng.integers(1, 4)))
        F, C, D, I, J, st, sf, spare = (int(rng.integers(1, end)) for end in (9, 4, 4, 6, 6, 4, 4, 4))
        cases[f"random shape {n + 1}"] = drawn(lengths, F, C, D, (I, J), (st, sf), spare, seed=10 + n)
    return cases


def with_gradient(a: Arguments, seed: int = 0) -> Arguments:
    """Arguments of the backward pass: numbers in dW and dbias, NaN past the ends of dy and y."""
    rng = np.random.default_rng(seed)
    y = reference.conv2d.forward(a["x"], a["lengths"], a["W"], a["bias"], a["stride"])
    dy = rng.standard_normal(y.shape)
    for u, length in enumerate(a["lengths"]):
        end = -(-length // a["stride"][0])
        y[u, end:] = dy[u, end:] = np.nan
    dW, dbias = rng.standard_normal(a["W"].shape), rng.standard_normal(a["bias"].shape)
    return {
        "dy": dy, "x": a["x"], "y": y, "lengths": a["lengths"], "W": a["W"], "stride": a["stride"],
        "dW": dW, "dbias": dbias,
    }  # fmt: skip


def backward_cases() -> dict[str, Arguments]:
    return {name: with_gradient(arguments, 20 + n) for n, (name, arguments) in enumerate(forward_cases().items())}


def differences(function: Callable[[Arguments], Outputs]) -> list[gradcheck.GradientReport]:
    """Every coordinate of a small layer, and random directions of a larger one."""
    reports = []
    for directions, a in (
        (None, drawn((4, 2), F=3, C=2, D=2, kernel=(3, 2), stride=(2, 1), spare=1, seed=30)),
        (2, drawn((6, 3), F=7, C=2, D=3, kernel=(3, 4), stride=(1, 2), seed=31)),
    ):
        reports += _differences(function, a, directions)
    return reports


def _differences(function: Callable, a: Arguments, directions: int | None) -> list[gradcheck.GradientReport]:
    def linear(x: np.ndarray, W: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return reference.conv2d.forward(x, a["lengths"], W, bias, a["stride"], relu=False)

    def layer(x: np.ndarray, W: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return np.maximum(linear(x, W, bias), 0)

    def gradients(dy: np.ndarray, x: np.ndarray, W: np.ndarray, bias: np.ndarray) -> dict[str, np.ndarray]:
        zero = {"dW": np.zeros_like(W), "dbias": np.zeros_like(bias)}
        inputs = {"dy": dy, "x": x, "y": layer(x, W, bias), "lengths": a["lengths"], "W": W, "stride": a["stride"]}
        got = function({**inputs, **zero})
        return {"x": got["dx"], "W": got["dW"], "bias": got["dbias"]}

    inputs = {"x": a["x"], "W": a["W"], "bias": a["bias"]}
    return gradcheck.check(layer, gradients, inputs, directions=directions, time_axis={"x": 1}, kinks=linear)


def timed() -> Arguments:
    a = drawn((20, 12), F=16, C=2, D=4, kernel=(3, 3), stride=(2, 2), seed=40)
    return {name: np.nan_to_num(value) if isinstance(value, np.ndarray) else value for name, value in a.items()}


def timed_backward() -> Arguments:
    return {n: np.nan_to_num(v) if isinstance(v, np.ndarray) else v for n, v in with_gradient(timed()).items()}


def ours_forward(a: Arguments) -> Callable[[], Any]:
    return lambda: conv2d.forward(a["x"], a["lengths"], a["W"], a["bias"], a["stride"])


def ours_backward(a: Arguments) -> Callable[[], Any]:
    return lambda: conv2d.backward(*a.values())


CONV2D_FORWARD = Exercise(
    name="conv2d_forward",
    parameters=("x", "lengths", "W", "bias", "stride"),
    returns=("y",),
    cases=forward_cases,
    truth=forward,
    mistakes=FORWARD,
    axes={"y": AXES},
    timed=timed,
    ours=ours_forward,
)
CONV2D_BACKWARD = Exercise(
    name="conv2d_backward",
    parameters=("dy", "x", "y", "lengths", "W", "stride", "dW", "dbias"),
    returns=("dx",),
    changes=("dW", "dbias"),
    cases=backward_cases,
    truth=backward,
    mistakes=BACKWARD,
    axes={"dx": AXES, "dW": TAPS, "dbias": ("output channel",)},
    gradients=differences,
    differences=6,
    timed=timed_backward,
    ours=ours_backward,
)
