"""What several test files share."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict

import numpy as np
import pytest

if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) < 2:
    os.environ.setdefault("NUMBA_NUM_THREADS", "2")  # numba reads it once; one core can compare two threads as well

import numba
from numba import config

from scratchser import costs
from scratchser.kernels import _device
from scratchser.tracer import trace


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


# ---- the CUDA side of the kernels -----------------------------------------------------------------------------------


def launch_traced(*launch):
    """Every launch of a test has to be free of races, divergent barriers, unwritten reads and indices out of range, and
    to issue just the accesses that scratchser.costs says."""
    launch = costs.Launch.of(*launch)
    report = trace(
        launch.kernel, launch.grid, launch.block, *launch.arguments.values(), shared_bytes=launch.shared_bytes
    )
    report.require_clean()
    counted = {name: count.total for name, count in vars(report.counts).items()}
    assert counted == asdict(costs.issued(launch)), f"{launch.name} issues other accesses than its formula says"


def has_gpu() -> bool:
    if config.ENABLE_CUDASIM:
        return False
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount() > 0
    except ImportError:
        return False
    except cupy.cuda.runtime.CUDARuntimeError:  # no driver, or no device
        return False


def pytest_generate_tests(metafunc):
    """Tests of the CUDA side run under the tracer, on the GPU if there is one; with NUMBA_ENABLE_CUDASIM=1 in Numba's
    simulator (tests/test_simulator.py sees to it)."""
    if "device" in metafunc.fixturenames:
        places = ["simulator"] if config.ENABLE_CUDASIM else ["tracer", "gpu"] if has_gpu() else ["tracer"]
        metafunc.parametrize("device", places, indirect=True)


class Device:
    """Memory for the arrays of a test of the CUDA side."""

    def __init__(self, place, real: bool) -> None:
        self.place, self.real = place, real

    def arrays(self, *host):
        """Copies of NumPy arrays there."""
        copies = [self.place.upload(np.asarray(array)) for array in host]
        return copies if len(copies) > 1 else copies[0]

    def host(self, *arrays):
        copies = [self.place.download(array) for array in arrays]
        return copies if len(copies) > 1 else copies[0]

    def sizes(self, small, large):
        """Sizes of a test: small and nasty where each access takes a microsecond, large on a GPU as well."""
        return [*small, *large] if self.real else small


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    place = _device.gpu() if request.param == "gpu" else _device.SIMULATED
    with _device.launched_by(launch_traced if request.param == "tracer" else launch_noted):
        yield Device(place, real=request.param == "gpu")


LAUNCHED: set[str] = set()


def launch_noted(*launch):
    """As ever, and the kernel's name is kept: which ones have run is said at the end."""
    LAUNCHED.add(costs.Launch.of(*launch).name)
    _device.launch_by_numba(*launch)


def pytest_terminal_summary(terminalreporter):
    if LAUNCHED:
        terminalreporter.write_line(f"kernels that ran: {' '.join(sorted(LAUNCHED))}")
