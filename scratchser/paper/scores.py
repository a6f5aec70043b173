"""WA and UA of a variant over its folds and seeds, and the rows, columns and notes of the tables that show them.

mean         mean over the folds, then over the seeds
std_folds    sample standard deviation (n - 1) over the folds of a run, then the mean over the seeds
std_seeds    sample standard deviation (n - 1) of the runs' means over the folds
pooled       of all test sets of a run as one, then the mean over the seeds
untuned      mean over the folds whose test speaker was not used to tune hyper-parameters, then over the seeds
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from scratchser.metrics import interval
from scratchser.paper.output import Output, Table
from scratchser.paper.sweep import Sweep, SweepRun
from scratchser.report.text import percent

TIE = 1e-9  # equal scores can differ by this much through rounding
MEASURES = {"wa": "Weighted accuracy", "ua": "Unweighted accuracy"}
SUFFIXES = {
    "mean": "",
    "std_folds": " std over folds",
    "std_seeds": " std over seeds",
    "pooled": " pooled",
    "untuned": " untuned speakers",
}


def scores(runs: Sequence[SweepRun], measure: str) -> dict[str, float]:
    """`measure` "wa" or "ua" of a variant's runs, one for each seed, as fractions by the names above.

    NaN if there are too few folds or seeds.
    """
    by_fold, results = fold_scores(runs, measure), [run.result for run in runs]
    means = by_fold.mean(axis=1)
    headlines = [result["headline"][f"{measure}_mean"] for result in results if result["headline"]]
    return {
        "mean": float(means.mean()),
        "std_folds": float(np.mean([std(folds) for folds in by_fold])),
        "std_seeds": std(means),
        "pooled": float(np.mean([result["pooled"][measure] for result in results])),
        "untuned": float(np.mean(headlines)) if headlines and None not in headlines else math.nan,
    }


def fold_scores(runs: Sequence[SweepRun], measure: str) -> np.ndarray:
    """(seeds, folds) float64, the score of each fold."""
    return np.array([[fold[measure] for fold in run.result["folds"]] for run in runs])


def std(values: np.ndarray) -> float:
    """Sample standard deviation, n - 1; NaN of a single value."""
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def signed(fraction: float) -> str:
    """In percent with its sign."""
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"  # 0.0: no minus sign before a zero


# ---- a variant in each row ------------------------------------------------------------------------------------------


def score_columns(kinds: Sequence[str]) -> list[str]:
    """The heads of `score_cells`."""
    return [f"{measure.upper()} %{SUFFIXES[kind]}" for measure in MEASURES for kind in kinds]


def score_cells(runs: Sequence[SweepRun], kinds: Sequence[str]) -> list[str]:
    """WA, then UA of a variant, a cell for each of these scores."""
    found = [scores(runs, measure) for measure in MEASURES]
    return [percent(one[kind]) for one in found for kind in kinds]


# ---- a variant in each column ---------------------------------------------------------------------------------------


def comparison(name: str, title: str, sweep: Sweep, rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> Output:
    """A table with a column for each variant and the notes that every comparison needs."""
    all_notes = (*notes, *difference_notes(sweep), *score_notes(sweep))
    table = Table(f"{title}, {sweep.title}", ("", *sweep.by_variant), rows, all_notes)
    return Output({name: table})


def score_rows(sweep: Sweep, paper: Mapping[str, tuple[float, float]]) -> list[list[str]]:
    """WA, then UA of each variant, with the paper's below if they may be compared; `paper` has (WA, UA) by variant."""
    rows = []
    for column, (measure, title) in enumerate(MEASURES.items()):
        found = [scores(of_seeds, measure) for of_seeds in sweep.by_variant.values()]
        heads = {"mean": f"{title}, %", "std_folds": "  std over folds"}
        if sweep.seeds > 1:
            heads["std_seeds"] = "  std over seeds"
        heads["pooled"] = "  all test sets pooled"
        if sweep.untuned_speakers:
            heads["untuned"] = "  untuned speakers alone"
        rows += [[head, *(percent(one[kind]) for one in found)] for kind, head in heads.items()]
        if sweep.comparable_with_paper:
            cells = [percent(paper[name][column]) if name in paper else "-" for name in sweep.by_variant]
            rows.append(["  the paper's", *cells])
    return rows


def difference_rows(
    sweep: Sweep, reference: str, measure: str = "ua", names: Sequence[str] | None = None
) -> list[list[str]]:
    """The difference of each variant to the `reference`, fold by fold; the reference itself has dashes.

    names   the variants, all by default
    """
    base = fold_scores(sweep.by_variant[reference], measure)
    found = {name: fold_scores(sweep.by_variant[name], measure) - base for name in names or sweep.by_variant}

    def row(head: str, cell: Callable[[np.ndarray], str]) -> list[str]:
        return [head, *("-" if name == reference else cell(values) for name, values in found.items())]

    over_seeds = row("  std over seeds", lambda values: percent(std(values.mean(axis=1))))
    return [
        row(f"{measure.upper()} minus that of {reference}, points", lambda values: signed(float(values.mean()))),
        row("  std over folds", lambda values: percent(std(values.mean(axis=0)))),
        *([over_seeds] if sweep.seeds > 1 else []),
        row("  95 % interval over folds", lambda values: _interval(values.mean(axis=0))),
        row("  folds where it is lower", lambda values: f"{(values.mean(axis=0) < -TIE).sum()} of {values.shape[1]}"),
    ]


def _interval(folds: np.ndarray) -> str:
    if len(folds) < 2:
        return "-"
    found = interval(folds.tolist())
    return f"{signed(found.low)} ... {signed(found.high)}"


# ---- notes ----------------------------------------------------------------------------------------------------------


def score_notes(sweep: Sweep) -> list[str]:
    """What the scores mean, then the notes about the runs."""
    several = sweep.seeds > 1
    notes = [
        mean_note(sweep)
        + "; std over folds: sample standard deviation (n - 1) of a run's folds"
        + (", mean over the seeds" if several else ""),
        f"std over seeds: sample standard deviation (n - 1) of {sweep.seeds} runs' means over the folds"
        if several
        else "one seed: the variation between seeds is unknown (--seeds N runs more)",
    ]
    if sweep.untuned_speakers:
        speakers = ", ".join(sweep.untuned_speakers)
        notes.append(f"untuned speakers: not used to choose settings, in the presets or by --tuned ({speakers})")
    return [*notes, *sweep.notes()]


def mean_note(sweep: Sweep) -> str:
    return f"accuracies are means over the folds{', then over the seeds' if sweep.seeds > 1 else ''}"


def difference_notes(sweep: Sweep) -> list[str]:
    """What the rows of `difference_rows` mean; nothing for a single fold."""
    if len(sweep.ready.folds) < 2:
        return []
    values = "means over the seeds" if sweep.seeds > 1 else "differences"
    return [
        f"differences are taken fold by fold; their std over folds is that of the folds' {values}",
        "95 % interval: Student's t over the folds. It is only a guide, because the folds share most of their training"
        " speakers. If it contains 0, the two are not distinguishable",
    ]
