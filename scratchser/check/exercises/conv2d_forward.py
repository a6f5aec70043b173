"""The strided convolution over time and frequency, with bias, ReLU and lengths."""

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.kernels import conv2d

AXES = ("utterance", "frame", "bin", "channel")
CENTRE = "the window of output t begins at frame t · st - ⌊(I - 1) / 2⌋"
LAST = {  # kept by = in place of +=
    **ex.variants("accumulation forgotten", "= keeps the last tap only: add up the taps with +=.", "last tap",
        "last tap, then bias"),
    "accumulation forgotten (last product)": "= keeps the last product only: add up taps and channels with +=.",
}  # fmt: skip
FRAMES = {  # mistakes in the number of output frames
    "last frame forgotten": "an utterance has ⌈length / st⌉ output frames: round up.",
    "stride forgotten (lengths)": "an utterance has ⌈length / st⌉ output frames, not as many as in x.",
}
PARTS = {
    "y": ex.Part("What happens to the sum over the window before it becomes y?",
        "y = ReLU(bias[d] + Σ_i Σ_j Σ_c x W): the bias once, all products added up, then the ReLU.",
        "total = bias[d], in the loops total += x[b, u, v, c] * W[i, j, c, d], then y[b, t, f, d] = max(total, 0)", {
        "ReLU forgotten": "negative results become 0.",
        "bias forgotten": "add bias[d] once to each output of channel d, before the ReLU.",
        "bias after the ReLU": "the ReLU comes last: y = ReLU(bias + sum).",
        **ex.variants("bias added for every tap", "add bias[d] once to each output, outside of the loops over the "
            "window.", "tap", "tap and channel"),
        "accumulation forgotten (last channel)": "= keeps the last input channel only: add up the channels with +=.",
        **LAST,
    }),
    "window": ex.Part("Which frame and which bin of x meets tap (i, j), for output frame t and bin f?",
        "u = t st + i - ⌊(I - 1) / 2⌋ and v = f sf + j - ⌊(J - 1) / 2⌋.",
        "u = t * st + i - (I - 1) // 2, v = f * sf + j - (J - 1) // 2, then if 0 <= u < lengths[b] and 0 <= v < F:", {
        "stride forgotten": "output frame t reads around input frame t · st, bin f around f · sf.",
        "stride forgotten (time)": "output frame t reads around input frame t · st.",
        "stride forgotten (frequency)": "output bin f reads around input bin f · sf.",
        **ex.variants("tap multiplied by the stride", "the stride moves the window, not its taps.", "tap", "both"),
        **ex.variants("tap subtracted", "add the tap: u = t st + i - ⌊(I - 1) / 2⌋.", "time", "time and frequency"),
        "strides exchanged": "stride is (time, frequency): st belongs to t, sf to f.",
        "off by one in time (late)": f"here it begins one frame too late: {CENTRE}.",
        "off by one in time (early)": f"here it begins one frame too early: {CENTRE}.",
        "off by one in the padding": "⌊(I - 1) / 2⌋ frames lie before the window's centre, not ⌊I / 2⌋.",
        **ex.variants("padding forgotten", "the window is centred: it begins ⌊(I - 1) / 2⌋ frames and ⌊(J - 1) / 2⌋ "
            "bins earlier.", "time and frequency", "time", "frequency"),
    }),
    "W": ex.Part("Which index of W is which?",
        "W is [kernel row, kernel column, input channel, output channel]; tap (i, j) meets row i and column j.",
        "W[i, j, c, d]", {
        "kernel flipped": "W[i, j] meets frame i and bin j of the window: both run forward.",
        "transposed index in W": "W is [kernel row, kernel column, input channel, output channel].",
        "kernel rows and columns exchanged": "the first index of W is time, the second is frequency.",
    }),
    "lengths": ex.Part("Where does each utterance end, in x and in y?",
        "Read only 0 ≤ u < length and 0 ≤ v < F; write only the frames t < ⌈length / st⌉.",
        "if 0 <= u < lengths[b] and 0 <= v < F, and for t in range(-(-lengths[b] // st))", {
        "length mask forgotten": "a window that reaches past the end of its utterance reads 0 there, not the padding.",
        "writes past the end": "frames from ⌈length / st⌉ on stay 0: stop at the end of the utterance.",
        **FRAMES,
        "lengths ignored": "each utterance has its own length, for reading and for writing.",
        "negative index": "NumPy reads index -1 as the last element: frames and bins below 0 must read 0.",
    }),
}  # fmt: skip


