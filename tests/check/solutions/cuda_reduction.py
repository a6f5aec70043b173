from numba import cuda, float32

EXERCISE = "cuda_reduction"
THREADS = 8


@cuda.jit
def cuda_reduction(x, sums):
    part = cuda.shared.array(THREADS, float32)
    t = cuda.threadIdx.x
    total = float32(0)
    for i in range(cuda.grid(1), x.shape[0], cuda.gridsize(1)):
        total += x[i]
    part[t] = total
    cuda.syncthreads()  # the sums of all threads are there
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()  # this halving is done
        half //= 2
    if t == 0:
        sums[cuda.blockIdx.x] = part[0]
