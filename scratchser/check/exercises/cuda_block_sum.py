"""The sum of the elements of each block, in shared memory."""

import numpy as np

from scratchser.check.exercises.exercise import (
    UNWRITTEN,
    Arguments,
    Cost,
    CudaExercise,
    Launch,
    Mistakes,
    Outputs,
    Part,
    choice,
)
from scratchser.kernels.machine.device import blocks

MISTAKES = {
    "one halving too few": "halve until one element is left: while half > 0.",
    "missing accumulate (first)": "the result is the block's first element: add the halves with +=.",
    "missing accumulate (last)": "= keeps the block's last element: add the elements with +=.",
    "every block sums all": "block b sums its own elements, x[b THREADS ... (b + 1) THREADS - 1].",
    "block index forgotten": "every block sums the elements of block 0: the index of a thread is cuda.grid(1).",
    "divided by the number of threads": "the result is the sum, not the mean.",
    "off by one at the end": "the element of the last thread belongs to the sum.",
    "off by one at the beginning": "the element of thread 0 belongs to the sum.",
    "sign": "the other half is subtracted: add the halves with +=.",
}


def block_sum(a: Arguments, mistakes: Mistakes, THREADS: int) -> Outputs:
    x = a["x"].astype(np.float64)
    padded = np.zeros((a["sums"].size, THREADS))
    padded.flat[: x.size] = x
    sums = choice(
        mistakes,
        {
            "one halving too few": padded[:, ::2].sum(axis=1),
            "missing accumulate (first)": padded[:, 0],
            "missing accumulate (last)": padded[:, -1],
            "every block sums all": np.full(len(padded), x.sum()),
            "block index forgotten": np.full(len(padded), padded[0].sum()),
            "divided by the number of threads": padded.sum(axis=1) / THREADS,
            "off by one at the end": padded[:, :-1].sum(axis=1),
            "off by one at the beginning": padded[:, 1:].sum(axis=1),
            "sign": padded @ [(-1) ** t.bit_count() for t in range(THREADS)],  # one sign for each halving
        },
        padded.sum(axis=1),
    )
    return {"sums": sums.astype(np.float32)}


def cases(THREADS: int) -> dict[str, Launch]:
    rng, launches = np.random.default_rng(2), {}
    for name, n in {"3 blocks": 3 * THREADS, "the last block not full": 2 * THREADS + 1, "1 element": 1}.items():
        x = rng.integers(1, 399, n).astype(np.float32) / 4  # not whole: a shared array of integers must not pass
        sums = np.full(blocks(n, THREADS), UNWRITTEN, np.float32)
        launches[name] = Launch(len(sums), THREADS, {"x": x, "sums": sums})
    return launches


def cost(launch: Launch) -> Cost:
    """The package's block sum makes THREADS - 1 additions in each block, which read two elements and write one."""
    x, sums = launch.arguments["x"].size, launch.arguments["sums"].size
    shared = sums * (2 * launch.block - 1)
    return Cost("ours", global_reads=x, global_writes=sums, shared_reads=shared, shared_writes=shared)


EXERCISE = CudaExercise(
    constant=("THREADS", 2, 64),
    cases=cases,
    reference=block_sum,
    parts={"": Part("", "", "", MISTAKES)},
    counted="3 blocks",
    cost=cost,
    wasteful="Read each element from global memory once, into shared memory; add up the halves there, and let one "
    "thread write the sum of the block.",
    axes={"sums": ("block",)},
)
