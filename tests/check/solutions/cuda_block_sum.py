from numba import cuda, float32

EXERCISE = "cuda_block_sum"
THREADS = 8


@cuda.jit
def cuda_block_sum(x, sums):
    part = cuda.shared.array(THREADS, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    part[t] = x[i] if i < x.shape[0] else 0
    cuda.syncthreads()  # all numbers are there
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()  # this halving is done
        half //= 2
    if t == 0:
        sums[cuda.blockIdx.x] = part[0]
