"""The product h Wh of a CUDA block. Wh is too large for shared memory, so each step reads it once, as a stream.

    sums[s, r, m] = Σ values[k, r] W[k, m]     over slice s of the K rows; the caller adds the slices

                          W[k, m]   W[k, m + M/4]  W[k, m + M/2]  W[k, m + 3M/4]      global: neighbouring threads
                             │            │              │              │             read neighbouring elements
        values[k, 0] ──▶   total        total          total          total
        values[k, 1] ──▶   total        total          total          total           registers of one thread, for
        values[k, 2] ──▶   total        total          total          total           all k of its slice
        values[k, 3] ──▶   total        total          total          total
        shared: all threads
        read the same elements

values   (K, U)          U utterances side by side: one access to shared memory reads all of them
W        (K, M)          from W[w0] on in a flat array; M a multiple of COLUMNS
sums     (slices, U, M)  neighbouring threads write, and later read, neighbouring elements

Each sum is one chain over its slice in the order of k, and the slices are added in their order: the bits of an
utterance do not depend on those beside it.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, cuda_jit
from scratchser.kernels.machine.device import blocks, device_of, launch

# Four columns a thread need few accesses to shared memory: one, of 16 bytes in float32, for 16 multiplications.
COLUMNS = 4
# Utterances of a block. The time of a step is that of reading W. A multiprocessor gets about 64 bytes a cycle from the
# L2 cache, 16 float32, and could multiply each by 8 utterances meanwhile. But with more than four, a small batch would
# have few blocks, and each occupies one multiprocessor. Slices make enough threads that enough of W is requested at a
# time.
TOGETHER = 4, 2, 1
SIDE = 16  # of a tile to be transposed, and of its block
PITCH = SIDE + 1  # of its rows, so that the elements of a column lie in different banks


def multiplier(U):
    """`multiply` for U utterances: registers have no index, so the loops over a thread's totals must be unrolled."""
    tile = U * COLUMNS

    @cuda_device
    def multiply(values, W, w0, K, M, slices, sums):
        span = M // COLUMNS
        total = cuda.local.array(tile, values.dtype)
        w = cuda.local.array(COLUMNS, values.dtype)
        for item in range(cuda.threadIdx.x, slices * span, cuda.blockDim.x):
            s, m = item // span, item % span
            for i in range(tile):
                total[i] = 0
            k, last = s * K // slices, (s + 1) * K // slices
            at = w0 + k * M + m
            while k < last:
                for c in range(COLUMNS):  # unsigned: Numba checks other indices for a negative sign
                    w[c] = W[np.uint64(at + c * span)]
                for r in range(U):
                    value = values[np.uint64(k * U + r)]
                    for c in range(COLUMNS):
                        total[c * U + r] += value * w[c]
                k += 1
                at += M
            for r in range(U):
                for c in range(COLUMNS):
                    sums[(s * U + r) * M + m + c * span] = total[c * U + r]

    return multiply


multiply_4, multiply_2, multiply_1 = map(multiplier, TOGETHER)


@cuda_device
def multiply(U, values, W, w0, K, M, slices, sums):
    """sums of all threads of the block, with a barrier before and after the call."""
    if U == 4:
        multiply_4(values, W, w0, K, M, slices, sums)
    elif U == 2:
        multiply_2(values, W, w0, K, M, slices, sums)
    else:
        multiply_1(values, W, w0, K, M, slices, sums)


@cuda_device
def product_of(sums, U, M, slices, r, m):
    """Column m of utterance r: the sum of its slices, in their order."""
    total = sums[r * M + m]
    for s in range(1, slices):
        total += sums[(s * U + r) * M + m]
    return total


@cuda_jit
def transpose_cuda(W, Wt):
    """Wt[d, n, m] = W[d, m, n], zero in columns that W does not have. Tiles are read and written by rows."""
    tile = cuda.shared.array((SIDE, PITCH), W.dtype)
    x, y, d = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockIdx.z
    m, n = cuda.blockIdx.y * SIDE + y, cuda.blockIdx.x * SIDE + x
    if m < W.shape[1] and n < W.shape[2]:
        tile[y, x] = W[d, m, n]
    else:
        tile[y, x] = 0
    cuda.syncthreads()  # the tile is written
    n, m = cuda.blockIdx.x * SIDE + y, cuda.blockIdx.y * SIDE + x
    if n < Wt.shape[1] and m < Wt.shape[2]:
        Wt[d, n, m] = tile[x, y]


def padded_width(M):
    """The least number of columns, M or more, that `multiply` takes."""
    return blocks(M, COLUMNS) * COLUMNS


def transposed(W):
    """The transpose of W (2, M, N), (2, N, padded_width(M)), zero in the columns past M."""
    _, M, N = W.shape
    Wt = device_of(W).empty((2, N, padded_width(M)), W.dtype)
    launch(transpose_cuda, (blocks(N, SIDE), blocks(padded_width(M), SIDE), 2), (SIDE, SIDE), W, Wt)
    return Wt
