"""The strided convolution with one thread for each element of its output."""

import numpy as np

from scratchser.check.exercises import conv2d_forward
from scratchser.check.exercises import exercise as ex
from scratchser.kernels.machine.device import blocks

PARTS = {  # for the tracer, an index below 0 is out of range whatever the result is
    **conv2d_forward.PARTS,
    "lengths, index out of range": conv2d_forward.PARTS["lengths"]._replace(
        line="write if cuda.grid(1) < y.shape[2] * D and t < -(-lengths[b] // st), read if 0 <= u < lengths[b] and "
        "0 <= v < F",
        mistakes={m: text for m, text in conv2d_forward.PARTS["lengths"].mistakes.items() if m != "negative index"},
    ),
}
del PARTS["lengths"]


def convolution(a: ex.Arguments, mistakes: ex.Mistakes, THREADS: int) -> ex.Outputs:
    """y, unwritten past the ends unless the mistake is to write there."""
    given = {name: a[name].astype(np.float64) for name in ("x", "W", "bias")}
    given.update(lengths=a["lengths"].astype(np.int64), stride=(a["st"], a["sf"]))
    y = conv2d_forward.forward(given, mistakes)["y"]
    for u in range(len(y)):
        y[u, conv2d_forward.frames(given, u, mistakes) :] = ex.UNWRITTEN
    return {"y": y.astype(np.float32)}


def launch(THREADS: int, *shape, **options) -> ex.Launch:
    """Whole numbers, NaN past the ends of x; parameters as of conv2d_forward.arguments."""
    a = conv2d_forward.arguments(*shape, **options)
    x, W, bias = (np.round(3 * a[name]).astype(np.float32) for name in ("x", "W", "bias"))
    (B, T, F, _), D, (st, sf) = x.shape, bias.size, a["stride"]
    y = np.full((B, -(-T // st), -(-F // sf), D), ex.UNWRITTEN, np.float32)
    lengths = a["lengths"].astype(np.int32)
    given = {"x": x, "lengths": lengths, "W": W, "bias": bias, "st": st, "sf": sf, "y": y}
    return ex.Launch((blocks(y.shape[2] * D, THREADS), y.shape[1], B), THREADS, given)


def cases(THREADS: int) -> dict[str, ex.Launch]:
    """As many output as input channels in the first: a transposed index is not out of range there."""
    return {
        "3 x 3 kernel, stride 1": launch(THREADS, (4,), 4, 2, 2, (3, 3), (1, 1)),
        "stride 2 x 3": launch(THREADS, (5, 3), 7, 2, 2, (3, 3), (2, 3), seed=1),
        "unequal lengths, even kernel": launch(THREADS, (3, 1), 3, 1, 3, (6, 2), (2, 1), spare=2, seed=2),
        "one frame, one bin": launch(THREADS, (1,), 1, 1, 2, (3, 3), (1, 1), seed=3),
    }


def cost(launch: ex.Launch) -> ex.Cost:
    """A thread reads its length, its bias, and an x and a W for each product."""
    a = launch.arguments
    (B, _, F, C), (I, J, _, D), (st, sf) = a["x"].shape, a["W"].shape, (a["st"], a["sf"])
    x_blocks, frames, _ = launch.grid
    outputs = products = 0
    for length in a["lengths"]:
        for t in range(-(-length // st)):
            rows = sum(0 <= t * st + i - (I - 1) // 2 < length for i in range(I))
            for f in range(a["y"].shape[2]):
                columns = sum(0 <= f * sf + j - (J - 1) // 2 < F for j in range(J))
                outputs, products = outputs + D, products + D * rows * columns * C
    threads = x_blocks * launch.block * frames * B
    return ex.Cost("a plain kernel", global_reads=int(threads + outputs + 2 * products), global_writes=int(outputs))


EXERCISE = ex.CudaExercise(
    constant=("THREADS", 1, 64),
    cases=cases,
    reference=convolution,
    parts=PARTS,
    counted="stride 2 x 3",
    cost=cost,
    wasteful="Add up in a variable and write y once. Read what is the same for every product, the length and the bias, "
    "once before the loops; do not read taps outside of the utterance.",
    axes={"y": conv2d_forward.AXES},
)
