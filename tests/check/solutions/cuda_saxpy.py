from numba import cuda

EXERCISE = "cuda_saxpy"
BLOCK = 4


@cuda.jit
def cuda_saxpy(a, x, y):
    i = cuda.grid(1)
    if i < x.shape[0]:
        y[i] = a * x[i] + y[i]
