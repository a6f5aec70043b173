"""Table 2: the best model fold by fold, and the five-fold scores that the same ten folds contain.

Five-fold cross-validation tests one speaker of each session. Which one is seldom reported, and there are 2 to the power
of 5 choices: with the same ten trained models, each gives a score that could have been published.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scratchser.paper import output
from scratchser.paper.output import Output, Table
from scratchser.paper.scores import MEASURES, fold_scores, score_notes, scores, std
from scratchser.paper.sweep import Sweep, SweepRun, Variant
from scratchser.report import figures
from scratchser.report.text import percent
from scratchser.runs.published import TABLE2

VARIANTS = (Variant("best"),)
Columns = Mapping[str, np.ndarray]  # WA and UA (2, folds or choices) by the column's name


def build(sweep: Sweep) -> Output:
    """The folds, for every seed and over the seeds; the choices of five folds, and a figure of them."""
    runs = sweep.by_variant["best"]
    groups: dict[str, Sequence[SweepRun]] = {"": runs}
    if sweep.seeds > 1:
        groups = {f"seed {seed}": [run] for seed, run in enumerate(runs)} | {"mean over seeds": runs}
    columns = {
        name: np.array([fold_scores(group, measure).mean(axis=0) for measure in MEASURES])
        for name, group in groups.items()
    }
    if sweep.comparable_with_paper:
        columns["the paper's"] = np.array(TABLE2).T
    folds = sweep.first.result["folds"]
    chosen = choices(folds)
    kind = "five-fold" if len(chosen[0]) == 5 else f"{len(chosen[0])}-fold"
    by_choice = {name: np.array([values[:, one].mean(axis=1) for one in chosen]).T for name, values in columns.items()}
    each = [
        (" ".join(folds[n]["test_speaker"] for n in one), *map(percent, values))
        for one, values in zip(chosen, np.vstack(list(by_choice.values())).T, strict=True)
    ]
    tables = {
        "table2": _folds(sweep, groups, columns),
        "table2-five-fold": _ranges(sweep, columns, by_choice, kind),
        "table2-five-fold-scores": Table(
            f"Each {kind} score, {sweep.title}", ("test speakers", *_heads(columns)), each
        ),
    }
    return Output(tables, {"table2-five-fold": _draw(sweep, columns, by_choice, kind)})


def choices(folds: Sequence[Mapping[str, Any]]) -> list[tuple[int, ...]]:
    """Every choice of one fold of each session, as positions in `folds`."""
    sessions: dict[str, list[int]] = {}
    for n, fold in enumerate(folds):
        sessions.setdefault(fold["session"], []).append(n)
    return list(product(*sessions.values()))


def _heads(columns: Columns) -> list[str]:
    return [f"{name} {measure.upper()} %".lstrip() for name in columns for measure in MEASURES]


def _folds(sweep: Sweep, groups: Mapping[str, Sequence[SweepRun]], columns: Columns) -> Table:
    """A row for each fold, then means and deviations."""
    folds, values = sweep.first.result["folds"], np.vstack(list(columns.values()))
    keys = ("fold", "test_speaker", "session", "gender")
    rows = [
        (*(str(fold[key] or "-") for key in keys), *map(percent, row))
        for fold, row in zip(folds, values.T, strict=True)
    ]

    def add(head: str, cells: Iterable[float]) -> None:
        rows.append((head, "", "", "", *map(percent, cells)))

    found = [scores(group, measure) for group in groups.values() for measure in MEASURES]
    paper = values[len(found) :]
    add("Total", values.mean(axis=1))
    add("std over folds", [*(one["std_folds"] for one in found), *map(std, paper)])
    if sweep.seeds > 1:
        add("std over seeds", [*(one["std_seeds"] for one in found), *[math.nan] * len(paper)])
    if sweep.untuned_speakers:
        untuned = [fold["test_speaker"] in sweep.untuned_speakers for fold in folds]
        add("untuned speakers alone", values[:, untuned].mean(axis=1))
    title = f"Table 2: the best model per fold, {sweep.title}"
    notes = ("Total: the mean over the folds", *score_notes(sweep))
    return Table(title, ("Fold", "Speaker", "Session", "Gender", *_heads(columns)), rows, notes)


def _ranges(sweep: Sweep, columns: Columns, by_choice: Columns, kind: str) -> Table:
    rows = []
    for name, values in by_choice.items():
        ranges = np.stack([values.min(axis=1), columns[name].mean(axis=1), values.max(axis=1)])
        rows.append((name or "this run", str(values.shape[1]), *map(percent, ranges.T.ravel())))
    ends = (f"{measure.upper()} % {end}" for measure in MEASURES for end in ("lowest", "all folds", "highest"))
    notes = (
        "a choice: one speaker of each session is tested (with five sessions: five-fold); the mean over its folds",
        "the trained models are the same: a score over half of the speakers depends on which half",
    )
    title = f"{kind.capitalize()} scores within the folds of table 2, {sweep.title}"
    return Table(title, ("", "choices", *ends), rows, notes)


def _draw(sweep: Sweep, columns: Columns, by_choice: Columns, kind: str) -> Figure:
    """A dot for each choice, spread sideways where they are equally high; a line for the mean of all folds."""
    figure, (axes,) = figures.panels(2.6 + 1.5 * len(columns), 4.4, grid="y")
    for n, name in enumerate(columns):
        for side, measure in enumerate(MEASURES):
            values = np.sort(100 * by_choice[name][side])
            x = n + 0.5 * side - 0.25
            spread = 0.12 * ((np.arange(len(values)) % 5) - 2) / 2
            label = measure.upper() if n == 0 else None
            axes.plot(x + spread, values, "os"[side], color=figures.PALETTE[side], ms=4, alpha=0.6, label=label)
            axes.hlines(100 * columns[name][side].mean(), x - 0.18, x + 0.18, color="black", lw=1.5)
            for end, offset in ((values[0], -10), (values[-1], 5)):
                text = axes.annotate(f"{end:.1f}", (x, end), (0, offset), textcoords="offset points")
                text.set(ha="center", fontsize="x-small")
    axes.plot([], [], color="black", lw=1.5, label="all folds")
    axes.set_xticks(range(len(columns)), [name or "this run" for name in columns])
    axes.set(ylabel="accuracy, %", xlim=(-0.6, len(columns) - 0.4))
    axes.margins(y=0.12)
    figures.legend(figure, 3)
    figure.suptitle(f"{len(values)} {kind} scores, {output.corpus_name(sweep.corpus)}", fontsize="medium")
    return figure
