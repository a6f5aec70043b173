"""report.html: the results of a run in one self-contained file."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scratchser.corpus.table import Corpus
from scratchser.presets import from_json
from scratchser.report import figures
from scratchser.report.agreement import SUBSETS, agreement
from scratchser.report.misclassified import misclassified
from scratchser.report.templates import data_uri, render
from scratchser.report.text import SYNTHETIC, counted, percent, tested
from scratchser.runs.result import changed
from scratchser.runs.run import Record
from scratchser.support.files import write_text


def write(run: Record, corpus: Corpus, result: Mapping[str, Any], *, audio: bool = False) -> None:
    """Write report.html into the run's folder.

    corpus   what the run was trained and tested on, with its audio
    result   what result.json holds
    audio    embed recordings of misclassified utterances. The corpus's licence may forbid to pass them on; synthetic
             speech is always embedded

    Raises StorageError if the file cannot be written.
    """
    rows, predictions, embedded = run.metrics(), run.predictions(), audio or corpus.synthetic
    norms = figures.mean_norms(rows)
    html = render(
        "page.html",
        title=figures.title(result),
        synthetic=SYNTHETIC,
        result=result,
        tested=tested(result),
        changed=changed(result),
        best_baseline=max(result["baselines"].items(), key=lambda item: item[1]["ua_mean"]),
        paper_folds={fold["fold"]: fold for fold in (result["paper"] or {"folds": ()})["folds"]},
        learning=[_learning_curves(result, rows, measure) for measure in ("loss", "ua")],
        gradients=_gradient_norms(norms),
        norms=norms,
        subsets=SUBSETS,
        agreement=agreement(predictions, corpus),
        misclassified=misclassified(predictions, corpus, from_json(result["config"]), audio=embedded),
        embedded=embedded,
        starts=run.starts(),
    )
    write_text(run.path / "report.html", html)


def _image(figure: Figure, alt: str, caption: str) -> dict[str, str]:
    return {"uri": data_uri("image/png", figures.png(figure)), "alt": alt, "caption": caption}


def _learning_curves(result: Mapping[str, Any], rows: figures.Rows, measure: str) -> dict[str, str]:
    name = {"loss": "Loss", "ua": "Unweighted accuracy"}[measure]
    changes = []
    for part, speakers in figures.parts(result).items():
        mean = figures.mean_over_folds(rows, part, measure)
        first, last = (f"{value:.2f}" if measure == "loss" else f"{percent(value)} %" for value in mean[[0, -1]])
        changes.append(f"{speakers} from {first} to {last}")
    alt = f"{name} by epoch, mean over the folds: {', '.join(changes)} in {counted(len(mean), 'epoch')}."
    caption = f"{name} by epoch. The training values are taken during training, with augmentation and oversampling."
    return _image(figures.learning_curves(result, rows, [measure]), alt, caption)


def _gradient_norms(norms: Mapping[str, np.ndarray]) -> dict[str, str]:
    alt = f"Gradient norms by epoch, a line for each of {', '.join(norms)}; the table has the first and last values."
    return _image(figures.gradient_norms(norms), alt, "Gradient norm of each layer by epoch, mean over the folds.")
