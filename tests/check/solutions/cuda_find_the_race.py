from numba import cuda, float32

EXERCISE = "cuda_find_the_race"
THREADS = 8


@cuda.jit
def cuda_find_the_race(x, rounds, y):
    part = cuda.shared.array(THREADS, float32)
    t, b = cuda.threadIdx.x, cuda.blockIdx.x
    T = x.shape[1]
    if t < T:
        part[t] = x[b, t]
    cuda.syncthreads()  # all frames are there
    for _ in range(rounds):
        mean = float32(0)
        if t < T:
            mean = float32(0.5) * (part[t] + part[t + 1]) if t + 1 < T else part[t]
        cuda.syncthreads()  # all have read their neighbour
        if t < T:
            part[t] = mean
        cuda.syncthreads()  # this round is done
    if t < T:
        y[b, t] = part[t]
