"""The matrix product through tiles in shared memory."""

import numpy as np

from scratchser.check.exercises import exercise as ex
from scratchser.kernels.machine.device import blocks

EXCHANGED = "x counts columns and y rows, in the grid and in a block: j, i = cuda.grid(2), and a[y, x]."
TILE_OF = "thread (x, y) loads a[y, x] = A[i, start + x] and b[y, x] = B[start + y, j], and multiplies a[y, k] b[k, x]."
PARTS = {
    "C": ex.Part("When is the sum set to 0, and what is added to it?",
        "C[i, j] = Σ over all tiles Σ_k a[y, k] b[k, x]; the sum is 0 once, before the first tile.",
        "total = float32(0), for start in range(0, K, TILE): ... total += a[y, k] * b[k, x], then C[i, j] = total", {
        "accumulation forgotten (last tile)": "set the sum to 0 once, before the first tile, and add in every tile.",
        "accumulation forgotten (last product)": "= keeps the last k of the last tile only: add up with +=.",
        "one tile only": "loop over all of k, tile by tile.",
        "last, smaller tile forgotten": "if TILE does not divide K, a smaller tile remains: fill it with zeros.",
    }),
    "index, index out of range, uninitialised read": ex.Part(
        "Which of x and y counts rows, and which columns, in C, in A, in B and in the tiles?",
        f"j, i = cuda.grid(2); {TILE_OF}",
        "a[y, x] = A[i, start + x] if i < M and start + x < K else 0, and likewise b[y, x] = B[start + y, j]", {
        **ex.variants("x and y exchanged", EXCHANGED, "grid", "grid and block", "block"),
        **ex.variants("transposed shared tile", TILE_OF, "A", "B"),
        "transposed index in A": "C[i, j] = Σ A[i, k] B[k, j]: the first index of A is the row of C.",
        "transposed index in B": "C[i, j] = Σ A[i, k] B[k, j]: the second index of B is the column of C.",
        "transposed index in C": "x counts columns and y rows: j, i = cuda.grid(2), and C[i, j].",
        "start of the tile forgotten (A)": "the tile begins at start: A[i, start + x].",
        "start of the tile forgotten (B)": "the tile begins at start: B[start + y, j].",
        "block index forgotten": "row and column are cuda.grid(2): threadIdx begins at 0 in every block.",
    }),
    "race, divergent barrier": ex.Part(
        "Which threads reach each barrier? Which one reads what another one wrote, and when may it be overwritten?",
        "One barrier stands after both tiles are loaded, one after they are used; threads past the edge load zeros.",
        "cuda.syncthreads() before the loop over k and after it, reached by all threads",
    ),
}  # fmt: skip


def matmul(a: ex.Arguments, mistakes: ex.Mistakes, TILE: int) -> ex.Outputs:
    """As the threads of each block compute it; [ty, tx] holds what belongs to thread (tx, ty)."""
    A, B = a["A"].astype(np.float64), a["B"].astype(np.float64)
    (M, K), N = A.shape, B.shape[1]
    square = M == K == N
    A = A.T if "transposed index in A" in mistakes and square else A
    B = B.T if "transposed index in B" in mistakes and square else B
    C = np.full((M, N), ex.UNWRITTEN)
    ty, tx = np.indices((TILE, TILE))
    y, x = (tx, ty) if mistakes & {"x and y exchanged (grid and block)", "x and y exchanged (block)"} else (ty, tx)
    for row, column in np.ndindex(blocks(M, TILE), blocks(N, TILE)):
        i, j = (ty, tx) if "block index forgotten" in mistakes else (row * TILE + ty, column * TILE + tx)
        if mistakes & {"x and y exchanged (grid)", "x and y exchanged (grid and block)"}:
            i, j = j, i
        total = np.zeros((TILE, TILE))
        whole = K // TILE * TILE if "last, smaller tile forgotten" in mistakes else K
        for start in range(0, TILE if "one tile only" in mistakes else whole, TILE):
            k_A = x if "start of the tile forgotten (A)" in mistakes else start + x
            k_B = y if "start of the tile forgotten (B)" in mistakes else start + y
            tile_A, tile_B = np.zeros((2, TILE, TILE))
            tile_A[y, x], tile_B[y, x] = _loaded(A, i, k_A), _loaded(B, k_B, j)
            tile_A = tile_A.T if "transposed shared tile (A)" in mistakes else tile_A
            tile_B = tile_B.T if "transposed shared tile (B)" in mistakes else tile_B
            products = np.stack([tile_A[y, k] * tile_B[k, x] for k in range(TILE)])
            if mistakes & {"accumulation forgotten (last tile)", "accumulation forgotten (last product)"}:
                total = products[-1] if "accumulation forgotten (last product)" in mistakes else products.sum(axis=0)
            else:
                total = total + products.sum(axis=0)
        there = (i < M) & (j < N)
        if "transposed index in C" in mistakes and square:
            i, j = j, i
        C[i[there], j[there]] = total[there]
    return {"C": C.astype(np.float32)}


def _loaded(matrix: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Its elements, and 0 past the edges."""
    there = (rows < matrix.shape[0]) & (columns < matrix.shape[1])
    return np.where(there, matrix[np.where(there, rows, 0), np.where(there, columns, 0)], 0)


def cases(TILE: int) -> dict[str, ex.Launch]:
    """Square matrices first: a transposed index gives wrong numbers there, and is not out of range."""
    rng, launches = np.random.default_rng(1), {}
    shapes = {
        "square, 2 x 2 tiles": (2 * TILE,) * 3,
        "no multiples of the tile": (TILE + 1, 2 * TILE + 1, 2 * TILE - 1),
        "one of each": (1, 1, 1),
        "a long k": (2 * TILE, 3 * TILE + 1, 2),  # more rows of blocks than columns
    }
    for name, (M, K, N) in shapes.items():
        A, B = (rng.integers(1, 19, shape).astype(np.float32) / 2 for shape in ((M, K), (K, N)))
        C = np.full((M, N), ex.UNWRITTEN, np.float32)
        launches[name] = ex.Launch((blocks(N, TILE), blocks(M, TILE)), (TILE, TILE), {"A": A, "B": B, "C": C})
    return launches


def cost(launch: ex.Launch) -> ex.Cost:
    (M, K), N = launch.arguments["A"].shape, launch.arguments["B"].shape[1]
    columns, rows = launch.grid
    return ex.Cost("a tiled kernel", global_reads=columns * M * K + rows * K * N, global_writes=M * N)


EXERCISE = ex.CudaExercise(
    constant=("TILE", 2, 8),
    cases=cases,
    reference=matmul,
    parts=PARTS,
    counted="no multiples of the tile",
    cost=cost,
    wasteful="Read each element of A and B from global memory once for every tile of C: each thread of the block reads "
    "one element of each tile, and all multiply from shared memory. A naive kernel reads 2 K elements for one of C.",
    axes={"C": ("row", "column")},
)
