"""The matrix product that conv2d, the LSTM and the dense layer share.

    forward    C[m, n] += Σ_k A[m, k] B[k, n]
    backward   dA = dC Bᵀ and dB = Aᵀ dC: products again, with the two strides of an operand exchanged

Why a plain triple loop is slow: it does one multiplication for two loads. The tile below keeps a block of C in
registers for the whole of k, so that ROWS + 1 loads feed ROWS x COLS multiplications:

                        B[k, 0 ... 15]         one load of COLS numbers
                       ┌──────────────┐
        A[0, k]  ──▶   │ C[0, 0 ... 15] │  each number of A is copied to all lanes, multiplied
        A[1, k]  ──▶   │ C[1, 0 ... 15] │  with B's row and added: one fused instruction a row
          ...          │      ...       │
        A[5, k]  ──▶   │ C[5, 0 ... 15] │  6 x 16 float32: 12 of AVX2's 16 registers
                       └──────────────┘

B is copied into panels beforehand, COLS columns each, so that the tile reads it in one straight line:

        B (K, N)  →  panels (⌈N / COLS⌉, K, COLS), the last one filled up with zeros

A is read where it lies, at A[a0 + m am + s as + k ak]. The strides make it serve as its own transpose; the runs s = 0
... S-1 of K numbers each make a convolution's window (kernel rows in S frames) a row of a matrix without copying it
(conv2d.py).

Every element is one chain of fused multiply-adds in the order of k, whatever tile it falls into: a row's bits do not
depend on the rows beside it, nor on the number of threads.

A, B, C   flat contiguous arrays of one dtype, float32 or float64; offsets and strides count numbers, not bytes
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from scratchser.kernels._launch import jit, pjit, prange

ROWS, COLS = 6, 16  # of a whole tile; the last columns, if they are at most HALF, make a tile of 2 ROWS x HALF
HALF = COLS // 2
DEPTH = 512  # of one pass over k: a panel of 512 x 16 float32 is 32 KiB, so that it stays close while the rows go by
GROUP = 4  # panels that a core does at a time: A's rows are read once for all of them, and C's in longer pieces


def _tile(rows, cols):
    """The tile of this size: C[c0 + m cm + n] += Σ_s Σ_k A[a0 + m am + s as + k ak] B[b0 + (s K + k) bk + n].

    Numba alone would keep the tile in memory, so this writes LLVM's vector instructions itself.
    """

    @intrinsic
    def tile(typingctx, A, a0, am, astep, ak, S, K, B, b0, bk, C, c0, cm):
        if not (A.dtype == B.dtype == C.dtype):
            raise TypeError(f"the operands of a product must have one dtype, not {A.dtype}, {B.dtype}, {C.dtype}")
        signature = types.void(A, *(types.intp,) * 6, B, types.intp, types.intp, C, types.intp, types.intp)
        scalar_type = C.dtype

        def codegen(context, builder, signature, args):
            a_array, a0, am, astep, ak, S, K, b_array, b0, bk, c_array, c0, cm = args
            bytes_each = scalar_type.bitwidth // 8
            number = context.get_data_type(scalar_type)
            vector = ir.VectorType(number, cols)
            integer = ak.type
            lane0, broadcast = (
                ir.Constant(ir.IntType(32), 0),
                ir.Constant(ir.VectorType(ir.IntType(32), cols), [0] * cols),
            )
            undefined = ir.Constant(vector, ir.Undefined)
            name = f"llvm.fma.v{cols}f{scalar_type.bitwidth}"
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)

            def data(index, value):
                return context.make_array(signature.args[index])(context, builder, value).data

            a, b, c = data(0, a_array), data(7, b_array), data(10, c_array)

            def vector_at(pointer, index):
                return builder.bitcast(builder.gep(pointer, [index]), vector.as_pointer())

            corners = [builder.add(c0, builder.mul(cm, ir.Constant(integer, m))) for m in range(rows)]
            sums = [cgutils.alloca_once(builder, vector) for _ in range(rows)]  # LLVM turns these into registers
            for m in range(rows):
                builder.store(builder.load(vector_at(c, corners[m]), align=bytes_each), sums[m])
            with cgutils.for_range(builder, S, intp=integer) as runs:
                row = builder.add(a0, builder.mul(runs.index, astep))
                panel = builder.add(b0, builder.mul(builder.mul(runs.index, K), bk))
                with cgutils.for_range(builder, K, intp=integer) as depth:
                    k = depth.index
                    b_row = builder.load(vector_at(b, builder.add(panel, builder.mul(k, bk))), align=bytes_each)
                    start = builder.add(row, builder.mul(k, ak))
                    for m in range(rows):
                        at = builder.add(start, builder.mul(am, ir.Constant(integer, m)))
                        one = builder.insert_element(undefined, builder.load(builder.gep(a, [at])), lane0)
                        lanes = builder.shuffle_vector(one, undefined, broadcast)
                        builder.store(builder.call(fma, [lanes, b_row, builder.load(sums[m])]), sums[m])
            for m in range(rows):
                builder.store(builder.load(sums[m]), vector_at(c, corners[m]), align=bytes_each)
            return context.get_dummy_value()

        return signature, codegen

    return tile


_tile6, _tile5, _tile4, _tile3, _tile2, _tile1 = (_tile(rows, COLS) for rows in (6, 5, 4, 3, 2, 1))
_half12, _half6, _half3, _half1 = (_tile(rows, HALF) for rows in (12, 6, 3, 1))


@jit
def tile(rows, A, a0, am, astep, ak, S, K, B, b0, bk, C, c0, cm):
    """One tile of `rows` <= ROWS rows and COLS columns; see `_tile`."""
    if rows == 6:
        _tile6(A, a0, am, astep, ak, S, K, B, b0, bk, C, c0, cm)
    elif rows == 5:
        _tile5(A, a0, am, astep, ak, S, K, B, b0, bk, C, c0, cm)
    elif rows == 4:
        _tile4(A, a0, am, astep, ak, S, K, B, b0, bk, C, c0, cm)
    elif rows == 3:
        _tile3(A, a0, am, astep, ak, S, K, B, b0, bk, C, c0, cm)
    elif rows == 2:
        _tile2(A, a0, am, astep, ak, S, K, B, b0, bk, C, c0, cm)
    else:
        _tile1(A, a0, am, astep, ak, S, K, B, b0, bk, C, c0, cm)


@jit
def half_tile(rows, A, a0, am, astep, ak, S, K, B, b0, bk, C, c0, cm):
    """`rows` <= 2 ROWS rows of HALF columns, in up to five pieces."""
    m = 0
    while m < rows:
        left, at, out = rows - m, a0 + m * am, c0 + m * cm
        if left >= 12:
            _half12(A, at, am, astep, ak, S, K, B, b0, bk, C, out, cm)
            m += 12
        elif left >= 6:
            _half6(A, at, am, astep, ak, S, K, B, b0, bk, C, out, cm)
            m += 6
        elif left >= 3:
            _half3(A, at, am, astep, ak, S, K, B, b0, bk, C, out, cm)
            m += 3
        else:
            _half1(A, at, am, astep, ak, S, K, B, b0, bk, C, out, cm)
            m += 1


@jit
def panel_width(N):
    """Columns of the panel that holds N <= COLS of them."""
    return HALF if N <= HALF else COLS


@jit
def pack(B, b0, bk, bn, K, N, panel):
    """panel[k w + n] = B[b0 + k bk + n bn] for k < K and n < N <= COLS, w = panel_width(N); zero for N <= n < w."""
    width = panel_width(N)
    if bn == 1 and N == COLS:
        for k in range(K):
            for n in range(COLS):  # known beforehand: one vector
                panel[k * COLS + n] = B[b0 + k * bk + n]
        return
    for first in range(0, K, COLS):  # a transpose is read in squares: whole cache lines of B, few lines of the panel
        for n in range(N):
            for k in range(first, min(first + COLS, K)):
                panel[k * width + n] = B[b0 + k * bk + n * bn]
    for k in range(K):
        for n in range(N, width):
            panel[k * width + n] = 0


@jit
def pack_all(B, b0, bk, bn, K, N):
    """All panels of a K x N matrix one after the other, flat; the one that begins with column n at n K."""
    panels = np.empty((N // COLS * COLS + (panel_width(N % COLS) if N % COLS else 0)) * K, B.dtype)
    for n in range(0, N, COLS):
        pack(B, b0 + n * bn, bk, bn, K, min(COLS, N - n), panels[n * K :])
    return panels


@jit
def multiply_panel(A, a0, am, astep, ak, S, K, M, B, b0, bk, N, C, c0, cm, edge):
    """C (M, N) += A (M, S K) B (S K, N), N <= COLS, tile by tile; B's rows are bk numbers apart.

    edge   workspace of ROWS x COLS numbers, for the widths that no tile has
    """
    width = panel_width(N)
    height = ROWS * COLS // width
    for m in range(0, M, height):
        rows = min(height, M - m)
        out, at, step = (C, c0 + m * cm, cm) if width == N else (edge, 0, width)
        if width > N:  # a tile always writes all its columns
            for r in range(rows):
                for n in range(width):
                    edge[r * width + n] = C[c0 + (m + r) * cm + n] if n < N else edge.dtype.type(0)
        if width == COLS:
            tile(rows, A, a0 + m * am, am, astep, ak, S, K, B, b0, bk, out, at, step)
        else:
            half_tile(rows, A, a0 + m * am, am, astep, ak, S, K, B, b0, bk, out, at, step)
        if width > N:
            for r in range(rows):
                for n in range(N):
                    C[c0 + (m + r) * cm + n] = edge[r * width + n]


@pjit
def add_product(A, am, ak, B, bk, bn, C, M, N, K):
    """C (M, N) += A (M, K) B (K, N), a core per GROUP of panels; A, B, C flat, C with rows of N numbers.

    The strides (am, ak) and (bk, bn) tell which way an operand lies: (K, 1) and (N, 1) as written, exchanged for its
    transpose.
    """
    columns = GROUP * COLS
    for j in prange((N + columns - 1) // columns):
        first, last = j * columns, min(N, (j + 1) * columns)
        panels, edge = np.empty(min(K, DEPTH) * columns, C.dtype), np.empty(ROWS * COLS, C.dtype)
        for k in range(0, K, DEPTH):
            depth = min(DEPTH, K - k)
            for n in range(first, last, COLS):
                pack(B, k * bk + n * bn, bk, bn, depth, min(COLS, last - n), panels[(n - first) * depth :])
            for m in range(0, M, ROWS):
                for n in range(first, last, COLS):
                    width = min(COLS, last - n)
                    multiply_panel(
                        A, m * am + k * ak, am, 0, ak, 1, depth, min(ROWS, M - m), panels, (n - first) * depth,
                        panel_width(width), width, C, m * N + n, N, edge,
                    )  # fmt: skip
