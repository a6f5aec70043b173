"""Traced launches of the kernels of planted.py, each with its result and the expected one."""

from math import ceil

import numpy as np

from scratchser.tracer import trace


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def traced(kernel, grid, block, *arrays):
    """The report of the second of two launches, which must agree in everything."""
    copies = [array.copy() for array in arrays]
    first, second = trace(kernel, grid, block, *copies), trace(kernel, grid, block, *arrays)
    assert [*map(str, first.faults())] == [*map(str, second.faults())]
    assert all(np.array_equal(*pair, equal_nan=True) for pair in zip(copies, arrays, strict=True))
    return second


def product(factory, T, M=7, K=9, N=6):
    """The report, C and the expected C."""
    A, B, C = random(M, K), random(K, N), np.full((M, N), np.nan, np.float32)
    report = traced(factory(T), (ceil(N / T), ceil(M / T)), (T, T), A, B, C)
    return report, C, A.astype(float) @ B


def sums(factory, N, n=70):
    x, y = random(n), np.full(ceil(n / N), np.nan, np.float32)
    report = traced(factory(N), ceil(n / N), N, x, y)
    return report, y, np.array([x[start : start + N].sum(dtype=float) for start in range(0, n, N)])


def convolved(factory, N, R=2, B=2, n=70):
    x, w, y = random(B, n), random(2 * R + 1), np.full((B, n), np.nan, np.float32)
    report = traced(factory(N, R), (ceil(n / N), B), N, x, w, y)
    return report, y, np.array([np.convolve(np.pad(row.astype(float), R), w[::-1], "valid") for row in x])


def right(result, expected):
    return np.allclose(result, expected, rtol=0, atol=1e-5)


def only(report, kind):
    """The faults of this kind, if there are no others."""
    assert report.faults() == getattr(report, kind)
    return getattr(report, kind)
