"""What the tests of the CUDA kernels share: unwritten memory is NaN, and a table of planted faults becomes tests."""

from collections.abc import Callable

import numpy as np
import pytest
from planted import faults_found, plant_in

from scratchser.kernels.machine import device as _device


@pytest.fixture
def on_gpu(request: pytest.FixtureRequest) -> bool:
    return "device" in request.fixturenames and request.getfixturevalue("device").real


@pytest.fixture(autouse=True)
def unwritten_memory_is_nan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kernel does not write is not right by chance."""
    target = request.getfixturevalue("device").target if "device" in request.fixturenames else _device.SIMULATED
    empty = target.empty

    def unwritten(shape, dtype):
        array = empty(shape, dtype)
        if np.issubdtype(dtype, np.floating):
            target.copy(np.full(array.shape, np.nan, dtype), array)
        return array

    monkeypatch.setattr(target, "empty", unwritten)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that uses `fault` or `check_fault` runs for each row of its file's FAULTS: (..., function, line,
    replacement, kind)."""
    if "fault" in metafunc.fixturenames:
        rows = metafunc.module.FAULTS
        metafunc.parametrize("fault", rows, ids=[f"{row[-4]}: {row[-3]} -> {row[-2]}" for row in rows])


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
        assert kind in faults_found(run, expected)

    return check
