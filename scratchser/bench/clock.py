"""The time that calls take, and the memory that this process takes."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scratchser.kernels.machine.device import Device


def seconds_per_call(function: Callable[[], Any], calls: int, finish: Callable[[], Any] | None = None) -> float:
    """Mean seconds of a call over `calls` calls.

    finish   waits until a GPU has done what the calls launched
    """
    started = time.perf_counter()
    for _ in range(calls):
        function()
    if finish:
        finish()
    return (time.perf_counter() - started) / calls


def finish_of(device: Device) -> Callable[[], Any] | None:
    """Waits for a GPU. None for other devices."""
    stream = getattr(device, "stream", None)
    return stream.synchronize if stream else None


def peak_memory() -> int:
    """Bytes of the largest resident set of this process so far, as Linux counts it. Returns 0 on other systems.

    resource.getrusage exists on more systems, but starts from the parent's peak in a child process.
    """
    status = Path("/proc/self/status")
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text("utf-8"), re.MULTILINE) if status.exists() else None
    return int(found[1]) * 1024 if found else 0
