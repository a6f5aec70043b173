"""A contestant in a process of its own: two pools of threads that take turns in one process lose a factor of ten."""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Gemm:
    """The machine's rate: NumPy's matrix product of two square float32 matrices."""

    SIZE = 2048

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.a, self.b = (rng.standard_normal((self.SIZE, self.SIZE), np.float32) for _ in range(2))

    def run(self) -> None:
        np.matmul(self.a, self.b)


def tasks_of(contestant: str) -> dict[str, Callable[..., Any]]:
    if contestant == "blas":
        return {"gemm": Gemm}
    if contestant == "ours":
        from scratchser.bench import ours

        return ours.TASKS
    from scratchser.bench import peers  # needs the extra `bench`

    return peers.TASKS[contestant]


def serve(contestant: str, connection: Any) -> None:
    """Answer the parent's questions until it sends None."""
    task, tasks = None, tasks_of(contestant)
    while (question := connection.recv()) is not None:
        word, *arguments = question
        if word == "make":
            name, *parameters = arguments
            task = None  # the one before gives its memory back first
            task = tasks[name](*parameters)
            connection.send(None)
        elif word == "run":
            started = time.perf_counter()
            for _ in range(arguments[0]):
                task.run()
            connection.send((time.perf_counter() - started) / arguments[0])
        elif word == "answer":
            connection.send(task.answer())
        elif word == "memory":  # kilobytes on Linux
            connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


class Child:
    """The parent's end. Raises EOFError where the child has died; its own message is on standard error."""

    def __init__(self, contestant: str, threads: int) -> None:
        self.name = contestant
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        with _environment(dict.fromkeys(THREADS, str(threads))):
            self.process = context.Process(target=serve, args=(contestant, theirs), daemon=True)
            self.process.start()
        theirs.close()

    def ask(self, *question: Any) -> Any:
        self.connection.send(question)
        return self.connection.recv()

    def close(self) -> None:
        self.connection.send(None)
        self.process.join()


@contextmanager
def _environment(changes: dict[str, str]):
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
