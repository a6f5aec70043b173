"""Folds in this process, or several at a time in processes of their own. The numbers are the same, to the bit."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numba
from numba.core import config

from scratchser.corpus.table import Corpus
from scratchser.features import Features
from scratchser.folds import Fold
from scratchser.presets import Config
from scratchser.rundir import FoldDir
from scratchser.train import Dataset, run_fold

Notify = Callable[[int, dict[str, Any]], None]  # fold, its newest line of metrics.jsonl


@dataclass(frozen=True)
class Job:
    """All that a process needs for any fold of a run; the features stay on the disk and are mapped by each process."""

    corpus: Corpus
    features: Path
    config: Config
    seed: int

    def run(self, fold: Fold, folder: FoldDir, notify: Notify) -> dict[str, Any]:
        features = Features.open(self.features, self.corpus, self.config)
        data = Dataset.of(self.corpus.classes, self.corpus.utterances, features, self.config)
        return run_fold(data, fold, self.config, self.seed, folder, lambda row: notify(fold.number, row))


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_folds(
    job: Job, folds: Sequence[tuple[Fold, FoldDir]], workers: int, notify: Notify
) -> Iterator[dict[str, Any]]:
    """The folds' results as they come; `notify` is called in this process.

    With `workers` > 1, each process gets an equal share of the cores for its kernels.
    """
    if workers <= 1:
        for fold, folder in folds:
            yield job.run(fold, folder, notify)
        return
    context = get_context("spawn")  # a forked copy of a process whose threads have started hangs
    lines = context.SimpleQueue()
    threads = max(1, cores() // workers)
    with ProcessPoolExecutor(workers, context, _start_worker, (lines, threads)) as pool:
        running: set[Future[dict[str, Any]]] = {
            pool.submit(_run_in_worker, job, fold, folder) for fold, folder in folds
        }
        try:
            while running:
                done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                while not lines.empty():
                    notify(*lines.get())
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


_lines: Any = None  # in a worker: the way back to the process that started it


def _start_worker(lines: Any, threads: int) -> None:
    global _lines
    _lines = lines
    numba.set_num_threads(min(threads, config.NUMBA_NUM_THREADS))


def _run_in_worker(job: Job, fold: Fold, folder: FoldDir) -> dict[str, Any]:
    return job.run(fold, folder, lambda *line: _lines.put(line))
