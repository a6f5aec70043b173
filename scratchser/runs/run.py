"""A run's folder: what it holds, who may write in it, and when it may be gone on with.

    RUN/config.json        resolved configuration, preset, seed, folds, corpus and its fingerprint, what was left out
    RUN/environment.json   a list: versions, commit, machine and device of the first start and of every --resume
    RUN/folds/01/          checkpoint.npz  metrics.jsonl  predictions.csv  result.json (there once the fold is done)
                           environment.json, the same list, where the fold was computed on another machine or taken
                           from another run
    RUN/metrics.jsonl      the folds' metrics one after the other
    RUN/predictions.csv    the predictions of the folds that are done
    RUN/result.json  report.txt  report.html  learning_curves.png  confusion.png       what report/ makes of them

Every file is replaced in one step (atomic.py), a fold's result.json last: where it exists, the fold is complete. A lock
(lock.py) keeps a second writer out of the run as a whole, and another one out of each fold: a worker that outlives its
killed parent still guards its fold.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from scratchser.corpus.table import Corpus, Utterance
from scratchser.presets import completed
from scratchser.support import files
from scratchser.support.files import (
    StorageError,
    load_npz,
    plain,
    read_json,
    read_json_lines,
    remove_leftovers,
    save_npz,
    write_bytes,
    write_json,
    write_json_lines,
    write_text,
)

DECISIVE = ("python", "libraries", "commit", "cpu", "device")  # what of environment.json can change numbers


class RunError(StorageError):
    """A run's folder that must not be written, and what to do instead, in one line for the user."""


