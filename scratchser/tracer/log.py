"""The log of a launch: every access to global and shared memory, and the faults seen while it runs.

An access is two numbers, its address in bytes and its site. Its thread, and the barriers between which it happened,
follow from its position in the log, because threads run one at a time. A site is a source line that reads or writes
one array.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from functools import cache
from math import prod
from types import CodeType, FrameType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scratchser.tracer.launch import Launch
from scratchser.tracer.report import Count, Counts, Fault

if TYPE_CHECKING:
    from scratchser.tracer.arrays import Memory


class SourceLine(NamedTuple):
    """The lines and columns of an expression. An instruction's number would not do: the interpreter changes it when it
    specialises a call, and compiles the head of a loop twice."""

    code: int  # its identity, because its copies are equal but belong to different functions
    file: str
    position: tuple  # first line, last line, first column, last column

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.position[0]}"


def source_line(frame: FrameType) -> SourceLine:
    """Of the expression that a frame evaluates."""
    code = frame.f_code
    return SourceLine(id(code), code.co_filename, _positions(code)[frame.f_lasti // 2])


@cache
def _positions(code: CodeType) -> list:
    return list(code.co_positions())


class Site(NamedTuple):
    memory: Memory
    verb: str  # reads, writes
    line: SourceLine


class Accesses(NamedTuple):
    """Columns (n,) in the order of the accesses. An interval lies between two barriers of one block."""

    address: np.ndarray
    site: np.ndarray
    thread: np.ndarray
    interval: np.ndarray


class Outside(NamedTuple):
    """An access that did not happen, because its index is out of range."""

    memory: Memory
    verb: str
    element: str  # x[3]
    line: SourceLine
    thread: int
    interval: int


class Log:
    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.thread = 0  # that runs now, counted through the launch
        self.interval = 0  # counted through the launch
        self.memories: list[Memory] = []
        self.faults: dict[tuple, Fault] = {}
        self.outside: list[Outside] = []
        self.unwritten: list[int] = []  # accesses that read unwritten memory, as positions in the log
        self._sites: dict[Site, int] = {}  # and their numbers
        self._site_of_instruction: dict[tuple, int] = {}
        self._addresses, self._site_numbers = array("q"), array("i")  # of each access
        self._turns = array("q")  # first access, thread, interval of each turn

    def turn(self, thread: int) -> None:
        """The following accesses are those of this thread."""
        self.thread = thread
        self._turns.extend((len(self._addresses), thread, self.interval))

    def access(self, memory: Memory, verb: str, address: int, frame: FrameType) -> None:
        key = memory.number, verb, id(frame.f_code), frame.f_lasti
        number = self._site_of_instruction.get(key)
        if number is None:
            number = self._sites.setdefault(Site(memory, verb, source_line(frame)), len(self._sites))
            self._site_of_instruction[key] = number
        self._addresses.append(address)
        self._site_numbers.append(number)

    @property
    def sites(self) -> list[Site]:
        return list(self._sites)

    def accesses(self) -> Accesses:
        """Those of the whole launch."""
        starts, threads, intervals = np.array(self._turns).reshape(-1, 3).T
        lengths = np.diff(starts, append=len(self._addresses))
        columns = self._addresses, self._site_numbers, np.repeat(threads, lengths), np.repeat(intervals, lengths)
        return Accesses(*map(np.array, columns))

    def intervals(self, block: int) -> list[int]:
        """Those of a block, in order."""
        turns = np.array(self._turns, np.int64).reshape(-1, 3)
        return sorted({*turns[turns[:, 1] // self.launch.threads == block, 2].tolist()})

    def counts(self, accesses: Accesses) -> Counts:
        shape = self.launch.blocks if self._turns else 0, self.launch.threads

        def count(space: str, verb: str) -> Count:
            wanted = np.array([(site.memory.space, site.verb) == (space, verb) for site in self.sites], bool)
            threads = accesses.thread[wanted[accesses.site]]
            return Count(np.bincount(threads, minlength=prod(shape)).reshape(shape))

        return Counts(*(count(space, verb) for space in ("global", "shared") for verb in ("reads", "writes")))

    # ---- faults

    def fault(self, key: tuple, make: Callable[[], Fault]) -> None:
        """Keep the first fault of each key, and count the others."""
        if key in self.faults:
            self.faults[key].times += 1
        else:
            self.faults[key] = make()

    def launch_fault(self, text: str) -> None:
        self.fault(("launch", text), lambda: Fault("launch", f"launch refused: {text}"))

    def mark_unwritten(self) -> None:
        """The next access reads unwritten memory."""
        self.unwritten.append(len(self._addresses))

    def mark_outside(self, memory: Memory, verb: str, element: str, frame: FrameType) -> None:
        self.outside.append(Outside(memory, verb, element, source_line(frame), self.thread, self.interval))

    def access_fault(
        self, kind: str, memory: Memory, verb: str, element: Callable[[], tuple[tuple, str]], frame: FrameType
    ) -> None:
        """element   () -> index and name of the element; called for the first fault of its kind and line only"""
        line = source_line(frame)

        def make() -> Fault:
            index, name = element()
            text = f"{kind}: {self.launch.full_name(self.thread)} {verb} {name} at {line}"
            return Fault(kind, text, memory.name, index)

        self.fault((kind, memory.name, verb, line), make)
