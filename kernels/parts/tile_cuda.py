"""The tile of a matrix product on a GPU, shared by matmul and conv2d: C (M, N) = C0 + A (M, K) B (K, N).

A block of 64 threads computes a tile of 64 x 32 elements of C, each thread 8 x 4 of them in registers. The loop over k
advances by 8: the threads copy a chunk of A and of B to shared memory, and all of them multiply from there:

                                       TILE_N = 32
                              ┌────┬────┬──────────┬────┐
              B, a chunk in   │    │    │          │    │  TILE_K = 8
              shared memory   └────┴────┴──────────┴────┘
            TILE_K                  8 threads across
            ┌────┐            ┌────┬────┬──────────┬────┐
            │    │            │    │    │          │    │  8 x 4 elements a thread: for each k it reads 8 + 4 elements
  TILE_M    ├────┤  8 threads ├────┼────┼──────────┼────┤  of shared memory (three instructions of 16 bytes a thread)
  = 64      │    │  down      │    │    │          │    │  and does 32 multiplications with them
            ├────┤            ├────┼────┼──────────┼────┤
            │ A  │            │    │    │   C      │    │
            └────┘            └────┴────┴──────────┴────┘

Each chunk has two buffers in shared memory. In step s the threads store what they have fetched, meet at the step's one
barrier, fetch the elements of step s + 1 into registers (they arrive while the threads multiply), and multiply from
buffer s mod 2. No thread can overwrite a buffer that is still being read: it was read in step s - 2, before the barrier
of step s - 1.

Numba adds two int32 as int64, which takes a GPU two instructions, and checks every index for a negative sign. So
np.int32 and np.uint32 keep integers short, and a masked thread number is known not to be negative.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, jit
from scratchser.kernels.machine.device import blocks

# Why these sizes: a multiprocessor does two to four multiplications while it reads one element of shared memory
# (compute capability 7.5 to 9.0), so each element must serve several. Here 12 elements serve 32 multiplications, and
# half of a warp's threads read the same ones at a time. From global memory a block reads (64 + 32) / (64 * 32) elements
# for each multiplication. Wider tiles would read less, but the model's products have N = 48, 64 and 96 columns: 25 %, 0
# % and 0 % of a tile's columns are idle at 32, and 25 %, 0 % and 25 % at 64. Many small blocks also keep all
# multiprocessors busy to the end.
TILE_M, TILE_N, TILE_K = 64, 32, 8
EACH_M, EACH_N = 8, 4  # elements of C that a thread computes
THREADS = 64  # of a block: TILE_M / EACH_M down and TILE_N / EACH_N across
ACROSS = TILE_N // EACH_N
TILE = (EACH_M, EACH_N)  # local array of a thread's sums: the unrolled loops know every index, so it becomes registers

# An operand is contiguous along k (rows as written) or across it (a transpose). Either way neighbouring threads read
# neighbouring elements:
#     along     8 threads read 8 elements of a row, 32 bytes; the next 8 threads those of the next row
#     across    all threads read one k of the operand's rows side by side
LOADS_M, LOADS_N = TILE_M * TILE_K // THREADS, TILE_N * TILE_K // THREADS  # elements of A and B that a thread fetches
APART = THREADS // TILE_K  # rows between those, where the threads lie along k

# Shared arrays: two buffers. A chunk is stored by k, TILE_M + 4 or TILE_N + 4 elements apart: multiples of 16 bytes,
# for the wide reads, and the 8 k x 4 rows that a warp stores at a time fall into 32 different banks.
SHARED_M, SHARED_N = (2, TILE_K, TILE_M + 4), (2, TILE_K, TILE_N + 4)

ENOUGH_BLOCKS = 1024  # keep a large GPU busy: eight on each of its some 130 multiprocessors, which is what they hold
LEAST_PART = 256  # elements of k in a part: adding up the parts costs little beside that


# ---- shapes of a launch ---------------------------------------------------------------------------------------------


def tiles(M: int, N: int) -> int:
    """Blocks that cover M x N elements. Blocks in one row of tiles follow each other, so the caches hold their A."""
    return blocks(M, TILE_M) * blocks(N, TILE_N)


def part_size(K: int, blocks_without_parts: int) -> int:
    """How many of K products a block adds: all of them, or a part where there are too few blocks for a large GPU.

    A second kernel adds the parts in their order. The size follows from the shapes alone, so the bits do not depend on
    the GPU.
    """
    parts = max(1, min(ENOUGH_BLOCKS // blocks_without_parts, K // LEAST_PART))
    return blocks(blocks(K, parts), TILE_K) * TILE_K


# ---- indices of a thread --------------------------------------------------------------------------------------------


@jit
def tile_origin(block, N):
    """First row and column of a block's tile."""
    across = (N + TILE_N - 1) // TILE_N
    return block // across * TILE_M, block % across * TILE_N


