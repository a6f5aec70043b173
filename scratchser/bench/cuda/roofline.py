"""What a launch takes at best: by a GPU's memory, by its arithmetic, and by the host that asks for it.

The roofline: bytes needed at the memory's peak, or operations needed at float32's peak, whichever takes longer. Only
what lies in a cache already can be read faster; what coalescing, occupancy and barriers cost comes on top.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from scratchser.bench.cuda import costs
from scratchser.bench.cuda.costs import Issued, Needed, RecordedLaunch

# What a launch costs the host: 6.6 µs without arguments, 10.6 with one array, 14.1 with two, as a maintainer measured
# in June 2025 (pull request NVIDIA/numba-cuda#288; neither the machine nor the GPU is named).
LAUNCH, LAUNCH_ARRAY = 6.6e-6, 3.75e-6  # seconds, and for each array


@dataclass(frozen=True)
class Gpu:
    name: str
    flops: float  # float32 operations a second, a fused multiply-add being two
    bandwidth: float  # bytes a second
    source: str


GPUS = (
    Gpu("T4", 8.1e12, 320e9, "NVIDIA T4 Tensor Core GPU, data sheet (its bandwidth is given as 320+ GB/s)"),
    Gpu("RTX 4090", 82.6e12, 1008e9, "NVIDIA Ada GPU Architecture, white paper, GeForce RTX 4090"),
    Gpu("H100", 67e12, 3350e9, "NVIDIA H100 Tensor Core GPU, data sheet, column SXM"),
)
BOUNDS = "memory", "arithmetic", "launch"


@dataclass(frozen=True)
class Account:
    """One kernel over all of its launches."""

    name: str
    launches: int
    needed: Needed
    issued: Issued
    issued_bytes: int  # of global memory
    times: dict[str, dict[str, float]]  # by GPU: seconds by each of BOUNDS, and "roofline"

    @property
    def intensity(self) -> float:
        """Operations for a byte, needed ones."""
        return self.needed.operations / self.needed.bytes

    @property
    def waste(self) -> float:
        """The share of the bytes issued that a kernel reading and writing each number once would not have asked for."""
        return 1 - self.needed.bytes / self.issued_bytes

    def bound(self, gpu: str) -> str:
        return max(BOUNDS, key=self.times[gpu].__getitem__)


def accounts(launches: Iterable[RecordedLaunch]) -> list[Account]:
    """By kernel, in the order in which they come first."""
    by_name: dict[str, list[RecordedLaunch]] = {}
    for launch in launches:
        by_name.setdefault(launch.name, []).append(launch)
    return [account(name, of_it) for name, of_it in by_name.items()]


def account(name: str, launches: list[RecordedLaunch]) -> Account:
    needed, issued = [costs.needed(launch) for launch in launches], [costs.issued(launch) for launch in launches]
    return Account(
        name,
        len(launches),
        Needed(sum(one.bytes for one in needed), sum(one.operations for one in needed)),
        Issued(*(sum(getattr(one, field) for one in issued) for field in vars(issued[0]))),
        sum(map(issued_bytes, launches)),
        {gpu.name: times(gpu, needed, launches) for gpu in GPUS},
    )


def times(gpu: Gpu, needed: list[Needed], launches: list[RecordedLaunch]) -> dict[str, float]:
    memory = [one.bytes / gpu.bandwidth for one in needed]
    arithmetic = [one.operations / gpu.flops for one in needed]
    return {
        "memory": sum(memory),
        "arithmetic": sum(arithmetic),
        "launch": sum(map(launch_time, launches)),
        "roofline": sum(map(max, memory, arithmetic)),
    }


def launch_time(launch: RecordedLaunch) -> float:
    arrays = sum(isinstance(argument, np.ndarray) for argument in launch.arguments.values())
    return LAUNCH + LAUNCH_ARRAY * arrays


def issued_bytes(launch: RecordedLaunch) -> int:
    """Of global memory. The formulas count elements: raises ValueError where they are not all of one size, as float32
    and int32 are."""
    sizes = {a.itemsize for a in launch.arguments.values() if isinstance(a, np.ndarray)}
    if len(sizes) != 1:
        raise ValueError(f"{launch.name} has elements of {sorted(sizes)} bytes, which its formula does not tell apart")
    issued = costs.issued(launch)
    return (issued.global_reads + issued.global_writes) * sizes.pop()
