"""WA and UA of a setting over its folds and seeds, and the rows of a table that say them.

mean         over the folds, and of that over the seeds
over folds   sample standard deviation (n - 1) over a run's folds, and of that the mean over the seeds
over seeds   sample standard deviation (n - 1) of the runs' means over the folds
pooled       all test sets of a run as one, and of that the mean over the seeds
untuned      the mean over the folds whose test speaker chose no hyper-parameter, and of that over the seeds
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scratchser.metrics import interval
from scratchser.paper.sweep import Finished, Runs

TIE = 1e-9  # what two equal scores can be apart by rounding
MEASURES = {"wa": "Weighted accuracy", "ua": "Unweighted accuracy"}


@dataclass(frozen=True)
class Scores:
    """Fractions; NaN where there are too few folds or seeds."""

    mean: float
    over_folds: float
    over_seeds: float
    pooled: float
    untuned: float


def of(runs: Sequence[Finished], measure: str) -> Scores:
    """`measure` "wa" or "ua" of a setting's runs, one for each seed."""
    found = [run.result for run in runs]
    means = [float(np.mean([fold[measure] for fold in result["folds"]])) for result in found]
    headlines = [result["headline"][f"{measure}_mean"] for result in found if result["headline"]]
    return Scores(
        mean=float(np.mean(means)),
        over_folds=float(np.mean([deviation([fold[measure] for fold in result["folds"]]) for result in found])),
        over_seeds=deviation(means),
        pooled=float(np.mean([result["pooled"][measure] for result in found])),
        untuned=float(np.mean(headlines)) if headlines and None not in headlines else math.nan,
    )


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation, n - 1; NaN of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def rows(runs: Runs, names: Sequence[str], paper: Mapping[str, tuple[float, float]]) -> list[tuple[str, ...]]:
    """WA, then UA, a column for each of the settings; the paper's beside them where they may stand there.

    paper   its WA and UA by setting; one that it does not have is a dash
    """
    lines: list[tuple[str, ...]] = []
    for place, (measure, title) in enumerate(MEASURES.items()):
        found = [of(runs.of[name], measure) for name in names]
        lines.append((f"{title}, %", *(percent(scores.mean) for scores in found)))
        lines.append(("  std over folds", *(percent(scores.over_folds) for scores in found)))
        if runs.seeds > 1:
            lines.append(("  std over seeds", *(percent(scores.over_seeds) for scores in found)))
        lines.append(("  all test sets pooled", *(percent(scores.pooled) for scores in found)))
        if (headline := runs.first.result["headline"]) and headline["speakers"]:
            lines.append(("  untuned speakers alone", *(percent(scores.untuned) for scores in found)))
        if paper and runs.of_the_paper:
            theirs = [paper[name][place] if name in paper else math.nan for name in names]
            lines.append(("  the paper's", *map(percent, theirs)))
    return lines


def against(runs: Runs, names: Sequence[str], other: str, measure: str = "ua") -> list[tuple[str, ...]]:
    """How much each setting is above another one, fold by fold: the mean, its deviations, and where it is below.

    A fold's difference is the mean over the seeds, a seed's the mean over the folds; the column of the other setting
    itself has dashes.
    """
    found = [None if name == other else differences(runs, name, other, measure) for name in names]

    def row(head: str, of: Callable[[np.ndarray], str]) -> tuple[str, ...]:
        return (head, *("-" if values is None else of(values) for values in found))

    lines = [
        row(f"{measure.upper()} minus that of {other}, points", lambda values: signed(float(values.mean()))),
        row("  std over folds", lambda values: percent(deviation(values.mean(axis=0)))),
        row("  std over seeds", lambda values: percent(deviation(values.mean(axis=1)))),
        row("  95 % interval over folds", lambda values: _interval(values.mean(axis=0))),
        row("  folds where it is lower", lambda values: f"{(values.mean(axis=0) < -TIE).sum()} of {values.shape[1]}"),
    ]
    return lines if runs.seeds > 1 else [line for line in lines if "seeds" not in line[0]]


def _interval(folds: np.ndarray) -> str:
    if len(folds) < 2:
        return "-"
    found = interval(folds.tolist())
    return f"{signed(found.low)} ... {signed(found.high)}"


def differences(runs: Runs, name: str, other: str, measure: str) -> np.ndarray:
    """(seeds, folds) float64, a setting's score less that of another."""
    one, beside = (
        np.array([[fold[measure] for fold in run.result["folds"]] for run in runs.of[setting]])
        for setting in (name, other)
    )
    return one - beside


def legend(runs: Runs) -> tuple[str, ...]:
    """What the rows mean."""
    seeds, headline = runs.seeds > 1, runs.first.result["headline"]
    folds = "std over folds: sample standard deviation (n - 1) of a run's folds" + ", mean over the seeds" * seeds
    notes = [f"{mean_of(runs)}; {folds}"]
    if seeds:
        notes.append(f"std over seeds: sample standard deviation (n - 1) of {runs.seeds} runs' means over the folds")
    else:
        notes.append("one seed: how much another seed would change is not known (--seeds N runs more)")
    if headline and headline["speakers"]:
        speakers = ", ".join(headline["speakers"])
        chose = "those by whom no setting was chosen, for the presets or by --tuned"
        notes.append(f"untuned speakers: {chose} ({speakers})")
    return (*notes, *runs.notes())


def mean_of(runs: Runs) -> str:
    """What an accuracy is."""
    return "accuracies are means over the folds" + ", and of these over the seeds" * (runs.seeds > 1)


def about_differences(runs: Runs) -> tuple[str, ...]:
    """What the rows of `against` mean, where there are folds enough for them."""
    if len(runs.first.result["folds"]) < 2:
        return ()
    seeds = runs.seeds > 1
    what = "differences are taken fold by fold, and their std over folds is that of the folds'"
    return (
        what + (" means over the seeds" if seeds else " differences"),
        "95 % interval: by Student's t over the folds; folds share most of their training speakers, so that it is a"
        " guide and no proof. Where it covers 0 the two are not told apart",
    )


def percent(fraction: float) -> str:
    """Of NaN a dash."""
    return "-" if math.isnan(fraction) else f"{100 * fraction:.1f}"


def signed(fraction: float) -> str:
    """In percent with its sign; of NaN a dash."""
    return "-" if math.isnan(fraction) else f"{round(100 * fraction, 1) + 0.0:+.1f}"  # 0.0: no minus before a zero
