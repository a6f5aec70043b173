"""Table 2: the best model fold by fold, and the five-fold scores that hide in the same ten folds.

Who takes five folds takes one speaker of each session for the test. Which one is seldom said, and there are two to the
power of five ways: with the same ten trained models, each is a score that could have been published.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scratchser.paper import output, scores
from scratchser.paper.output import Output, Table
from scratchser.paper.scores import MEASURES, percent
from scratchser.paper.sweep import Runs, Setting
from scratchser.report.figures import DPI, PALETTE
from scratchser.runs.published import TABLE2

SETTINGS = (Setting("best"),)
OVER_SEEDS = "mean over seeds"
Shown = Mapping[str, Sequence[Mapping[str, Any]]]  # folds of result.json by the column's name, the first one ours


@dataclass(frozen=True)
class Choice:
    """A speaker of each session as the test, and the means over these folds."""

    speakers: tuple[str, ...]
    wa: float
    ua: float


def build(runs: Runs) -> Output:
    """Folds and their mean, for every seed and over the seeds; the choices of five folds, and a picture of them."""
    seeds = [run.result["folds"] for run in runs.of["best"]]
    by_seed = {"": seeds[0]}
    if runs.seeds > 1:
        by_seed = {f"seed {seed}": folds for seed, folds in enumerate(seeds)}
        by_seed[OVER_SEEDS] = _mean_over(seeds)
    shown = {**by_seed, "the paper's": _of_the_paper(seeds[0])} if runs.of_the_paper else by_seed
    return Output(
        {
            "table2": _folds(runs, shown),
            "table2-five-fold": _ranges(runs, shown),
            "table2-five-fold-scores": _scores(runs, shown),
        },
        {"table2-five-fold": _draw(runs, shown)},
    )


def five_fold(folds: Sequence[Mapping[str, Any]]) -> list[Choice]:
    """Every choice of a test speaker from each session; folds with `session`, `test_speaker`, `wa`, `ua`."""
    sessions: dict[str, list[Mapping[str, Any]]] = {}
    for fold in folds:
        sessions.setdefault(fold["session"], []).append(fold)
    return [
        Choice(
            tuple(fold["test_speaker"] for fold in chosen),
            float(np.mean([fold["wa"] for fold in chosen])),
            float(np.mean([fold["ua"] for fold in chosen])),
        )
        for chosen in product(*sessions.values())
    ]


def _mean_over(seeds: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Each fold with its mean WA and UA over the seeds."""
    return [
        {**same[0], **{measure: float(np.mean([fold[measure] for fold in same])) for measure in MEASURES}}
        for same in zip(*seeds, strict=True)
    ]


def _of_the_paper(folds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**fold, "wa": wa, "ua": ua} for fold, (wa, ua) in zip(folds, TABLE2, strict=True)]


def _folds(runs: Runs, shown: Shown) -> Table:
    first = next(iter(shown.values()))
    columns = ["Fold", "Speaker", "Session", "Gender"]
    columns += [f"{name} {measure.upper()} %".lstrip() for name in shown for measure in MEASURES]
    rows = [
        [str(fold[key] or "-") for key in ("fold", "test_speaker", "session", "gender")]
        + [percent(folds[place][measure]) for folds in shown.values() for measure in MEASURES]
        for place, fold in enumerate(first)
    ]
    values = [[fold[measure] for fold in folds] for folds in shown.values() for measure in MEASURES]
    rows.append(["Total", "", "", "", *(percent(float(np.mean(column))) for column in values)])
    stds = [
        scores.of(runs.of["best"], measure).over_folds
        if name == OVER_SEEDS
        else scores.deviation([fold[measure] for fold in folds])
        for name, folds in shown.items()
        for measure in MEASURES
    ]
    rows.append(["std over folds", "", "", "", *map(percent, stds)])
    if runs.seeds > 1:
        of_seeds = [scores.of(runs.of["best"], measure).over_seeds for measure in MEASURES]
        beside = [of_seeds if name == OVER_SEEDS else [math.nan] * len(MEASURES) for name in shown]
        rows.append(["std over seeds", "", "", "", *(percent(std) for stds in beside for std in stds)])
    if (headline := runs.first.result["headline"]) and headline["speakers"]:
        kept = [place for place, fold in enumerate(first) if fold["test_speaker"] in headline["speakers"]]
        means = (percent(float(np.mean([column[n] for n in kept]))) for column in values)
        rows.append(["untuned speakers alone", "", "", "", *means])
    notes = ["Total: the mean over the folds", *scores.legend(runs)]
    title = f"Table 2: the best model per fold, {runs.title}"
    return Table(title, tuple(columns), tuple(map(tuple, rows)), tuple(notes))


