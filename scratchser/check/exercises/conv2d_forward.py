"""The strided convolution over time and frequency, with bias, ReLU and lengths."""

import numpy as np

from scratchser.check.exercises.exercise import Arguments, CpuExercise, Mistakes, Outputs, Part, choice, hide_padding
from scratchser.kernels import conv2d

AXES = ("utterance", "frame", "bin", "channel")
MISTAKES = {
    "stride forgotten": "output frame t reads around input frame t · st, bin f around f · sf.",
    "strides exchanged": "stride is (time, frequency): frames move by st, bins by sf.",
    "kernel flipped": "go through kernel and window in the same direction.",
    "transposed index in W": "W is [kernel row, kernel column, input channel, output channel].",
    "kernel rows and columns exchanged": "the first index of W is time, the second is frequency.",
    "off by one in time (late)": "every window begins one frame too late: frame t · st + i - ⌊(I - 1) / 2⌋.",
    "off by one in time (early)": "every window begins one frame too early: frame t · st + i - ⌊(I - 1) / 2⌋.",
    "off by one in the padding": "⌊(I - 1) / 2⌋ frames lie before the window's centre, not ⌊I / 2⌋.",
    "padding forgotten": "the window of frame t is centred: it begins ⌊(I - 1) / 2⌋ frames earlier.",
    "ReLU forgotten": "negative results become 0.",
    "bias forgotten": "add bias[d] once to each output of channel d, before the ReLU.",
    "length mask forgotten": "a window that reaches past the end of its utterance reads 0 there, not the padding.",
    "writes past the end": "frames from ⌈length / st⌉ on stay 0: stop at the end of the utterance.",
    "lengths ignored": "each utterance has its own length, for reading and for writing.",
    "negative index": "NumPy reads index -1 as the last element: frames and bins below 0 must read 0.",
    "missing accumulate (last tap)": "= keeps the last tap only: add up the taps with +=.",
    "missing accumulate (last tap, then bias)": "= keeps the last tap only: add up the taps with +=.",
    "missing accumulate (last product)": "= keeps the last product only: add up taps and channels with +=.",
    "missing accumulate (last channel)": "= keeps the last input channel only: add up the channels with +=.",
}


def forward(a: Arguments, mistakes: Mistakes) -> Outputs:
    x, lengths, W, bias, (st, sf) = a["x"], a["lengths"], a["W"], a["bias"], a["stride"]
    if "kernel flipped" in mistakes:
        W = W[::-1, ::-1]
    if "transposed index in W" in mistakes and W.shape[2] == W.shape[3]:
        W = W.swapaxes(2, 3)
    if "kernel rows and columns exchanged" in mistakes and W.shape[0] == W.shape[1]:
        W = W.swapaxes(0, 1)
    (B, T, F, _), (I, J, _, D) = x.shape, W.shape
    pt, pf = padding(I, J, mistakes)
    step = choice(mistakes, {"stride forgotten": (1, 1), "strides exchanged": (sf, st)}, (st, sf))
    lowest = -1 - I - J if "negative index" in mistakes else 0
    last_product = "missing accumulate (last product)" in mistakes
    last_only = any(name.startswith("missing accumulate (last tap") for name in mistakes) or last_product
    bias_last = "missing accumulate (last tap, then bias)" in mistakes
    y = np.zeros((B, -(-T // st), -(-F // sf), D), x.dtype)
    for u in range(B):
        end = T if mistakes & {"length mask forgotten", "lengths ignored"} else lengths[u]
        frames = y.shape[1] if mistakes & {"writes past the end", "lengths ignored"} else -(-lengths[u] // st)
        for t in range(frames):
            for f in range(y.shape[2]):
                pixel = np.zeros(D) if "bias forgotten" in mistakes or bias_last else bias.copy()
                for i in range(I):
                    for j in range(J):
                        frame, bin = t * step[0] + i - pt, f * step[1] + j - pf
                        if not (max(lowest, -T) <= frame < end and max(lowest, -F) <= bin < F):
                            continue
                        value = x[u, frame, bin] @ W[i, j]
                        if mistakes & {"missing accumulate (last channel)", "missing accumulate (last product)"}:
                            value = x[u, frame, bin, -1] * W[i, j, -1]
                        pixel = value if last_only else pixel + value
                pixel = pixel + bias if bias_last else pixel
                y[u, t, f] = pixel if "ReLU forgotten" in mistakes else np.maximum(pixel, 0)
    return {"y": y}


def padding(I: int, J: int, mistakes: Mistakes) -> tuple[int, int]:
    """Frames and bins of the window before its centre."""
    pt, pf = (I - 1) // 2, (J - 1) // 2
    if "off by one in the padding" in mistakes:
        pt, pf = I // 2, J // 2
    if "padding forgotten" in mistakes:
        pt, pf = 0, 0
    return pt - choice(mistakes, {"off by one in time (late)": 1, "off by one in time (early)": -1}, 0), pf


def arguments(
    lengths: tuple[int, ...], F: int, C: int, D: int, kernel: tuple[int, int], stride: tuple[int, int],
    spare: int = 0, seed: int = 0,
) -> Arguments:  # fmt: skip
    """NaN past the ends of x; `spare` frames of padding even for the longest utterance."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((len(lengths), max(lengths) + spare, F, C))
    hide_padding(lengths, x)
    W, bias = rng.standard_normal((*kernel, C, D)), rng.standard_normal(D)
    return {"x": x, "lengths": np.array(lengths, np.int64), "W": W, "bias": bias, "stride": stride}


EXERCISE = CpuExercise(
    # as many output as input channels in the first: a transposed index gives wrong numbers there, and no error
    cases=lambda: {
        "3 x 3 kernel, stride 1": arguments((6,), 5, 2, 2, (3, 3), (1, 1)),
        "stride 2 x 3": arguments((7, 5), 8, 2, 2, (3, 3), (2, 3), seed=1),
        "unequal lengths, even kernel": arguments((5, 1, 8), 6, 2, 3, (4, 2), (2, 1), spare=2, seed=2),
        "one frame, one bin": arguments((1,), 1, 1, 2, (3, 3), (1, 1), seed=3),
        "1 x 1 kernel": arguments((3, 4), 3, 3, 2, (1, 1), (1, 1), spare=1, seed=4),
        "random shape 1": arguments((6, 6, 8), 5, 3, 3, (2, 1), (1, 1), spare=3, seed=10),
        "random shape 2": arguments((1, 4, 7), 2, 3, 1, (3, 5), (1, 2), spare=1, seed=11),
        "random shape 3": arguments((3, 8, 4), 4, 2, 2, (3, 3), (3, 3), spare=3, seed=12),
        "random shape 4": arguments((5, 3, 8), 4, 1, 3, (1, 5), (2, 1), spare=1, seed=13),
    },
    reference=forward,
    parts={"": Part("", "", "", MISTAKES)},
    axes={"y": AXES},
    timed=lambda: arguments((20, 12), 16, 2, 4, (3, 3), (2, 2), seed=40),
    package=conv2d.forward,
)
