"""The sum of the elements of each block, in shared memory."""

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.kernels.machine.device import blocks

PARTS = {
    "sums": ex.Part("What is added to what in each halving, and which elements are there at the beginning?",
        "part[t] += part[t + half] for t < half, with half = THREADS / 2, then half of that, down to 1.",
        "while half > 0: if t < half: part[t] += part[t + half]", {
        "one halving too few": "halve until one element is left: while half > 0.",
        "accumulation forgotten (first)": "the result is the block's first element: add the halves with +=.",
        "accumulation forgotten (last)": "= keeps the block's last element: add the elements with +=.",
        "divided by the number of threads": "the result is the sum, not the mean.",
        "off by one at the end": "the element of the last thread belongs to the sum.",
        "sign": "the other half is subtracted: add the halves with +=.",
    }),
    "index, index out of range, uninitialised read": ex.Part(
        "Which element of x does thread t of block b load, and where does its block write?",
        "Thread t of block b has x[cuda.grid(1)], or 0 past the end; block b writes sums[b].",
        "part[t] = x[i] if i < x.shape[0] else 0, with i = cuda.grid(1)", {
        "block index forgotten": "every block sums the elements of block 0: the index is cuda.grid(1).",
        "block index forgotten (output)": "every block writes sums[0]: block b writes sums[cuda.blockIdx.x].",
    }),
    "race, divergent barrier": ex.BARRIERS,
}  # fmt: skip


def block_sum(a: ex.Arguments, mistakes: ex.Mistakes, THREADS: int) -> ex.Outputs:
    x, sums = a["x"].astype(np.float64), np.full(a["sums"].size, ex.UNWRITTEN)
    padded = np.zeros((sums.size, THREADS))
    padded.flat[: x.size] = x
    padded = padded[:1] + 0 * padded if "block index forgotten" in mistakes else padded
    padded[:, THREADS - ("off by one at the end" in mistakes) :] = 0
    signs = [(-1) ** t.bit_count() if "sign" in mistakes else 1 for t in range(THREADS)]  # one sign for each halving
    step = 2 if "one halving too few" in mistakes else 1
    ends = {"accumulation forgotten (first)": padded[:, 0], "accumulation forgotten (last)": padded[:, -1]}
    result = ex.choice(mistakes, ends, (padded * signs)[:, ::step].sum(axis=1))
    result = result / THREADS if "divided by the number of threads" in mistakes else result
    sums[:] = [result[-1], *sums[1:]] if "block index forgotten (output)" in mistakes else result
    return {"sums": sums.astype(np.float32)}


def cases(THREADS: int) -> dict[str, ex.Launch]:
    rng, launches = np.random.default_rng(2), {}
    for name, n in {"3 blocks": 3 * THREADS, "the last block not full": 2 * THREADS + 1, "1 element": 1}.items():
        x = rng.integers(1, 399, n).astype(np.float32) / 4  # not whole: a shared array of integers must not pass
        sums = np.full(blocks(n, THREADS), ex.UNWRITTEN, np.float32)
        launches[name] = ex.Launch(len(sums), THREADS, {"x": x, "sums": sums})
    return launches


def cost(launch: ex.Launch) -> ex.Cost:
    """The package's block sum makes THREADS - 1 additions in each block, which read two elements and write one."""
    x, sums = launch.arguments["x"].size, launch.arguments["sums"].size
    shared = sums * (2 * launch.block - 1)
    return ex.Cost("ours", global_reads=x, global_writes=sums, shared_reads=shared, shared_writes=shared)


EXERCISE = ex.CudaExercise(
    constant=("THREADS", 2, 64),
    cases=cases,
    reference=block_sum,
    parts=PARTS,
    counted="3 blocks",
    cost=cost,
    wasteful="Read each element from global memory once, into shared memory; add up the halves there, and let one "
    "thread write the sum of the block.",
    axes={"sums": ("block",)},
)
