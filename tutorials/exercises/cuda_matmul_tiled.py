"""Exercise: a matrix product through tiles in shared memory. Judge it by

python -m scratchser.check tutorials/exercises/cuda_matmul_tiled.py
"""

from numba import cuda, float32  # noqa: F401, float32 is for cuda.shared.array((TILE, TILE), float32)

EXERCISE = "cuda_matmul_tiled"
TILE = 4  # a block has TILE x TILE threads; any number from 2 to 8 must work


@cuda.jit
def cuda_matmul_tiled(A, B, C):
    """C[i, j] = Σ_k A[i, k] B[k, j].

    A   (M, K)   float32       B   (K, N)   float32       C   (M, N)   float32, contains arbitrary numbers

    Launched with (⌈N / TILE⌉, ⌈M / TILE⌉) blocks of (TILE, TILE) threads: x counts columns, y rows, so
    j, i = cuda.grid(2). A block computes a TILE x TILE tile of C: it loops over k, tile by tile. Each thread loads one
    element of the tile of A and one of B into shared memory, and all multiply from it, TILE products each:

        global reads   M N 2 K  without the tiles,   M N 2 K / TILE  with them

    No size need be a multiple of TILE. Where must a barrier stand, and why are there two in the loop?
    """
    raise NotImplementedError
