"""The tile of a matrix product on a GPU, which matmul and conv2d share: C (M, N) = C0 + A (M, K) B (K, N).

A block of 64 threads computes a tile of 64 x 32 numbers of C, each thread 8 x 4 of them in registers. It walks along
k by 8: the threads copy that piece of A and of B into shared memory, and all of them multiply from there:

                                       TILE_N = 32
                              ┌────┬────┬──────────┬────┐
              B, a piece in   │    │    │          │    │  TILE_K = 8
              shared memory   └────┴────┴──────────┴────┘
            TILE_K                  8 threads across
            ┌────┐            ┌────┬────┬──────────┬────┐
            │    │            │    │    │          │    │  8 x 4 numbers a thread: for each k it reads 8 + 4 numbers
  TILE_M    ├────┤  8 threads ├────┼────┼──────────┼────┤  of shared memory (three instructions of 16 bytes a thread)
  = 64      │    │  down      │    │    │          │    │  and does 32 multiplications with them
            ├────┤            ├────┼────┼──────────┼────┤
            │ A  │            │    │    │   C      │    │
            └────┘            └────┴────┴──────────┴────┘

Why these sizes: a multiprocessor does two to four multiplications in the time in which it reads a number of shared
memory (compute capability 7.5 to 9.0), so a thread must do more of them with each number; here it is 32 with 12, and
half of a warp's threads read the same ones at a time. Of global memory a block reads (64 + 32) / (64 * 32) numbers for
a multiplication. Wider tiles would read less, but the model's products have N = 48, 64 and 96 columns: of a tile's
columns 25 %, 0 % and 0 % are idle at 32, and 25 %, 0 % and 25 % would be at 64; and small blocks are many, which keeps
all multiprocessors busy to the end.

The pieces are in shared memory twice, in two buffers. In step s the threads store what they have fetched, wait for each
other at the step's one barrier, fetch the numbers of step s + 1 into registers (they arrive while the threads
multiply), and multiply from buffer s mod 2. Nobody can store into a buffer that is still read: it was read in step
s - 2, in front of the barrier of step s - 1.

Who fetches what: an operand's neighbours in memory lie along k (rows as written) or across it (a transpose). Either
way neighbouring threads read neighbouring numbers:

    along     8 threads read 8 numbers of a row, 32 bytes; the next 8 threads those of the next row
    across    all threads read one k of the operand's rows side by side

A piece lies in shared memory by k, TILE_M + 4 or TILE_N + 4 numbers apart: these are multiples of 16 bytes, for the
wide reads, and bring the 8 k x 4 rows that a warp stores at a time into 32 different banks.

What is written for the compiler's sake: `sums` and the like are local arrays, which become registers because every
index is known when the loops are unrolled. NVVM unrolls loops of up to some hundred instructions, so the eight steps of
`multiply` are written out. Numba makes a sum of two int32 an int64, which a GPU adds in two halves, and asks of every
index whether it is negative: np.int32 and np.uint32 keep the numbers short, and a masked thread number is seen not to
be negative.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, jit
from scratchser.kernels.machine.device import blocks

TILE_M, TILE_N, TILE_K = 64, 32, 8
EACH_M, EACH_N = 8, 4  # numbers of C that a thread computes
THREADS = 64  # of a block: TILE_M / EACH_M down and TILE_N / EACH_N across
ACROSS = TILE_N // EACH_N
LOADS_M, LOADS_N = TILE_M * TILE_K // THREADS, TILE_N * TILE_K // THREADS  # numbers of A and B that a thread fetches
APART = THREADS // TILE_K  # rows between those, where the threads lie along k
PIECE_M, PIECE_N = (2, TILE_K, TILE_M + 4), (2, TILE_K, TILE_N + 4)  # shared arrays: two buffers
TILE = (EACH_M, EACH_N)

BUSY = 1024  # blocks that keep a large GPU busy: eight on each of its some 130 multiprocessors, which is what they hold
LONG = 256  # the least numbers of k in a part: adding up the parts costs little beside that


# ---- shapes of a launch ---------------------------------------------------------------------------------------------


def tiles(M: int, N: int) -> int:
    """Blocks that cover M x N numbers. Those of one row of tiles follow each other: they read the same rows of A, and
    the caches hold them meanwhile."""
    return blocks(M, TILE_M) * blocks(N, TILE_N)


def part_of(K: int, busy: int) -> int:
    """How much of a sum over K numbers a block does: all of it, or a part where `busy` blocks are too few for a GPU.

    The parts' sums are added by a second kernel, in their order. It follows from the shapes alone, so that the bits do
    not depend on the GPU.
    """
    parts = max(1, min(BUSY // busy, K // LONG))
    return blocks(blocks(K, parts), TILE_K) * TILE_K


# ---- a thread's place -----------------------------------------------------------------------------------------------


@jit
def fetched_by(t, size, along):
    """The first (row, k) of a piece of `size` rows that thread t fetches.

    The others lie APART rows further each where the operand lies along k, else THREADS / size further in k.
    """
    if along:
        return t // TILE_K, t % TILE_K
    return t % size, t // size


@jit
def tile_at(block, N):
    """First row and column of a block's tile."""
    across = (N + TILE_N - 1) // TILE_N
    return block // across * TILE_M, block % across * TILE_N


