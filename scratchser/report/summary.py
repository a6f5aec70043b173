"""The files at the top of a run's folder that summarise its folds: result.json, report.txt and two figures."""

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
    """Update the files and return what result.json holds; arguments as in `results.result`.

    Call it after each finished fold, so that the results can be read while the run continues. Raises StorageError if a
    file cannot be written.
    """
    run.merge()
    result = results.result(
        run.settings, run.results(), baselines=baselines, tuned_on=tuned_on, warnings=[*warnings, *run.warnings]
    )
    write_json(run.path / "result.json", result)
    write_text(run.path / "report.txt", text.render(result))
    drawn = {"learning_curves": figures.learning_curves(result, run.metrics()), "confusion": figures.confusion(result)}
    for name, figure in drawn.items():
        if image := figures.png(figure):
            write_bytes(run.path / f"{name}.png", image)
    return result
