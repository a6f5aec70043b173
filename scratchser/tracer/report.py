"""The result of a traced launch: its faults, and the memory accesses of every thread."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scratchser.tracer.log import Log, Site


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
    """Accesses of each thread, (blocks, threads), counted with x first."""

    accesses: np.ndarray

    @property
    def total(self) -> int:
        return int(self.accesses.sum())


@dataclass
class Counts:
    global_reads: Count
    global_writes: Count
    shared_reads: Count
    shared_writes: Count

    def __str__(self) -> str:
        lines = [f"{'':14}{'accesses':>12}{'most by a thread':>18}"]
        for name, count in vars(self).items():
            most = int(count.accesses.max(initial=0))
            lines.append(f"{name.replace('_', ' '):14}{count.total:12}{most:18}")
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

    def requests(self, *arrays: str) -> dict[tuple[Site, int, int, int], list[int]]:
        """What the warps request from memory: a warp, 32 threads, makes one request for all of them.

        arrays   names in the kernel; without any, all arrays of global and shared memory

        Returns {(site, block, warp, turn): byte offsets from the start of the array}. The n-th accesses of the threads
        of a warp at a site, which is a source line that reads or writes one array, are one request: its turn is n,
        from 0. A GPU may group threads differently after a branch in a loop.
        """
        log, accesses, sites = self.log, self.log.accesses(), self.log.sites
        turns, found = Counter[tuple[int, int]](), defaultdict(list)
        for address, number, thread in zip(*(column.tolist() for column in accesses[:3]), strict=True):
            memory = sites[number].memory
            if not arrays or memory.name in arrays:
                block, lane = divmod(thread, log.launch.threads)
                found[sites[number], block, lane // 32, turns[number, thread]].append(address - memory.start)
                turns[number, thread] += 1
        return dict(found)
