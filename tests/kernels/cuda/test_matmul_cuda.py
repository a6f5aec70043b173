"""The CUDA side of the matrix product against NumPy's, which is the reference here, in every orientation."""

import itertools

import numpy as np
import pytest

from scratchser.kernels import matmul
from scratchser.kernels.machine import device as _device
from scratchser.kernels.matmul import Operand
from scratchser.kernels.parts import tile_cuda

SMALL = [(1, 1, 1), (66, 5, 3), (3, 35, 9)]  # M, N, K: a lone number, two tiles down, two across and two steps
LARGE = [(896, 1024, 480), (480, 1024, 896), (65, 97, 4000)]


def draw(M, N, K, dtype, batch=1, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((batch, *shape)).astype(dtype) for shape in ((M, K), (K, N), (M, N))]


def product(upload, A, B, C, flips=(False, False), bias=None, gap=0):
    """C + A B, or bias + A B; the operands transposed if requested, each product `gap` NaN after the one
    before."""
    batch, M, K = A.shape
    N = B.shape[2]
    a, am, ak = (A.transpose(0, 2, 1), 1, M) if flips[0] else (A, K, 1)
    b, bk, bn = (B.transpose(0, 2, 1), 1, K) if flips[1] else (B, N, 1)

    def spaced(array):
        return upload(np.pad(array.reshape(batch, -1), ((0, 0), (0, gap)), constant_values=np.nan).ravel())

    flat_a, flat_b, result = spaced(a), spaced(b), spaced(C)
    a, b = Operand(flat_a, am, ak, M * K + gap), Operand(flat_b, bk, bn, K * N + gap)
    start = None if bias is None else upload(bias)
    matmul.product(a, b, result, M, N, K, bias=start, batch=batch, step=M * N + gap)
    return result, lambda host: host.reshape(batch, -1)[:, : M * N].reshape(C.shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("flips", list(itertools.product([False, True], repeat=2)), ids=str)
def test_product_in_every_orientation(device, dtype, flips):
    for M, N, K in device.sizes(SMALL, LARGE):
        A, B, C = draw(M, N, K, dtype)
        result, shaped = product(device.target.upload, A, B, C, flips)
        bound = 2 * np.sqrt(K) * np.finfo(dtype).eps * (np.abs(A).astype(float) @ np.abs(B) + np.abs(C))
        assert np.all(np.abs(shaped(device.host(result)) - (C.astype(float) + A.astype(float) @ B)) <= bound)


def test_a_bias_is_where_every_row_begins(device):
    A, B, C = draw(5, 34, 3, np.float64)
    bias = np.random.default_rng(1).standard_normal(34)
    result, shaped = product(device.target.upload, A, B, np.full_like(C, np.nan), bias=bias)
    np.testing.assert_allclose(shaped(device.host(result)), bias + A @ B, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("with_bias", [False, True])
def test_a_batch_of_products_each_in_parts(device, monkeypatch, with_bias):
    """Three parts of 8, 8 and 3 elements; what lies between the products is NaN and stays NaN."""
    monkeypatch.setattr(tile_cuda, "part_size", lambda K, blocks: 8)
    A, B, C = draw(3, 5, 19, np.float64, batch=2)
    bias = np.random.default_rng(1).standard_normal(5) if with_bias else None
    result, shaped = product(device.target.upload, A, B, C, (True, False), bias, gap=3)
    host = device.host(result)
    np.testing.assert_allclose(shaped(host), (C if bias is None else bias) + A @ B, rtol=1e-13, atol=1e-13)
    assert np.isnan(host.reshape(2, -1)[:, -3:]).all()


def test_a_rows_bits_do_not_depend_on_the_rows_beside_it(device):
    A, B, C = draw(66, 3, 9, np.float32)
    whole, shaped = product(device.target.upload, A, B, C)
    for row in (1, 65):
        alone, _ = product(device.target.upload, A[:, row : row + 1], B, C[:, row : row + 1])
        np.testing.assert_array_equal(device.host(alone), shaped(device.host(whole))[0, row])


def test_parts_follow_from_the_shapes():
    """A long sum of few tiles is cut into parts of whole steps, none of them empty; a short one never is."""
    for K, busy in [(1, 1), (255, 1), (5000, 600), (896, 64), (117_000, 6), (4097, 1)]:
        part = tile_cuda.part_size(K, busy)
        parts = _device.blocks(K, part)
        assert part % tile_cuda.TILE_K == 0 and (parts == 1 or (K // parts >= 0.9 * tile_cuda.LEAST_PART))
        assert parts == 1 or busy * parts <= tile_cuda.ENOUGH_BLOCKS
    assert _device.blocks(117_000, tile_cuda.part_size(117_000, 6)) > 80


MASK = "if (np.int32(row + i * row_hop) < rows) & (np.int32(k + i * k_hop) < K):"
FAULTS = [
    ("product_cuda", "cuda.syncthreads()  # both chunks are complete", "pass", "race"),
    ("product_cuda", "buffer = step & 1", "buffer = 0", "race"),
    ("product_cuda", "tile_cuda.store_chunk(next_b, b, buffer, row_b, k_b, along_b)",
     "tile_cuda.store_chunk(next_b, b, 0, row_b, k_b, along_b)", "uninitialised"),
    ("product_cuda", "last = np.int32(min(K, first + part))", "last = np.int32(first + part)", "out of range"),
    ("product_cuda", "m0, n0 = tile_cuda.tile_origin(cuda.blockIdx.x, N)", "m0, n0 = 0, 0", "race"),
    ("product_cuda", "k = first + (step + 1) * TILE_K", "k = first + step * TILE_K", "result"),
    ("add_parts_cuda", "if z < batch:", "if z <= batch:", "out of range"),
    ("add_parts_cuda", "total = C0[z * z0 + at // N * pitch + at % N]", "total = C.dtype.type(0)", "result"),
    ("add_parts_cuda", "total += sums[(z * parts + p) * size + at]", "total += sums[z * size + at]", "result"),
    ("add_parts_cuda", "C[z * zc + at] = total", "C[at] = total", "race"),
    ("fetch", MASK, "if np.int32(k + i * k_hop) < K:", "out of range"),
    ("fetch", MASK, "if np.int32(row + i * row_hop) < rows:", "out of range"),
    ("store_chunk", "chunk[buffer, k, row + i * APART] = values[i]", "chunk[buffer, k, row] = values[i]",
     "uninitialised"),
    ("store_chunk", "chunk[buffer, k + i * (TILE_K // values.size), row] = values[i]",
     "chunk[buffer, k + i, row] = values[i]", "race"),
    ("multiply", "add_step(a, b, buffer, 7, row, column, sums)", "pass", "result"),
    ("multiply", "row, column = own_part(t)", "row, column = own_part(t)[0], 0", "result"),
    ("load_sums", "sums[i, j] = C0[np.uint32(at + (m + i) * pitch + n + j)]", "sums[i, j] = 0", "result"),
    ("store_sums", "if (np.int32(m + i) < M) & (np.int32(n + j) < N):", "if np.int32(m + i) < M:", "race"),
]  # fmt: skip
IN_PARTS = "last =", "total", "if z", "C[z"  # faults of these lines show only in parts
TWO_TILES = "m0, n0"


def test_a_planted_fault_is_caught(check_fault, fault, monkeypatch):
    """In a product of two steps; where it takes that, of two parts, in a batch of two, or of two tiles."""
    _, line, _, _ = fault
    in_parts = line.startswith(IN_PARTS)
    if in_parts:
        monkeypatch.setattr(tile_cuda, "part_size", lambda K, blocks: 8)
    A, B, C = draw(5, 34 if line.startswith(TWO_TILES) else 6, 11, np.float64, batch=2 if in_parts else 1)

    def run(upload):
        result, shaped = product(upload, A, B, C)
        return [shaped(result)]

    check_fault(run, matmul, tile_cuda, expected=[C + A @ B])
