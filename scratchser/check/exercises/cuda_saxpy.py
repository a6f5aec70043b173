"""The first CUDA kernel: y = a x + y, a thread for each number."""

import numpy as np

from scratchser.check.exercises.exercise import Arguments, Cost, CudaExercise, Launch, Mistake, Outputs
from scratchser.kernels.machine.device import blocks

MISTAKES = {
    "y lost": Mistake("missing accumulate", "y = a x + y: what stood in y is part of it."),
    "a": Mistake("factor forgotten", "x is multiplied by a."),
    "exchanged": Mistake("x and y exchanged", "y = a x + y, not a y + x."),
    "sign": Mistake("sign", "y = a x + y, not y - a x."),
    "last": Mistake("off by one at the end", "the last number belongs to the guard as well: i < x.shape[0]."),
    "first": Mistake("off by one at the beginning", "thread 0 of block 0 has number 0."),
    "first block": Mistake(
        "block index forgotten", "a thread's number is cuda.grid(1): threadIdx.x begins at 0 in every block."
    ),
    "next": Mistake("off by one in the index", "y[i] is made of x[i], here of x[i + 1]."),
}


def truth(a: Arguments, mistake: str, BLOCK: int) -> Outputs:
    x, y, factor = a["x"], a["y"], a["a"]
    right = {
        "y lost": factor * x,
        "a": x + y,
        "exchanged": factor * y + x,
        "sign": y - factor * x,
        "next": factor * np.append(x[1:], 0) + y,
    }.get(mistake, factor * x + y)
    if mistake == "first block":  # each block comes here again
        right = np.where(np.arange(len(x)) < BLOCK, y + blocks(len(x), BLOCK) * factor * x, y)
    if mistake == "last":
        right[-1] = y[-1]
    if mistake == "first":
        right[0] = y[0]
    return {"y": right.astype(y.dtype)}


def cases(BLOCK: int) -> dict[str, Launch]:
    rng, found = np.random.default_rng(0), {}
    for name, n in {
        "3 blocks and a half": 3 * BLOCK + (BLOCK + 1) // 2,
        "2 whole blocks": 2 * BLOCK,
        "1 number": 1,
    }.items():
        x, y = (rng.integers(1, 19, n).astype(np.float32) / 2 for _ in range(2))
        found[name] = Launch(blocks(n, BLOCK), BLOCK, {"a": np.float32(3), "x": x, "y": y})
    return found


def cost(launch: Launch) -> Cost:
    n = launch.arguments["x"].size
    return Cost("each number once", global_reads=2 * n, global_writes=n)


CUDA_SAXPY = CudaExercise(
    name="cuda_saxpy",
    parameters=("a", "x", "y"),
    changes=("y",),
    constant=("BLOCK", 1, 64),
    cases=cases,
    truth=truth,
    mistakes=MISTAKES,
    counted="3 blocks and a half",
    cost=cost,
    wasteful="A thread reads its x and its y once and writes its y once; what it needs twice stays in a variable.",
    axes={"y": ("number",)},
)
