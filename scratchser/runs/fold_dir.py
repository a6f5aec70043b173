"""The folder of one fold, RUN/folds/01.

checkpoint.npz     the state after the last epoch, to continue and to predict from
metrics.jsonl      a line for each epoch
predictions.csv    a row for each utterance of the test speaker
result.json        the fold's entry of the run's result.json, written last: where it exists, the fold is finished
environment.json   where the fold was computed, if not where the run was: another machine, or another run
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scratchser.corpus.table import Utterance
from scratchser.support import files
from scratchser.support.files import StorageError, read_json, write_json


@dataclass(frozen=True)
class FoldDir:
    """Reads a fold's files at any time; writes them only inside `with fold.locked():`.

    environment   of the machine that computes the fold, if it is not the run's own
    """

    run: Path
    number: int
    synthetic: bool
    environment: dict[str, Any] | None = None

    @property
    def path(self) -> Path:
        return self.run / "folds" / f"{self.number:02d}"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.csv"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the fold's lock. A worker process that outlives its parent still holds it.

        Raises StorageError if another process holds it.
        """
        with files.hold(self.path):
            files.remove_leftovers(self.path)
            if self.environment is not None and self.result() is None:
                write_json(self.path / "environment.json", [*self.starts(), self.environment])
            yield

    def starts(self) -> list[dict[str, Any]]:
        """The environments of the other machines that began or continued this fold."""
        path = self.path / "environment.json"
        return read_json(path) if files.exists(path) else []

    def save_checkpoint(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        files.save_npz(self.path / "checkpoint.npz", arrays, meta)

    def checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The last saved (arrays, meta), None before the first. Raises StorageError if the file is damaged."""
        path = self.path / "checkpoint.npz"
        return files.load_npz(path) if files.exists(path) else None

    def remove_checkpoint(self) -> None:
        """For a finished fold from which nothing will be predicted."""
        (self.path / "checkpoint.npz").unlink(missing_ok=True)

    def write_metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the metrics by these rows, one for each epoch so far."""
        marked = ({"fold": self.number, **row, "synthetic": self.synthetic} for row in rows)
        files.write_json_lines(self.path / "metrics.jsonl", marked)

    def metrics(self, until: int | None = None) -> list[dict[str, Any]]:
        """The metrics up to the epoch `until`: a killed run may have written one more than its checkpoint has."""
        path = self.path / "metrics.jsonl"
        rows = files.read_json_lines(path) if files.exists(path) else []
        return [_null_as_nan(row) for row in rows if until is None or row["epoch"] <= until]

    def write_predictions(
        self,
        classes: Sequence[str],
        utterances: Sequence[Utterance],
        probabilities: np.ndarray,
        predicted: np.ndarray,
        second: np.ndarray,
        votes: np.ndarray | None = None,
    ) -> None:
        """Replace the table of the test speaker's U utterances.

        probabilities   (U, K) mean over the copies of an utterance, written with all digits
        predicted       (U,) class indices of the first choice
        second          (U,) class indices of the second choice
        votes           (U, K) number of copies that voted for a class; None for a single pass
        """
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        columns = [f"p_{name}" for name in classes]
        if votes is not None:
            columns += [f"votes_{name}" for name in classes]
        table.writerow(["utterance", "speaker", "fold", "truth", *columns, "predicted", "second", "synthetic"])
        for n, (u, p, first, other) in enumerate(zip(utterances, probabilities, predicted, second, strict=True)):
            counts = [] if votes is None else votes[n]
            row = [u.name, u.speaker, self.number, classes[u.label], *map(str, p), *counts]
            table.writerow([*row, classes[first], classes[other], str(self.synthetic).lower()])
        files.write_text(self.predictions, text.getvalue())

    def prediction_rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(files.read_text(self.predictions))))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write result.json, the last of the files."""
        write_json(self.path / "result.json", result)

    def result(self) -> dict[str, Any] | None:
        """What `finish` wrote, None before."""
        path = self.path / "result.json"
        return read_json(path) if files.exists(path) else None

    def copy_from(self, source: FoldDir, starts: Sequence[Mapping[str, Any]]) -> None:
        """Copy a finished fold of another run, unless this one is finished; `starts` are its environments.

        Raises StorageError if a file of the other fold cannot be read.
        """
        with self.locked():
            if self.result() is not None:
                return
            write_json(self.path / "environment.json", starts)
            for name in ("metrics.jsonl", "checkpoint.npz", "predictions.csv", "result.json"):  # the result last
                try:
                    data = (source.path / name).read_bytes()
                except OSError as error:
                    raise StorageError(f"cannot copy a finished fold: {error}. Restore it, or run it again") from error
                files.write_bytes(self.path / name, data)


def _null_as_nan(value: Any) -> Any:
    """JSON has no NaN: `write_json_lines` writes null for it."""
    if isinstance(value, dict):
        return {key: _null_as_nan(entry) for key, entry in value.items()}
    return math.nan if value is None else value
