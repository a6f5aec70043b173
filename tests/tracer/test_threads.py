"""The threads of a block: their indices, their barriers, and how they end."""

import _thread
import time

import numpy as np
import pytest
from launches import only, random

from scratchser.kernels.machine.compile import cuda
from scratchser.tracer import trace


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_threads_know_their_index_in_the_grid(dimensions):
    shape = (4, 6, 2)[:dimensions]

    @cuda.jit
    def kernel(x):
        x[cuda.grid(dimensions)] = cuda.gridsize(dimensions) == (shape if dimensions > 1 else shape[0])

    x = np.zeros(shape)
    trace(kernel, (2, 3, 1)[:dimensions], (2, 2, 2)[:dimensions], x).require_clean()
    assert x.all()


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
    assert _thread._count() <= before  # those of earlier launches may have been ending