@jit
def own_part(t):
    """First row and column, within the tile, of the 8 x 4 elements that thread t computes."""
    return t // ACROSS * EACH_M, t % ACROSS * EACH_N


@jit
def first_fetched(t, rows, along):
    """The first (row, k) that thread t fetches of a chunk of `rows` rows.

    The next ones are APART rows further where the operand lies along k, else THREADS / rows further in k.
    """
    if along:
        return t // TILE_K, t % TILE_K
    return t % rows, t // rows


# ---- steps of the product -------------------------------------------------------------------------------------------


@cuda_device
def fetch(matrix, at, hop, row, row_hop, rows, k, k_hop, K, values):
    """values[i] = matrix[at + i hop], the element (row + i row_hop, k + i k_hop); 0 outside of rows x K."""
    for i in range(values.size):
        if (np.int32(row + i * row_hop) < rows) & (np.int32(k + i * k_hop) < K):
            values[i] = matrix[np.uint32(at + i * hop)]
        else:
            values[i] = 0


@cuda_device
def fetch_matrix(matrix, along, at, row_step, k_step, row, rows, k, K, values):
    """Fetch this thread's elements, from (row, k) on, of a chunk of matrix[at + row row_step + k k_step]."""
    first = np.int32(at + row * row_step + k * k_step)
    if along:
        fetch(matrix, first, np.int32(APART * row_step), row, APART, rows, k, 0, K, values)
    else:
        apart = TILE_K // values.size
        fetch(matrix, first, np.int32(apart * k_step), row, 0, rows, k, apart, K, values)


@cuda_device
def store_chunk(values, chunk, buffer, row, k, along):
    """Store what this thread has fetched from (row, k) on in shared memory."""
    if along:
        for i in range(values.size):
            chunk[buffer, k, row + i * APART] = values[i]
    else:
        for i in range(values.size):
            chunk[buffer, k + i * (TILE_K // values.size), row] = values[i]


@cuda_device
def add_step(a, b, buffer, k, row, column, sums):
    """sums += one column of A times one row of B."""
    y = cuda.local.array(EACH_N, b.dtype)
    for j in range(EACH_N):
        y[j] = b[buffer, k, column + j]
    for i in range(EACH_M):
        x = a[buffer, k, row + i]
        for j in range(EACH_N):
            sums[i, j] = cuda.fma(x, y[j], sums[i, j])


@cuda_device
def multiply(a, b, buffer, t, sums):
    """sums += A's chunk times B's, for thread t's part of the tile.

    The eight steps are written out, since NVVM unrolls loops of up to some hundred instructions only.
    """
    row, column = own_part(t)
    add_step(a, b, buffer, 0, row, column, sums)
    add_step(a, b, buffer, 1, row, column, sums)
    add_step(a, b, buffer, 2, row, column, sums)
    add_step(a, b, buffer, 3, row, column, sums)
    add_step(a, b, buffer, 4, row, column, sums)
    add_step(a, b, buffer, 5, row, column, sums)
    add_step(a, b, buffer, 6, row, column, sums)
    add_step(a, b, buffer, 7, row, column, sums)


@cuda_device
def load_sums(C0, at, pitch, m, M, n, N, sums):
    """sums = C0[at + row pitch + column] for this thread's elements, the first of which is (m, n)."""
    for i in range(EACH_M):
        for j in range(EACH_N):
            if (np.int32(m + i) < M) & (np.int32(n + j) < N):
                sums[i, j] = C0[np.uint32(at + (m + i) * pitch + n + j)]
            else:
                sums[i, j] = 0


@cuda_device
def clear_sums(sums):
    """sums = 0."""
    for i in range(EACH_M):
        for j in range(EACH_N):
            sums[i, j] = 0


@cuda_device
def store_sums(sums, C, at, m, M, n, N):
    """C[at + row N + column] = sums."""
    for i in range(EACH_M):
        for j in range(EACH_N):
            if (np.int32(m + i) < M) & (np.int32(n + j) < N):
                C[np.uint32(at + (m + i) * N + n + j)] = sums[i, j]
