import math

from numba import cuda, float32

EXERCISE = "cuda_row_softmax"
THREADS = 8


@cuda.jit
def cuda_row_softmax(z, p):
    part = cuda.shared.array(THREADS, float32)
    t, row = cuda.threadIdx.x, cuda.blockIdx.x
    K = z.shape[1]
    largest = float32(-math.inf)
    for k in range(t, K, THREADS):
        largest = max(largest, z[row, k])
    part[t] = largest
    cuda.syncthreads()  # the maxima of all threads are there
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] = max(part[t], part[t + half])
        cuda.syncthreads()  # this halving is done
        half //= 2
    m = part[0]
    cuda.syncthreads()  # everyone has read the maximum: part may contain something else
    total = float32(0)
    for k in range(t, K, THREADS):
        total += math.exp(z[row, k] - m)
    part[t] = total
    cuda.syncthreads()  # the sums of all threads are there
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()  # this halving of sums is done
        half //= 2
    for k in range(t, K, THREADS):
        p[row, k] = math.exp(z[row, k] - m) / part[0]
