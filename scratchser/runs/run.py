"""A run on disk: the folder that python -m scratchser.cv writes. docs/result-schema.md lists its files.

Every file is replaced in one step (support/files.py). The run and each of its folds have separate locks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scratchser.corpus.table import Corpus
from scratchser.runs.fold_dir import FoldDir
from scratchser.runs.folder import ENVIRONMENT, RunError, begin, check_settings, differences, saved_settings
from scratchser.support.files import plain, read_json, read_text, write_json_lines, write_text

DECISIVE = ("python", "libraries", "commit", "cpu", "device")  # keys of environment.json that can change numbers


def settings(
    corpus: Corpus,
    config: Any,
    *,
    preset: str,
    seed: int,
    folds: Sequence[int],
    groups: int | None = None,
    left_out: Sequence[Any] = (),
    tuned: Any = None,
) -> dict[str, Any]:
    """All that decides a run's numbers, as config.json holds it.

    corpus     without the utterances that were left out
    left_out   the Problems of the broken utterances that were left out
    groups     of --groups; without them there is no such key
    tuned      the TunedSettings that `config` contains; without them there is no such key
    """
    described = {
        "name": corpus.name,
        "root": corpus.root.resolve() if corpus.root else None,
        "synthetic": corpus.synthetic,
        "fingerprint": corpus.fingerprint(),
        "speakers": corpus.speakers,
        "classes": corpus.classes,
        "counts": np.bincount([u.label for u in corpus.utterances], minlength=len(corpus.classes)),
    }
    chosen = {"preset": preset, "seed": seed, "folds": sorted(folds), "corpus": described, "config": config}
    optional = {name: value for name, value in (("groups", groups), ("tuned", tuned)) if value}
    return plain({**chosen, "left_out": left_out, **optional})


@contextmanager
def open_run(
    path: Path, settings: Mapping[str, Any], environment: Mapping[str, Any], notes: Sequence[str] = (), *, resume: bool
) -> Iterator[Run]:
    """Begin a run in the folder `path`, or continue it, with its lock. Errors as in `folder.begin`."""
    with begin(path, settings, environment, resume=resume) as saved:
        yield Run(path, saved, tuple(notes))


def read(path: Path, settings: Mapping[str, Any] | None = None) -> Record:
    """The run in `path`, to be read only.

    Raises RunError if there is none, or if `settings` would give other numbers than its own, StorageError if it is
    damaged.
    """
    if settings:
        check_settings(path, settings)
    found = saved_settings(path)
    if "folds" not in found:
        raise RunError(f"{path} holds no run of python -m scratchser.cv: correct the path")
    return Record(path, found)


def finished_folds(runs: Sequence[Path], settings: Mapping[str, Any]) -> list[FoldDir]:
    """The finished folds of other runs that a run with these settings needs.

    Raises RunError if a path is no run, its settings differ in more than the folds, or two runs have the same fold.
    """
    found: dict[int, FoldDir] = {}
    for path in runs:
        record = read(path, {**settings, "folds": saved_settings(path).get("folds")})
        for folder in record.folds:
            if folder.number in settings["folds"] and folder.result() is not None:
                if folder.number in found:
                    both = f"{found[folder.number].path} and {folder.path}"
                    raise RunError(f"fold {folder.number} is finished twice, in {both}: give only one of the two runs")
                found[folder.number] = folder
    return list(found.values())


@dataclass(frozen=True)
class Record:
    """A run's folder and `settings`, the contents of its config.json. It can be read at any time."""

    path: Path
    settings: dict[str, Any]

    @property
    def folds(self) -> list[FoldDir]:
        """All folds of the run, in the order of their numbers."""
        return [FoldDir(self.path, number, self.settings["corpus"]["synthetic"]) for number in self.settings["folds"]]

    @property
    def finished(self) -> list[FoldDir]:
        return [fold for fold in self.folds if fold.result() is not None]

    @property
    def done(self) -> bool:
        """True if all folds are finished."""
        return len(self.finished) == len(self.folds)

    def results(self) -> list[dict[str, Any]]:
        """The results of the finished folds, in the order of their numbers; of a group, one for each test speaker."""
        found = [result for fold in self.folds if (result := fold.result()) is not None]
        return [entry for result in found for entry in result.get("speakers", [result])]

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics of all epochs so far, fold after fold."""
        return [row for fold in self.folds for row in fold.metrics()]

    def predictions(self) -> list[dict[str, str]]:
        """The rows of predictions.csv of the finished folds."""
        return [row for fold in self.finished for row in fold.prediction_rows()]

    def starts(self) -> list[dict[str, Any]]:
        """What environment.json holds: an entry for the first start and one for each --resume."""
        return read_json(self.path / ENVIRONMENT)


@dataclass(frozen=True)
class Run(Record):
    """A run whose lock this process holds: it may write. `notes` are for the readers of its results."""

    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """Why the numbers may differ from those of an uninterrupted run on one machine."""
        elsewhere = [start for fold in self.folds for start in fold.starts()]
        copied = {fold.number for fold in self.folds if any("run" in start for start in fold.starts())}
        here = [] if copied == set(self.settings["folds"]) else self.starts()
        return _changed_environment([*here, *elsewhere])

    def take(self, source: FoldDir) -> None:
        """Copy a finished fold of another run, and note where it was computed."""
        starts = [*Record(source.run, {}).starts(), *source.starts()]
        target = FoldDir(self.path, source.number, source.synthetic)
        target.copy_from(source, [{"run": source.run, **start} for start in starts])

    def merge(self) -> None:
        """Write metrics.jsonl and predictions.csv of the whole run from those of its folds."""
        write_json_lines(self.path / "metrics.jsonl", self.metrics())
        tables = [read_text(fold.predictions) for fold in self.finished]
        header = tables[0].partition("\n")[0] + "\n" if tables else ""
        write_text(self.path / "predictions.csv", header + "".join(table.partition("\n")[2] for table in tables))


def _changed_environment(starts: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each change between the first start and a later one that can change numbers."""
    first, *later = [{key: start.get(key) for key in DECISIVE} for start in starts]
    changes = {name: (old, new) for start in later for name, old, new in differences(first, start)}
    return [
        f"the run continued under other conditions: {name} was {old} at first and {new} later; last digits may differ"
        for name, (old, new) in changes.items()
    ]
