"""The intrinsics of parts/tile.py and expm1.py as plain Python, for NUMBA_DISABLE_JIT=1 and a debugger only.

With that switch Numba leaves every kernel a Python function, and a debugger can step through it. Intrinsics are
instructions for LLVM and have no such function, so each has a body here, with the same arguments. The matrix product of
a tile, in the letters of parts/tile.py:

    C[m, n] = max(floor, C0[m, n] + Σ_s Σ_k A[m, s, k] B[s, k, n])

Product and sum are rounded one after the other here. The compiled tile rounds once, so last digits differ. Addresses
are real: a wrong offset reads what lies there, as in compiled code.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import config
from numba.extending import intrinsic

LARGEST = {np.dtype(np.float32): 87.0, np.dtype(np.float64): 708.0}  # |x|, as in expm1.py


def instructions(body: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: numba.extending.intrinsic, or with NUMBA_DISABLE_JIT=1 one that returns `body` instead."""
    return (lambda function: body) if config.DISABLE_JIT else intrinsic


def expm1(x):
    largest = LARGEST[np.result_type(x)]  # Python's floats have no dtype
    return np.expm1(np.clip(x, -largest, largest))


def address(array, index, like):
    if array.dtype != like.dtype:
        raise TypeError(f"the operands of a product must have one dtype, not {array.dtype} and {like.dtype}")
    return array.ctypes.data + int(index) * array.itemsize


def elements(address, shape, strides, like):
    """The memory at an address as an array of this shape and like's dtype; strides count elements."""
    if 0 in shape:
        return np.empty(shape, like.dtype)
    last = sum((int(n) - 1) * int(stride) for n, stride in zip(shape, strides, strict=True))
    memory = (ctypes.c_char * ((last + 1) * like.itemsize)).from_address(int(address))
    return np.ndarray(shape, like.dtype, memory, 0, [int(stride) * like.itemsize for stride in strides])


def copy(source, target, count, like, columns):
    wanted, row = min(int(count), columns), elements(target, (columns,), (1,), like)
    row[:wanted] = elements(source, (wanted,), (1,), like)
    row[wanted:] = 0


def transpose(source, pitch, target, like, columns):
    square = columns, columns
    elements(target, square, (columns, 1), like)[:] = elements(source, square, (pitch, 1), like).T


def row_starts(rows, row, run, jump):
    """Where the rows of matmul.Columns begin: in runs of `run`, with `jump` from one run's first row to the next's."""
    starts = [0]
    for _ in range(rows - 1):
        row += 1
        starts.append(starts[-1] + (jump - (run - 1) if row == run else 1))
        row %= run
    return starts


def tile(across, pairs, runs, half):
    """The body of parts.tile._tile(across, pairs, runs); half: columns of a panel of pairs."""

    def multiply(rows, A, stride, step, S, K, row, run, jump, B, bk, N, C0, pitch, C, cm, floor):
        rows = rows * 2 if across and pairs else rows
        one_run = [m if across else m * stride for m in range(rows)]
        starts = row_starts(rows, row, run, jump) if runs else one_run
        steps = step, stride if across else 1
        a = [elements(A + start * floor.itemsize, (S, K), steps, floor) for start in starts]
        if pairs and not across:  # two rows of B take turns in each row of the panel
            b = elements(B, (S, K // 2, 2, N), (K * half, 2 * half, 1, 2), floor).reshape(S, K, N)
        else:
            b = elements(B, (S, K, N), (K * bk, bk, 1), floor)
        before, after = elements(C0, (rows, N), (pitch, 1), floor), elements(C, (rows, N), (cm, 1), floor)
        for m in range(rows):
            total = np.array(before[m])
            for s in range(S):
                for k in range(K):
                    total += a[m][s, k] * b[s, k]
            after[m] = np.where(total < floor, floor, total)  # NaN is not below

    return multiply
