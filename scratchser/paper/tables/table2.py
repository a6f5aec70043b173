"""Table 2: the best model fold by fold, and the five-fold scores that the same ten folds contain.

Five-fold cross-validation tests one speaker of each session. Which one is seldom reported, and there are 2 to the power
of 5 choices: with the same ten trained models, each gives a score that could have been published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scratchser.paper import output
from scratchser.paper.output import Output, Table
from scratchser.paper.scores import MEASURES, score_notes, scores, std
from scratchser.paper.sweep import Runs, Variant
from scratchser.report import figures
from scratchser.report.text import percent
from scratchser.runs.published import TABLE2

VARIANTS = (Variant("best"),)
OVER_SEEDS = "mean over seeds"
Folds = Sequence[Mapping[str, Any]]  # entries of result.json with session, test_speaker, wa and ua
Columns = Mapping[str, Folds]  # by the column's name; the first is ours


@dataclass(frozen=True)
class Choice:
    """A test speaker of each session, and the means over these folds."""

    speakers: tuple[str, ...]
    wa: float
    ua: float


def build(runs: Runs) -> Output:
    """The folds, for every seed and over the seeds; the choices of five folds, and a figure of them."""
    by_seed = [run.result["folds"] for run in runs.by_variant["best"]]
    columns: dict[str, Folds] = {"": by_seed[0]}
    if runs.seeds > 1:
        columns = {f"seed {seed}": folds for seed, folds in enumerate(by_seed)}
        columns[OVER_SEEDS] = _mean_over_seeds(by_seed)
    if runs.comparable_with_paper:
        published = [{**fold, "wa": wa, "ua": ua} for fold, (wa, ua) in zip(by_seed[0], TABLE2, strict=True)]
        columns["the paper's"] = published
    sessions = len({fold["session"] for fold in by_seed[0]})
    kind = "five-fold" if sessions == 5 else f"{sessions}-fold"
    return Output(
        {
            "table2": _folds(runs, columns),
            "table2-five-fold": _ranges(runs, columns, kind),
            "table2-five-fold-scores": _choices(runs, columns, kind),
        },
        {"table2-five-fold": _draw(runs, columns, kind)},
    )


def five_fold(folds: Folds) -> list[Choice]:
    """Every choice of a test speaker from each session."""
    sessions: dict[str, list[Mapping[str, Any]]] = {}
    for fold in folds:
        sessions.setdefault(fold["session"], []).append(fold)
    return [
        Choice(tuple(fold["test_speaker"] for fold in chosen), _mean(chosen, "wa"), _mean(chosen, "ua"))
        for chosen in product(*sessions.values())
    ]


def _mean(folds: Folds, measure: str) -> float:
    return float(np.mean([fold[measure] for fold in folds]))


def _mean_over_seeds(by_seed: Sequence[Folds]) -> list[dict[str, Any]]:
    """Each fold with its mean WA and UA over the seeds."""
    return [
        {**same[0], **{measure: _mean(same, measure) for measure in MEASURES}} for same in zip(*by_seed, strict=True)
    ]


def _folds(runs: Runs, columns: Columns) -> Table:
    """A row for each fold, then means and deviations."""
    best, first = runs.by_variant["best"], next(iter(columns.values()))
    heads = ["Fold", "Speaker", "Session", "Gender"]
    heads += [f"{name} {measure.upper()} %".lstrip() for name in columns for measure in MEASURES]
    values = [[fold[measure] for fold in folds] for folds in columns.values() for measure in MEASURES]
    rows = [
        [
            *(str(fold[key] or "-") for key in ("fold", "test_speaker", "session", "gender")),
            *map(percent, scores_of_fold),
        ]
        for fold, scores_of_fold in zip(first, zip(*values, strict=True), strict=True)
    ]

    def add(head: str, cells: Sequence[float | None]) -> None:
        rows.append([head, "", "", "", *map(percent, cells)])

    add("Total", [float(np.mean(column)) for column in values])
    over_seeds = [scores(best, measure) for measure in MEASURES]
    deviations: list[float | None] = [std(column) for column in values]
    if runs.seeds > 1:
        # the mean of the seeds' deviations, not the deviation of the folds' means over the seeds
        place = len(MEASURES) * list(columns).index(OVER_SEEDS)
        deviations[place : place + len(MEASURES)] = [one.std_folds for one in over_seeds]
    add("std over folds", deviations)
    if runs.seeds > 1:
        cells: list[float | None] = [None] * len(values)
        cells[place : place + len(MEASURES)] = [one.std_seeds for one in over_seeds]
        add("std over seeds", cells)
    if runs.untuned_speakers:
        untuned = [fold["test_speaker"] in runs.untuned_speakers for fold in first]
        add("untuned speakers alone", [float(np.mean(np.array(column)[untuned])) for column in values])
    title = f"Table 2: the best model per fold, {runs.title}"
    return Table(title, tuple(heads), tuple(map(tuple, rows)), ("Total: the mean over the folds", *score_notes(runs)))


def _ranges(runs: Runs, columns: Columns, kind: str) -> Table:
    heads = ["", "choices"]
    heads += [f"{measure.upper()} % {end}" for measure in MEASURES for end in ("lowest", "all folds", "highest")]
    rows = []
    for name, folds in columns.items():
        choices = five_fold(folds)
        row = [name or "this run", str(len(choices))]
        for measure in MEASURES:
            values = [getattr(choice, measure) for choice in choices]
            row += map(percent, (min(values), _mean(folds, measure), max(values)))
        rows.append(tuple(row))
    notes = (
        "a choice: one speaker of each session is tested (with five sessions: five-fold); the mean over its folds",
        "the trained models are the same: a score over half of the speakers depends on which half",
    )
    title = f"{kind.capitalize()} scores within the folds of table 2, {runs.title}"
    return Table(title, tuple(heads), tuple(rows), notes)


def _choices(runs: Runs, columns: Columns, kind: str) -> Table:
    heads = ("test speakers", *(f"{name} {measure.upper()} %".lstrip() for name in columns for measure in MEASURES))
    rows = tuple(
        (" ".join(same[0].speakers), *(percent(getattr(choice, measure)) for choice in same for measure in MEASURES))
        for same in zip(*map(five_fold, columns.values()), strict=True)
    )
    return Table(f"Each {kind} score, {runs.title}", heads, rows)


def _draw(runs: Runs, columns: Columns, kind: str) -> Figure:
    """A dot for each choice, spread sideways where they are equally high; a line for the mean of all folds."""
    figure, (axes,) = figures.panels(2.6 + 1.5 * len(columns), 4.4, grid="y")
    for n, folds in enumerate(columns.values()):
        choices = five_fold(folds)
        for side, (measure, marker, colour) in enumerate(zip(MEASURES, "os", figures.PALETTE, strict=False)):
            values = np.sort([100 * getattr(choice, measure) for choice in choices])
            x = n + 0.5 * side - 0.25
            spread = 0.12 * ((np.arange(len(values)) % 5) - 2) / 2
            label = measure.upper() if n == 0 else None
            axes.plot(x + spread, values, marker, color=colour, ms=4, alpha=0.6, label=label)
            mean = 100 * _mean(folds, measure)
            axes.plot([x - 0.18, x + 0.18], [mean, mean], color="black", lw=1.5)
            for end, offset in ((values[0], -10), (values[-1], 5)):
                text = axes.annotate(f"{end:.1f}", (x, end), (0, offset), textcoords="offset points")
                text.set(ha="center", fontsize="x-small")
    axes.plot([], [], color="black", lw=1.5, label="all folds")
    axes.set_xticks(range(len(columns)), [name or "this run" for name in columns])
    axes.set(ylabel="accuracy, %", xlim=(-0.6, len(columns) - 0.4))
    axes.margins(y=0.12)
    figures.legend(figure, 3)
    figure.suptitle(f"{len(choices)} {kind} scores, {output.corpus_name(runs.corpus)}")
    return figure
