"""Exercise: the sum of a whole array, with any number of blocks. Judge it by

python -m scratchser.check tutorials/exercises/cuda_reduction.py
"""

from numba import cuda, float32  # noqa: F401, float32 is for cuda.shared.array(THREADS, float32)

EXERCISE = "cuda_reduction"
THREADS = 8  # of a block; a power of two


@cuda.jit
def cuda_reduction(x, sums):
    """sums[b] = Σ of the elements of x that belong to block b.

    x      (n,)   float32
    sums   (N,)   float32, one for each block; contains arbitrary numbers

    Launched with N blocks of THREADS threads. N does not depend on n: a thread may have many elements, one or none. The
    grid walks over x in steps of its size, S = N THREADS, which is cuda.gridsize(1):

        thread i, i = cuda.grid(1), adds x[i], x[i + S], x[i + 2 S], ...

    In each step, neighbouring threads read neighbouring elements, which a GPU loads together. Then the THREADS sums of
    a block become one in shared memory, as in cuda_block_sum.

    Blocks cannot wait for each other. So the sum of the whole array needs a second launch, of the same kernel with one
    block: its x is the sums of the first launch. The judge tests both launches, and grids of different sizes. There are
    no atomic additions. The order of the additions is fixed, so every run gives the same bits.
    """
    raise NotImplementedError
