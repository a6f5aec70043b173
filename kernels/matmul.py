"""Matrix product in tiles, shared by conv2d and the LSTM. The dense layer of four classes is too narrow for it.

    forward    C[m, n] = max(floor, C0[m, n] + Σ_k A[m, k] B[k, n])        floor = -inf, or 0 for a ReLU
    backward   dA = dC Bᵀ,  dB = Aᵀ dC: the same product with the two strides of an operand exchanged

A (M, K), B (K, N), C (M, N)   parts of flat contiguous arrays of one dtype, float32 or float64. Offsets and strides
                               count elements, not bytes.

A plain triple loop does one multiplication for two loads. A tile keeps a block of C in registers for the whole of k, so
that ROWS + 1 loads feed ROWS x COLS multiplications:

                        B[k, 0 ... 15]         one load of COLS elements
                       ┌──────────────┐
        A[0, k]  ──▶   │ C[0, 0 ... 15] │  each element of A is copied to all lanes, multiplied
        A[1, k]  ──▶   │ C[1, 0 ... 15] │  by B's row and added: one fused instruction for each row
          ...          │      ...       │
        A[5, k]  ──▶   │ C[5, 0 ... 15] │  6 x 16 float32: 12 of AVX2's 16 registers, or
                       └──────────────┘   12 x 16: 12 of AVX-512's 32

A fused multiplication and addition takes 4 cycles, and two begin in each cycle, so at least 8 must be in flight. This
and the number of registers fix ROWS.

Each element of C is one chain of fused multiply-adds in the order of k (two chains, of even and odd k, where a panel
holds pairs of rows; see parts/tile.py). So a row's bits depend neither on the rows beside it nor on the number of
threads. A GPU has a tile of its own, drawn in parts/tile_cuda.py. There a long k is cut into parts, which are added in
order.
"""

from typing import NamedTuple

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import Array, blocks, device_of, launch
from scratchser.kernels.parts import tile, tile_cuda
from scratchser.kernels.parts.tile import COLS, HALF, ROWS, address, panel_width
from scratchser.kernels.parts.tile_cuda import LOADS_M, LOADS_N, SHARED_M, SHARED_N, THREADS, TILE, TILE_K

DEPTH = 256  # of one pass over k: a panel of 256 x 16 float32 is 16 KiB, half of a small L1 cache
GROUP = 8  # panels for one core at a time: they share one reading of A, and C is written in longer ranges
STRIP = 3 * COLS  # rows for one core at a time
ADDERS = 128  # threads of a block of add_parts_cuda

# ---- operands -------------------------------------------------------------------------------------------------------


class Operand(NamedTuple):
    """A matrix in a flat array: element (i, j) lies at i row + j column. One of the two strides is 1.

    (row, column) = (K, 1) is a matrix of K columns as written, (1, K) its transpose. On a GPU the matrix z of a batch
    begins at z step.
    """

    array: Array
    row: int
    column: int
    step: int = 0


# Layouts of the operands of `multiply_along` and `add_across`. The arrays travel beside them: a NamedTuple that holds
# an array counts its references (measured: 2 to 4 % of dW, dx and the LSTM's time loop; without arrays nothing).


class Rows(NamedTuple):
    """A matrix (M, S K) that lies along k: element (m, s K + k) is A[start + m stride + s step + k].

    A row consists of S contiguous ranges of K elements. Rows may overlap: a convolution's windows are kernel rows in S
    frames, read without copying.
    """

    M: int
    start: int
    stride: int
    step: int
    S: int
    K: int


class Columns(NamedTuple):
    """A matrix (M, S K) that lies across k, the transpose of Rows: its columns are contiguous, in ranges of `run` rows.

    Element (m, s K + k) is A[start + ⌊m / run⌋ jump + m mod run + s step + k stride].
    """

    M: int
    start: int
    stride: int
    step: int
    S: int
    K: int
    run: int
    jump: int


