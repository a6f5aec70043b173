"""The tracer finds every fault planted in a kernel, every time, and none in a correct kernel.

The last test runs some of them again in Numba's simulator, in a process of its own, because Numba reads
NUMBA_ENABLE_CUDASIM when it is imported.
"""

import _thread
import os
import subprocess
import sys
import time
from math import ceil

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="Numba without numba.cuda: the package numba-cuda has it")

from numba import config, cuda, float32, float64, int32, njit
from planted import block_sum, convolution, line_of, matmul, plant

from scratchser.tracer import trace

SIMULATED = bool(config.ENABLE_CUDASIM)
TILES = [2, 3, 4, 5]
BLOCKS = [2, 8, 32]
COMPLETE = "cuda.syncthreads()  # tiles are complete"
USED_UP = "cuda.syncthreads()  # tiles are used up"


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


# ---- correct kernels ------------------------------------------------------------------------------------------------

SHAPES = [(1, 1, 1), (7, 9, 6), (8, 4, 12), (1, 13, 2), (11, 1, 5)]
CORRECT = [
    *((product, matmul, T, *shape) for T in (1, *TILES, 7) for shape in SHAPES),
    *((sums, block_sum, N, n) for N in (1, *BLOCKS, 64) for n in (1, 2, 31, 64, 67)),
    *((convolved, convolution, N, R, 3, n) for N in (1, 3, 32) for R, n in ((0, 1), (1, 1), (2, 5), (3, 31), (2, 64))),
]


@pytest.mark.parametrize("case", CORRECT, ids=lambda case: f"{case[1].__name__}-{case[2:]}")
def test_a_correct_kernel_is_clean(case):
    launch, *arguments = case
    report, result, expected = launch(*arguments)
    report.require_clean()
    assert right(result, expected)


# ---- planted faults -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("T", TILES)
def test_a_removed_barrier_before_reading(T):
    report, *_ = product(plant(matmul, {COMPLETE: "pass"}), T)
    assert {fault.array for fault in report.races} == {"a", "b"}
    assert report.divergence == report.out_of_range == report.launch == []


@pytest.mark.parametrize("T", TILES)
def test_a_removed_barrier_after_reading(T):
    report, *_ = product(plant(matmul, {USED_UP: "pass"}), T)
    assert {fault.array for fault in only(report, "races")} == {"a", "b"}


@pytest.mark.parametrize("N", BLOCKS)
def test_a_removed_barrier_of_a_sum(N):
    report, *_ = sums(plant(block_sum, {"cuda.syncthreads()  # all parts are there": "pass"}), N)
    assert {fault.array for fault in report.races} == {"part"}


@pytest.mark.parametrize("T", TILES)
def test_a_divergent_barrier_inside_an_if(T):
    report, *_ = product(plant(matmul, {USED_UP: "if y == 0: cuda.syncthreads()"}), T)
    (fault,) = report.divergence
    assert "thread (0, 0) of block (0, 0) waits at planted.py:" in str(fault)
    assert f"thread (0, 1) of block (0, 0) waits at {line_of(matmul, COMPLETE)}" in str(fault)


@pytest.mark.parametrize("N", BLOCKS)
def test_a_barrier_after_an_early_return(N):
    line = "cuda.syncthreads()  # all parts are there"
    report, *_ = sums(plant(block_sum, {line: f"{line[:18]} if i < x.shape[0] else None"}), N, n=2 * N - 1)
    (fault,) = only(report, "divergence")
    assert f"waits at {line_of(block_sum, line)}" in str(fault)


@pytest.mark.parametrize("T", TILES)
def test_swapped_indices_of_a_square_tile_show_in_the_result_only(T):
    """Every index is in range and every read is ordered: the tracer finds nothing."""
    line = "total += a[y, k] * b[k, x]"
    report, C, expected = product(plant(matmul, {line: "total += a[y, k] * b[x, k]"}), T)
    report.require_clean()
    assert not right(C, expected)


@pytest.mark.parametrize("T", TILES)
def test_swapped_indices_of_the_result_are_out_of_range(T):
    report, C, expected = product(plant(matmul, {"C[i, j] = total": "C[j, i] = total"}), T, M=3, N=11)
    (fault,) = only(report, "out_of_range")
    assert (fault.array, fault.index) == ("C", (3, 0))
    assert not right(C, expected)