def forward(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    x, W, bias, (st, sf) = a["x"], a["W"], a["bias"], a["stride"]
    W = W[::-1, ::-1] if "kernel flipped" in mistakes else W
    W = W.swapaxes(2, 3) if "transposed index in W" in mistakes and W.shape[2] == W.shape[3] else W
    W = W.swapaxes(0, 1) if "kernel rows and columns exchanged" in mistakes and W.shape[0] == W.shape[1] else W
    (B, T, F, C), D, last = x.shape, W.shape[3], mistakes & LAST.keys()
    no_bias = mistakes & {"bias forgotten", "bias after the ReLU", "accumulation forgotten (last tap, then bias)"}
    if mistakes & {"accumulation forgotten (last channel)", "accumulation forgotten (last product)"}:
        x, W = x[..., -1:], W[:, :, -1:]
    y = np.zeros((B, -(-T // st), -(-F // sf), D), x.dtype)
    for u in range(B):
        for t in range(frames(a, u, mistakes)):
            for f in range(y.shape[2]):
                taps, row, column = window(a, W, (u, t, f), mistakes)
                products = np.einsum("ijc,ijcd->ijd", x[u][np.ix_(row, column)], W[np.ix_(*taps)])
                count = products.shape[0] * products.shape[1]
                times = {"tap": count, "tap and channel": count * C}
                times_bias = times.get(ex.kind(mistakes, "bias added for every tap"), 1)
                pixel = np.zeros(D) if no_bias else bias * times_bias
                if last and count:
                    pixel = products[-1, -1]
                elif count:
                    pixel = pixel + products.sum(axis=(0, 1))
                if "accumulation forgotten (last tap, then bias)" in mistakes:
                    pixel = pixel + bias
                pixel = pixel if "ReLU forgotten" in mistakes else np.maximum(pixel, 0)
                y[u, t, f] = pixel + bias if "bias after the ReLU" in mistakes else pixel
    return {"y": y}


def frames(a: ex.Arguments, u: int, mistakes: ex.Mistakes) -> int:
    """Output frames of utterance u."""
    length, (st, sf), most = int(a["lengths"][u]), a["stride"], -(-a["x"].shape[1] // a["stride"][0])
    others = {"strides exchanged (lengths too)": -(-length // sf), "last frame forgotten": length // st,
              "stride forgotten (lengths)": length}  # fmt: skip
    others |= dict.fromkeys(("writes past the end", "lengths ignored", "lengths ignored (dy)"), most)
    return min(ex.choice(mistakes, others, -(-length // st)), most)


def window(a: ex.Arguments, W: np.ndarray, output: tuple[int, int, int], mistakes: ex.Mistakes) -> tuple:
    """For output frame t and bin f of utterance u: the taps that meet x, and the frames and bins that they meet."""
    (u, t, f), (_, T, F, _), (I, J), (st, sf) = output, a["x"].shape, W.shape[:2], a["stride"]
    if mistakes & {"strides exchanged", "strides exchanged (lengths too)"}:
        st, sf = sf, st
    st = 1 if mistakes & {"stride forgotten", "stride forgotten (time)"} else st
    sf = 1 if mistakes & {"stride forgotten", "stride forgotten (frequency)"} else sf
    end = T if mistakes & {"length mask forgotten", "lengths ignored"} else int(a["lengths"][u])
    pt, pf = padding(I, J, mistakes)
    multiplied = ex.kind(mistakes, "tap multiplied by the stride")
    of_t, of_f = (st, sf) if multiplied else (1, 1)
    pt, pf = (pt * st, pf * sf) if multiplied == "both" else (pt, pf)
    rows, columns = of_t * np.arange(I) - pt, of_f * np.arange(J) - pf
    subtracted = ex.kind(mistakes, "tap subtracted")
    rows, columns = -rows if subtracted else rows, -columns if subtracted == "time and frequency" else columns
    row, column = t * st + rows, f * sf + columns
    low_t, low_f = (-T, -F) if "negative index" in mistakes else (0, 0)
    taps = tuple(np.flatnonzero((low <= i) & (i < high)) for i, low, high in ((row, low_t, end), (column, low_f, F)))
    return taps, row[taps[0]], column[taps[1]]


def padding(I: int, J: int, mistakes: ex.Mistakes) -> tuple[int, int]:
    """Frames and bins of the window before its centre."""
    pt, pf = (I - 1) // 2, (J - 1) // 2
    if "off by one in the padding" in mistakes:
        pt, pf = I // 2, J // 2
    forgotten = ex.kind(mistakes, "padding forgotten")
    pt, pf = 0 if "time" in forgotten else pt, 0 if "frequency" in forgotten else pf
    return pt - ex.choice(mistakes, {"off by one in time (late)": 1, "off by one in time (early)": -1}, 0), pf


def arguments(
    lengths: tuple[int, ...], F: int, C: int, D: int, kernel: tuple[int, int], stride: tuple[int, int],
    spare: int = 0, seed: int = 0,
) -> ex.Arguments:  # fmt: skip
    """NaN past the ends of x; `spare` frames of padding even for the longest utterance."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((len(lengths), max(lengths) + spare, F, C))
    ex.hide_padding(lengths, x)
    W, bias = rng.standard_normal((*kernel, C, D)), rng.standard_normal(D)
    return {"x": x, "lengths": np.array(lengths, np.int64), "W": W, "bias": bias, "stride": stride}


EXERCISE = ex.CpuExercise(
    # as many output as input channels in the first: a transposed index gives wrong numbers there, and no error
    cases=lambda: {
        "3 x 3 kernel, stride 1": arguments((6,), 5, 2, 2, (3, 3), (1, 1)),
        "stride 2 x 3": arguments((7, 5), 8, 2, 2, (3, 3), (2, 3), seed=1),
        "unequal lengths, even kernel": arguments((5, 1, 8), 6, 2, 3, (4, 2), (2, 1), spare=2, seed=2),
        "one frame, one bin": arguments((1,), 1, 1, 2, (3, 3), (1, 1), seed=3),
        "1 x 1 kernel": arguments((3, 4), 3, 3, 2, (1, 1), (1, 1), spare=1, seed=4),
        "random shape 1": arguments((6, 6, 8), 5, 3, 3, (2, 1), (1, 1), spare=3, seed=10),
        "random shape 2": arguments((1, 4, 7), 2, 3, 1, (3, 5), (1, 2), spare=1, seed=11),
        "random shape 3": arguments((5, 3, 8), 4, 1, 3, (1, 5), (2, 1), spare=1, seed=13),
    },
    reference=forward,
    parts=PARTS,
    axes={"y": AXES},
    timed=lambda: arguments((20, 12), 16, 2, 4, (3, 3), (2, 2), seed=40),
    suspect=lambda trial, wrong: "y" if trial.arguments["stride"] == (1, 1) else "window, lengths",
    package=conv2d.forward,
)