# ---- what the kernels are made of -----------------------------------------------------------------------------------


@cuda_device
def fetch(matrix, at, hop, row, rows_on, rows, k, k_on, K, values):
    """values[i] = matrix[at + i hop], the number at (row + i rows_on, k + i k_on); 0 outside of rows x K."""
    for i in range(values.size):
        if (np.int32(row + i * rows_on) < rows) & (np.int32(k + i * k_on) < K):
            values[i] = matrix[np.uint32(at + i * hop)]
        else:
            values[i] = 0


@cuda_device
def fetch_matrix(matrix, along, at, row_step, k_step, row, rows, k, K, values):
    """This thread's numbers, from (row, k) on, of a piece of matrix[at + row row_step + k k_step]."""
    first = np.int32(at + row * row_step + k * k_step)
    if along:
        fetch(matrix, first, np.int32(APART * row_step), row, APART, rows, k, 0, K, values)
    else:
        apart = TILE_K // values.size
        fetch(matrix, first, np.int32(apart * k_step), row, 0, rows, k, apart, K, values)


@cuda_device
def put(values, piece, buffer, row, k, along):
    """What this thread has fetched from (row, k) on, into shared memory."""
    if along:
        for i in range(values.size):
            piece[buffer, k, row + i * APART] = values[i]
    else:
        for i in range(values.size):
            piece[buffer, k + i * (TILE_K // values.size), row] = values[i]


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
    """sums += A's piece times B's, thread t's part. Its 8 x 4 numbers begin at (t // ACROSS EACH_M, t % ACROSS EACH_N)
    of the tile."""
    row, column = t // ACROSS * EACH_M, t % ACROSS * EACH_N
    add_step(a, b, buffer, 0, row, column, sums)
    add_step(a, b, buffer, 1, row, column, sums)
    add_step(a, b, buffer, 2, row, column, sums)
    add_step(a, b, buffer, 3, row, column, sums)
    add_step(a, b, buffer, 4, row, column, sums)
    add_step(a, b, buffer, 5, row, column, sums)
    add_step(a, b, buffer, 6, row, column, sums)
    add_step(a, b, buffer, 7, row, column, sums)


@cuda_device
def begin(C0, at, pitch, m, M, n, N, sums):
    """sums = C0[at + row pitch + column] of this thread's numbers, the first of which is at (m, n)."""
    for i in range(EACH_M):
        for j in range(EACH_N):
            if (np.int32(m + i) < M) & (np.int32(n + j) < N):
                sums[i, j] = C0[np.uint32(at + (m + i) * pitch + n + j)]
            else:
                sums[i, j] = 0


@cuda_device
def clear(sums):
    for i in range(EACH_M):
        for j in range(EACH_N):
            sums[i, j] = 0


@cuda_device
def end(sums, C, at, m, M, n, N):
    """C[at + row N + column] = sums."""
    for i in range(EACH_M):
        for j in range(EACH_N):
            if (np.int32(m + i) < M) & (np.int32(n + j) < N):
                C[np.uint32(at + (m + i) * N + n + j)] = sums[i, j]
