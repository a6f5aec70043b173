"""The tracer finds every fault planted in a kernel, every time, and none in a correct kernel."""

import pytest
from launches import convolved, only, product, random, right, sums
from planted import block_sum, convolution, line_of, matmul, plant

from scratchser.tracer import trace

COMPLETE = "cuda.syncthreads()  # tiles are complete"
USED_UP = "cuda.syncthreads()  # tiles are used up"


@pytest.fixture(params=[2, 3, 4, 5])
def T(request):
    """Side of a tile of the matrix product."""
    return request.param


@pytest.fixture(params=[2, 8, 32])
def N(request):
    """Threads of a block."""
    return request.param


# ---- correct kernels ------------------------------------------------------------------------------------------------

SHAPES = [(1, 1, 1), (7, 9, 6), (8, 4, 12), (1, 13, 2), (11, 1, 5)]
CORRECT = [
    *((product, matmul, T, *shape) for T in (1, 2, 3, 4, 5, 7) for shape in SHAPES),
    *((sums, block_sum, N, n) for N in (1, 2, 8, 32, 64) for n in (1, 2, 31, 64, 67)),
    *((convolved, convolution, N, R, 3, n) for N in (1, 3, 32) for R, n in ((0, 1), (1, 1), (2, 5), (3, 31), (2, 64))),
]


@pytest.mark.parametrize("case", CORRECT, ids=lambda case: f"{case[1].__name__}-{case[2:]}")
def test_a_correct_kernel_is_clean(case):
    launch, *arguments = case
    report, result, expected = launch(*arguments)
    report.require_clean()
    assert right(result, expected)


# ---- planted faults -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("barrier", [COMPLETE, USED_UP])
def test_a_removed_barrier(T, barrier):
    report, *_ = product(plant(matmul, {barrier: "pass"}), T)
    assert {fault.array for fault in report.races} == {"a", "b"}
    assert report.divergence == report.out_of_range == report.launch == []
    assert bool(report.uninitialised) == (barrier == COMPLETE)


def test_a_barrier_after_an_early_return(N):
    line = "cuda.syncthreads()  # all parts are there"
    report, *_ = sums(plant(block_sum, {line: f"{line[:18]} if i < x.shape[0] else None"}), N, n=2 * N - 1)
    (fault,) = only(report, "divergence")
    assert f"waits at {line_of(block_sum, line)}" in str(fault)


def test_swapped_indices_of_the_result_are_out_of_range(T):
    report, C, expected = product(plant(matmul, {"C[i, j] = total": "C[j, i] = total"}), T, M=3, N=11)
    (fault,) = only(report, "out_of_range")
    assert (fault.array, fault.index) == ("C", (3, 0))
    assert not right(C, expected)


def test_a_dropped_mask_reads_what_was_never_written(T):
    """K < T: no thread writes what the mask would have set to 0."""
    report, *_ = product(plant(matmul, {"a[y, x] = 0": "pass"}), T, K=T - 1)
    (fault,) = only(report, "uninitialised")
    assert (fault.array, fault.index) == ("a", (0, T - 1))


def test_a_dropped_mask_over_an_older_tile_shows_in_the_result_only(T):
    """K > T: the tiles still contain the elements of the previous step."""
    broken = plant(matmul, {"a[y, x] = 0": "pass", "b[y, x] = 0": "pass"})
    report, C, expected = product(broken, T, M=T, K=2 * T - 1, N=T)
    report.require_clean()
    assert not right(C, expected)


@pytest.mark.parametrize("guard", ["i_row < row.shape[0]", "0 <= i_row"])
def test_a_missing_guard_at_one_end(N, guard):
    """Numba would wrap the index -2 to the end of the row."""
    report, *_ = convolved(plant(convolution, {"if 0 <= i_row < row.shape[0]:": f"if {guard}:"}), N)
    (fault,) = only(report, "out_of_range")
    assert fault.array == "x" and (fault.index == (-2,) if "shape" in guard else fault.index >= (70,))


def test_two_blocks_that_write_one_element(N):
    report, *_ = sums(plant(block_sum, {"sums[cuda.blockIdx.x] = part[0]": "sums[0] = part[0]"}), N)
    (fault,) = only(report, "races")
    assert "sums[0]: thread 0 of block 0 writes" in str(fault) and "thread 0 of block 1 writes" in str(fault)


def test_a_block_that_reads_what_another_one_writes(N):
    """In place, the halo of a block is the output of its neighbour."""
    x, w = random(1, 2 * N), random(5)
    report = trace(convolution(N, 2), (2, 1), N, x, w, x)
    assert only(report, "races") and "reads" in str(report.races[0])


def test_a_shared_array_read_past_its_end(N):
    line = "out[i] = dot(tile[t : t + 2 * R + 1], w)"
    report, *_ = convolved(plant(convolution, {line: "out[i] = tile[t + 2 * R + 1]"}), N, n=64)
    (fault,) = only(report, "out_of_range")
    assert (fault.array, fault.index) == ("tile", (N + 4,))