def _kind(runs: Runs) -> str:
    """What such a score is called: a fold for each session that was run."""
    sessions = len({fold["session"] for fold in runs.first.result["folds"]})
    return "five-fold" if sessions == 5 else f"{sessions}-fold"


def _ranges(runs: Runs, shown: Shown) -> Table:
    columns = ["", "choices"]
    columns += [f"{measure.upper()} % {end}" for measure in MEASURES for end in ("lowest", "all folds", "highest")]
    rows = []
    for name, folds in shown.items():
        choices = five_fold(folds)
        row = [name or "this run", str(len(choices))]
        for measure in MEASURES:
            values = [getattr(choice, measure) for choice in choices]
            every = float(np.mean([fold[measure] for fold in folds]))
            row += [percent(min(values)), percent(every), percent(max(values))]
        rows.append(row)
    notes = (
        "a choice: one speaker of each session is the test (of five sessions: five-fold); the mean over its folds",
        "the trained models are the same: a score over half of the speakers says which half as much as which model",
    )
    title = f"{_kind(runs).capitalize()} scores within the folds of table 2, {runs.title}"
    return Table(title, tuple(columns), tuple(map(tuple, rows)), notes)


def _scores(runs: Runs, shown: Shown) -> Table:
    choices = {name: five_fold(folds) for name, folds in shown.items()}
    columns = ["test speakers"]
    columns += [f"{name} {measure.upper()} %".lstrip() for name in choices for measure in MEASURES]
    rows = [
        (
            " ".join(same[0].speakers),
            *(percent(getattr(choice, measure)) for choice in same for measure in MEASURES),
        )
        for same in zip(*choices.values(), strict=True)
    ]
    return Table(f"Each {_kind(runs)} score, {runs.title}", tuple(columns), tuple(rows))


def _draw(runs: Runs, shown: Shown) -> Figure:
    """A dot for each choice, beside one another where they are equally high; a line for all folds."""
    figure = Figure(figsize=(2.6 + 1.5 * len(shown), 4.4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for n, folds in enumerate(shown.values()):
        choices = five_fold(folds)
        for side, (measure, mark, colour) in enumerate(zip(MEASURES, "os", PALETTE, strict=False)):
            values = np.sort([100 * getattr(choice, measure) for choice in choices])
            middle = n + 0.5 * side - 0.25
            aside = 0.12 * ((np.arange(len(values)) % 5) - 2) / 2
            label = measure.upper() if n == 0 else None
            axes.plot(middle + aside, values, mark, color=colour, ms=4, alpha=0.6, label=label)
            every = 100 * float(np.mean([fold[measure] for fold in folds]))
            axes.plot([middle - 0.18, middle + 0.18], [every, every], color="black", lw=1.5)
            for end, offset in ((values[0], -10), (values[-1], 5)):
                text = axes.annotate(f"{end:.1f}", (middle, end), (0, offset), textcoords="offset points")
                text.set(ha="center", fontsize="x-small")
    axes.plot([], [], color="black", lw=1.5, label="all folds")
    axes.set_xticks(range(len(shown)), [name or "this run" for name in shown])
    axes.set(ylabel="accuracy, %", xlim=(-0.6, len(shown) - 0.4))
    axes.margins(y=0.12)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    figure.suptitle(f"{len(choices)} {_kind(runs)} scores, {output.name(runs.data)}")
    return figure
