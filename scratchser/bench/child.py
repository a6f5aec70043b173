"""A contestant in a separate process: two pools of threads in one process make each other ten times slower."""

import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from os import environ, getpid
from typing import Any
from unittest import mock

from numpy import ndarray

from scratchser.bench.clock import seconds_per_call
from scratchser.support.errors import ProcessingError


def thread_limits(threads: int) -> dict[str, str]:
    """Environment variables that limit the threads of every library."""
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return dict.fromkeys(names, str(threads))


def tasks_of(contestant: str) -> Mapping[str, Callable[..., Any]]:
    """The tasks by name. Their library is imported only in the process of its contestant."""
    peers = "torch_peers" if contestant.startswith("torch") else "other_peers"
    module = "ours" if contestant == "ours" else peers
    return import_module(f"scratchser.bench.{module}").TASKS[contestant]


class Child:
    """The process of one contestant. Every method raises ProcessingError if the process fails."""

    def __init__(self, contestant: str, threads: int) -> None:
        self.contestant = contestant
        # Ctrl-C reaches all processes: the parent reports it, the children end without a traceback
        self.pool = ProcessPoolExecutor(1, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_DFL))
        with mock.patch.dict(environ, thread_limits(threads)):
            self._call(getpid)  # starts the process, which inherits the environment

    def answer(self, task: str, *parameters: Any) -> dict[str, ndarray]:
        """The answer of a new task."""
        return self._call(_answer, self.contestant, task, *parameters)

    def make(self, task: str, *parameters: Any) -> int:
        """Make the task that `run` runs. Returns its cycle: how many runs to time together, because they differ."""
        return self._call(_make, self.contestant, task, *parameters)

    def run(self, times: int) -> float:
        """Mean seconds of a run."""
        return self._call(_run, times)

    def close(self) -> None:
        self.pool.shutdown()

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        future = self.pool.submit(function, *arguments)
        error = future.exception()  # whatever the contestant raises, or that its process died
        if error is not None:
            message = f"the process of {self.contestant!r} failed: {error!r}"
            raise ProcessingError(f"{message}{error.__cause__ or ''}") from error  # the cause is the child's traceback
        return future.result()


# ---- in the child ---------------------------------------------------------------------------------------------------

_current: list[Any] = []  # one task


def _answer(contestant: str, task: str, *parameters: Any) -> dict[str, ndarray]:
    return tasks_of(contestant)[task](*parameters).answer()


def _make(contestant: str, task: str, *parameters: Any) -> int:
    _current.clear()  # frees the memory of the task before
    _current.append(tasks_of(contestant)[task](*parameters))
    return getattr(_current[0], "cycle", 1)


def _run(times: int) -> float:
    (task,) = _current
    return seconds_per_call(task.run, times, getattr(task, "finish", None))
