"""The matrix product through tiles in shared memory."""

import numpy as np

from scratchser.check.exercises.exercise import UNTOUCHED, Arguments, Cost, CudaExercise, Launch, Mistake, Outputs
from scratchser.kernels.machine.device import blocks

MISTAKES = {
    "transposed A": Mistake("transposed index in A", "C[i, j] = Σ A[i, k] B[k, j]: A's first index is the row of C."),
    "transposed B": Mistake(
        "transposed index in B", "C[i, j] = Σ A[i, k] B[k, j]: B's second index is the column of C."
    ),
    "transposed C": Mistake("transposed index in C", "x counts columns and y rows: j, i = cuda.grid(2), and C[i, j]."),
    "last tile": Mistake(
        "missing accumulate", "the sum goes on from tile to tile: it begins with 0 once, before the first."
    ),
    "first tile": Mistake("one tile only", "a block walks along the whole of k, tile by tile."),
    "last of each": Mistake(
        "missing accumulate", "= keeps the last k of the last tile only; products are added up by +=."
    ),
    "tail": Mistake(
        "last, smaller tile forgotten",
        "where K is no multiple of TILE a tile remains: zeros stand for what is missing.",
    ),
}


def truth(a: Arguments, mistake: str, TILE: int) -> Outputs:
    A, B = a["A"].astype(np.float64), a["B"].astype(np.float64)
    K, square = A.shape[1], A.shape[0] == A.shape[1] == B.shape[1]
    A = A.T if mistake == "transposed A" and square else A
    B = B.T if mistake == "transposed B" and square else B
    last = (K - 1) // TILE * TILE
    k = {
        "last tile": slice(last, K),
        "first tile": slice(0, TILE),
        "tail": slice(0, K // TILE * TILE),
    }.get(mistake, slice(0, K))
    if mistake == "last of each":  # beyond K the tile holds zeros
        k = slice(last + TILE - 1, K)
    C = A[:, k] @ B[k]
    return {"C": (C.T if mistake == "transposed C" and square else C).astype(np.float32)}


def cases(TILE: int) -> dict[str, Launch]:
    """Square ones first: there a transposed index is a wrong number and not an index out of range."""
    rng, found = np.random.default_rng(1), {}
    shapes = {
        "square, 2 x 2 tiles": (2 * TILE,) * 3,
        "no multiples of the tile": (TILE + 1, 2 * TILE + 1, 2 * TILE - 1),
        "one of each": (1, 1, 1),
        "a long k": (TILE, 3 * TILE + 1, 2),
    }
    for name, (M, K, N) in shapes.items():
        A, B = (rng.integers(1, 19, shape).astype(np.float32) / 2 for shape in ((M, K), (K, N)))
        C = np.full((M, N), UNTOUCHED, np.float32)
        found[name] = Launch((blocks(N, TILE), blocks(M, TILE)), (TILE, TILE), {"A": A, "B": B, "C": C})
    return found


def cost(launch: Launch) -> Cost:
    (M, K), N = launch.arguments["A"].shape, launch.arguments["B"].shape[1]
    columns, rows = launch.grid
    return Cost("a tiled kernel", global_reads=columns * M * K + rows * K * N, global_writes=M * N)


CUDA_MATMUL_TILED = CudaExercise(
    name="cuda_matmul_tiled",
    parameters=("A", "B", "C"),
    changes=("C",),
    constant=("TILE", 2, 8),
    cases=cases,
    truth=truth,
    mistakes=MISTAKES,
    counted="no multiples of the tile",
    cost=cost,
    wasteful="Each number of A and B comes from global memory once for every tile of C: the block's threads fetch one "
    "number of each tile, and multiply out of shared memory. A naive kernel reads 2 K numbers for each element of C.",
    axes={"C": ("row", "column")},
)
