"""Arrays of a traced kernel: elements, views and their indices; shared, local and constant memory."""

import numpy as np
import pytest
from launches import only, random
from numba import float32, float64, int32
from planted import add_one

from scratchser.kernels.machine.compile import cuda
from scratchser.tracer import trace


def test_an_augmented_assignment_reads_and_writes():
    x = np.arange(4, dtype=np.float64)
    counts = trace(add_one, 2, 2, x).counts
    assert x.tolist() == [1, 2, 3, 4]
    for count in (counts.global_reads, counts.global_writes):
        assert count.accesses.tolist() == [[1, 1], [1, 1]]


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


# ---- shared, local and constant memory -------------------------------------------------------------------------------


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
