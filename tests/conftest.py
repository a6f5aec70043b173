"""What several test files share."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) < 2:
    os.environ.setdefault("NUMBA_NUM_THREADS", "2")  # numba reads it once; one core can compare two threads as well

import numba
import small_corpus
from numba import config
from planted import faults_found, plant_in

from scratchser import gradcheck
from scratchser.bench.cuda import costs
from scratchser.kernels.machine import device as _device
from scratchser.kernels.machine.compile import cuda
from scratchser.tracer import trace


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Kernels run on one thread: on small arrays, threads that wait for each other cost more than they gain (measured:
    9 ms a call instead of 0.1 on busy cores). Tests of threads use `same_with_two_threads`."""
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(1)


@pytest.fixture
def same_with_two_threads() -> Callable:
    """same_with_two_threads(function): it returns the same bits, whether one thread runs the parallel loops or two."""

    def check(function):
        results = []
        for number in (1, 2):
            numba.set_num_threads(number)
            results.append(function())
        np.testing.assert_equal(*results)

    return check


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small corpus, which tests only read."""
    return small_corpus.write(tmp_path_factory.mktemp("corpus"))


# ---- parts of the suite: pytest -m gradcheck, -m lstm, -m 'gradcheck and conv2d' -------------------------------------

OPS = sorted(file.stem for file in (Path(__file__).parents[1] / "kernels").glob("[!_]*.py"))


def pytest_configure(config):
    for op in OPS:
        config.addinivalue_line("markers", f"{op}: the tests of the op {op}, test_{op}*.py in tests/kernels")


def pytest_collection_modifyitems(config, items):
    """Every test of test_<op>.py and test_<op>_*.py is marked by its op. Slow ones run where the -m asks for them only:
    `-m lstm` is for a learner who waits."""
    for item in items:
        op = next((op for op in OPS if f"{item.path.stem}_".startswith(f"test_{op}_")), None)
        if op:
            item.add_marker(op)
        if item.path.stem.endswith("_cuda"):
            item.add_marker("cuda")
    if "slow" not in config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("slow")]
        items[:] = [item for item in items if item not in slow]
        config.hook.pytest_deselected(items=slow)


@pytest.fixture(autouse=True)
def gradients(request: pytest.FixtureRequest) -> Iterator[None]:
    """A gradient check's report for each tensor, the worst where there are several, goes with the test's result."""
    if not request.node.get_closest_marker("gradcheck"):
        yield
        return
    worst: dict[str, gradcheck.GradientReport] = {}

    def listen(report: gradcheck.GradientReport) -> None:
        before = worst.get(report.name)
        if before is None or (before.passed and not report.error * before.limit <= before.error * report.limit):
            before = report if before is None else replace(report, probes=report.probes + before.probes)
        else:
            before = replace(before, probes=report.probes + before.probes)
        worst[report.name] = before

    with gradcheck.reports_to(listen):
        yield
    request.node.user_properties.append(("gradients", [str(report) for report in worst.values()]))


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    """With -v, a line for each checked gradient under its test."""
    if report.when == "teardown" and TERMINAL and TERMINAL[0].config.option.verbose > 0:
        for line in dict(report.user_properties).get("gradients", []):
            TERMINAL[0].ensure_newline()
            TERMINAL[0].write_line(f"    {line}")


TERMINAL: list = []  # the reporter that prints; the hook above has no access to it


def pytest_sessionstart(session):
    TERMINAL[:] = [session.config.pluginmanager.getplugin("terminalreporter")]


# ---- the CUDA side of the kernels -----------------------------------------------------------------------------------


def launch_traced(kernel, grid, block, shared_bytes, arguments):
    """Every launch of a test has to be free of races, divergent barriers, unwritten reads and indices out of range."""
    trace(kernel, grid, block, *map(_device.plain, arguments), shared_bytes=shared_bytes).require_clean()


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
    simulator (tests/kernels/test_simulator.py sees to it). Those that use `fault` or `check_fault` run for each row of
    their file's FAULTS: (..., function, line, replacement, kind)."""
    if "device" in metafunc.fixturenames:
        devices = ["simulator"] if config.ENABLE_CUDASIM else ["tracer", "gpu"] if has_gpu() else ["tracer"]
        metafunc.parametrize("device", devices, indirect=True)
    if "fault" in metafunc.fixturenames:
        rows = metafunc.module.FAULTS
        metafunc.parametrize("fault", rows, ids=[f"{row[-4]}: {row[-3]} -> {row[-2]}" for row in rows])


