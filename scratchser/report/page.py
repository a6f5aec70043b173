"""report.html: all of a run that is worth a look, in one file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from scratchser.corpus.table import Corpus
from scratchser.presets import from_json
from scratchser.report import figures
from scratchser.report import figures as charts
from scratchser.report.agreement import SUBSETS, agreement
from scratchser.report.misclassified import mistakes
from scratchser.report.templates import data_uri, render
from scratchser.report.text import SYNTHETIC, percent
from scratchser.runs.result import changed
from scratchser.runs.run import Record
from scratchser.support.files import write_text

SECTIONS = (
    ("folds", "Folds"),
    ("guesses", "Trivial guesses"),
    ("confusion", "Confusion matrices"),
    ("learning", "Learning curves"),
    ("gradients", "Gradient norms"),
    ("agreement", "Agreement"),
    ("wrong", "Most confidently wrong"),
    ("run", "What was run"),
)


@dataclass(frozen=True)
class Image:
    """A picture within the page, in words too."""

    uri: str
    alt: str
    caption: str


def write(run: Record, corpus: Corpus, result: Mapping[str, Any], *, audio: bool = False) -> None:
    """Write report.html into the run's folder.

    corpus   what the run was trained and tested on, its audio at hand
    result   what result.json holds
    audio    embed recordings of the mistakes, which the corpus's licence may not allow to pass on; those of synthetic
             speech are always embedded

    Raises StorageError where the file cannot be written.
    """
    write_text(run.path / "report.html", html(run, corpus, result, audio=audio))


def html(run: Record, corpus: Corpus, result: Mapping[str, Any], *, audio: bool = False) -> str:
    """The page as text; arguments as in `write`."""
    rows, predictions, embedded = run.metrics(), run.predictions(), audio or corpus.synthetic
    guesses = [{"name": name, "ua": scores["ua_mean"]} for name, scores in result["baselines"].items()]
    return render(
        "page.html",
        title=figures.title(result),
        synthetic=SYNTHETIC,
        sections=[*[("notes", "Notes")] * bool(result["warnings"] or result["left_out"]), *SECTIONS],
        result=result,
        changed=changed(result),
        guess=max(guesses, key=lambda guess: guess["ua"]),
        paper_folds={fold["fold"]: fold for fold in (result["paper"] or {"folds": ()})["folds"]},
        learning=[_learning(result, rows, "loss"), _learning(result, rows, "ua")],
        gradients=_gradients(rows),
        norms=charts.mean_norms(rows),
        subsets=SUBSETS,
        agreement=agreement(predictions, corpus),
        number=lambda value: None if math.isnan(value) else value,
        mistakes=mistakes(predictions, corpus, from_json(result["config"]), audio=embedded),
        recordings={"embedded": embedded, "text": _recordings(corpus, embedded)},
        starts=run.starts(),
    )


def image(figure: Figure, alt: str, caption: str) -> Image:
    return Image(data_uri("image/png", figures.png(figure)), alt, caption)


def _learning(result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], name: str) -> Image:
    what = "Loss" if name == "loss" else "Unweighted accuracy"
    ends = []
    for part, whose in charts.PARTS.items():
        curve = charts.mean_curve(rows, part, name)
        first, last = (f"{value:.2f}" if name == "loss" else f"{percent(value)} %" for value in curve[[0, -1]])
        ends.append(f"{whose} from {first} to {last}")
    alt = f"{what} by epoch, mean over the folds: {', '.join(ends)} in {len(curve)} epochs."
    caption = f"{what} by epoch. Training is measured while it goes on, with warped and repeated utterances."
    return image(charts.learning(result, rows, name), alt, caption)


def _gradients(rows: Sequence[Mapping[str, Any]]) -> Image:
    norms = charts.mean_norms(rows)
    alt = f"Gradient norms by epoch, a line for each of {', '.join(norms)}; the table has their ends."
    return image(charts.gradient_norms(rows), alt, "Gradient norm of each layer by epoch, mean over the folds.")


def _recordings(corpus: Corpus, embedded: bool) -> str:
    if corpus.synthetic:
        return "The recordings are the package's own."
    if not embedded:
        return (
            "The recordings are not in this page, as few corpora allow to pass them on: the run's command with"
            " --resume --audio embeds them for your own use."
        )
    rule = "IEMOCAP's licence forbids to redistribute it: keep" if corpus.name == "iemocap" else "Keep"
    return f"This page holds recordings of the corpus {corpus.name}. {rule} it among those who may have the corpus."
