"""Runs trained in one pool of workers, each written to its folder after every fold: one run of cv, or all of a table's.

A run's numbers depend on its settings alone, not on what is trained beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scratchser.corpus import baselines
from scratchser.corpus.features import Features, Signal, extract
from scratchser.corpus.split import Fold
from scratchser.corpus.table import CLASSES, Corpus, read_wav
from scratchser.cv.workers import Job, Notify, Task
from scratchser.model import tensors
from scratchser.presets import Config, SettingError
from scratchser.report import page, summary
from scratchser.runs import run as rundir
from scratchser.runs.run import FoldDir
from scratchser.runs.tuned_settings import tuned_on
from scratchser.support import suggest
from scratchser.support.gpu import open_device
from scratchser.support.terminal import Epochs, bar

RunFolds = Callable[[Sequence[Task], Notify], Iterator[tuple[Task, dict[str, Any]]]]


@dataclass(frozen=True)
class Experiment:
    """An open run and what it computes."""

    opened: rundir.Run
    config: Config
    seed: int
    said: tuple[str, ...]  # what a reader of its figures should know
    name: str = ""  # said before its folds, where there are several runs

    def fold(self, number: int) -> str:
        """A fold in words."""
        return f"{self.name} fold {number}".lstrip()


def train(
    runs: Sequence[Experiment],
    data: Corpus,
    folds: Sequence[Fold],
    run_folds: RunFolds,
    device: str,
    cache: Path,
    *,
    audio: bool = False,
) -> list[dict[str, Any]]:
    """Train the folds that are not done yet, and bring each run's own files up to date; the runs' results.

    folds       of each run         run_folds   what runs them, as workers.run_folds
    cache       folder of the features, which runs with the same spectrograms share
    audio       as in `page.write`

    What is on the disk decides what is to be done, so a process that was killed can be started again.
    """
    baseline_scores = baselines.evaluate(data, folds, lambda items: bar(items, "trivial baselines"))
    to_do = {run.opened.path: _to_do(run, folds) for run in runs}
    tasks: list[Task] = []
    owners: dict[Path, Experiment] = {}
    table = replace(data, read=read_wav)  # a process gets the table, not the synthesiser
    for run in runs:
        if to_do[run.opened.path]:
            made = cache / features_name(run.config)
            prepare(made, data, run.config, device)
            job = Job(table, made, run.config, run.seed, device)
            tasks += [Task(job, fold, folder) for fold, folder in to_do[run.opened.path]]
            owners.update({folder.path: run for _, folder in to_do[run.opened.path]})

    def write(run: Experiment) -> dict[str, Any]:
        by = tuned_on(data, run.opened.settings)
        return summary.write(run.opened, baselines=baseline_scores, tuned_on=by, warnings=(*data.notes, *run.said))

    def finish(run: Experiment) -> dict[str, Any]:
        result = write(run)
        page.write(run.opened, data, result, audio=audio)
        return result

    results = {run.opened.path: finish(run) for run in runs if not to_do[run.opened.path]}
    there = {
        run.fold(fold.number): (run.config.epochs, len(folder.metrics()))
        for run in runs
        for fold, folder in to_do[run.opened.path]
    }
    with closing(Epochs(there, alike=len({run.config for run in runs}) == 1)) as progress:

        def notify(task: Task, row: dict[str, Any]) -> None:
            progress.epoch(owners[task.folder.path].fold(task.fold.number), row)

        for task, found in run_folds(tasks, notify):
            run = owners[task.folder.path]
            progress.fold(run.fold(task.fold.number), found)
            if run.opened.done:
                results[run.opened.path] = finish(run)
            else:
                write(run)
    shutil.rmtree(cache, ignore_errors=True)  # large, and soon made again from the wav files
    return [results[run.opened.path] for run in runs]


def _to_do(run: Experiment, folds: Sequence[Fold]) -> list[tuple[Fold, FoldDir]]:
    return [(fold, folder) for fold, folder in zip(folds, run.opened.folds, strict=True) if folder.result() is None]


def features_name(config: Config) -> str:
    """Of the folder of the features, the same for all settings with the same spectrograms."""
    signal = Signal.of(config)
    return f"{signal.bins}-bins-{signal.window}-{signal.hop}-{signal.floor:g}"


def prepare(cache: Path, data: Corpus, config: Config, device: str) -> None:
    """The features in a folder, computed once. Raises StorageError where it holds those of other data."""
    if cache.exists():
        Features.open(cache, data, config)
    else:
        extract(data, config, lambda items: bar(items, "features"), open_device(device)).save(cache, data, config)


def check(config: Config) -> None:
    """Raises SettingError for spectrograms that cannot be and a model that is too large, before a folder is made."""
    tensors(config, Signal.of(config).bins, len(CLASSES))


def oversampled(config: Config, classes: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """A sentence where the preset repeats classes that the corpus lacks; SettingError where the user asked for them."""
    unknown = [name for name in config.oversample if name not in classes]
    if not unknown:
        return ()
    if any(setting.startswith("oversample=") for setting in asked):
        near = suggest.hint(unknown[0], classes)
        raise SettingError(
            f"oversample: {', '.join(unknown)} is no class of this corpus, which has {', '.join(classes)}{near}"
        )
    return (f"the preset repeats {', '.join(unknown)} in each epoch, which this corpus does not have",)
