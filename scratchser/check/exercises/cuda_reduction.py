"""The sum of a whole array: each block adds up its share of the elements, whatever the grid."""

import numpy as np

from scratchser.check.exercises import exercise as ex

PARTS = {
    "sums": ex.Part("Which elements of x does thread 0 of block 1 add?",
        "A thread adds x[i], x[i + gridsize], and so on, with i = cuda.grid(1) and cuda.gridsize(1) as the step.",
        "for i in range(cuda.grid(1), x.shape[0], cuda.gridsize(1)): total += x[i]", {
        "loop over the grid forgotten": "a thread has more elements than one: i, i + cuda.gridsize(1), and so on.",
        "step of one block": "step by all threads of the grid, cuda.gridsize(1): now the blocks add the same elements.",
        "block index forgotten": "every block adds the elements of block 0: begin at cuda.grid(1).",
        "every block sums all": "begin at cuda.grid(1) and step by cuda.gridsize(1): a block adds its own elements.",
        "contiguous elements in a thread": "thread i adds x[i], x[i + gridsize], ...: neighbours read neighbours.",
        "accumulation forgotten (last element)": "= keeps the last element of each thread: add its elements with +=.",
        "off by one at the end": "the loop must include the last element: it ends before x.shape[0].",
        "first element counted twice": "the sum of a thread begins with x[i], or the loop begins at i, but not both.",
    }),
    "halving": ex.Part("How do the sums of all threads of the block become one?",
        "part[t] += part[t + half] for t < half, with half = THREADS / 2, then half of that, down to 1.",
        "while half > 0: if t < half: part[t] += part[t + half]", {
        "accumulation forgotten (thread 0)": "the result is the sum of thread 0: add those of the others with +=.",
        "accumulation forgotten (last thread)": "= keeps the sum of the last thread: add the halves with +=.",
        "one halving too few": "halve until one sum is left: while half > 0.",
        "divided by the number of threads": "the result is the sum, not the mean.",
    }),
    "race, uninitialised read, divergent barrier": ex.BARRIERS,
}  # fmt: skip


def reduction(a: ex.Arguments, mistakes: ex.Mistakes, THREADS: int) -> ex.Outputs:
    x, N = a["x"].astype(np.float64), a["sums"].size
    if "off by one at the end" in mistakes:
        x = x[:-1]
    step = THREADS if mistakes & {"step of one block", "every block sums all"} else N * THREADS
    first = np.arange(N * THREADS).reshape(N, THREADS)  # element of each thread
    if mistakes & {"block index forgotten", "every block sums all"}:
        first = np.tile(first[0], (N, 1))
    of_share = {"loop over the grid forgotten": slice(1), "accumulation forgotten (last element)": slice(-1, None)}
    of_block = {
        "one halving too few": slice(None, None, 2),
        "accumulation forgotten (thread 0)": slice(1),
        "accumulation forgotten (last thread)": slice(-1, None),
    }

    def thread(i: int) -> float:
        share = x[i::step]
        if "contiguous elements in a thread" in mistakes:
            share = x[i * -(-x.size // step) :][: -(-x.size // step)]
        share = share[ex.choice(mistakes, of_share, slice(None))]
        return share.sum() + share[:1].sum() * ("first element counted twice" in mistakes)

    part = np.vectorize(thread, otypes=[float])(first)[:, ex.choice(mistakes, of_block, slice(None))]
    return {"sums": (part.sum(axis=1) / (THREADS if "divided by the number of threads" in mistakes else 1)).astype("f")}


def cases(THREADS: int) -> dict[str, ex.Launch]:
    rng, launches = np.random.default_rng(6), {}
    sizes = {
        "2 blocks": (2, 5 * THREADS + 1),
        "3 blocks": (3, 5 * THREADS + 1),
        "1 block, as in the second launch": (1, 3 * THREADS + 1),
        "a block without elements": (3, THREADS + 1),
        "1 element": (1, 1),
    }
    for name, (N, n) in sizes.items():
        x = rng.integers(1, 399, n).astype(np.float32) / 4  # not whole: a shared array of integers must not pass
        launches[name] = ex.Launch(N, THREADS, {"x": x, "sums": np.full(N, ex.UNWRITTEN, np.float32)})
    return launches


EXERCISE = ex.CudaExercise(
    constant=("THREADS", 2, 64),
    cases=cases,
    reference=reduction,
    parts=PARTS,
    counted="2 blocks",
    cost=lambda launch: ex.Cost("each element once", launch.arguments["x"].size, launch.arguments["sums"].size),
    wasteful="Add up the elements of a thread in a variable, which is in a register; then write it to shared memory "
    "once, and let one thread write the sum of the block.",
    axes={"sums": ("block",)},
)
