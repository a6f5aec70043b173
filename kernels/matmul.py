"""The matrix product that conv2d and the LSTM share; the dense layer of four classes is too narrow for it.

    forward    C[m, n] = max(floor, C0[m, n] + Σ_k A[m, k] B[k, n])        floor = -inf or, for a ReLU, 0
    backward   dA = dC Bᵀ and dB = Aᵀ dC: products again, with the two strides of an operand exchanged

Why a plain triple loop is slow: it does one multiplication for two loads. The tile below keeps a block of C in
registers for the whole of k, so that ROWS + 1 loads feed ROWS x COLS multiplications:

                        B[k, 0 ... 15]         one load of COLS numbers
                       ┌──────────────┐
        A[0, k]  ──▶   │ C[0, 0 ... 15] │  each number of A is copied to all lanes, multiplied
        A[1, k]  ──▶   │ C[1, 0 ... 15] │  with B's row and added: one fused instruction a row
          ...          │      ...       │
        A[5, k]  ──▶   │ C[5, 0 ... 15] │  6 x 16 float32: 12 of AVX2's 16 registers, or
                       └──────────────┘   12 x 16: 12 of AVX-512's 32

A fused multiplication and addition takes 4 cycles and two begin in each, so at least 8 must be under way: this, and the
number of registers, fix ROWS. The rows of a product are shared out evenly, 17 as 9 and 8, not as 12 and 5.

B is copied into panels beforehand, COLS columns each, so that the tile reads it in one straight line. At most HALF
columns would leave half of the lanes idle, so for runs of even length their panel holds pairs of rows:

        panel of COLS columns    │ B[k, 0] B[k, 1] B[k, 2] ... B[k, 15] │                         next k
        panel of HALF columns    │ B[k, 0] B[k+1, 0] B[k, 1] B[k+1, 1] ... B[k, 7] B[k+1, 7] │    next k + 2
        A's two numbers            A[m, k] A[m, k+1] A[m, k] A[m, k+1] ...   in turn; even and odd sums are added last

A is read where it lies, along k or across:

    along     A[a0 + m stride + s step + k]    the numbers of a row are neighbours; S runs of K numbers each make a row:
                                               a convolution's window is kernel rows in S frames, read without copying
    across    A[a0 + ⌊m / run⌋ jump + m mod run + s step + k stride]    the numbers of a column are neighbours, in runs:
                                               a transpose. Here two of A's rows share the lanes where B has at most
                                               HALF columns

Every element is one chain of fused multiply-adds in the order of k (in a panel of pairs two, of even and odd k, added
at its end), whatever tile it falls into: a row's bits do not depend on the rows beside it, nor on the number of
threads.

On a GPU `product` does the same with a tile of its own, drawn in _tile_cuda.py: there a chain runs in the order of k
too, in parts where a long k would leave most of the GPU idle.

A, B, C   flat contiguous arrays of one dtype, float32 or float64; offsets and strides count numbers, not bytes
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import Array, blocks, device_of, launch
from scratchser.kernels.parts.tile import (
    COLS,
    HALF,
    ROWS,
    across,
    across_pairs,
    across_runs,
    address,
    along,
    along_pairs,
    copy,
    pack,
    panel_width,
)
from scratchser.kernels.parts.tile_cuda import (
    ACROSS,
    EACH_M,
    EACH_N,
    LOADS_M,
    LOADS_N,
    PIECE_M,
    PIECE_N,
    THREADS,
    TILE,
    TILE_K,
    TILE_M,
    TILE_N,
    begin,
    end,
    fetch_matrix,
    fetched_by,
    multiply,
    part_of,
    put,
    tile_at,
    tiles,
)

DEPTH = 256  # of one pass over k: a panel of 256 x 16 float32 is 16 KiB, half of a small L1 cache
GROUP = 8  # panels that a core does at a time: they share one reading of A, and C is written in longer pieces
STRIP = 3 * COLS  # rows that it does at a time
ADDERS = 128  # threads of a block of add_parts_cuda

# ---- CPU ------------------------------------------------------------------------------------------------------------


@jit
def pack_all(B, b0, bk, bn, K, N, run):
    """All panels of a K x N matrix for an A that lies along k in runs; the one that begins with column n is at n K."""
    full = N // COLS * COLS
    tail = panel_width(N - full, run)
    panels = np.empty((full + (tail if full < N else 0)) * K, B.dtype)
    for n in range(0, N, COLS):
        width = tail if n == full else COLS
        pack(B, b0 + n * bn, bk, bn, K, min(COLS, N - n), width, width == HALF, panels, n * K)
    return panels


@jit
def multiply_along(A, a0, stride, step, S, K, M, B, b0, N, width, C0, first, pitch, floor, C, c0, cm):
    """C (M, N) = max(floor, C0 + A (M, S K) B (S K, N)) of a panel B of N <= COLS columns in tiles of `width`.

    A lies along k as in the module's text. The rows are shared evenly among the tiles that it takes.
    """
    tiles, size = (M + ROWS - 1) // ROWS, C.itemsize
    a, b = address(A, a0, floor), address(B, b0, floor)
    before, c = address(C0, first, floor), address(C, c0, floor)
    for i in range(tiles):
        m = i * M // tiles
        rows = (i + 1) * M // tiles - m
        at, source, target = a + size * m * stride, before + size * m * pitch, c + size * m * cm
        if width == COLS:
            along(rows, at, stride, step, S, K, 0, 0, 0, b, COLS, N, source, pitch, target, cm, floor)
        else:
            along_pairs(rows, at, stride, step, S, K, 0, 0, 0, b, HALF, N, source, pitch, target, cm, floor)


@jit
def add_across(A, a0, stride, step, S, K, run, jump, M, B, b0, bk, N, width, C, c0, cm):
    """C (M, N) += A (M, S K) B (S K, N) for N <= COLS columns in tiles of `width`.

    A lies across as in the module's text. B's rows are bk apart, and `width` numbers of them are read, whatever N is.
    """
    nothing, size = C.dtype.type(-np.inf), C.itemsize
    a, b, c = address(A, a0, nothing), address(B, b0, nothing), address(C, c0, nothing)
    if run < ROWS and width == COLS:  # a tile of a single run would be too low to hide how long a product takes
        tiles = (M + ROWS - 1) // ROWS
        for i in range(tiles):
            m = i * M // tiles
            rows, at, target = (i + 1) * M // tiles - m, a + size * (m // run * jump + m % run), c + size * m * cm
            across_runs(rows, at, stride, step, S, K, m % run, run, jump, b, bk, N, target, cm, target, cm, nothing)
        return
    together = COLS // width
    tiles = (run + ROWS * together - 1) // (ROWS * together)
    for i in range(M // run):
        for j in range(tiles):
            first = j * (run // together) // tiles
            rows, m = (j + 1) * (run // together) // tiles - first, first * together
            at, target = a + size * (i * jump + m), c + size * (i * run + m) * cm
            if width == COLS:
                across(rows, at, stride, step, S, K, 0, 0, 0, b, bk, N, target, cm, target, cm, nothing)
            else:
                across_pairs(rows, at, stride, step, S, K, 0, 0, 0, b, bk, N, target, cm, target, cm, nothing)


@jit
def pack_rows(A, a0, stride, K, M, strip):
    """strip[k STRIP + m] = A[a0 + k stride + m], m < M <= STRIP: where A lies, each k can be in a page of its own."""
    zero = strip.dtype.type(0)
    size, source, target = strip.itemsize, address(A, a0, zero), address(strip, 0, zero)
    for m in range(0, M, COLS):
        for k in range(K):
            copy(source + size * (k * stride + m), target + size * (k * STRIP + m), min(COLS, M - m), zero)


@pjit
def add_product(A, am, ak, B, bk, bn, C, M, N, K):
    """C (M, N) += A (M, K) B (K, N), a core per group of panels; A, B, C flat, C with rows of N numbers.

    The strides (am, ak) and (bk, bn) tell which way an operand lies: (K, 1) and (N, 1) as written, exchanged for its
    transpose. One of am and ak is 1.
    """
    transposed, nothing = ak != 1, C.dtype.type(-np.inf)
    total = (N + COLS - 1) // COLS
    groups = (total + 4 * GROUP - 1) // (4 * GROUP) * 4  # a multiple of 4, so that two or four cores have equal shares
    for j in prange(groups):
        left, right = j * total // groups * COLS, min(N, (j + 1) * total // groups * COLS)
        panels = np.empty(min(K, DEPTH) * GROUP * COLS, C.dtype)
        strip = np.empty(min(K, DEPTH) * STRIP, C.dtype)
        for k in range(0, K, DEPTH):
            depth = min(DEPTH, K - k)
            for n in range(left, right, COLS):
                width = panel_width(right - n, M if transposed else depth)
                pairs = width == HALF and not transposed
                pack(B, k * bk + n * bn, bk, bn, depth, min(COLS, right - n), width, pairs, panels, (n - left) * depth)
            for m in range(0, M, STRIP):
                rows = min(STRIP, M - m)
                if transposed:
                    pack_rows(A, m + k * ak, ak, depth, rows, strip)
                for n in range(left, right, COLS):
                    columns, at = min(COLS, right - n), m * N + n
                    width = panel_width(columns, M if transposed else depth)
                    if transposed:
                        add_across(
                            strip, 0, STRIP, 0, 1, depth, rows, 0, rows, panels, (n - left) * depth, width, columns,
                            width, C, at, N,
                        )  # fmt: skip
                    else:
                        multiply_along(
                            A, m * am + k, am, 0, 1, depth, rows, panels, (n - left) * depth, columns, width,
                            C, at, N, nothing, C, at, N,
                        )  # fmt: skip


# ---- CUDA: a block per tile and part of k ---------------------------------------------------------------------------


@cuda_jit
def product_cuda(A, am, ak, za, B, bk, bn, zb, C0, pitch, z0, C, zc, M, N, K, part):
    """C[z] = C0[z] + A[z] B[z], of which block (tile, z) does its tile and `part` numbers of k.

    z      number of the product and, within it, of the part: a product of several parts has a C for each of them
    za, zb, z0   how far the operands of the next product lie, zc how far the C of the next z
    C0[m, n] is m pitch + n numbers from its beginning, C[m, n] m N + n
    """
    a = cuda.shared.array(PIECE_M, A.dtype)
    b = cuda.shared.array(PIECE_N, A.dtype)
    sums = cuda.local.array(TILE, A.dtype)
    next_a = cuda.local.array(LOADS_M, A.dtype)
    next_b = cuda.local.array(LOADS_N, A.dtype)
    t = cuda.threadIdx.x & (THREADS - 1)
    parts = (K + part - 1) // part
    z, first = cuda.blockIdx.y // parts, cuda.blockIdx.y % parts * part
    last = np.int32(min(K, first + part))
    m0, n0 = tile_at(cuda.blockIdx.x, N)
    along_a, along_b = ak == 1, bk == 1
    row_a, k_a = fetched_by(t, TILE_M, along_a)
    row_b, k_b = fetched_by(t, TILE_N, along_b)
    m, n = np.int32(m0 + t // ACROSS * EACH_M), np.int32(n0 + t % ACROSS * EACH_N)
    begin(C0, np.int32(z * z0), pitch, m, M, n, N, sums)
    at_a, at_b = np.int32(z * za), np.int32(z * zb)
    m, n = np.int32(m0 + row_a), np.int32(n0 + row_b)
    fetch_matrix(A, along_a, at_a, am, ak, m, M, np.int32(first + k_a), last, next_a)
    fetch_matrix(B, along_b, at_b, bn, bk, n, N, np.int32(first + k_b), last, next_b)
    for step in range((last - first + TILE_K - 1) // TILE_K):
        buffer = step & 1
        put(next_a, a, buffer, row_a, k_a, along_a)
        put(next_b, b, buffer, row_b, k_b, along_b)
        cuda.syncthreads()  # both pieces are there
        k = first + (step + 1) * TILE_K
        fetch_matrix(A, along_a, at_a, am, ak, m, M, np.int32(k + k_a), last, next_a)
        fetch_matrix(B, along_b, at_b, bn, bk, n, N, np.int32(k + k_b), last, next_b)
        multiply(a, b, buffer, t, sums)
    m, n = np.int32(m0 + t // ACROSS * EACH_M), np.int32(n0 + t % ACROSS * EACH_N)
    end(sums, C, np.int32(cuda.blockIdx.y * zc), m, M, n, N)


@cuda_jit
def add_parts_cuda(sums, parts, C0, pitch, z0, C, zc, M, N, batch):
    """C[z] = C0[z] + Σ_p sums[z, p], a thread per number; sums (batch, parts, M, N), the others as in product_cuda."""
    i = cuda.grid(1)
    size = M * N
    z, at = i // size, i % size
    if z < batch:
        total = C0[z * z0 + at // N * pitch + at % N]
        for p in range(parts):
            total += sums[(z * parts + p) * size + at]
        C[z * zc + at] = total


def product(
    A: Array, am: int, ak: int, B: Array, bk: int, bn: int, C: Array, M: int, N: int, K: int,
    bias: Array | None = None, batch: int = 1, steps: tuple[int, int, int] = (0, 0, 0), split: bool = True,
) -> None:  # fmt: skip
    """C[z] (M, N) += A[z] (M, K) B[z] (K, N) for z < batch; with a `bias` (N,), C[z] = bias + A[z] B[z].

    For a GPU's arrays, flat and C-contiguous, or parts of such: number (m, k) of A[z] lies at z steps[0] + m am + k ak,
    that of B[z] at z steps[1] + k bk + n bn, that of C[z] at z steps[2] + m N + n. One of am and ak is 1, and one of bk
    and bn. Without `split` a long K is not cut into parts, however small the rest is: the bits of a row do not depend
    on how many there are.
    """
    za, zb, zc = steps
    C0, pitch, z0 = (C, N, zc) if bias is None else (bias, 0, 0)
    part = part_of(K, tiles(M, N) * batch) if split else K
    parts = blocks(K, part)
    grid = tiles(M, N), batch * parts
    if parts == 1:
        launch(product_cuda, grid, THREADS, A, am, ak, za, B, bk, bn, zb, C0, pitch, z0, C, zc, M, N, K, part)
        return
    device = device_of(C)
    sums, zeros = device.empty(batch * parts * M * N, C.dtype), device.resident(np.zeros(N, C.dtype))
    launch(product_cuda, grid, THREADS, A, am, ak, za, B, bk, bn, zb, zeros, 0, 0, sums, M * N, M, N, K, part)
    launch(add_parts_cuda, blocks(batch * M * N, ADDERS), ADDERS, sums, parts, C0, pitch, z0, C, zc, M, N, batch)
