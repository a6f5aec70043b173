"""Shared, local and constant arrays of a traced kernel."""

import numpy as np
import pytest
from launches import only, random
from numba import float32, float64, int32

from scratchser.kernels.machine.compile import cuda
from scratchser.tracer import trace


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
