"""A contestant in a process of its own: two pools of threads that take turns in one process lose a factor of ten."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from scratchser.bench.clock import peak_memory, seconds_per_call

THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ChildError(RuntimeError):
    """A contestant's process is gone."""


class Gemm:
    """The machine's rate: NumPy's matrix product of two square float32 matrices."""

    SIZE = 2048

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.a, self.b = (rng.standard_normal((self.SIZE, self.SIZE), np.float32) for _ in range(2))

    def run(self) -> None:
        np.matmul(self.a, self.b)


def tasks_of(contestant: str) -> Mapping[str, Callable[..., Any]]:
    """Each library is imported by the process that is to use it, and by no other."""
    if contestant == "blas":
        return {"gemm": Gemm}
    if contestant == "ours":
        from scratchser.bench import ours

        return ours.TASKS
    if contestant in ("scipy", "librosa"):
        from scratchser.bench import stft_peers

        return stft_peers.TASKS[contestant]
    from scratchser.bench import torch_peers

    return torch_peers.TASKS[contestant]


def serve(contestant: str, connection: Any) -> None:
    """Answer the parent's questions until it sends None."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all processes: the parent speaks, the others end
    tasks, task = tasks_of(contestant), None  # type: Mapping[str, Callable[..., Any]], Any
    while (question := connection.recv()) is not None:
        word, *arguments = question
        if word == "make":
            name, *parameters = arguments
            task = None  # the one before gives its memory back first
            task = tasks[name](*parameters)
            connection.send(getattr(task, "cycle", 1))
        elif word == "run":
            timed = getattr(task, "timed", None)  # a task on a GPU has a clock of its own
            connection.send(timed(arguments[0]) if timed else seconds_per_call(task.run, arguments[0]))
        elif word == "answer":
            connection.send(task.answer())
        elif word == "memory":
            connection.send(peak_memory())


class Child:
    """The parent's end. Raises ChildError where the child has died; its own message is on standard error."""

    def __init__(self, contestant: str, threads: int) -> None:
        self.name = contestant
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        with _environment(dict.fromkeys(THREADS, str(threads))):
            self.process = context.Process(target=serve, args=(contestant, theirs), daemon=True)
            self.process.start()
        theirs.close()

    def ask(self, *question: Any) -> Any:
        try:
            self.connection.send(question)
            return self.connection.recv()
        except (EOFError, OSError) as error:
            self.process.join()
            raise ChildError(
                f"the process of {self.name!r} ended at {' '.join(map(str, question))!r},"
                f" with exit code {self.process.exitcode}; what it said stands above"
            ) from error

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it may be gone already
            self.connection.send(None)
        self.process.join(timeout=5)
        self.process.kill()  # one that is still at work, when another has failed


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