@pytest.mark.parametrize("T", TILES)
def test_a_dropped_mask_reads_what_was_never_written(T):
    """K < T: no thread writes what the mask would have set to 0."""
    report, *_ = product(plant(matmul, {"a[y, x] = 0": "pass"}), T, K=T - 1)
    (fault,) = only(report, "uninitialised")
    assert (fault.array, fault.index) == ("a", (0, T - 1))


@pytest.mark.parametrize("T", TILES)
def test_a_dropped_mask_over_an_older_tile_shows_in_the_result_only(T):
    """K > T: the tiles still contain the elements of the previous step."""
    broken = plant(matmul, {"a[y, x] = 0": "pass", "b[y, x] = 0": "pass"})
    report, C, expected = product(broken, T, M=T, K=2 * T - 1, N=T)
    report.require_clean()
    assert not right(C, expected)


@pytest.mark.parametrize("T", TILES)
def test_a_dropped_mask_of_the_result_is_out_of_range(T):
    broken = plant(matmul, {"if i < C.shape[0] and j < C.shape[1]:": "if j < C.shape[1]:"})
    (fault,) = only(product(broken, T, M=2 * T - 1)[0], "out_of_range")
    assert (fault.array, fault.index) == ("C", (2 * T - 1, 0))


@pytest.mark.parametrize("N", BLOCKS)
@pytest.mark.parametrize("guard", ["i_row < row.shape[0]", "0 <= i_row"])
def test_a_missing_guard_at_one_end(N, guard):
    """Numba would wrap the index -2 to the end of the row."""
    report, *_ = convolved(plant(convolution, {"if 0 <= i_row < row.shape[0]:": f"if {guard}:"}), N)
    (fault,) = only(report, "out_of_range")
    assert fault.array == "x" and (fault.index == (-2,) if "shape" in guard else fault.index >= (70,))


@pytest.mark.parametrize("N", BLOCKS)
def test_two_blocks_that_write_one_element(N):
    report, *_ = sums(plant(block_sum, {"sums[cuda.blockIdx.x] = part[0]": "sums[0] = part[0]"}), N)
    (fault,) = only(report, "races")
    at = line_of(block_sum, "sums[cuda.blockIdx.x] = part[0]")
    assert str(fault) == (
        f"race on global array sums[0]: thread 0 of block 0 writes at {at}, thread 0 of block 1 writes at {at}, "
        "and blocks run in no fixed order"
    )


@pytest.mark.parametrize("N", BLOCKS)
def test_a_block_that_reads_what_another_one_writes(N):
    """In place, the halo of a block is the output of its neighbour."""
    x, w = random(1, 2 * N), random(5)
    report = trace(convolution(N, 2), (2, 1), N, x, w, x)
    assert only(report, "races") and "reads" in str(report.races[0])


@pytest.mark.parametrize("N", BLOCKS)
def test_an_uninitialised_shared_read(N):
    """The right halo is not loaded."""
    line = "for i_tile in range(t, N + 2 * R, N):"
    report, y, _ = convolved(plant(convolution, {line: "for i_tile in range(t, N, N):"}), N)
    (fault,) = only(report, "uninitialised")
    assert fault.array == "tile" and fault.index[0] >= N
    assert np.isnan(y).any()


@pytest.mark.parametrize("N", BLOCKS)
def test_a_shared_array_read_past_its_end(N):
    line = "out[i] = dot(tile[t : t + 2 * R + 1], w)"
    report, *_ = convolved(plant(convolution, {line: "out[i] = tile[t + 2 * R + 1]"}), N, n=64)
    (fault,) = only(report, "out_of_range")
    assert (fault.array, fault.index) == ("tile", (N + 4,))


