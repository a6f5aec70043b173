"""Folds in this process, or several at a time in worker processes. The numbers are the same, to the bit."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numba

from scratchser.corpus.batches import Dataset
from scratchser.corpus.features import Features
from scratchser.corpus.split import Fold
from scratchser.corpus.table import Corpus
from scratchser.cv.fold import run_fold
from scratchser.presets import Config
from scratchser.runs.fold_dir import FoldDir
from scratchser.support.environment import threads
from scratchser.support.errors import ProcessingError
from scratchser.support.gpu import open_device

Row = dict[str, Any]  # a line of metrics.jsonl


class WorkerError(ProcessingError):
    """A worker was lost or cannot take part. The message says how to continue."""


@dataclass(frozen=True)
class Job:
    """What is the same for all folds of a run. The features stay on the disk; each process maps them."""

    corpus: Corpus
    features: Path
    config: Config
    seed: int
    device: str = "cpu"


@dataclass(frozen=True)
class Task:
    """One fold of a job, and its folder: all that a process needs."""

    job: Job
    fold: Fold
    folder: FoldDir

    def run(self, notify: Callable[[Row], None]) -> dict[str, Any]:
        job = self.job
        features = Features.open(job.features, job.corpus, job.config)
        data = Dataset.of(job.corpus.classes, job.corpus.utterances, features, job.config)
        return run_fold(data, self.fold, job.config, job.seed, self.folder, notify, open_device(job.device))


class Runnable(Protocol):
    """What a worker process can run, sent to it by pickle. `notify` gets the row of each epoch."""

    def run(self, notify: Callable[[Row], None]) -> dict[str, Any]: ...


AnyTask = TypeVar("AnyTask", bound=Runnable)
Notify = Callable[[AnyTask, Row], None]


def run_folds(
    tasks: Sequence[AnyTask], workers: int, notify: Notify[AnyTask]
) -> Iterator[tuple[AnyTask, dict[str, Any]]]:
    """Yields each task and its result when it is finished; `notify(task, row)` is called after each epoch.

    With `workers` > 1, each process gets an equal share of the cores for its kernels. An error in one fold, and Ctrl-C,
    end the other folds too, each after its current epoch. Raises WorkerError if a worker process was killed.
    """
    if workers <= 1:
        for task in tasks:
            yield task, task.run(partial(notify, task))
        return
    context = multiprocessing.get_context("spawn")  # a forked copy of a process with running threads hangs
    rows, stop = context.SimpleQueue(), context.Event()
    interruptible = signal.getsignal(signal.SIGINT) != signal.SIG_IGN  # ignored in a job that a script runs with &
    pool = ProcessPoolExecutor(workers, context, _start_worker, (rows, stop, threads(workers), interruptible))
    try:
        # workers inherit that Ctrl-C is ignored: while they import, it would print a traceback for each of them
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        submitted = {pool.submit(_run_in_worker, task, number): task for number, task in enumerate(tasks)}
        signal.signal(signal.SIGINT, handler)
        running = set(submitted)
        while running:
            done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            while not rows.empty():
                number, row = rows.get()
                notify(tasks[number], row)
            for future in done:
                yield submitted[future], future.result()
    except BrokenProcessPool as error:
        raise WorkerError(
            "a worker process was killed, often for lack of memory. What is finished is kept: continue with the same"
            " command and --resume --out RUN, perhaps with --workers 1"
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


class _Stopped(Exception):
    """The process that started this worker wants no more epochs."""


_rows: Any = None  # in a worker: the queue of the process that started it
_stop: Any = None  # in a worker: set when that process wants no more epochs


def _start_worker(rows: Any, stop: Any, share: int, interruptible: bool) -> None:
    global _rows, _stop
    _rows, _stop = rows, stop
    numba.set_num_threads(share)
    if interruptible:  # Ctrl-C reaches all processes: only the first one prints about it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: it would keep the lock of its fold."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers call this"
    connection.wait([parent.sentinel])
    os._exit(1)


def _run_in_worker(task: Runnable, number: int) -> dict[str, Any]:
    def notify(row: Row) -> None:
        _check_stop()  # first: the queue blocks once the parent reads no more
        _rows.put((number, row))

    _check_stop()  # the pool hands out one task more than it has processes
    return task.run(notify)


def _check_stop() -> None:
    if _stop.is_set():
        raise _Stopped
