"""What a report says: faults as text, counts, and launches that are refused."""

from math import ceil

import numpy as np
import pytest
from launches import only, product, random
from numba import float32
from planted import add_one, line_of, matmul, plant

from scratchser.kernels.machine.compile import cuda
from scratchser.tracer import trace


def test_a_race_is_reported_with_array_index_threads_and_lines():
    report, *_ = product(plant(matmul, {"cuda.syncthreads()  # tiles are complete": "pass"}), 2, M=2, K=2, N=2)
    read, write = line_of(matmul, "total += a[y, k] * b[k, x]"), line_of(matmul, "a[y, x] = A[i, start + x]")
    text = (
        f"race on shared array a[0, 0] in block (0, 0): thread (0, 0) writes at {write}, "
        f"thread (1, 0) reads at {read}, no barrier between"
    )
    assert text in [str(fault).partition(" (and")[0] for fault in report.races]
    with pytest.raises(AssertionError) as raised:
        report.require_clean()
    assert text in str(raised.value)


def test_faults_of_the_same_lines_are_reported_once_and_counted():
    report = trace(add_one, 1, 5, np.zeros(2, np.float32))
    read, write = report.out_of_range
    assert read.times == write.times == 3
    assert str(read).startswith("out of range: thread 2 of block 0 reads global array x[2], shape (2,), at ")
    assert str(read).endswith("(and 2 times more)")
    read, _ = trace(add_one, 1, 4, np.zeros(2, np.float32)).out_of_range
    assert str(read).endswith("(and once more)")


@pytest.mark.parametrize(
    ("grid", "block", "text"),
    [
        (1, 1025, "each side must be 1 to (1024, 1024, 64)"),
        (1, (1024, 2), "2048 threads in a block: a GPU allows at most 1024"),
        ((1, 65536), 1, "each side must be 1 to (2147483647, 65535, 65535)"),
    ],
)
def test_a_launch_that_no_gpu_accepts_is_refused(grid, block, text):
    x = np.zeros(1, np.float32)
    report = trace(add_one, grid, block, x)
    assert text in str(report.launch)
    assert x[0] == 0 and report.counts.global_reads.total == 0
    with pytest.raises(AssertionError, match="launch refused"):
        report.require_clean()


@pytest.mark.parametrize(("size", "dynamic", "accepted"), [(12288, 0, True), (12289, 0, False), (12288, 4, False)])
def test_more_than_48_kilobytes_of_shared_memory_are_refused(size, dynamic, accepted):
    @cuda.jit
    def kernel(x):
        large = cuda.shared.array(size, float32)
        large[0] = x[0]

    report = trace(kernel, 2, 1, random(1), shared_bytes=dynamic)
    refused = f"launch refused: {4 * size + dynamic} bytes of shared memory in a block: Numba allows at most 49152"
    assert [str(fault) for fault in only(report, "launch")] == [refused] * (not accepted)


@pytest.mark.parametrize("T", [2, 3, 5])
@pytest.mark.parametrize(("M", "K", "N"), [(7, 9, 6), (1, 1, 1), (8, 4, 12)])
def test_counts_of_the_matrix_product_are_the_formulas(T, M, K, N):
    """Every element of A is read once for each column of tiles, of B once for each row of tiles; every thread writes
    two elements of shared memory for each tile along K and reads 2 T."""
    rows, columns, tiles = ceil(M / T), ceil(N / T), ceil(K / T)
    threads = rows * columns * T * T
    report, *_ = product(matmul, T, M, K, N)
    counts = report.counts
    assert counts.global_reads.total == M * K * columns + K * N * rows
    assert counts.global_writes.total == M * N
    assert counts.shared_writes.total == 2 * tiles * threads
    assert counts.shared_reads.total == 2 * T * tiles * threads
    assert counts.shared_reads.accesses.tolist() == [[2 * T * tiles] * T * T] * rows * columns
    assert counts.global_reads.accesses[0, 0] == 2 * ceil(K / T)


def test_a_warp_makes_one_request_each_time_when_it_is_at_a_line():
    @cuda.jit
    def kernel(x, y):
        i = cuda.grid(1)
        for _ in range(1 + i % 2):
            y[i] = x[0]

    report = trace(kernel, 2, 48, random(1), random(96))
    expected = {
        (block, warp, turn): [4 * (48 * block + t) for t in range(48) if t // 32 == warp and turn <= t % 2]
        for block, warp, turn in np.ndindex(2, 2, 2)
    }
    assert {key[1:]: offsets for key, offsets in report.requests("y").items()} == expected
    assert [len(report.requests(*names)) for names in ((), ("x",), ("x", "y"), ("z",))] == [16, 8, 16, 0]
