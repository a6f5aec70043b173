"""What a traced kernel may call and get: device functions, functions of the CPU, arguments."""

import numpy as np
import pytest
from launches import random
from numba import float32, njit
from planted import add_one

from scratchser.kernels.machine.compile import cuda
from scratchser.tracer import trace


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
