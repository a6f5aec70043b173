"""Where a run computes. Today there is one place, the CPU; the CUDA side of the kernels is not written yet."""

import importlib.util
import re
from collections.abc import Callable


class DeviceError(ValueError):
    """A device that cannot be had: the reason and the remedy in one line."""


def choose(name: str, reason: Callable[[], str] | None = None) -> tuple[str, str]:
    """(device, sentence that says what was chosen and why) for "auto", "cpu", "cuda" or "cuda:K".

    `reason` tells why CUDA cannot be used. Raises DeviceError where `name` asks for CUDA, or is none of these.
    """
    if name == "cpu":
        return "cpu", "device: cpu, as asked for"
    why = (reason or missing_cuda)()
    if name == "auto":
        return "cpu", f"device: cpu, chosen because {why}"
    if re.fullmatch(r"cuda(:\d+)?", name):
        raise DeviceError(f"--device {name} is not to be had: {why}. Run with --device cpu, or leave --device away")
    raise DeviceError(f"--device {name}: there are auto, cpu, cuda and cuda:K (K the number of a GPU)")


def missing_cuda() -> str:
    """Why no kernel of this version runs on a GPU here: what the machine lacks, or what the project does."""
    if importlib.util.find_spec("cupy") is None:
        return "this version has no CUDA kernels yet (and CuPy is not installed)"
    return "this version has no CUDA kernels yet"