class CudaCase:
    """Memory for the arrays of a test of the CUDA side."""

    def __init__(self, target, real: bool) -> None:
        self.target, self.real = target, real

    def arrays(self, *host):
        """Copies of NumPy arrays there."""
        copies = [self.target.upload(np.asarray(array)) for array in host]
        return copies if len(copies) > 1 else copies[0]

    def host(self, *arrays):
        copies = [self.target.download(array) for array in arrays]
        return copies if len(copies) > 1 else copies[0]

    def pairs(self, run, *arguments, **options):
        """The arrays of run(upload, ...) from here, each with that of the CPU."""
        copies = [self.target.download(array) for array in run(self.target.upload, *arguments, **options)]
        return zip(copies, run(np.array, *arguments, **options), strict=True)

    def results(self, run, *arguments, **options):
        """The arrays of run(upload, ...), which returns a dict, copied to NumPy."""
        return {name: self.host(array) for name, array in run(self.target.upload, *arguments, **options).items()}

    def sizes(self, small, large):
        """Sizes of a test: small and nasty where each access takes a microsecond, large on a GPU as well."""
        return [*small, *large] if self.real else small


def unwritten_is_nan(monkeypatch, device) -> None:
    """What a kernel does not write is not right by chance."""
    empty = device.empty

    def unwritten(shape, dtype):
        array = empty(shape, dtype)
        if np.issubdtype(dtype, np.floating):
            device.copy(np.full(array.shape, np.nan, dtype), array)
        return array

    monkeypatch.setattr(device, "empty", unwritten)


_swapped: list[dict] = []  # the modules in which the simulator stands for numba.cuda at the moment


@contextmanager
def swapped_until_the_kernel_ends(function, simulator) -> Iterator[None]:
    """Puts the simulator in the place of numba.cuda in the module of a kernel or device function.

    Numba's own version does so for each call of a device function. The first thread that returns from it then takes the
    simulator away from the others, and sometimes one of them fails ("numba.cuda has no attribute 'fma'").
    """
    module = function.__globals__
    if module.get("cuda") is cuda:
        module["cuda"] = simulator
        _swapped.append(module)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():  # the kernel itself; device functions have threads
            while _swapped:
                _swapped.pop()["cuda"] = cuda


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[CudaCase]:
    device = _device.gpu(0) if request.param == "gpu" else _device.SIMULATED
    unwritten_is_nan(monkeypatch, device)
    if request.param == "simulator":
        monkeypatch.setattr("numba.cuda.simulator.kernel.swapped_cuda_module", swapped_until_the_kernel_ends)
    with _device.launched_by(launch_traced if request.param == "tracer" else launch_noted):
        yield CudaCase(device, real=request.param == "gpu")


@pytest.fixture
def on_gpu(request: pytest.FixtureRequest) -> bool:
    return "device" in request.fixturenames and request.getfixturevalue("device").real


@pytest.fixture(autouse=True)
def blocks_of_the_file(request: pytest.FixtureRequest, on_gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU, threads cost more than their work: a file's SMALL_BLOCKS = module, {name: size} makes them few, so
    each has several turns in every loop."""
    if not on_gpu:
        module, sizes = getattr(request.module, "SMALL_BLOCKS", (None, {}))
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)


@pytest.fixture
def check_fault(monkeypatch: pytest.MonkeyPatch, fault: tuple) -> Callable:
    """check_fault(run, *modules): plants the fault of this test and asserts that it is found as its row says.

    run        run(upload) -> arrays
    modules    the first one that has the function of the row is changed
    expected   the right arrays; those that run(np.array) computes on the CPU if they are not given
    """

    def check(run, *modules, expected=None):
        *_, function, line, replacement, kind = fault
        expected = run(np.array) if expected is None else expected
        module = next(module for module in modules if hasattr(module, function))
        plant_in(monkeypatch, module, function, {line: replacement})
        unwritten_is_nan(monkeypatch, _device.SIMULATED)
        assert kind in faults_found(run, expected)

    return check


LAUNCHED: set[str] = set()


def launch_noted(*launch):
    """Launch as usual, and note the kernel's name for the summary."""
    LAUNCHED.add(costs.name_of(launch[0]))
    _device.launch_by_numba(*launch)


def pytest_terminal_summary(terminalreporter):
    if LAUNCHED:
        terminalreporter.write_line(f"kernels that ran: {' '.join(sorted(LAUNCHED))}")
