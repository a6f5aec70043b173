"""What a traced launch has shown: its faults, and what every thread has read and written."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Fault:
    """array   its name in the kernel, and index an element of it; empty where the fault is not about one
    times   how often the same lines were at fault in the launch; text tells the first time
    """

    kind: str
    text: str
    array: str = ""
    index: tuple = ()
    times: int = 1

    def __str__(self) -> str:
        if self.times == 1:
            return self.text
        return f"{self.text} (and {'once' if self.times == 2 else f'{self.times - 1} times'} more)"


@dataclass
class Count:
    """accesses, bytes   (blocks, threads): of each thread, counted x first"""

    accesses: np.ndarray
    bytes: np.ndarray

    @property
    def total(self) -> int:
        return int(self.accesses.sum())

    @property
    def total_bytes(self) -> int:
        return int(self.bytes.sum())


@dataclass
class Counts:
    global_reads: Count
    global_writes: Count
    shared_reads: Count
    shared_writes: Count

    def __str__(self) -> str:
        lines = [f"{'':14}{'accesses':>12}{'bytes':>14}{'most by a thread':>18}"]
        for name, count in vars(self).items():
            most = int(count.accesses.max(initial=0))
            lines.append(f"{name.replace('_', ' '):14}{count.total:12}{count.total_bytes:14}{most:18}")
        return "\n".join(lines)


@dataclass
class Report:
    races: list[Fault]
    divergence: list[Fault]
    uninitialised: list[Fault]
    out_of_range: list[Fault]
    launch: list[Fault]
    counts: Counts

    def faults(self) -> list[Fault]:
        return [*self.launch, *self.out_of_range, *self.uninitialised, *self.divergence, *self.races]

    def require_clean(self) -> None:
        if self.faults():
            raise AssertionError("\n".join(map(str, self.faults())))
