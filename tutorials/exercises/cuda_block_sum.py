"""Exercise: the sum of a block's elements in shared memory. Judge it by

python -m scratchser.check tutorials/exercises/cuda_block_sum.py
"""

from numba import cuda, float32  # noqa: F401, float32 is for cuda.shared.array(THREADS, float32)

EXERCISE = "cuda_block_sum"
THREADS = 8  # of a block; a power of two


@cuda.jit
def cuda_block_sum(x, sums):
    """sums[b] = Σ of the THREADS elements of x in block b.

    x      (n,)   float32
    sums   (N,)   float32, N = ⌈n / THREADS⌉, one for each block

    Launched with N blocks of THREADS threads. Each thread loads its element (the last block may have fewer elements
    than threads) into shared memory, cuda.shared.array(THREADS, float32). Then one half of them is added to the other,
    and so on with what is left, until part[0] is the sum:

        part │ 0   1   2   3 │ 4   5   6   7 │     part[t] += part[t + half] for t < half = 4, then for half = 2, 1

    Shared memory contains arbitrary numbers when a block begins. cuda.syncthreads() is the barrier: what any thread of
    the block writes before it, any other can read after it. All threads of the block must reach it.
    """
    raise NotImplementedError