def settings(
    corpus: Corpus,
    config: Any,
    *,
    preset: str,
    seed: int,
    folds: Sequence[int],
    left_out: Sequence[Any] = (),
    tuned: Any = None,
) -> dict[str, Any]:
    """All that decides a run's numbers, as config.json holds it.

    corpus     what is trained and tested on, after the broken utterances were left out
    config     the presets.Config, resolved
    folds      the folds' numbers, from 1
    left_out   the Problems whose utterances were left out on the user's word
    tuned      the tuned.Tuned whose settings these are; without one there is no such key
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
    return plain({**chosen, "left_out": left_out, **({"tuned": tuned} if tuned else {})})


def create(path: Path, settings: dict[str, Any], environment: dict[str, Any]) -> Run:
    """Start a run in the folder `path`, made where it is missing.

    Raises RunError where `path` holds anything already, StorageError where it cannot be written or another process
    writes there.
    """
    with ExitStack() as stack:
        held = stack.enter_context(files.hold(path))
        if (path / "config.json").exists():
            raise RunError(f"{path} holds a run already: go on with it by --resume, or name another folder with --out")
        remove_leftovers(path)
        foreign = sorted({entry.name for entry in path.iterdir()} - {files.NAME, "environment.json"})
        if foreign:
            raise RunError(f"{path} holds other files ({foreign[0]}): name another folder with --out")
        write_json(path / "environment.json", [environment])
        write_json(path / "config.json", settings)  # last: with it, the run exists
        stack.pop_all()
    return Run(path, settings, held)


def resume(path: Path, settings: dict[str, Any], environment: dict[str, Any]) -> Run:
    """Go on with the run in `path`; another machine or other library versions become warnings of the run.

    Raises RunError where there is no run, and where `settings` would give other numbers than the saved ones: every
    difference is named. Raises StorageError where another process writes it or a file of it is damaged.
    """
    if not (path / "config.json").exists():
        raise RunError(f"{path} holds no run to go on with: start one without --resume, or correct --out")
    with ExitStack() as stack:
        held = stack.enter_context(files.hold(path))
        saved = read(path, settings).settings
        remove_leftovers(path)
        starts = [*read_json(path / "environment.json"), plain(environment)]
        write_json(path / "environment.json", starts)
        stack.pop_all()
    return Run(path, saved, held)


def finished(runs: Sequence[Path], settings: Mapping[str, Any]) -> list[FoldDir]:
    """The finished folds of other runs, as far as these settings ask for them.

    Raises RunError where a path is no run, a run's settings differ in more than the folds, or two runs have the same
    fold done.
    """
    found: dict[int, FoldDir] = {}
    asked = settings["folds"]
    for path in runs:
        record = read(path, {**settings, "folds": read(path).settings["folds"]})
        for folder in record.folds:
            if folder.number in asked and folder.result() is not None:
                if folder.number in found:
                    both = f"{found[folder.number].path} and {folder.path}"
                    raise RunError(f"fold {folder.number} is done twice, in {both}: name one of the two runs only")
                found[folder.number] = folder
    return list(found.values())


def read(path: Path, settings: Mapping[str, Any] | None = None) -> Record:
    """The run in `path`, to be read only.

    Raises RunError where there is none, and where `settings` would give other numbers than the saved ones: every
    difference is named. Raises StorageError where it is damaged.
    """
    if not (path / "config.json").exists():
        raise RunError(f"{path} holds no run: name the folder that python -m scratchser.cv wrote")
    saved = read_json(path / "config.json")
    different = [
        f"{name}: the run has {was}, asked for is {now}"
        for name, was, now in (_differences(_decisive(saved), _decisive(plain(settings))) if settings else ())
    ]
    if different:
        raise RunError(
            f"{path} was started with other settings and cannot go on with these: {'; '.join(different)}."
            " Give the same settings again, or start a new run with --out"
        )
    return Record(path, saved)


class Record:
    """What a run's folder tells, which anybody may read at any time.

    path       the folder            settings   what config.json holds
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.settings: dict[str, Any] = plain(settings)

    @property
    def folds(self) -> list[FoldDir]:
        """The run's folds in the order of their numbers, done or not."""
        return [FoldDir(self.path, number, self.settings["corpus"]["synthetic"]) for number in self.settings["folds"]]

    @property
    def done(self) -> bool:
        """Whether all folds are."""
        return all(fold.result() is not None for fold in self.folds)

    def results(self) -> list[dict[str, Any]]:
        """The results of the folds that are done, in the order of their numbers."""
        return [result for fold in self.folds if (result := fold.result()) is not None]

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics of all epochs so far, fold after fold."""
        return [row for fold in self.folds for row in fold.metrics()]

    def predictions(self) -> list[dict[str, str]]:
        """The rows of predictions.csv of the folds that are done."""
        done = [fold for fold in self.folds if fold.result() is not None]
        return [row for fold in done for row in fold.prediction_rows()]

    def starts(self) -> list[dict[str, Any]]:
        """What environment.json holds: an entry for the first start and for each --resume."""
        return read_json(self.path / "environment.json")


class Run(Record):
    """An open run and its lock, which `close` or the end of a `with` gives back: it alone may write."""

    def __init__(self, path: Path, settings: dict[str, Any], held: IO[str]) -> None:
        super().__init__(path, settings)
        self._held = held

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._held.close()

    @property
    def warnings(self) -> list[str]:
        """Why the numbers may not be those of an uninterrupted run on one machine."""
        elsewhere = [start for fold in self.folds for start in fold.starts()]
        taken = {fold.number for fold in self.folds if any("run" in start for start in fold.starts())}
        here = [] if taken == set(self.settings["folds"]) else self.starts()
        return _changed_environment([*here, *elsewhere])

    def take(self, source: FoldDir) -> None:
        """Copy a finished fold of another run, unless it is done here; under what conditions it was run goes along."""
        run = source.path.parents[1]
        starts = [*Record(run, {}).starts(), *source.starts()]
        with FoldDir(self.path, source.number, source.synthetic) as folder:
            if folder.result() is not None:
                return
            write_json(folder.path / "environment.json", [{"run": run, **start} for start in starts])
            for name in ("metrics.jsonl", "checkpoint.npz", "predictions.csv", "result.json"):  # the result last
                write_bytes(folder.path / name, _bytes(source.path / name))

    def merge(self) -> None:
        """Write metrics.jsonl and predictions.csv of the whole run from its folds'."""
        write_json_lines(self.path / "metrics.jsonl", self.metrics())
        tables = [fold.predictions.read_text(encoding="utf-8") for fold in self.folds if fold.result() is not None]
        bodies = [table.partition("\n")[2] for table in tables]
        header = tables[0].partition("\n")[0] + "\n" if tables else ""
        write_text(self.path / "predictions.csv", header + "".join(bodies))