class Panel(NamedTuple):
    """At most COLS columns of B: element (k, n) is B[start + k pitch + n], n < columns; or packed in pairs of rows.

    The product uses a tile of `width` columns, COLS or HALF, and reads so many of each row.
    """

    start: int
    pitch: int
    columns: int
    width: int


class Matrix(NamedTuple):
    """Some columns of C, or of what C begins with: element (m, n) is C[start + m pitch + n]."""

    start: int
    pitch: int


# ---- CPU ------------------------------------------------------------------------------------------------------------


@jit
def pack_all(B, start, row, column, K, N, run):
    """All panels of a K x N matrix, for Rows of `run` elements each; the panel of columns n ... starts at n K."""
    full = N // COLS * COLS
    tail = panel_width(N - full, run)
    panels = np.empty((full + (tail if full < N else 0)) * K, B.dtype)
    for n in range(0, N, COLS):
        width = tail if n == full else COLS
        tile.pack(B, start + n * column, row, column, K, min(COLS, N - n), width, width == HALF, panels, n * K)
    return panels


@jit
def multiply_along(A, rows, B, panel, C0, start, floor, C, result):
    """C = max(floor, C0 + A B), where A is laid out as `rows`, B as `panel`, C0 as `start` and C as `result`."""
    _, _, stride, step, S, K = rows
    tiles, size = (rows.M + ROWS - 1) // ROWS, C.itemsize
    a, b = address(A, rows.start, floor), address(B, panel.start, floor)
    c0, c = address(C0, start.start, floor), address(C, result.start, floor)
    N, pitch, cm = panel.columns, start.pitch, result.pitch
    for i in range(tiles):
        m = i * rows.M // tiles  # the tiles share the rows evenly, 17 as 9 and 8, not as 12 and 5
        count = (i + 1) * rows.M // tiles - m
        at, before, after = a + size * m * stride, c0 + size * m * pitch, c + size * m * cm
        if panel.width == COLS:
            tile.along(count, at, stride, step, S, K, 0, 0, 0, b, COLS, N, before, pitch, after, cm, floor)
        else:
            tile.along_pairs(count, at, stride, step, S, K, 0, 0, 0, b, HALF, N, before, pitch, after, cm, floor)


