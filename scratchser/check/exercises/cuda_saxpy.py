"""The first CUDA kernel: y = a x + y, one thread for each element."""

import numpy as np

from scratchser.check.exercises.exercise import Arguments, Cost, CudaExercise, Launch, Mistakes, Outputs, Part, choice
from scratchser.kernels.machine.device import blocks

MISTAKES = {
    "missing accumulate": "y = a x + y: the old value of y is part of the new one.",
    "factor forgotten": "x is multiplied by a.",
    "x and y exchanged": "y = a x + y, not a y + x.",
    "sign": "y = a x + y, not y - a x.",
    "off by one at the end": "the guard must include the last element: i < x.shape[0].",
    "off by one at the beginning": "thread 0 of block 0 has element 0.",
    "block index forgotten": "the index is cuda.grid(1): threadIdx.x begins at 0 in every block.",
    "off by one in the index": "y[i] is computed from x[i], here from x[i + 1].",
}


def saxpy(arguments: Arguments, mistakes: Mistakes, BLOCK: int) -> Outputs:
    a, x, y = arguments["a"], arguments["x"], arguments["y"]
    result = choice(
        mistakes,
        {
            "missing accumulate": a * x,
            "factor forgotten": x + y,
            "x and y exchanged": a * y + x,
            "sign": y - a * x,
            "off by one in the index": a * np.append(x[1:], 0) + y,
        },
        a * x + y,
    )
    if "block index forgotten" in mistakes:  # every block adds to the same elements
        result = np.where(np.arange(len(x)) < BLOCK, y + blocks(len(x), BLOCK) * a * x, y)
    if "off by one at the end" in mistakes:
        result[-1] = y[-1]
    if "off by one at the beginning" in mistakes:
        result[0] = y[0]
    return {"y": result.astype(y.dtype)}


def cases(BLOCK: int) -> dict[str, Launch]:
    rng, launches = np.random.default_rng(0), {}
    sizes = {"3 blocks and a half": 3 * BLOCK + (BLOCK + 1) // 2, "2 whole blocks": 2 * BLOCK, "1 element": 1}
    for name, n in sizes.items():
        x, y = (rng.integers(1, 19, n).astype(np.float32) / 2 for _ in range(2))
        launches[name] = Launch(blocks(n, BLOCK), BLOCK, {"a": np.float32(3), "x": x, "y": y})
    return launches


def cost(launch: Launch) -> Cost:
    n = launch.arguments["x"].size
    return Cost("each element once", global_reads=2 * n, global_writes=n)


EXERCISE = CudaExercise(
    constant=("BLOCK", 1, 64),
    cases=cases,
    reference=saxpy,
    parts={"": Part("", "", "", MISTAKES)},
    counted="3 blocks and a half",
    cost=cost,
    wasteful="A thread reads its x and its y once and writes its y once; keep what it needs twice in a variable.",
    axes={"y": ("element",)},
)
