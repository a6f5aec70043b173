"""What several test files share."""

import os
from collections.abc import Callable, Iterator

import pytest

if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) < 2:
    os.environ.setdefault("NUMBA_NUM_THREADS", "2")  # numba reads it once; one core can compare two threads as well

import numba


@pytest.fixture(autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Gradient checks call a kernel thousands of times on small arrays: on one thread, since two on busy cores wait for
    each other (measured: 9 ms a call instead of 0.1). After a test the number of threads is what it was."""
    before = numba.get_num_threads()
    if request.node.get_closest_marker("gradcheck"):
        numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.fixture
def with_threads() -> Callable:
    """with_threads(n, function) calls the function while n threads share the parallel loops."""

    def call(number, function):
        numba.set_num_threads(number)
        return function()

    return call
