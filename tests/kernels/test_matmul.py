"""The tiled product against NumPy's, which is the reference here."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser.kernels import matmul
from scratchser.kernels.matmul import Matrix, Operand, Panel, Rows
from scratchser.kernels.parts.tile import COLS, ROWS

sizes = st.one_of(st.integers(1, 40), st.sampled_from([matmul.DEPTH, matmul.DEPTH + 1]))


def product(A, B, C, dtype=np.float64, transposed=(False, False)):
    """C + A B by the kernel, with operands transposed if requested."""
    (M, K), N = A.shape, B.shape[1]
    a, am, ak = (A.T, 1, M) if transposed[0] else (A, K, 1)
    b, bk, bn = (B.T, 1, K) if transposed[1] else (B, N, 1)
    flat_a, flat_b = (np.ascontiguousarray(x, dtype).ravel() for x in (a, b))
    result = C.astype(dtype).ravel()
    matmul.add_product(Operand(flat_a, am, ak), Operand(flat_b, bk, bn), result, M, N, K)
    return result.reshape(M, N)


def check_product(M, N, K, transposed, seed=0):
    rng = np.random.default_rng(seed)
    A, B, C = rng.standard_normal((M, K)), rng.standard_normal((K, N)), rng.standard_normal((M, N))
    bound = 4 * K * np.finfo(float).eps * (np.abs(A) @ np.abs(B) + np.abs(C))
    assert np.all(np.abs(product(A, B, C, transposed=transposed) - (C + A @ B)) <= bound)


@pytest.mark.parametrize("transposed", [*itertools.product([False, True], repeat=2)])
def test_small_products_in_every_orientation(transposed):
    for M, N, K in ((1, 1, 1), (ROWS + 1, COLS + 3, 6), (2, COLS, COLS + 1), (4, 8, 4), (5, 7, 3)):
        check_product(M, N, K, transposed)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, sizes, st.tuples(st.booleans(), st.booleans()), st.integers(0, 2**32 - 1))
def test_product_of_any_size_and_orientation(M, N, K, transposed, seed):
    check_product(M, N, K, transposed, seed)


def test_float32_stays_within_its_rounding():
    """K roundings of 2^-24 each, relative to the sum of magnitudes, at the size of the model's largest product."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((37, 1584)), rng.standard_normal((1584, 96))
    C = np.zeros((37, 96))
    A, B = A.astype(np.float32), B.astype(np.float32)
    error = np.abs(product(A, B, C, np.float32) - A.astype(float) @ B.astype(float))
    assert np.all(error <= 1584 * 2.0**-24 * (np.abs(A).astype(float) @ np.abs(B)))


def test_a_rows_bits_depend_neither_on_the_rows_beside_it_nor_on_threads(same_with_two_threads):
    rng = np.random.default_rng(1)
    A, B = rng.standard_normal((13, 600)).astype(np.float32), rng.standard_normal((600, 33)).astype(np.float32)
    C = np.zeros((13, 33))
    whole = product(A, B, C, np.float32)
    for row in range(13):
        alone = product(A[row : row + 1], B, C[row : row + 1], np.float32)
        assert np.array_equal(alone[0], whole[row]), row

    A, B = rng.standard_normal((50, 700)).astype(np.float32), rng.standard_normal((700, 130)).astype(np.float32)
    C = rng.standard_normal((50, 130))
    same_with_two_threads(lambda: product(A, B, C, np.float32))


@pytest.mark.parametrize("N", [1, 8, 9, 16])
def test_few_columns_of_an_even_run_in_pairs_and_an_odd_run_without(N):
    rng = np.random.default_rng(4)
    for run in (6, 5):
        A, B, bias = rng.standard_normal((7, 2 * run)), rng.standard_normal((2 * run, N)), rng.standard_normal(N)
        panel, width = matmul.pack_all(B.ravel(), 0, N, 1, 2 * run, N, run), matmul.panel_width(N, run)
        assert (width, panel.size) == ((8, 16 * run) if N <= 8 and run == 6 else (16, 32 * run))
        C = np.full(7 * N + 1, np.nan)
        rows, columns = Rows(7, 0, 2 * run, run, 2, run), Panel(0, width, N, width)
        matmul.multiply_along(A.ravel(), rows, panel, columns, bias, Matrix(0, 0), np.float64(0), C, Matrix(0, N))
        np.testing.assert_allclose(C[:-1].reshape(7, N), np.maximum(A @ B + bias, 0), rtol=1e-13, atol=1e-13)
        assert np.isnan(C[-1]), "written past the end"


def test_nan_passes_through():
    A, B = np.ones((3, 4)), np.ones((4, 5))
    A[1, 2] = np.nan
    assert np.isnan(product(A, B, np.zeros((3, 5)))).tolist() == [[False] * 5, [True] * 5, [False] * 5]


def test_operands_of_two_dtypes_are_refused():
    with pytest.raises(TypeError, match="one dtype"):
        A, B = Operand(np.ones(4), 2, 1), Operand(np.ones(4, np.float32), 2, 1)
        matmul.add_product(A, B, np.zeros(4, np.float32), 2, 2, 2)