@jit
def add_across(A, columns, B, panel, C, result):
    """C += A B, where A is laid out as `columns`, B as `panel` and C as `result`."""
    M, _, stride, step, S, K, run, jump = columns
    no_floor, size = C.dtype.type(-np.inf), C.itemsize
    a, b = address(A, columns.start, no_floor), address(B, panel.start, no_floor)
    c, bk, N, cm = address(C, result.start, no_floor), panel.pitch, panel.columns, result.pitch
    if run < ROWS and panel.width == COLS:
        # a tile of a single run would have too few rows to hide how long a product takes: it spans several runs
        tiles = (M + ROWS - 1) // ROWS
        for i in range(tiles):
            m = i * M // tiles
            count, row = (i + 1) * M // tiles - m, m % run
            at, after = a + size * (m // run * jump + row), c + size * m * cm
            tile.across_runs(count, at, stride, step, S, K, row, run, jump, b, bk, N, after, cm, after, cm, no_floor)
        return
    together = COLS // panel.width  # rows of A that share the lanes of one vector
    tiles = (run + ROWS * together - 1) // (ROWS * together)
    for i in range(M // run):
        for j in range(tiles):
            first = j * (run // together) // tiles
            count, m = (j + 1) * (run // together) // tiles - first, first * together
            at, after = a + size * (i * jump + m), c + size * (i * run + m) * cm
            if panel.width == COLS:
                tile.across(count, at, stride, step, S, K, 0, 0, 0, b, bk, N, after, cm, after, cm, no_floor)
            else:
                tile.across_pairs(count, at, stride, step, S, K, 0, 0, 0, b, bk, N, after, cm, after, cm, no_floor)


@jit
def pack_rows(A, start, stride, K, M, strip):
    """strip[k STRIP + m] = A[start + k stride + m], m < M <= STRIP. In A, each k may lie in another memory page."""
    zero = strip.dtype.type(0)
    size, source, target = strip.itemsize, address(A, start, zero), address(strip, 0, zero)
    for m in range(0, M, COLS):
        for k in range(K):
            tile.copy(source + size * (k * stride + m), target + size * (k * STRIP + m), min(COLS, M - m), zero)


@pjit
def add_product(A, B, C, M, N, K):
    """C (M, N) += A (M, K) B (K, N) of two Operands and a flat C, a core per group of panels."""
    (a, am, ak, _), (b, bk, bn, _) = A, B
    transposed, no_floor = ak != 1, C.dtype.type(-np.inf)
    total = (N + COLS - 1) // COLS
    groups = (total + 4 * GROUP - 1) // (4 * GROUP) * 4  # a multiple of 4, so that two or four cores have equal shares
    for j in prange(groups):
        left, right = j * total // groups * COLS, min(N, (j + 1) * total // groups * COLS)
        panels = np.empty(min(K, DEPTH) * GROUP * COLS, C.dtype)
        strip = np.empty(min(K, DEPTH) * STRIP, C.dtype)
        for k in range(0, K, DEPTH):
            depth = min(DEPTH, K - k)
            # this group's panels of B, for DEPTH rows of it
            for n in range(left, right, COLS):
                width = panel_width(right - n, M if transposed else depth)
                pairs, at = width == HALF and not transposed, (n - left) * depth
                tile.pack(b, k * bk + n * bn, bk, bn, depth, min(COLS, right - n), width, pairs, panels, at)
            # each strip of A, which stays in the cache, meets all of them
            for m in range(0, M, STRIP):
                rows = min(STRIP, M - m)
                if transposed:
                    pack_rows(a, m + k * ak, ak, depth, rows, strip)
                for n in range(left, right, COLS):
                    columns = min(COLS, right - n)
                    width = panel_width(columns, M if transposed else depth)
                    panel, result = Panel((n - left) * depth, width, columns, width), Matrix(m * N + n, N)
                    if transposed:
                        add_across(strip, Columns(rows, 0, STRIP, 0, 1, depth, rows, 0), panels, panel, C, result)
                    else:
                        part = Rows(rows, m * am + k, am, 0, 1, depth)
                        multiply_along(a, part, panels, panel, C, result, no_floor, C, result)


# ---- CUDA: a block per tile and part of k ---------------------------------------------------------------------------


@cuda_jit
def product_cuda(A, am, ak, za, B, bk, bn, zb, C0, pitch, z0, C, zc, M, N, K, part):
    """C[z] = C0[z] + A[z] B[z]; block (tile, z) computes its tile of `part` elements of k.

    A launch takes arrays and scalars only, so the operands are spelled out here:

    A[z]    element (m, k) lies at z za + m am + k ak         B[z]   element (k, n) lies at z zb + k bk + n bn
    C0[z]   element (m, n) lies at z z0 + m pitch + n         C[z]   element (m, n) lies at z zc + m N + n

    For A, B and C0, z is the number of the product. C has a z for each part of each product.
    """
    a = cuda.shared.array(SHARED_M, A.dtype)
    b = cuda.shared.array(SHARED_N, A.dtype)
    sums = cuda.local.array(TILE, A.dtype)
    next_a = cuda.local.array(LOADS_M, A.dtype)
    next_b = cuda.local.array(LOADS_N, A.dtype)
    t = cuda.threadIdx.x & (THREADS - 1)
    parts = (K + part - 1) // part
    z, first = cuda.blockIdx.y // parts, cuda.blockIdx.y % parts * part
    last = np.int32(min(K, first + part))
    m0, n0 = tile_cuda.tile_origin(cuda.blockIdx.x, N)
    # begin with this thread's elements of C0
    down, right = tile_cuda.own_part(t)
    m, n = np.int32(m0 + down), np.int32(n0 + right)
    tile_cuda.load_sums(C0, np.int32(z * z0), pitch, m, M, n, N, sums)
    # fetch the first chunks of A and B
    along_a, along_b = ak == 1, bk == 1
    row_a, k_a = tile_cuda.first_fetched(t, tile_cuda.TILE_M, along_a)
    row_b, k_b = tile_cuda.first_fetched(t, tile_cuda.TILE_N, along_b)
    at_a, at_b = np.int32(z * za), np.int32(z * zb)
    row, column = np.int32(m0 + row_a), np.int32(n0 + row_b)
    tile_cuda.fetch_matrix(A, along_a, at_a, am, ak, row, M, np.int32(first + k_a), last, next_a)
    tile_cuda.fetch_matrix(B, along_b, at_b, bn, bk, column, N, np.int32(first + k_b), last, next_b)
    for step in range((last - first + TILE_K - 1) // TILE_K):
        buffer = step & 1
        tile_cuda.store_chunk(next_a, a, buffer, row_a, k_a, along_a)
        tile_cuda.store_chunk(next_b, b, buffer, row_b, k_b, along_b)
        cuda.syncthreads()  # both chunks are complete
        # the next chunks arrive while the threads multiply
        k = first + (step + 1) * TILE_K
        tile_cuda.fetch_matrix(A, along_a, at_a, am, ak, row, M, np.int32(k + k_a), last, next_a)
        tile_cuda.fetch_matrix(B, along_b, at_b, bn, bk, column, N, np.int32(k + k_b), last, next_b)
        tile_cuda.multiply(a, b, buffer, t, sums)
    tile_cuda.store_sums(sums, C, np.int32(cuda.blockIdx.y * zc), m, M, n, N)


@cuda_jit
def add_parts_cuda(sums, parts, C0, pitch, z0, C, zc, M, N, batch):
    """C[z] = C0[z] + Σ_p sums[z, p], a thread per element; sums (batch, parts, M, N), the others as in product_cuda."""
    i = cuda.grid(1)
    size = M * N
    z, at = i // size, i % size
    if z < batch:
        total = C0[z * z0 + at // N * pitch + at % N]
        for p in range(parts):
            total += sums[(z * parts + p) * size + at]
        C[z * zc + at] = total


def product(
    A: Operand,
    B: Operand,
    C: Array,
    M: int,
    N: int,
    K: int,
    bias: Array | None = None,
    batch: int = 1,
    step: int = 0,
    split: bool = True,
) -> None:
    """C[z] (M, N) += A[z] (M, K) B[z] (K, N) for z < batch; with a `bias` (N,), C[z] = bias + A[z] B[z].

    For arrays of a GPU: two Operands and a flat C, in which element (m, n) of C[z] lies at z step + m N + n. A long K
    is cut into parts where the tiles of C alone would leave a large GPU idle. Without `split` it never is, so that the
    bits of a row do not depend on the number of rows.
    """
    C0, pitch, z0 = (C, N, step) if bias is None else (bias, 0, 0)
    tiles = tile_cuda.tiles(M, N)
    part = tile_cuda.part_size(K, tiles * batch) if split else K
    parts = blocks(K, part)
    grid = tiles, batch * parts
    operands = A.array, A.row, A.column, A.step, B.array, B.row, B.column, B.step
    if parts == 1:
        launch(product_cuda, grid, THREADS, *operands, C0, pitch, z0, C, step, M, N, K, part)
        return
    device = device_of(C)
    sums, zeros = device.empty(batch * parts * M * N, C.dtype), device.resident(np.zeros(N, C.dtype))
    launch(product_cuda, grid, THREADS, *operands, zeros, 0, 0, sums, M * N, M, N, K, part)
    launch(add_parts_cuda, blocks(batch * M * N, ADDERS), ADDERS, sums, parts, C0, pitch, z0, C, step, M, N, batch)