class FoldDir:
    """The folder of one fold. Reading is free; write only within `with fold:`, which holds the fold's lock.

    Without the lock it is plain values, so that it can be sent to a worker process. `environment`, of another machine
    than the run's, is added to the fold's environment.json by `with`, unless the fold is done.
    """

    def __init__(self, run: Path, number: int, synthetic: bool, environment: dict[str, Any] | None = None) -> None:
        self.path = run / "folds" / f"{number:02d}"
        self.number = number
        self.synthetic = synthetic
        self.environment = environment
        self._held: IO[str] | None = None

    def __enter__(self) -> FoldDir:
        self._held = files.hold(self.path)
        remove_leftovers(self.path)
        if self.environment is not None and self.result() is None:
            write_json(self.path / "environment.json", [*self.starts(), self.environment])
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def starts(self) -> list[dict[str, Any]]:
        """The other machines that the fold was begun or gone on with on."""
        path = self.path / "environment.json"
        return read_json(path) if path.exists() else []

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.csv"

    def save_checkpoint(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Replace the checkpoint; see `atomic.save_npz`."""
        save_npz(self.path / "checkpoint.npz", arrays, meta)

    def checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The (arrays, meta) saved last, None before the first. Raises StorageError where the file is damaged."""
        path = self.path / "checkpoint.npz"
        return load_npz(path) if path.exists() else None

    def remove_checkpoint(self) -> None:
        """Of a fold that is done and whose model nobody will ask for."""
        (self.path / "checkpoint.npz").unlink(missing_ok=True)

    def write_metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the metrics: a row per epoch, from the first epoch on."""
        marked = ({"fold": self.number, **row, "synthetic": self.synthetic} for row in rows)
        write_json_lines(self.path / "metrics.jsonl", marked)

    def metrics(self, until: int | None = None) -> list[dict[str, Any]]:
        """The metrics so far; `until` leaves out the epochs after it, which a killed run wrote past its checkpoint."""
        path = self.path / "metrics.jsonl"
        rows = _numbers(read_json_lines(path)) if path.exists() else []
        return [row for row in rows if until is None or row["epoch"] <= until]

    def write_predictions(
        self,
        classes: Sequence[str],
        utterances: Sequence[Utterance],
        probabilities: np.ndarray,
        predicted: np.ndarray,
        second: np.ndarray,
        votes: np.ndarray | None = None,
    ) -> None:
        """Replace the table of the test speaker's utterances.

        probabilities   (U, K) mean over the copies of an utterance, written with all their digits
        predicted       (U,) class indices: the first choice
        second          (U,) the second choice
        votes           (U, K) copies that voted for a class; None where a single pass decides
        """
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        counted = [f"votes_{name}" for name in classes] if votes is not None else []
        scored = [f"p_{name}" for name in classes] + counted
        table.writerow(["utterance", "speaker", "fold", "truth", *scored, "predicted", "second", "synthetic"])
        for i, utterance in enumerate(utterances):
            table.writerow(
                [utterance.name, utterance.speaker, self.number, classes[utterance.label]]
                + [str(p) for p in probabilities[i]]
                + ([str(v) for v in votes[i]] if votes is not None else [])
                + [classes[predicted[i]], classes[second[i]], str(self.synthetic).lower()]
            )
        write_text(self.predictions, text.getvalue())

    def prediction_rows(self) -> list[dict[str, str]]:
        """The rows of the table that `write_predictions` wrote."""
        return list(csv.DictReader(io.StringIO(self.predictions.read_text(encoding="utf-8"))))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write result.json, the last of the fold's files: from here on the fold is done."""
        write_json(self.path / "result.json", result)

    def result(self) -> dict[str, Any] | None:
        """What `finish` wrote, None where the fold is not done."""
        path = self.path / "result.json"
        return read_json(path) if path.exists() else None


def _bytes(path: Path) -> bytes:
    """Raises StorageError where the file cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}. Restore it, or run its fold again") from error


def _numbers(value: Any) -> Any:
    """The measurements with NaN where JSON holds null."""
    if isinstance(value, dict):
        return {key: _numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    return math.nan if value is None else value


def _decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that change numbers: not where the corpus lies, nor what its readers said about a broken clip."""
    corpus = {name: value for name, value in settings["corpus"].items() if name != "root"}
    left_out = sorted(problem["utterance"] for problem in settings["left_out"])
    return {**settings, "corpus": corpus, "config": completed(settings["config"]), "left_out": left_out}


def _differences(was: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The (dotted name, old value, new value) of every leaf that differs between two trees of dicts."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(key for key in now if key not in was)]:
            yield from _differences(was.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif was != now:
        yield name, was, now


def _changed_environment(starts: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each thing that a later start found otherwise than the first, and that can change numbers."""
    first, *later = [{key: start.get(key) for key in DECISIVE} for start in starts]
    changes = (change for start in later for change in _differences(first, start))
    said = {name: f"{name} was {was} at first and {now} later" for name, was, now in changes}
    return [f"the run went on under other conditions: {change}; last digits may differ" for change in said.values()]
