"""The strided convolution with a thread for each number of its output."""

import numpy as np

from scratchser.check.exercises import conv2d
from scratchser.check.exercises.exercise import UNTOUCHED, Arguments, Cost, CudaExercise, Launch, Outputs
from scratchser.kernels.machine.device import blocks

HOST_ONLY = ("wraps",)  # an index below 0 is out of range for the tracer, whatever comes of it
MISTAKES = {key: mistake for key, mistake in conv2d.FORWARD.items() if key not in HOST_ONLY}


def truth(a: Arguments, mistake: str, THREADS: int) -> Outputs:
    """y, untouched past the ends unless the mistake is to write there."""
    given = {name: array.astype(np.float64) for name, array in a.items() if name in ("x", "W", "bias")}
    given.update(lengths=a["lengths"].astype(np.int64), stride=(a["st"], a["sf"]))
    y = conv2d.forward(given, mistake)["y"]
    if mistake not in ("writes padding", "lengths"):
        for u, length in enumerate(a["lengths"]):
            y[u, -(-length // a["st"]) :] = UNTOUCHED
    return {"y": y.astype(np.float32)}


def launch(THREADS: int, **shape) -> Launch:
    """Whole numbers, NaN past the ends of x."""
    a = conv2d.drawn(**shape)
    real = {name: np.round(3 * a[name]).astype(np.float32) for name in ("x", "W", "bias")}
    st, sf = a["stride"]
    (B, T, F, _), D = a["x"].shape, a["bias"].size
    y = np.full((B, -(-T // st), -(-F // sf), D), UNTOUCHED, np.float32)
    lengths = a["lengths"].astype(np.int32)
    grid = blocks(y.shape[2] * D, THREADS), y.shape[1], B
    given = {"x": real["x"], "lengths": lengths, "W": real["W"], "bias": real["bias"], "st": st, "sf": sf, "y": y}
    return Launch(grid, THREADS, given)


def cases(THREADS: int) -> dict[str, Launch]:
    """As many channels out as in first: there a transposed index is a wrong number and not out of range."""
    return {
        "3 x 3 kernel, stride 1": launch(THREADS, lengths=(4,), F=4, C=2, D=2, kernel=(3, 3), stride=(1, 1)),
        "stride 2 x 3": launch(THREADS, lengths=(5, 3), F=7, C=2, D=2, kernel=(3, 3), stride=(2, 3), seed=1),
        "unequal lengths, even kernel": launch(
            THREADS, lengths=(3, 1), F=3, C=1, D=3, kernel=(4, 2), stride=(2, 1), spare=2, seed=2
        ),
        "one frame, one bin": launch(THREADS, lengths=(1,), F=1, C=1, D=2, kernel=(3, 3), stride=(1, 1), seed=3),
    }


def cost(launch: Launch) -> Cost:
    """A thread that reads its length, its bias, and an x and a W for each product."""
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
    return Cost("a plain one", global_reads=int(threads + outputs + 2 * products), global_writes=int(outputs))


CUDA_CONV2D_FORWARD = CudaExercise(
    name="cuda_conv2d_forward",
    parameters=("x", "lengths", "W", "bias", "st", "sf", "y"),
    changes=("y",),
    constant=("THREADS", 1, 64),
    cases=cases,
    truth=truth,
    mistakes=MISTAKES,
    counted="stride 2 x 3",
    cost=cost,
    wasteful="Sum up in a variable and write y once. What is the same for every product, the length and the bias, is "
    "read once, before the loops; a tap outside of the utterance is not read at all.",
    axes={"y": conv2d.AXES},
)
