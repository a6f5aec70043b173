"""The threads of a block, one after the other: each runs alone up to its next barrier or its end.

A CUDA thread is a thread of the operating system, because a barrier stops it in the middle of the kernel's text; it
runs only while the caller of `resume` waits for it.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np

from scratchser.tracer.log import Log, Place, place
from scratchser.tracer.report import Fault

if TYPE_CHECKING:
    from scratchser.tracer.module import Cuda


class Stopped(BaseException):
    """Ends a thread that waits at a barrier which will not be passed."""


class Worker:
    """A thread of the operating system, for one CUDA thread after another: to start one takes as long as some hundred
    accesses."""

    def __init__(self) -> None:
        self.thread: Thread | None = None
        self._turn, self._pause = _thread.allocate_lock(), _thread.allocate_lock()
        self._turn.acquire()
        self._pause.acquire()
        _thread.start_new_thread(self._run, ())

    def resume(self) -> None:
        """Until the next pause."""
        self._turn.release()
        self._pause.acquire()

    def pause(self) -> None:
        self._pause.release()
        self._turn.acquire()

    def _run(self) -> None:
        self._turn.acquire()
        while self.thread is not None:
            self.thread.run()
            self.pause()
        self._pause.release()


class Workers:
    """Those that are idle; all end with the launch."""

    def __init__(self) -> None:
        self.idle: list[Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.idle:
            worker.thread = None
            worker.resume()

    def take(self, thread: Thread) -> Worker:
        worker = self.idle.pop() if self.idle else Worker()
        worker.thread = thread
        return worker


class Thread:
    """A CUDA thread.

    number    counted through the launch
    barrier   the calls that led to the barrier at which it waits, innermost first; empty before and after
    error     what the kernel raised in it
    """

    def __init__(self, number: int, body: Callable[[], None], workers: Workers) -> None:
        self.number, self.body, self.workers = number, body, workers
        self.barrier: tuple[Place, ...] = ()
        self.error: BaseException | None = None
        self._worker: Worker | None = None
        self._stopping = False

    def resume(self) -> None:
        """Until the next barrier or the end."""
        if self._worker is None:
            self._worker = self.workers.take(self)
        self._worker.resume()
        if not self.barrier:
            self.workers.idle.append(self._worker)

    def stop(self) -> None:
        if self.barrier:
            self._stopping = True
            self.resume()

    def wait(self, frame: FrameType) -> None:
        """At a barrier, called by the kernel."""
        assert self._worker is not None
        self.barrier = _calls(frame)
        self._worker.pause()
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
    """All threads of one block to their end, or to a barrier that not all of them reach."""
    size = log.launch.threads
    threads = [Thread(number * size + i, body, workers) for i in range(size)]
    try:
        _intervals(threads, cuda, log)
    finally:
        for thread in threads:
            thread.stop()
    log.end_block()


def _intervals(threads: list[Thread], cuda: Cuda, log: Log) -> None:
    while True:
        log.interval += 1
        for thread in threads:
            cuda.enter_thread(thread)
            log.turn(thread.number)
            thread.resume()
            if thread.error is not None:
                thread.error.add_note(f"raised in {log.launch.who(thread.number)}")
                raise thread.error
        first = threads[0]
        other = next((thread for thread in threads if thread.barrier != first.barrier), None)
        if other:
            _diverged(first, other, log)
        if other or not first.barrier:
            return


def _diverged(first: Thread, other: Thread, log: Log) -> None:
    def state(thread: Thread) -> str:
        name = log.launch.who(thread.number)
        return f"{name} waits at {thread.barrier[0]}" if thread.barrier else f"{name} has ended"

    text = f"divergent barrier: {state(first)}, {state(other)}"
    log.fault(("divergence", first.barrier, other.barrier), lambda: Fault("divergence", text))


def _calls(frame: FrameType | None) -> tuple[Place, ...]:
    calls = []
    while frame:
        calls.append(place(frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(calls)
