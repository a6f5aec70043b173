"""What a run says to people: the printed text, the figures, and the files beside its folds'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scratchser.corpus.baselines import Baseline
from scratchser.report import figures, text
from scratchser.runs import result as results
from scratchser.runs.run import Run
from scratchser.support.files import write_bytes, write_json, write_text


def write(
    run: Run,
    *,
    baselines: Sequence[Baseline],
    tuned_on: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Bring the run's own files up to date with its folds, and give what result.json now holds.

    To be called with at least one fold done, and after each one, so that a run can be read while it goes on. Arguments
    as in `results.result`; raises StorageError where a file cannot be written.
    """
    run.merge()
    result = results.result(
        run.settings, run.results(), baselines=baselines, tuned_on=tuned_on, warnings=[*warnings, *run.warnings]
    )
    write_json(run.path / "result.json", result)
    write_text(run.path / "report.txt", text.render(result))
    write_bytes(run.path / "learning_curves.png", figures.png(figures.learning_curves(result, run.metrics())))
    write_bytes(run.path / "confusion.png", figures.png(figures.confusion(result)))
    return result
