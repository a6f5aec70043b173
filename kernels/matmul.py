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

ROWS, COLS = 6, 16
DEPTH = 512  # of one pass over k: a panel of 512 x 16 float32 is 32 KiB, so that it stays close while the rows go by


def _tile(rows):
    """The tile of so many rows: C[c0 + m cm + n] += Σ_s Σ_k A[a0 + m am + s as + k ak] B[b0 + (s K + k) bk + n].

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
            vector = ir.VectorType(number, COLS)
            integer = ak.type
            lane0, broadcast = (
                ir.Constant(ir.IntType(32), 0),
                ir.Constant(ir.VectorType(ir.IntType(32), COLS), [0] * COLS),
            )
            undefined = ir.Constant(vector, ir.Undefined)
            name = f"llvm.fma.v{COLS}f{scalar_type.bitwidth}"
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


_tile6, _tile5, _tile4, _tile3, _tile2, _tile1 = (_tile(rows) for rows in (6, 5, 4, 3, 2, 1))


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
def pack(B, b0, bk, bn, K, N, panel):
    """panel[k COLS + n] = B[b0 + k bk + n bn] for k < K and n < N <= COLS; the rest of its columns is zero."""
    for k in range(K):
        for n in range(N):
            panel[k * COLS + n] = B[b0 + k * bk + n * bn]
        for n in range(N, COLS):
            panel[k * COLS + n] = 0


@jit
def pack_all(B, b0, bk, bn, K, N):
    """All panels of a K x N matrix one after the other, flat: ⌈N / COLS⌉ x K x COLS numbers."""
    panels = np.empty((N + COLS - 1) // COLS * K * COLS, B.dtype)
    for n in range(0, N, COLS):
        pack(B, b0 + n * bn, bk, bn, K, min(COLS, N - n), panels[n * K : (n + COLS) * K])
    return panels


@jit
def multiply_panel(A, a0, am, astep, ak, S, K, M, B, b0, bk, N, C, c0, cm, edge):
    """C (M, N) += A (M, S K) B (S K, N), N <= COLS, tile by tile; B's rows are bk numbers apart.

    edge   workspace of ROWS x COLS numbers, for N < COLS
    """
    for m in range(0, M, ROWS):
        rows = min(ROWS, M - m)
        out, at, step = (C, c0 + m * cm, cm) if N == COLS else (edge, 0, COLS)
        if N < COLS:  # a tile always writes COLS numbers a row
            for r in range(rows):
                for n in range(COLS):
                    edge[r * COLS + n] = C[c0 + (m + r) * cm + n] if n < N else edge.dtype.type(0)
        tile(rows, A, a0 + m * am, am, astep, ak, S, K, B, b0, bk, out, at, step)
        if N < COLS:
            for r in range(rows):
                for n in range(N):
                    C[c0 + (m + r) * cm + n] = edge[r * COLS + n]


@pjit
def add_product(A, am, ak, B, bk, bn, C, M, N, K):
    """C (M, N) += A (M, K) B (K, N), a core per panel of COLS columns; A, B, C flat, C with rows of N numbers.

    The strides (am, ak) and (bk, bn) tell which way an operand lies: (K, 1) and (N, 1) as written, exchanged for its
    transpose.
    """
    for j in prange((N + COLS - 1) // COLS):
        width = min(COLS, N - j * COLS)
        panel = np.empty(min(K, DEPTH) * COLS, C.dtype)
        edge = np.empty(ROWS * COLS, C.dtype)
        for k in range(0, K, DEPTH):
            depth = min(DEPTH, K - k)
            pack(B, k * bk + j * COLS * bn, bk, bn, depth, width, panel)
            multiply_panel(A, k * ak, am, 0, ak, 1, depth, M, panel, 0, COLS, width, C, j * COLS, N, edge)
