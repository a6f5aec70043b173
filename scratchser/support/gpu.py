"""The device of a run, and the reason and remedy if a GPU cannot be used.

With NUMBA_ENABLE_CUDASIM=1, `cuda` means Numba's simulator, which runs the CUDA kernels on the CPU, for tests.
"""

import importlib.util
import re
from collections.abc import Callable
from importlib import metadata
from typing import Any

from numba import config

from scratchser.kernels.machine import no_cuda
from scratchser.kernels.machine.device import CPU, SIMULATED, Device, gpu
from scratchser.support.errors import UsageError

EXTRAS = "pip install -e '.[cuda12]' in the folder of the repository (or cuda13, for drivers from 580 on)"
LIBRARIES = ("nvrtc", "nvvm", "nvJitLink")
NO_DEVICE = 100  # cudaErrorNoDevice
# every built-in error that the import of a package can raise if it is half installed, or built for another Python,
# NumPy, CUDA or processor
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    ReferenceError,
    RuntimeError,
    SyntaxError,
    SystemError,
    TypeError,
    ValueError,
)


class DeviceError(UsageError):
    """A device that is not available: the reason and the remedy in one line."""


def choose(name: str, reason: Callable[[int], str | None] | None = None) -> tuple[str, str]:
    """Returns (device, message) for "auto", "cpu", "cuda" or "cuda:K", the device as `open_device` takes it.

    `reason(K)` is as `missing`, the default. Raises DeviceError for another name and for a GPU that cannot be used.
    """
    if name == "cpu":
        return "cpu", "device: cpu, as requested"
    match = re.fullmatch(r"cuda(?::(\d+))?|auto", name)
    if not match:
        raise DeviceError(f"--device {name}: choose auto, cpu, cuda or cuda:K, where K is the number of a GPU")
    if config.ENABLE_CUDASIM and name != "auto":
        return "simulated", "device: Numba's simulator (NUMBA_ENABLE_CUDASIM=1), which is for tests: it is very slow"
    number = int(match[1] or 0)
    why = (reason or missing)(number)
    if why is None:
        return f"cuda:{number}", f"device: cuda:{number}, {'the fastest here' if name == 'auto' else 'as requested'}"
    if name == "auto":
        return "cpu", f"device: cpu, because {why}"
    raise DeviceError(f"--device {name} is not available: {why}. Without --device the CPU is used")


def open_device(name: str) -> Device:
    """The device that `choose` returned."""
    fixed = {"cpu": CPU, "simulated": SIMULATED}
    return fixed[name] if name in fixed else gpu(int(name.partition(":")[2]))


def describe(device: str) -> str:
    """The device for messages and reports; a GPU with its name and driver."""
    if not device.startswith("cuda"):
        return device
    import cupy

    runtime = cupy.cuda.runtime
    card = runtime.getDeviceProperties(int(device.partition(":")[2]))
    version = runtime.driverGetVersion()
    return f"{device}, {card['name'].decode()}, driver for CUDA {version // 1000}.{version % 1000 // 10}"


def missing(number: int) -> str | None:
    """Why GPU number `number` cannot be used and what helps, or None if it can."""
    for module, package in (("cupy", "CuPy"), ("numba_cuda", "numba-cuda")):
        if importlib.util.find_spec(module) is None:
            return f"{package} is not installed: {EXTRAS}"
    if no_cuda.reason:
        reason = no_cuda.reason.splitlines()[0]
        return f"numba-cuda is installed but does not import ({reason}). Again: {EXTRAS}"
    try:
        import cupy
        from cuda import pathfinder

        runtime = cupy.cuda.runtime
    except BROKEN as error:
        installed = metadata.packages_distributions().get("cupy", [])  # pip allows two, which overwrite each other
        first = f"pip uninstall {' '.join(sorted(set(installed)))}, then " if installed else ""
        return f"the GPU packages are installed but do not import ({_cause(error)}). Again: {first}{EXTRAS}"
    return _driver_problem(runtime, number) or _library_problem(pathfinder)


def _cause(error: BaseException) -> str:
    """The cause of an ImportError in one line; CuPy writes a page of advice around it."""
    while error.__cause__:
        error = error.__cause__
    text = re.split("original error:", str(error), flags=re.IGNORECASE)[-1]
    lines = [line.strip() for line in text.splitlines() if line.strip(" =")]
    name, line = type(error).__name__, lines[0] if lines else ""
    return line if line.startswith(name) else f"{name}: {line}".removesuffix(": ")


def _driver_problem(runtime: Any, number: int) -> str | None:
    try:
        driver, needed = runtime.driverGetVersion() // 1000, runtime.runtimeGetVersion() // 1000
        if driver == 0:
            return "there is no NVIDIA driver: install it, or use a machine with an NVIDIA GPU"
        if driver < needed:
            versions = f"it is for CUDA {driver}, CuPy for CUDA {needed}"
            return f"the driver is too old: {versions}. Update the driver, or {EXTRAS}"
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if error.status != NO_DEVICE:
            return f"the driver does not answer ({error}): restart the machine or reinstall the driver"
        count = 0
    if count == 0:
        return "the driver finds no GPU: look at nvidia-smi, and whether CUDA_VISIBLE_DEVICES hides it"
    return f"there is no GPU number {number}: there are 0 ... {count - 1}" if number >= count else None


def _library_problem(pathfinder: Any) -> str | None:
    """Checks the libraries that numba-cuda needs to compile a kernel."""
    for name in LIBRARIES:
        try:
            pathfinder.load_nvidia_dynamic_lib(name)
        except pathfinder.DynamicLibNotFoundError:
            return f"NVIDIA's library {name} is missing, and kernels cannot be compiled without it: {EXTRAS}"
    return None
