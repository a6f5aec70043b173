"""The time that calls take, and the memory that this process takes."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scratchser.kernels.machine.device import CPU, Device


def seconds_per_call(function: Callable[[], Any], calls: int, device: Device = CPU) -> float:
    """Mean seconds of a call over `calls` calls.

    On a GPU the clock is the GPU's own: from the first call's first kernel to the last call's last one.
    """
    if device.name.startswith("cuda"):
        return _gpu_seconds(function, calls, device) / calls
    started = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - started) / calls


def _gpu_seconds(function: Callable[[], Any], calls: int, device: Any) -> float:
    events = device.cupy.cuda.Event(), device.cupy.cuda.Event()
    events[0].record(device.stream)
    for _ in range(calls):
        function()
    events[1].record(device.stream)
    events[1].synchronize()
    return device.cupy.cuda.get_elapsed_time(*events) / 1000


def peak_memory() -> int | None:
    """Bytes of the largest resident set of this process so far, as Linux counts it. Returns None on other systems.

    resource.getrusage exists on more systems, but starts from the parent's peak in a child process.
    """
    status = Path("/proc/self/status")
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE) if status.exists() else None
    return int(found[1]) * 1024 if found else None
