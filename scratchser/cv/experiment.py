"""Train one or several runs in one pool of workers, and bring each run's folder up to date after every fold."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scratchser.corpus.baselines import Baseline, evaluate
from scratchser.corpus.features import Features, Signal, extract
from scratchser.corpus.split import Fold
from scratchser.corpus.table import CLASSES, Corpus, read_wav
from scratchser.cv.workers import Job, Notify, Task
from scratchser.kernels import lstm
from scratchser.kernels.machine.compile import is_compiled
from scratchser.model import tensors
from scratchser.presets import Config, SettingError, from_json
from scratchser.report import page, summary
from scratchser.runs.run import Run
from scratchser.runs.tuned_settings import tuned_on
from scratchser.support import suggest
from scratchser.support.gpu import open_device
from scratchser.support.terminal import Epochs, bar, say

RunFolds = Callable[[Sequence[Task], Notify], Iterator[tuple[Task, dict[str, Any]]]]


@dataclass
class Experiment:
    """Runs on the same corpus and folds. A run's numbers do not depend on what is trained beside it.

    features   folder of the features, which runs with the same spectrograms share; it is removed at the end
    audio      as in `page.write`
    baselines  of these folds, computed by `train`
    results    what each run's result.json holds
    """

    runs: Sequence[Run]
    corpus: Corpus
    folds: Sequence[Fold]
    device: str
    features: Path
    audio: bool = False
    baselines: Sequence[Baseline] = field(default=(), init=False)
    results: dict[Path, dict[str, Any]] = field(default_factory=dict, init=False)

    def train(self, run_folds: RunFolds) -> list[dict[str, Any]]:
        """Train the folds that are not finished. Returns what each run's result.json holds.

        The files decide what there is to do, so a killed process can be started again. `run_folds` is
        workers.run_folds or that of a cluster.
        """
        if not all(run.done for run in self.runs) and not is_compiled(lstm.__file__):
            say("compiling kernels (once; about a minute)")  # before the baselines, which compile the synthesiser
        self.baselines = evaluate(self.corpus, self.folds, lambda items: bar(items, "baselines"))
        tasks = [task for run in self.runs for task in self._tasks(run)]
        for run in self.runs:
            if run.done:
                self._report(run)
        by_path = {run.path: run for run in self.runs}
        epochs = {self._name(task): (task.job.config.epochs, len(task.folder.metrics())) for task in tasks}
        with closing(Epochs(epochs, alike=len({task.job.config for task in tasks}) == 1)) as progress:
            for task, result in run_folds(tasks, lambda task, row: progress.epoch(self._name(task), row)):
                progress.fold(self._name(task), result)
                self._report(by_path[task.folder.run])
        shutil.rmtree(self.features, ignore_errors=True)  # large, and quickly computed again
        return [self.results[run.path] for run in self.runs]

    def _tasks(self, run: Run) -> list[Task]:
        """The folds of a run that are not finished. Computes its features if there are any."""
        unfinished = [pair for pair in zip(self.folds, run.folds, strict=True) if pair[1].result() is None]
        if not unfinished:
            return []
        config = from_json(run.settings["config"])
        path = self.features / features_name(config)
        if path.exists():
            Features.open(path, self.corpus, config)  # raises StorageError if they are of other data
        else:
            features = extract(self.corpus, config, lambda items: bar(items, "features"), open_device(self.device))
            features.save(path, self.corpus, config)
        table = replace(self.corpus, read=read_wav)  # a worker needs the labels, not the synthesiser
        job = Job(table, path, config, run.settings["seed"], self.device)
        return [Task(job, fold, folder) for fold, folder in unfinished]

    def _name(self, task: Task) -> str:
        run = f"{task.folder.run.name} " if len(self.runs) > 1 else ""
        return f"{run}fold {task.fold.number}"

    def _report(self, run: Run) -> None:
        """Update the files that summarise the run; the page is the last one, once all folds are finished."""
        result = summary.write(
            run,
            baselines=self.baselines,
            tuned_on=tuned_on(self.corpus, run.settings),
            warnings=(*self.corpus.notes, *run.notes),
        )
        if run.done:
            page.write(run, self.corpus, result, audio=self.audio)
        self.results[run.path] = result


def features_name(config: Config) -> str:
    """The same for all configurations with the same spectrograms."""
    signal = Signal.of(config)
    bands = f"-{signal.bands}-mel" if signal.bands else ""
    return f"{signal.bins}-bins{bands}-{signal.window}-{signal.hop}-{signal.floor:g}"


def check_model(config: Config) -> None:
    """Raises SettingError for impossible spectrograms and for a model that is too large."""
    tensors(config, Signal.of(config).size, len(CLASSES))


def oversample_notes(config: Config, classes: Sequence[str], changes: Sequence[str]) -> tuple[str, ...]:
    """A note if the preset oversamples classes that the corpus lacks. Raises SettingError if --set requests them."""
    unknown = [name for name in config.oversample if name not in classes]
    if not unknown:
        return ()
    if any(change.startswith("oversample=") for change in changes):
        hint = suggest.hint(unknown[0], classes)
        raise SettingError(
            f"oversample: {', '.join(unknown)} is no class of this corpus, which has {', '.join(classes)}{hint}"
        )
    return (f"the preset oversamples {', '.join(unknown)}, which this corpus does not have",)
