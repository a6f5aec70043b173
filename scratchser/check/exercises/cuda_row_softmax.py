"""The softmax of each row, one block for a row."""

import numpy as np

from scratchser.check.exercises import exercise as ex

PARTS = {
    "p": ex.Part("Compute p for a short row by hand. Which step is different in your kernel?",
        "p[r, k] = exp(z[r, k] - m) / Σ_j exp(z[r, j] - m): all threads of the block need the same m and the same sum.",
        "p[row, k] = math.exp(z[row, k] - m) / part[0]", {
        "exp forgotten": "p = exp(z - m) / Σ exp(z - m): exp is missing in the numerator.",
        "division forgotten": "divide by the sum of the row.",
        "accumulation forgotten (last column)": "= keeps the last column of each thread: add up its columns with +=.",
        **ex.variants("accumulation forgotten", "each thread divides by its own sum: the sum of the row is part[0].",
            "own columns", "part[t]"),
        "accumulation forgotten (thread 0)": "the sum is that of thread 0: add those of the other threads with +=.",
        "accumulation forgotten (last thread)": "= keeps the sum of the last thread: add the halves with +=.",
        "one halving too few": "halve until one sum is left: while half > 0.",
        "loop over the columns forgotten": "a thread has more columns than one if the row is longer than the block.",
        "loop over the columns forgotten (sum)": "the sum contains the first THREADS columns only.",
    }),
    "m": ex.Part("Which scores does the maximum of a row contain, and from which scores is it subtracted?",
        "m = max_j z[r, j] over all columns: each thread that of its columns, then the block. All use z - m.",
        "m = float32(-math.inf), for k in range(t, K, THREADS): m = max(m, z[row, k]); then halve; m = part[0]", {
        "maximum forgotten": "exp overflows for large scores: subtract the maximum of the row from its scores.",
        "maximum subtracted in one place only (sum)": "subtract it in the numerator, too: exp(z - m) / Σ exp(z - m).",
        "maximum subtracted in one place only (numerator)": "subtract it in the sum, too: exp(z - m) / Σ exp(z - m).",
        **ex.variants("maximum of a thread's own columns", "all threads need the same m: part[0] after all halvings.",
            "before the halvings", "part[t]"),
        "maximum begins at 0": "all scores may be negative: begin with -inf, or with the first score of the row.",
        "maximum begins at 0 (no column)": "a thread without a column gives the maximum -inf, not 0.",
    }),
    "race, uninitialised read, divergent barrier": ex.BARRIERS,
}  # fmt: skip


def softmax(a: ex.Arguments, mistakes: ex.Mistakes, THREADS: int) -> ex.Outputs:
    """In float64, but rounded to float32 where a kernel stores: exp overflows there."""
    z = a["z"].astype(np.float64)
    K = z.shape[1]
    m = z.max(axis=1, keepdims=True)
    thread = [k % THREADS for k in range(K)]  # of each column
    single, trees = [THREADS] * THREADS, [1 << t.bit_length() for t in range(THREADS)]
    step = {"before the halvings": single, "part[t]": trees}.get(ex.kind(mistakes, "maximum of a thread's own columns"))
    if step:  # from one of the columns that a thread has combined to the next one
        m = np.stack([z[:, t :: step[t]].max(axis=1) for t in thread], axis=1)
    few = "maximum begins at 0 (no column)" in mistakes and K < THREADS
    if few or "maximum begins at 0" in mistakes:
        m = np.maximum(m, 0)
    m = 0 * m if "maximum forgotten" in mistakes else m
    with np.errstate(all="ignore"):
        small, large = (np.exp(z - shift).astype(np.float32) for shift in (m, 0))
        summed = large if "maximum subtracted in one place only (numerator)" in mistakes else small
        e = z - m if "exp forgotten" in mistakes else small
        if "maximum subtracted in one place only (sum)" in mistakes and "division forgotten" not in mistakes:
            e = large
        first = any(name.startswith("loop over the columns forgotten") for name in mistakes)
        summed = summed[:, :THREADS] if first else summed
        columns = [summed[:, t::THREADS].astype(np.float64) for t in range(THREADS)]
        if "accumulation forgotten (last column)" in mistakes:
            columns = [of_thread[:, -1:] for of_thread in columns]
        own = np.stack([of_thread.sum(axis=1) for of_thread in columns], axis=1)
        kept = {
            "one halving too few": slice(None, None, 2),
            "accumulation forgotten (thread 0)": slice(1),
            "accumulation forgotten (last thread)": slice(-1, None),
        }
        total = own[:, ex.choice(mistakes, kept, slice(None))].sum(axis=1, keepdims=True)
        step = {"own columns": single, "part[t]": trees}.get(ex.kind(mistakes, "accumulation forgotten"))
        if step:
            total = np.stack([own[:, t :: step[t]].sum(axis=1) for t in thread], axis=1)
        p = e if "division forgotten" in mistakes else e / total.astype(np.float32)
    if "loop over the columns forgotten" in mistakes:
        p[:, THREADS:] = ex.UNWRITTEN
    return {"p": p.astype(np.float32)}


def cases(THREADS: int) -> dict[str, ex.Launch]:
    """A row of ordinary scores, one with large scores, whose exp overflows, and one with very negative scores."""
    rng, launches = np.random.default_rng(7), {}
    columns = {"more columns than threads": 2 * THREADS + 1, "as many columns as threads": THREADS,
               "fewer columns than threads": THREADS - 1, "1 column": 1}  # fmt: skip
    for name, K in columns.items():
        z = rng.integers(-8, 9, (3, K)).astype(np.float32) / 4 + np.array([[0], [200], [-200]], np.float32)
        launches[name] = ex.Launch(3, THREADS, {"z": z, "p": np.full(z.shape, ex.UNWRITTEN, np.float32)})
    return launches


EXERCISE = ex.CudaExercise(
    constant=("THREADS", 2, 64),
    cases=cases,
    reference=softmax,
    parts=PARTS,
    counted="more columns than threads",
    cost=lambda launch: ex.Cost("three passes", 3 * launch.arguments["z"].size, 2 * launch.arguments["z"].size),
    wasteful="Read a row three times: for the maximum, for the sum, and for the result. Keep what a thread has just "
    "computed in a variable. What all threads need, the maximum and the sum, is in shared memory.",
    axes={"p": ("row", "column")},
)
