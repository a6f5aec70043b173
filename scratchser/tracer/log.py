"""What happens in a launch: every access to global and shared memory, and the faults seen on the way.

An access is two numbers, its address in bytes and its site; which thread made it, between which barriers, follows
from its place in the log, since threads run one at a time. A site is one place in the kernel's text that reads or
writes one array.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from types import CodeType, FrameType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scratchser.tracer.launch import Launch
from scratchser.tracer.report import Fault

if TYPE_CHECKING:
    from scratchser.tracer.arrays import Memory


class Place(NamedTuple):
    """Of an expression in a function's text. The number of the instruction would not do: the interpreter moves on by
    some when it has specialised a call, and compiles the head of a loop twice."""

    code: CodeType
    line: int | None
    end: int | None
    column: int | None
    end_column: int | None

    def __str__(self) -> str:
        return f"{os.path.basename(self.code.co_filename)}:{self.line}"

    def key(self) -> tuple:
        """The code by its identity: copies of it are equal, and different functions."""
        return id(self.code), *self[1:]


def place(code: CodeType, instruction: int) -> Place:
    return Place(code, *_positions(code)[instruction // 2])


@cache
def _positions(code: CodeType) -> list:
    return list(code.co_positions())


class Site(NamedTuple):
    memory: Memory
    verb: str  # reads, writes
    place: Place


class Accesses(NamedTuple):
    """Columns (n,) in the order of the accesses; an interval is what lies between two barriers of one block."""

    address: np.ndarray
    site: np.ndarray
    thread: np.ndarray
    interval: np.ndarray


class Log:
    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.thread = 0  # that runs now, counted through the launch
        self.interval = 0  # likewise
        self.sites: list[Site] = []
        self.memories: list[Memory] = []
        self.faults: dict[tuple, Fault] = {}
        self._numbers: dict[tuple, int] = {}  # of sites, by instruction
        self._same_place: dict[tuple, int] = {}  # likewise, by place
        self._addresses: list[int] = []
        self._sites: list[int] = []
        self._turns: list[tuple[int, int, int]] = []
        self._blocks: list[Accesses] = []

    @property
    def blocks(self) -> int:
        """That have run."""
        return len(self._blocks)

    def turn(self, thread: int) -> None:
        """From here on this thread accesses."""
        self.thread = thread
        self._turns.append((len(self._addresses), thread, self.interval))

    def access(self, memory: Memory, verb: str, address: int, frame: FrameType) -> None:
        key = memory.number, verb, id(frame.f_code), frame.f_lasti
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._site(memory, verb, place(frame.f_code, frame.f_lasti))
        self._addresses.append(address)
        self._sites.append(number)

    def _site(self, memory: Memory, verb: str, where: Place) -> int:
        number = self._same_place.setdefault((memory.number, verb, where.key()), len(self.sites))
        if number == len(self.sites):
            self.sites.append(Site(memory, verb, where))
        return number

    def end_block(self) -> None:
        """Numbers in lists take four times the memory that they take in arrays."""
        starts, threads, intervals = np.array(self._turns, np.int64).T
        lengths = np.diff(starts, append=len(self._addresses))
        self._blocks.append(
            Accesses(
                np.array(self._addresses, np.int64),
                np.array(self._sites, np.int32),
                np.repeat(threads, lengths),
                np.repeat(intervals, lengths),
            )
        )
        for column in (self._addresses, self._sites, self._turns):
            column.clear()

    def accesses(self) -> Accesses:
        """Of the whole launch."""
        empty = Accesses(*(np.zeros(0, np.int64) for _ in Accesses._fields))
        return Accesses(*map(np.concatenate, zip(empty, *self._blocks, strict=True)))

    def fault(self, key: tuple, make: Callable[[], Fault]) -> None:
        """The first of its key is kept, and how often it came again."""
        if key in self.faults:
            self.faults[key].times += 1
        else:
            self.faults[key] = make()

    def launch_fault(self, text: str) -> None:
        self.fault(("launch", text), lambda: Fault("launch", f"launch refused: {text}"))

    def access_fault(
        self, kind: str, memory: Memory, verb: str, element: Callable[[], tuple[tuple, str]], frame: FrameType
    ) -> None:
        """element   gives the index and how to name it; asked for the first time only"""
        where = place(frame.f_code, frame.f_lasti)

        def make() -> Fault:
            index, name = element()
            text = f"{kind}: {self.launch.who(self.thread)} {verb} {name} at {where}"
            return Fault(kind, text, memory.name, index)

        self.fault((kind, memory.name, verb, where.key()), make)

    def seen(self, kind: str) -> list[Fault]:
        return [fault for fault in self.faults.values() if fault.kind == kind]
