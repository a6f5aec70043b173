from numba import cuda, float32

EXERCISE = "cuda_matmul_tiled"
TILE = 3


@cuda.jit
def cuda_matmul_tiled(A, B, C):
    a = cuda.shared.array((TILE, TILE), float32)
    b = cuda.shared.array((TILE, TILE), float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    j, i = cuda.grid(2)
    K = A.shape[1]
    total = float32(0)
    for start in range(0, K, TILE):
        if i < A.shape[0] and start + x < K:
            a[y, x] = A[i, start + x]
        else:
            a[y, x] = 0
        if start + y < K and j < B.shape[1]:
            b[y, x] = B[start + y, j]
        else:
            b[y, x] = 0
        cuda.syncthreads()  # tiles are complete
        for k in range(TILE):
            total += a[y, k] * b[k, x]
        cuda.syncthreads()  # tiles are used up
    if i < C.shape[0] and j < C.shape[1]:
        C[i, j] = total
