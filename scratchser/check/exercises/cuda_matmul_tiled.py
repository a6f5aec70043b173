"""The matrix product through tiles in shared memory."""

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
    "transposed index in A": "C[i, j] = Σ A[i, k] B[k, j]: the first index of A is the row of C.",
    "transposed index in B": "C[i, j] = Σ A[i, k] B[k, j]: the second index of B is the column of C.",
    "transposed index in C": "x counts columns and y rows: j, i = cuda.grid(2), and C[i, j].",
    "missing accumulate (last tile)": "set the sum to 0 once, before the first tile, and add to it in every tile.",
    "one tile only": "loop over all of k, tile by tile.",
    "missing accumulate (last product)": "= keeps the last k of the last tile only: add up the products with +=.",
    "last, smaller tile forgotten": "if K is not a multiple of TILE, a smaller tile remains: fill it up with zeros.",
}


def matmul(a: Arguments, mistakes: Mistakes, TILE: int) -> Outputs:
    A, B = a["A"].astype(np.float64), a["B"].astype(np.float64)
    K, square = A.shape[1], A.shape[0] == A.shape[1] == B.shape[1]
    A = A.T if "transposed index in A" in mistakes and square else A
    B = B.T if "transposed index in B" in mistakes and square else B
    last = (K - 1) // TILE * TILE
    k = choice(
        mistakes,
        {
            "missing accumulate (last tile)": slice(last, K),
            "missing accumulate (last product)": slice(last + TILE - 1, K),  # past K the tile contains zeros
            "one tile only": slice(0, TILE),
            "last, smaller tile forgotten": slice(0, K // TILE * TILE),
        },
        slice(0, K),
    )
    C = A[:, k] @ B[k]
    return {"C": (C.T if "transposed index in C" in mistakes and square else C).astype(np.float32)}


def cases(TILE: int) -> dict[str, Launch]:
    """Square matrices first: a transposed index gives wrong numbers there, and is not out of range."""
    rng, launches = np.random.default_rng(1), {}
    shapes = {
        "square, 2 x 2 tiles": (2 * TILE,) * 3,
        "no multiples of the tile": (TILE + 1, 2 * TILE + 1, 2 * TILE - 1),
        "one of each": (1, 1, 1),
        "a long k": (TILE, 3 * TILE + 1, 2),
    }
    for name, (M, K, N) in shapes.items():
        A, B = (rng.integers(1, 19, shape).astype(np.float32) / 2 for shape in ((M, K), (K, N)))
        C = np.full((M, N), UNWRITTEN, np.float32)
        launches[name] = Launch((blocks(N, TILE), blocks(M, TILE)), (TILE, TILE), {"A": A, "B": B, "C": C})
    return launches


def cost(launch: Launch) -> Cost:
    (M, K), N = launch.arguments["A"].shape, launch.arguments["B"].shape[1]
    columns, rows = launch.grid
    return Cost("a tiled kernel", global_reads=columns * M * K + rows * K * N, global_writes=M * N)


EXERCISE = CudaExercise(
    constant=("TILE", 2, 8),
    cases=cases,
    reference=matmul,
    parts={"": Part("", "", "", MISTAKES)},
    counted="no multiples of the tile",
    cost=cost,
    wasteful="Read each element of A and B from global memory once for every tile of C: each thread of the block reads "
    "one element of each tile, and all multiply from shared memory. A naive kernel reads 2 K elements for one of C.",
    axes={"C": ("row", "column")},
)
