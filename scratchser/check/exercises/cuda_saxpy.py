"""The first CUDA kernel: y = a x + y, one thread for each element."""

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.kernels.machine.device import blocks

PARTS = {
    "y": ex.Part("What does y contain before the call, and what must become of it?",
        "y[i] = a x[i] + y[i], with the old y[i] on the right.",
        "y[i] = a * x[i] + y[i]", {
        "accumulation forgotten": "y = a x + y: the old value of y is part of the new one.",
        "factor forgotten": "x is multiplied by a.",
        "factor of the sum": "y = a x + y, not a (x + y).",
        "x and y exchanged": "y = a x + y, not a y + x.",
        "product in place of a sum": "y = a x + y, not a x y.",
        "sign": "y = a x + y, not y - a x.",
        "sign of y": "y = a x + y, not a x - y.",
    }),
    "index, index out of range, race": ex.Part(
        "Which element has thread t of block b, and what do the threads without an element do?",
        "The element is b BLOCK + t, which is cuda.grid(1); threads from x.shape[0] on do nothing.",
        "i = cuda.grid(1), then if i < x.shape[0]:", {
        "off by one at the end": "the guard must include the last element: i < x.shape[0].",
        "off by one at the beginning": "thread 0 of block 0 has element 0.",
        "block index forgotten": "the index is cuda.grid(1): threadIdx.x begins at 0 in every block.",
        "thread index forgotten": "the index is cuda.grid(1): blockIdx.x is the same for all threads of a block.",
    }),
}  # fmt: skip


def saxpy(arguments: ex.Arguments, mistakes: ex.Mistakes, BLOCK: int) -> ex.Outputs:
    a, x, y = arguments["a"], arguments["x"], arguments["y"]
    n, result = len(x), y.copy()
    grid = blocks(n, BLOCK)
    a = 1 if "factor forgotten" in mistakes else a
    times, end = 1, n - ("off by one at the end" in mistakes)
    if "block index forgotten" in mistakes:  # every block works on the same elements
        times, end = grid, min(BLOCK, end)
    if "thread index forgotten" in mistakes:  # every thread of a block works on the same element
        times, end = BLOCK, min(grid, end)
    own = slice(int("off by one at the beginning" in mistakes), end)
    for _ in range(times):
        ax, old = (a * result, x) if "x and y exchanged" in mistakes else (a * x, result)
        old = a * old if "factor of the sum" in mistakes else old
        ax, old = -ax if "sign" in mistakes else ax, -old if "sign of y" in mistakes else old
        new = ax * old if "product in place of a sum" in mistakes else ax + old
        result[own] = (ax if "accumulation forgotten" in mistakes else new)[own]
    return {"y": result.astype(y.dtype)}


def cases(BLOCK: int) -> dict[str, ex.Launch]:
    rng, launches = np.random.default_rng(0), {}
    sizes = {"3 blocks and a half": 3 * BLOCK + (BLOCK + 1) // 2, "2 whole blocks": 2 * BLOCK, "1 element": 1}
    for name, n in sizes.items():
        x, y = (rng.integers(1, 19, n).astype(np.float32) / 2 for _ in range(2))
        launches[name] = ex.Launch(blocks(n, BLOCK), BLOCK, {"a": np.float32(3), "x": x, "y": y})
    return launches


EXERCISE = ex.CudaExercise(
    constant=("BLOCK", 1, 64),
    cases=cases,
    reference=saxpy,
    parts=PARTS,
    counted="3 blocks and a half",
    cost=lambda launch: ex.Cost("each element once", 2 * launch.arguments["x"].size, launch.arguments["x"].size),
    wasteful="A thread reads its x and its y once and writes its y once; keep what it needs twice in a variable.",
    axes={"y": ("element",)},
)
