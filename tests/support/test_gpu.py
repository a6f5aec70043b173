"""The device of a run. Each reason why a GPU cannot be used has its own message and remedy."""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import pytest
from numba import config

from scratchser.kernels.machine import device as _device
from scratchser.support import gpu
from scratchser.support.gpu import DeviceError, choose


@pytest.fixture(autouse=True)
def no_simulator(monkeypatch):
    monkeypatch.setattr(config, "ENABLE_CUDASIM", 0)


def test_auto_reports_its_choice_and_the_reason():
    assert choose("auto", lambda _: "it rains") == ("cpu", "device: cpu, because it rains")
    assert choose("auto", lambda _: None) == ("cuda:0", "device: cuda:0, the fastest here")


@pytest.mark.parametrize(("name", "number"), [("cuda", 0), ("cuda:1", 1), ("cuda:12", 12)])
def test_a_gpu_requested_by_number(name, number):
    numbers = []
    assert choose(name, numbers.append) == (f"cuda:{number}", f"device: cuda:{number}, as requested")
    assert numbers == [number]
    refusal = rf"--device {name} is not available: it rains\. Without --device the CPU is used"
    with pytest.raises(DeviceError, match=refusal):
        choose(name, lambda _: "it rains")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda0", "automatic"])
def test_unknown_names_are_refused(name):
    with pytest.raises(DeviceError, match="auto, cpu, cuda"):
        choose(name, lambda _: None)


def test_the_simulator_needs_its_variable_and_a_request_for_cuda(monkeypatch):
    monkeypatch.setattr(config, "ENABLE_CUDASIM", 1)
    name, sentence = choose("cuda", lambda _: "it rains")
    assert name == "simulated" and "NUMBA_ENABLE_CUDASIM=1" in sentence
    assert gpu.open_device(name) is _device.SIMULATED
    assert choose("auto", lambda _: "it rains")[0] == "cpu"


class Broken(RuntimeError):
    def __init__(self, status):
        super().__init__(f"error {status}")
        self.status = status


class DynamicLibNotFoundError(RuntimeError):
    pass


def machine(monkeypatch, installed=("cupy", "numba_cuda"), driver=12040, count=1, error=None, without=()):
    """A machine with these packages, driver, number of GPUs (or error when asked for it), and libraries missing."""

    def get_device_count():
        if error:
            raise Broken(error)
        return count

    def load(name):
        if name in without:
            raise DynamicLibNotFoundError(name)

    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: 12090,
        getDeviceCount=get_device_count,
        CUDARuntimeError=Broken,
    )
    cupy, cuda = ModuleType("cupy"), ModuleType("cuda")
    cupy.cuda = SimpleNamespace(runtime=runtime)
    cuda.pathfinder = SimpleNamespace(load_nvidia_dynamic_lib=load, DynamicLibNotFoundError=DynamicLibNotFoundError)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cuda", cuda)
    found = importlib.util.find_spec
    packages = ("cupy", "numba_cuda")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: (name in installed or None) if name in packages else found(name)
    )


MACHINES = {
    "no CuPy": ({"installed": ("numba_cuda",)}, "CuPy is not installed: pip install -e '."),
    "no numba-cuda": ({"installed": ("cupy",)}, "numba-cuda is not installed: pip install -e '."),
    "no driver": ({"driver": 0}, "there is no NVIDIA driver: install it"),
    "driver too old": ({"driver": 11080}, r"too old: it is for CUDA 11, CuPy for CUDA 12\. Update the driver"),
    "no GPU": ({"error": 100}, "finds no GPU: look at nvidia-smi"),
    "hidden GPU": ({"count": 0}, "CUDA_VISIBLE_DEVICES"),
    "sick driver": ({"error": 999}, r"the driver does not answer \(error 999\): restart"),
    "other number": ({"count": 1}, r"there is no GPU number 1: there are 0 ... 0"),
    "no NVRTC": ({"count": 2, "without": ("nvrtc",)}, "library nvrtc is missing.*pip install -e '."),
    "no NVVM": ({"count": 2, "without": ("nvvm",)}, "library nvvm is missing.*pip install -e '."),
}


@pytest.mark.parametrize("name", MACHINES)
def test_every_reason_against_a_gpu_has_its_remedy(monkeypatch, name):
    given, message = MACHINES[name]
    machine(monkeypatch, **given)
    with pytest.raises(DeviceError, match=message):
        choose("cuda:1")
    assert choose("auto")[0] == ("cpu" if name != "other number" else "cuda:0")


PAGE = "\n===\nFailed to import CuPy.\n\nOriginal error:\n  ImportError: libnvrtc.so.12: wrong ELF class\n===\n"
IMPORTS = {
    f"raise ImportError({PAGE!r})": "ImportError: libnvrtc.so.12: wrong ELF class",
    f"raise ImportError({PAGE!r}) from OSError('libcublas.so: no such file')": "OSError: libcublas.so: no such file",
    "raise KeyError('HOME')": "KeyError: 'HOME'",
    "def broken(:": "SyntaxError: invalid syntax",
    "": "AttributeError: module 'cupy' has no attribute 'cuda'",
}


@pytest.mark.parametrize("text", IMPORTS)
def test_a_cupy_that_does_not_import_leaves_the_cpu(monkeypatch, tmp_path, text):
    machine(monkeypatch)
    (tmp_path / "cupy.py").write_text(text, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(gpu.metadata, "packages_distributions", lambda: {"cupy": ["cupy-cuda13x", "cupy-cuda12x"]})
    name, sentence = choose("auto")
    assert name == "cpu" and f"do not import ({IMPORTS[text]}" in sentence and "\n" not in sentence
    assert "pip uninstall cupy-cuda12x cupy-cuda13x, then pip install" in sentence


def test_other_broken_packages_leave_the_cpu(monkeypatch):
    machine(monkeypatch)
    monkeypatch.setitem(sys.modules, "cuda", None)
    assert "do not import (ModuleNotFoundError" in choose("auto")[1]
    monkeypatch.setattr(gpu.no_cuda, "reason", "ImportError: no NPDatetime\nand more")
    assert "numba-cuda is installed but does not import (ImportError: no NPDatetime)" in choose("auto")[1]