@pytest.mark.parametrize(
    ("grid", "block", "text"),
    [
        (1, 1025, "each side must be 1 to (1024, 1024, 64)"),
        (1, (1024, 2), "2048 threads in a block: a GPU allows at most 1024"),
        (1, (1, 1, 65), "each side must be 1 to (1024, 1024, 64)"),
        (1, 0, "each side must be 1 to"),
        ((1, 65536), 1, "each side must be 1 to (2147483647, 65535, 65535)"),
        (0, 1, "each side must be 1 to"),
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
    assert [str(fault) for fault in only(report, "launch")] == (
        []
        if accepted
        else [f"launch refused: {4 * size + dynamic} bytes of shared memory in a block: Numba allows at most 49152"]
    )


# ---- the text of a report -------------------------------------------------------------------------------------------


def test_a_race_is_reported_with_array_index_threads_and_lines():
    report, *_ = product(plant(matmul, {COMPLETE: "pass"}), 2, M=2, K=2, N=2)
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


# ---- barriers -------------------------------------------------------------------------------------------------------


@cuda.jit(device=True)
def wait():
    cuda.syncthreads()


@pytest.mark.parametrize("name", ["barriers_on_both_ways", "calls_on_both_ways", "more_barriers_for_some"])
def test_threads_must_reach_the_same_barriers_the_same_number_of_times(name):
    @cuda.jit
    def barriers_on_both_ways(x):
        if cuda.threadIdx.x < 2:
            cuda.syncthreads()
        else:
            cuda.syncthreads()

    @cuda.jit
    def calls_on_both_ways(x):
        if cuda.threadIdx.x < 2:
            wait()
        else:
            wait()

    @cuda.jit
    def more_barriers_for_some(x):
        for _ in range(cuda.threadIdx.x // 2 + 1):
            cuda.syncthreads()

    assert len(only(trace(locals()[name], 3, 4, random(1)), "divergence")) == 1


def test_an_error_in_one_thread_ends_the_launch_and_names_the_thread():
    @cuda.jit
    def kernel(x):
        cuda.syncthreads()
        if cuda.threadIdx.x == 2:
            x[1.5] = 0
        cuda.syncthreads()

    for _ in range(2):
        with pytest.raises(IndexError) as raised:
            trace(kernel, 2, 4, random(4))
        assert raised.value.__notes__ == ["raised in thread 2 of block 0"]


def test_no_thread_is_left_waiting():
    @cuda.jit
    def diverges(x):
        if cuda.threadIdx.x < 3:
            cuda.syncthreads()

    @cuda.jit
    def fails(x):
        if cuda.threadIdx.x == 3:
            x[1.5] = 0
        cuda.syncthreads()

    before = _thread._count()
    trace(diverges, 2, 4, random(1))
    with pytest.raises(IndexError):
        trace(fails, 2, 4, random(4))
    patience = time.monotonic() + 10
    while _thread._count() > before and time.monotonic() < patience:
        time.sleep(0.01)
    assert _thread._count() == before


# ---- arrays ---------------------------------------------------------------------------------------------------------


@cuda.jit
def add_one(x):
    x[cuda.grid(1)] += 1


def test_an_augmented_assignment_reads_and_writes():
    x = np.arange(4, dtype=np.float64)
    counts = trace(add_one, 2, 2, x).counts
    assert x.tolist() == [1, 2, 3, 4]
    for count in (counts.global_reads, counts.global_writes):
        assert count.accesses.tolist() == [[1, 1], [1, 1]] and count.bytes.tolist() == [[8, 8], [8, 8]]


def test_views_are_traced_at_their_index_in_the_array():
    @cuda.jit
    def kernel(x):
        row = x[1, cuda.threadIdx.x // 2 :, ::2]
        row[0, 1] = cuda.threadIdx.x

    (fault,) = only(trace(kernel, 1, 4, np.zeros((2, 2, 3), np.float32)), "races")
    assert (fault.array, fault.index, fault.times) == ("x", (1, 0, 2), 2)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_index_in_a_report_follows_the_arrays_layout(order):
    @cuda.jit
    def kernel(x):
        x[1, 2] = 0

    (fault,) = only(trace(kernel, 1, 2, np.zeros((3, 4), order=order)), "races")
    assert fault.index == (1, 2)


def test_arguments_that_overlap_are_one_memory():
    @cuda.jit
    def kernel(all_of_it, part):
        if cuda.threadIdx.x == 0:
            all_of_it[3] = 0
        else:
            part[0] = 1

    buffer = np.zeros(8, np.float32)
    assert len(only(trace(kernel, 1, 2, buffer, buffer[3:]), "races")) == 1
    trace(kernel, 1, 2, buffer, buffer[4:]).require_clean()


@pytest.mark.parametrize(
    ("index", "outside"),
    [
        *(((-1,), True), ((2,), True), ((0, 3), True), ((0, -1), True), ((..., 3), True)),
        *(((slice(-1, 2), 0), True), ((slice(0, -1),), True)),
        *(((1, 2), False), ((slice(0, 9), 0), False), ((..., 2), False), ((1,), False)),
    ],
)
def test_indices_and_slices_are_checked_on_both_ends(index, outside):
    @cuda.jit
    def reads(x):
        x[index]

    @cuda.jit
    def writes(x):
        x[index] = 1

    for kernel in (reads, writes):
        x = np.zeros((2, 3), np.float32)
        report = trace(kernel, 1, 1, x)
        assert [fault.index for fault in only(report, "out_of_range")] == [index] * outside
        assert x.any() == (kernel is writes and not outside)


def test_arrays_have_the_properties_that_kernels_use():
    @cuda.jit
    def kernel(x, out):
        total = x.dtype.type(0)
        for value in x[1]:
            total = cuda.fma(value, 2, total)
        out[0] = total
        out[1] = x.T[2, 0]
        out[2] = len(x) + 10 * x.size + 100 * x.ndim

    x, out = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(3)
    report = trace(kernel, 1, 1, x, out)
    report.require_clean()
    assert out.tolist() == [24, 2, 262]
    assert report.counts.global_reads.total == 4


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_threads_know_their_index_in_the_grid(dimensions):
    shape = (4, 6, 2)[:dimensions]

    @cuda.jit
    def kernel(x):
        x[cuda.grid(dimensions)] = cuda.gridsize(dimensions) == (shape if dimensions > 1 else shape[0])

    x = np.zeros(shape)
    trace(kernel, (2, 3, 1)[:dimensions], (2, 2, 2)[:dimensions], x).require_clean()
    assert x.all()


def test_a_slice_is_filled_element_by_element():
    @cuda.jit
    def kernel(x, y):
        x[1:] = y[:2]
        y[:] = 7

    x, y = np.zeros(3, np.float32), random(2)
    before = y.copy()
    counts = trace(kernel, 1, 1, x, y).counts
    assert x.tolist() == [0, *before] and y.tolist() == [7, 7]
    assert (counts.global_reads.total, counts.global_writes.total) == (2, 4)


@pytest.mark.parametrize("space", ["shared", "local"])
@pytest.mark.parametrize("dtype", [float32, float64, int32, np.float32, np.int64, np.uint8])
def test_unwritten_memory_is_poisoned_and_its_reads_are_reported(space, dtype):
    @cuda.jit
    def kernel(out):
        declare = cuda.shared if space == "shared" else cuda.local
        mine = declare.array(3, dtype)
        mine[0] = mine[1] = 1
        out[0] = mine[1]
        out[1] = mine[2]

    out = np.zeros(2)
    (fault,) = only(trace(kernel, 1, 1, out), "uninitialised")
    assert fault.array == "mine" and fault.index == (2,)
    assert out[0] == 1 and (np.isnan(out[1]) or out[1] in (-1, 255))


def test_shared_memory_is_unwritten_again_in_the_next_block():
    @cuda.jit
    def kernel(out):
        memory = cuda.shared.array(1, float32)
        if cuda.blockIdx.x == 0:
            memory[0] = 1
        out[cuda.blockIdx.x] = memory[0]

    (fault,) = only(trace(kernel, 2, 1, np.zeros(2)), "uninitialised")
    assert "of block 1 reads" in str(fault)


def test_local_memory_belongs_to_one_thread_and_is_not_counted():
    @cuda.jit
    def kernel(out):
        own = cuda.local.array((2, 2), float32)
        own[1, 0] = cuda.threadIdx.x
        out[cuda.threadIdx.x] = own[1, 0]
        own[2, 0] = 0

    out = np.zeros(4)
    report = trace(kernel, 1, 4, out)
    assert [fault.array for fault in only(report, "out_of_range")] == ["own"]
    assert out.tolist() == [0, 1, 2, 3]
    assert report.counts.shared_writes.total == 0 and report.counts.global_writes.total == 4


def test_two_shared_arrays_of_one_line_are_two():
    @cuda.jit
    def kernel(out):
        a, b = cuda.shared.array(1, float32), cuda.shared.array(1, float32)
        a[0], b[0] = 1, 2
        out[0], out[1] = a[0], b[0]

    out = np.zeros(2)
    trace(kernel, 1, 1, out).require_clean()
    assert out.tolist() == [1, 2]


def test_device_functions_of_one_factory_have_their_own_shared_arrays():
    def make(value):
        @cuda.jit(device=True)
        def write():
            memory = cuda.shared.array(1, float32)
            memory[0] = value
            return memory

        return write

    one, two = make(1), make(2)

    @cuda.jit
    def kernel(out):
        first, second = one(), two()
        out[0], out[1] = first[0], second[0]

    out = np.zeros(2)
    trace(kernel, 1, 1, out).require_clean()
    assert out.tolist() == [1, 2]


def test_a_shared_array_has_one_shape():
    @cuda.jit
    def kernel(x):
        cuda.shared.array(cuda.threadIdx.x + 1, float32)

    with pytest.raises(ValueError, match="has shape"):
        trace(kernel, 1, 2, random(1))


def test_dynamic_shared_arrays_are_parts_of_one_memory_whatever_their_type():
    @cuda.jit
    def kernel(out):
        wide = cuda.shared.array(0, float64)
        narrow = cuda.shared.array(0, float32)
        if cuda.threadIdx.x == 0:
            wide[0] = 1
        else:
            narrow[cuda.threadIdx.x] = 1  # the upper half of wide[0], then wide[1]
        out[0] = wide.shape[0]

    (fault, same) = trace(kernel, 1, 3, np.zeros(1), shared_bytes=16).races
    assert fault.array == "wide" and "writes" in str(fault) and same.array == "out"


def test_constant_arrays_are_checked_and_not_counted():
    table = np.array([1, 2], np.float32)

    @cuda.jit
    def kernel(out):
        constant = cuda.const.array_like(table)
        out[0] = constant[1] + table[-1]

    report = trace(kernel, 1, 1, np.zeros(1))
    assert [fault.array for fault in only(report, "out_of_range")] == ["table"]
    assert report.counts.global_reads.total == 0


def test_functions_compiled_for_the_cpu_are_traced_if_they_read_arrays():

    @njit
    def square(v):
        return v * v

    @njit
    def first_square(x):
        return square(x[0])

    @cuda.jit
    def kernel(x, out):
        out[0] = first_square(x[1:]) + square(x[0])

    x, out = np.array([3, 4], np.float32), np.zeros(1, np.float32)
    assert trace(kernel, 1, 1, x, out).counts.global_reads.total == 2
    assert out[0] == 25


# ---- what the tracer does not support -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["atomic", "syncwarp", "shfl_sync", "syncthreads_count", "cg"])
def test_unsupported_names_raise_an_error(name):
    @cuda.jit
    def kernel(x):
        getattr(cuda, name)

    with pytest.raises(NotImplementedError, match=f"cuda.{name} is not supported by the tracer"):
        trace(kernel, 1, 1, random(1))


@pytest.mark.parametrize("argument", [[1.0], (1.0,), None])
def test_arguments_that_cannot_be_traced_raise_an_error(argument):
    with pytest.raises(TypeError, match="argument x is neither a NumPy array nor a scalar"):
        trace(add_one, 1, 1, argument)


# ---- counts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("T", TILES)
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
    for count in vars(counts).values():
        assert count.total_bytes == 4 * count.total
        assert count.accesses.shape == (rows * columns, T * T)
    assert (counts.shared_reads.accesses == 2 * T * tiles).all()
    assert counts.global_reads.accesses[0, 0] == 2 * ceil(K / T)


def test_counts_are_printed_as_a_table():
    report, *_ = product(matmul, 2, 2, 2, 2)
    assert str(report.counts).splitlines() == [
        "                  accesses         bytes  most by a thread",
        "global reads             8            32                 2",
        "global writes            4            16                 1",
        "shared reads            16            64                 4",
        "shared writes            8            32                 2",
    ]


# ---- Numba's simulator ----------------------------------------------------------------------------------------------

if SIMULATED:

    def test_results_are_those_of_the_simulator():
        A, B, w = random(5, 7), random(7, 6), random(5)
        launches = [
            (matmul(4), (2, 2), (4, 4), A, B, np.zeros((5, 6), np.float32)),
            (block_sum(8), 5, 8, A.reshape(-1), np.zeros(5, np.float32)),
            (convolution(4, 2), (2, 5), 4, A, w, np.zeros_like(A)),
        ]
        for kernel, grid, block, *arrays in launches:
            simulated = [array.copy() for array in arrays]
            kernel[grid, block](*simulated)
            trace(kernel, grid, block, *arrays).require_clean()
            assert all(np.array_equal(*pair) for pair in zip(arrays, simulated, strict=True))

else:

    def test_the_tracer_works_in_numbas_simulator():
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
        command += ["-k", "simulator or barrier or uninitialised or shared or factory"]
        environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
