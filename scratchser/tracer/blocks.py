"""Run the threads of a block one after the other, each up to its next barrier or its end.

Each CUDA thread has a thread of the operating system, because a barrier stops it in the middle of the kernel. It runs
only while the caller of `resume` waits for it.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from queue import SimpleQueue
from traceback import walk_stack
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np

from scratchser.tracer.log import Log, SourceLine, source_line
from scratchser.tracer.report import Fault

if TYPE_CHECKING:
    from scratchser.tracer.module import Cuda


class Stopped(BaseException):
    """Ends a thread that waits at a barrier which the others do not reach."""


class Workers:
    """Threads of the operating system. Each runs many CUDA threads, since starting one takes as long as some hundred
    accesses."""

    def __init__(self) -> None:
        self._number = self._idle = 0
        self._started: SimpleQueue[Thread | None] = SimpleQueue()

    def start(self, thread: Thread) -> None:
        if self._idle > 0:
            self._idle -= 1
        else:
            _thread.start_new_thread(self._work, ())
            self._number += 1
        self._started.put(thread)

    def end(self) -> None:
        for _ in range(self._number):
            self._started.put(None)

    def _work(self) -> None:
        while thread := self._started.get():
            thread.run()
            self._idle += 1
            thread.pause.release()


class Thread:
    """A CUDA thread.

    number    counted through the launch
    barrier   the barrier at which it waits, and the calls that led to it, innermost first; empty if it does not wait
    error     what the kernel raised in it
    """

    def __init__(self, number: int, body: Callable[[], None], workers: Workers) -> None:
        self.number, self.body, self._workers = number, body, workers
        self.barrier: tuple[SourceLine, ...] = ()
        self.error: BaseException | None = None
        self.pause, self._turn = _thread.allocate_lock(), _thread.allocate_lock()
        self.pause.acquire()
        self._turn.acquire()
        self._started = self._stopping = False

    def resume(self) -> None:
        """Run until the next barrier or the end."""
        if self._started:
            self._turn.release()
        else:
            self._started = True
            self._workers.start(self)
        self.pause.acquire()

    def stop(self) -> None:
        if self.barrier:
            self._stopping = True
            self.resume()

    def wait(self, frame: FrameType) -> None:
        """Wait at a barrier. Called by the kernel."""
        self.barrier = tuple(source_line(caller) for caller, _ in walk_stack(frame))
        self.pause.release()
        self._turn.acquire()
        self.barrier = ()
        if self._stopping:
            raise Stopped

    def run(self) -> None:
        try:
            with np.errstate(all="ignore"):  # a GPU does not warn
                self.body()
        except Stopped:
            pass
        except BaseException as error:
            self.error = error


def run_block(body: Callable[[], None], number: int, workers: Workers, cuda: Cuda, log: Log) -> None:
    """Run all threads of a block to their end, or to a barrier that not all of them reach."""
    size = log.launch.threads
    threads = [Thread(number * size + i, body, workers) for i in range(size)]
    try:
        while _run_interval(threads, cuda, log):
            pass
    finally:
        for thread in threads:
            thread.stop()


def _run_interval(threads: list[Thread], cuda: Cuda, log: Log) -> bool:
    """Run every thread to its next barrier. Returns whether all of them wait at the same one."""
    log.interval += 1
    for thread in threads:
        cuda.enter_thread(thread)
        log.turn(thread.number)
        thread.resume()
        if thread.error is not None:
            thread.error.add_note(f"raised in {log.launch.full_name(thread.number)}")
            raise thread.error
    first = threads[0]
    other = next((thread for thread in threads if thread.barrier != first.barrier), None)
    if other:
        text = f"divergent barrier: {_state(first, log)}, {_state(other, log)}"
        log.fault(("divergence", first.barrier, other.barrier), lambda: Fault("divergence", text))
    return bool(first.barrier) and other is None


def _state(thread: Thread, log: Log) -> str:
    name = log.launch.full_name(thread.number)
    return f"{name} waits at {thread.barrier[0]}" if thread.barrier else f"{name} has ended"
