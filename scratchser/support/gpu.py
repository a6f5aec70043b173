"""Where a run computes, and why a GPU is not to be had where one is asked for: each reason with its remedy.

With NUMBA_ENABLE_CUDASIM=1, `cuda` is Numba's simulator: the CUDA kernels thread by thread on the CPU, for tests.
"""

import importlib.util
import re
from collections.abc import Callable, Iterator
from typing import Any

from numba import config

from scratchser.kernels.machine.device import CPU, SIMULATED, Device, gpu
from scratchser.support.errors import UsageError

EXTRAS = "pip install 'scratchser[cuda12]' (or [cuda13], for drivers from 580 on)"
LIBRARIES = ("nvrtc", "nvvm", "nvJitLink")
NO_DEVICE = 100  # cudaErrorNoDevice


class DeviceError(UsageError):
    """A device that cannot be had: the reason and the remedy in one line."""


def choose(name: str, reason: Callable[[int], str | None] | None = None) -> tuple[str, str]:
    """(device, sentence that says what was chosen and why) for "auto", "cpu", "cuda" or "cuda:K".

    The device is "cpu", "cuda:K" or "simulated": `open_device` takes it. `reason` tells why the GPU of a number cannot be
    used, None if it can. Raises DeviceError where `name` asks for a GPU that is not to be had, or is none of these.
    """
    if name == "cpu":
        return "cpu", "device: cpu, as asked for"
    asked = re.fullmatch(r"cuda(?::(\d+))?|auto", name)
    if not asked:
        raise DeviceError(f"--device {name}: there are auto, cpu, cuda and cuda:K (K the number of a GPU)")
    if config.ENABLE_CUDASIM and name != "auto":
        return "simulated", "device: Numba's simulator (NUMBA_ENABLE_CUDASIM=1), which is for tests: it is very slow"
    number = int(asked[1] or 0)
    why = (reason or missing)(number)
    if why is None:
        return f"cuda:{number}", f"device: cuda:{number}, {'the fastest here' if name == 'auto' else 'as asked for'}"
    if name == "auto":
        return "cpu", f"device: cpu, chosen because {why}"
    raise DeviceError(f"--device {name} is not to be had: {why}. Without --device the CPU is taken")


def open_device(name: str) -> Device:
    """What `choose` chose."""
    if name in ("cpu", "simulated"):
        return CPU if name == "cpu" else SIMULATED
    return gpu(int(name.partition(":")[2]))


def describe(device: str) -> str:
    """The device in words, a GPU with its name and driver."""
    if not device.startswith("cuda"):
        return device
    import cupy

    runtime = cupy.cuda.runtime
    card = runtime.getDeviceProperties(int(device.partition(":")[2]))
    version = runtime.driverGetVersion()
    return f"{device}, {card['name'].decode()}, driver for CUDA {version // 1000}.{version % 1000 // 10}"


def missing(number: int) -> str | None:
    """Why the GPU of this number cannot be used, and what helps; None if it can."""
    return next(_reasons(number), None)


def _reasons(number: int) -> Iterator[str]:
    """In the order in which one thing needs the other; only the first can be relied on."""
    for module, package in (("cupy", "CuPy"), ("numba_cuda", "numba-cuda")):
        if importlib.util.find_spec(module) is None:
            yield f"{package} is not installed: {EXTRAS}"
            return
    try:
        import cupy
    except ImportError as error:
        yield f"CuPy is installed but does not import ({str(error).strip().splitlines()[0]}): {EXTRAS} again"
        return
    yield from _of_driver(cupy.cuda.runtime, number)
    yield from _of_libraries()


def _of_driver(runtime: Any, number: int) -> Iterator[str]:
    """runtime   cupy.cuda.runtime"""
    driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        yield "there is no NVIDIA driver: install it, or run on a machine with an NVIDIA GPU"
        return
    if driver // 1000 < needed // 1000:
        has, wants = driver // 1000, needed // 1000
        yield f"the driver is too old: it is for CUDA {has}, CuPy for CUDA {wants}. Update the driver, or {EXTRAS}"
        return
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if error.status != NO_DEVICE:
            yield f"the driver does not answer ({error}): restart the machine or reinstall the driver"
            return
        count = 0
    if count == 0:
        yield "the driver finds no GPU: look at nvidia-smi, and whether CUDA_VISIBLE_DEVICES hides it"
    elif number >= count:
        yield f"there is no GPU number {number}: there are 0 ... {count - 1}"


def _of_libraries() -> Iterator[str]:
    """What numba-cuda compiles kernels with."""
    from cuda import pathfinder

    for name in LIBRARIES:
        try:
            pathfinder.load_nvidia_dynamic_lib(name)
        except pathfinder.DynamicLibNotFoundError:
            yield f"NVIDIA's library {name} is missing, without which no kernel is compiled: {EXTRAS}"
