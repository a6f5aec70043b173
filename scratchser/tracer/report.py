"""The result of a traced launch: its faults, and the memory accesses of every thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scratchser.tracer.log import Log


@dataclass
class Fault:
    """A fault, described at its first occurrence.

    array   name of the array in the kernel; empty if the fault is not about an array
    index   of an element of the array
    times   how often the same source lines were at fault
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
    """Accesses and their bytes, both (blocks, threads), counted with x first."""

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


KINDS = "launch", "out of range", "uninitialised", "divergence", "race"


class Report:
    """The faults of each kind, the counts, and the log from which both come."""

    def __init__(self, faults: list[Fault], counts: Counts, log: Log) -> None:
        self.launch, self.out_of_range, self.uninitialised, self.divergence, self.races = (
            [fault for fault in faults if fault.kind == kind] for kind in KINDS
        )
        self.counts, self.log = counts, log

    def faults(self) -> list[Fault]:
        return [*self.launch, *self.out_of_range, *self.uninitialised, *self.divergence, *self.races]

    def require_clean(self) -> None:
        if self.faults():
            raise AssertionError("\n".join(map(str, self.faults())))
