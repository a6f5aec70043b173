"""One step of an LSTM with one thread for each unit of an utterance."""

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.check.exercises import lstm_cell_forward
from scratchser.kernels.machine.device import blocks

PARTS = {
    **lstm_cell_forward.PARTS,
    "gates": ex.Part("Which four elements of z belong to your unit, and through which function does each of them go?",
        "i, f, g, o = σ, σ, tanh, σ of z[b, u], z[b, H + u], z[b, 2H + u], z[b, 3H + u].",
        "i = sigmoid(z[b, u]), f = sigmoid(z[b, H + u]), g = math.tanh(z[b, 2 * H + u]), o like f with 3 * H + u", {
        **lstm_cell_forward.PARTS["gates"].mistakes,
        "gates of a unit side by side": "the H elements of i come first in a row of z: z[b, u], z[b, H + u], ...",
    }),
    "index, index out of range, race": ex.Part("Which utterance and unit has a thread, and what do the others do?",
        "The unit is cuda.grid(1), the utterance cuda.blockIdx.y; threads from unit H on do nothing.",
        "u, b = cuda.grid(1), cuda.blockIdx.y, then if u < c.shape[1]:", {
        **ex.variants("first utterance only", "cuda.blockIdx.y is the utterance: z[b, ...], c[b, u].", "z and c", "z"),
        "block index forgotten": "every block computes the first THREADS units: the unit is cuda.grid(1).",
        "off by one at the end": "the guard must include the last unit: u < c.shape[1].",
    }),
}  # fmt: skip


def cell(a: ex.Arguments, mistakes: ex.Mistakes, THREADS: int) -> ex.Outputs:
    z, c = a["z"].astype(np.float64), a["c"].astype(np.float64)
    B, H = c.shape
    if "gates of a unit side by side" in mistakes:
        z = z.reshape(B, H, 4).swapaxes(1, 2).reshape(B, 4 * H)
    first = ex.kind(mistakes, "first utterance only")
    z, c = np.repeat(z[:1], B, axis=0) if first else z, np.repeat(c[:1], B, axis=0) if first == "z and c" else c
    outputs = lstm_cell_forward.cell({"z": z, "c": c}, mistakes)
    result = {name: outputs[name].astype(np.float32) for name in ("c_after", "h")}
    for array in result.values():
        if "block index forgotten" in mistakes:
            array[:, THREADS:] = ex.UNWRITTEN
        if "off by one at the end" in mistakes:
            array[:, -1] = ex.UNWRITTEN
    return result


def launch(THREADS: int, B: int, H: int, seed: int) -> ex.Launch:
    a = lstm_cell_forward.arguments(B, H, seed)
    given = {name: array.astype(np.float32) for name, array in a.items()}
    given.update({name: np.full((B, H), ex.UNWRITTEN, np.float32) for name in ("c_after", "h")})
    return ex.Launch((blocks(H, THREADS), B), THREADS, given)


def cases(THREADS: int) -> dict[str, ex.Launch]:
    return {
        "3 utterances, a block not full": launch(THREADS, 3, THREADS + 2, seed=0),
        "2 whole blocks": launch(THREADS, 2, 2 * THREADS, seed=1),
        "1 utterance, 1 unit": launch(THREADS, 1, 1, seed=2),
    }


EXERCISE = ex.CudaExercise(
    constant=("THREADS", 1, 64),
    cases=cases,
    reference=cell,
    parts=PARTS,
    counted="3 utterances, a block not full",
    cost=lambda launch: ex.Cost("each element once", 5 * launch.arguments["c"].size, 2 * launch.arguments["c"].size),
    wasteful="A thread reads four elements of z and one of c, and writes two: keep the new cell state in a variable.",
    axes={"c_after": ("utterance", "unit"), "h": ("utterance", "unit")},
)
