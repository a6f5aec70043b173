"""Folds in this process, or several at a time in processes of their own. The numbers are the same, to the bit."""

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
from numba.core import config

from scratchser.corpus.batches import Dataset
from scratchser.corpus.features import Features
from scratchser.corpus.split import Fold
from scratchser.corpus.table import Corpus
from scratchser.fit import run_fold
from scratchser.presets import Config
from scratchser.runs.run import FoldDir
from scratchser.support.gpu import open_device

Row = dict[str, Any]  # a line of metrics.jsonl


class WorkerError(RuntimeError):
    """A worker that is gone or cannot take part, and how to go on, in one line for the user."""


@dataclass(frozen=True)
class Job:
    """All that a process needs for any fold of a run; the features stay on the disk and are mapped by each process."""

    corpus: Corpus
    features: Path
    config: Config
    seed: int
    device: str = "cpu"

    def run(self, fold: Fold, folder: FoldDir, notify: Callable[[Row], None]) -> dict[str, Any]:
        features = Features.open(self.features, self.corpus, self.config)
        data = Dataset.of(self.corpus.classes, self.corpus.utterances, features, self.config)
        return run_fold(data, fold, self.config, self.seed, folder, notify, open_device(self.device))


class Work(Protocol):
    """What a process can be given: `notify` gets the newest line of each epoch. It is sent to the process by pickle."""

    def run(self, notify: Callable[[Row], None]) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Task:
    """A fold of a job, and the folder that it is written to."""

    job: Job
    fold: Fold
    folder: FoldDir

    def run(self, notify: Callable[[Row], None]) -> dict[str, Any]:
        return self.job.run(self.fold, self.folder, notify)


AnyWork = TypeVar("AnyWork", bound=Work)
Notify = Callable[[AnyWork, Row], None]  # who finished an epoch, and its newest line


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(workers: int) -> int:
    """Threads for the kernels of each process: an equal share of the cores, all that numba has for a single process."""
    most = config.NUMBA_NUM_THREADS
    return most if workers <= 1 else min(max(1, cores() // workers), most)


def run_folds(
    tasks: Sequence[AnyWork], workers: int, notify: Notify[AnyWork]
) -> Iterator[tuple[AnyWork, dict[str, Any]]]:
    """The folds' results as they come, of one run or of several; `notify` is called in this process.

    With `workers` > 1, each process gets an equal share of the cores for its kernels. An error in one fold, and Ctrl-C,
    end the other folds too, each after the epoch it is in. Raises WorkerError where a worker was ended from outside.
    """
    if workers <= 1:
        for task in tasks:
            yield task, task.run(partial(notify, task))
        return
    context = multiprocessing.get_context("spawn")  # a forked copy of a process whose threads have started hangs
    lines, stop = context.SimpleQueue(), context.Event()
    pool = ProcessPoolExecutor(workers, context, _start_worker, (lines, stop, threads(workers)))
    try:
        asked = {pool.submit(_run_in_worker, task, number): task for number, task in enumerate(tasks)}
        running = set(asked)
        while running:
            done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            while not lines.empty():
                number, row = lines.get()
                notify(tasks[number], row)
            for future in done:
                yield asked[future], future.result()
    except BrokenProcessPool as error:
        raise WorkerError(
            "a process that worked on a fold was ended from outside, often for lack of memory. What is done is kept:"
            " the same command with --resume --out RUN goes on, perhaps with --workers 1"
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


class _Stopped(Exception):
    """The process that started this worker wants no more epochs."""


_lines: Any = None  # in a worker: the way back to the process that started it
_stop: Any = None  # in a worker: set when that process wants no more epochs


def _start_worker(lines: Any, stop: Any, share: int) -> None:
    global _lines, _stop
    _lines, _stop = lines, stop
    numba.set_num_threads(share)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all processes: the first one speaks, the others end
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process once the one that started it is gone: nobody reads its lines, and it would keep its lock."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers call this"
    connection.wait([parent.sentinel])
    os._exit(1)


def _run_in_worker(task: Work, number: int) -> dict[str, Any]:
    _check_stop()
    return task.run(partial(_notify_parent, number))


def _notify_parent(number: int, row: Row) -> None:
    _check_stop()  # before the line: once nobody reads, it could block
    _lines.put((number, row))


def _check_stop() -> None:
    if _stop.is_set():
        raise _Stopped
