"""The tracer where Numba simulates CUDA: the same results, and the same faults.

Numba reads NUMBA_ENABLE_CUDASIM when it is imported, so these tests run in a separate process.
"""

from pathlib import Path

import numpy as np
import pytest
from launches import random
from numba import config
from planted import block_sum, convolution, matmul
from process import python

from scratchser.tracer import trace

pytest.importorskip("numba.cuda", reason="this Numba has no CUDA target, so no simulator")


@pytest.mark.skipif(bool(config.ENABLE_CUDASIM), reason="is this process")
def test_the_tracer_works_in_numbas_simulator():
    command = "-m", "pytest", "-q", "-p", "no:cacheprovider", Path(__file__).parent
    python(*command, "-k", "simulator or barrier or uninitialised or shared or factory", NUMBA_ENABLE_CUDASIM="1")


@pytest.mark.skipif(not config.ENABLE_CUDASIM, reason="test_the_tracer_works_in_numbas_simulator runs it")
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
