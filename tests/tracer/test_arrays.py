"""Arrays of a traced kernel: elements, views and their indices."""

import numpy as np
import pytest
from launches import only, random
from planted import add_one

from scratchser.kernels.machine.compile import cuda
from scratchser.tracer import trace


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
