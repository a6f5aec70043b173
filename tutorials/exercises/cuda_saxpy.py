"""Exercise: the first CUDA kernel, run without a GPU. Judge it by

python -m scratchser.check tutorials/exercises/cuda_saxpy.py
"""

from numba import cuda

EXERCISE = "cuda_saxpy"
BLOCK = 4  # threads of a block; any number from 1 to 64 must work


@cuda.jit
def cuda_saxpy(a, x, y):
    """y[i] = a x[i] + y[i]: one thread for each element.

    a      ()     float32
    x, y   (n,)   float32

    Launched with ⌈n / BLOCK⌉ blocks of BLOCK threads: in the last block there may be more threads than elements.
    cuda.grid(1) is the index of a thread in the launch, from block and thread together.
    """
    raise NotImplementedError
