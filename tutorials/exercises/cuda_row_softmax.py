"""Exercise: the softmax of each row, one block for a row. Judge it by

python -m scratchser.check tutorials/exercises/cuda_row_softmax.py
"""

import math  # noqa: F401, for math.exp and math.inf

from numba import cuda, float32  # noqa: F401, float32 is for cuda.shared.array(THREADS, float32)

EXERCISE = "cuda_row_softmax"
THREADS = 8  # of a block; a power of two


@cuda.jit
def cuda_row_softmax(z, p):
    """p[r, k] = exp(z[r, k] - m[r]) / Σ_j exp(z[r, j] - m[r]),   m[r] = max_j z[r, j].

    z   (R, K)   float32, scores: one row for each utterance, one column for each class
    p   (R, K)   float32, probabilities; contains arbitrary numbers

    Without m, exp overflows for large scores. Subtracting it changes no p.

    Launched with R blocks of THREADS threads: cuda.blockIdx.x is the row. K may be smaller or larger than THREADS:
    thread t has the columns t, t + THREADS, t + 2 THREADS, ... The block passes over its row three times:

        1. the maximum: each thread that of its columns, then the block in shared memory, halving by halving
        2. the sum of exp(z - m), in the same way
        3. p, each thread for its columns

    The judge counts at most 3 R K global reads and 2 R K global writes. A barrier after each halving is not enough, if
    the same shared memory contains the maxima first and the sums later: which thread may still read when another one
    writes?
    """
    raise NotImplementedError
