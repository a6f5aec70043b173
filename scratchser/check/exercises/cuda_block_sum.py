"""The sum of each block's numbers, in shared memory."""

import numpy as np
from numba import float32

from scratchser.check.exercises.exercise import UNTOUCHED, Arguments, Cost, CudaExercise, Launch, Mistake, Outputs
from scratchser.kernels.machine.block_sum import fold
from scratchser.kernels.machine.compile import cuda
from scratchser.kernels.machine.device import blocks
from scratchser.tracer import trace

MISTAKES = {
    "no last halving": Mistake("one halving too few", "the halves go on down to one number: while half > 0."),
    "first number": Mistake(
        "missing accumulate", "the block's first number alone comes out: the halves are added, +=."
    ),
    "last number": Mistake("missing accumulate", "= keeps the block's last number: the numbers are added up, +=."),
    "whole": Mistake("every block sums all", "block b sums its own numbers, x[b THREADS ... (b + 1) THREADS - 1]."),
    "first block": Mistake(
        "block index forgotten", "every block sums the numbers of block 0: a thread's number is cuda.grid(1)."
    ),
    "mean": Mistake("divided by the number of threads", "the sum is asked for, not the mean."),
    "last thread": Mistake("off by one at the end", "the last thread's number belongs to the sum."),
    "thread 0": Mistake("off by one at the beginning", "thread 0 has a number too."),
    "sign": Mistake("sign", "the other half is subtracted: the halves are added, +=."),
}


def truth(a: Arguments, mistake: str, THREADS: int) -> Outputs:
    x = a["x"].astype(np.float64)
    padded = np.zeros((a["sums"].size, THREADS))
    padded.flat[: x.size] = x
    sums = {
        "no last halving": padded[:, ::2].sum(axis=1),
        "first number": padded[:, 0],
        "last number": padded[:, -1],
        "whole": np.full(len(padded), x.sum()),
        "first block": np.full(len(padded), padded[0].sum()),
        "mean": padded.sum(axis=1) / THREADS,
        "last thread": padded[:, :-1].sum(axis=1),
        "thread 0": padded[:, 1:].sum(axis=1),
        "sign": padded @ [(-1) ** t.bit_count() for t in range(THREADS)],  # one sign for each halving
    }.get(mistake, padded.sum(axis=1))
    return {"sums": sums.astype(np.float32)}


def cases(THREADS: int) -> dict[str, Launch]:
    rng, found = np.random.default_rng(2), {}
    for name, n in {"3 blocks": 3 * THREADS, "the last block not full": 2 * THREADS + 1, "1 number": 1}.items():
        x = rng.integers(1, 399, n).astype(np.float32) / 4  # no whole numbers: shared integers would do for those
        sums = np.full(blocks(n, THREADS), UNTOUCHED, np.float32)
        found[name] = Launch(len(sums), THREADS, {"x": x, "sums": sums})
    return found


def ours(THREADS: int):
    """The package's fold, as a kernel."""

    @cuda.jit
    def kernel(x, sums):
        part = cuda.shared.array(THREADS, float32)
        t, i = cuda.threadIdx.x, cuda.grid(1)
        part[t] = x[i] if i < x.shape[0] else 0
        fold(part, t)
        if t == 0:
            sums[cuda.blockIdx.x] = part[0]

    return kernel


def cost(launch: Launch) -> Cost:
    given = [array.copy() for array in launch.arguments.values()]
    counts = trace(ours(launch.block), launch.grid, launch.block, *given).counts
    return Cost("ours", **{kind: count.total for kind, count in vars(counts).items()})


CUDA_BLOCK_SUM = CudaExercise(
    name="cuda_block_sum",
    parameters=("x", "sums"),
    changes=("sums",),
    constant=("THREADS", 2, 64),
    cases=cases,
    truth=truth,
    mistakes=MISTAKES,
    counted="3 blocks",
    cost=cost,
    wasteful="Each number comes from global memory once, into shared memory; the halves are added up there, and one "
    "thread writes the block's sum.",
    axes={"sums": ("block",)},
)
