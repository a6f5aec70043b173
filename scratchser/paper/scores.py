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
from scratchser.paper.sweep import FinishedRun, Runs
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


def scores(runs: Sequence[FinishedRun], measure: str) -> dict[str, float]:
    """`measure` "wa" or "ua" of a variant's runs, one for each seed, as fractions by the names above.

    NaN if there are too few folds or seeds.
    """
    results = [run.result for run in runs]
    by_run = [[fold[measure] for fold in result["folds"]] for result in results]
    means = [float(np.mean(folds)) for folds in by_run]
    headlines = [result["headline"][f"{measure}_mean"] for result in results if result["headline"]]
    return {
        "mean": float(np.mean(means)),
        "std_folds": float(np.mean([std(folds) for folds in by_run])),
        "std_seeds": std(means),
        "pooled": float(np.mean([result["pooled"][measure] for result in results])),
        "untuned": float(np.mean(headlines)) if headlines and None not in headlines else math.nan,
    }


def std(values: Sequence[float] | np.ndarray) -> float:
    """Sample standard deviation, n - 1; NaN of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def signed(fraction: float) -> str:
    """In percent with its sign."""
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"  # 0.0: no minus sign before a zero


# ---- a variant in each row ------------------------------------------------------------------------------------------


def score_columns(kinds: Sequence[str]) -> list[str]:
    """The heads of `score_cells`."""
    return [f"{measure.upper()} %{SUFFIXES[kind]}" for measure in MEASURES for kind in kinds]


def score_cells(runs: Sequence[FinishedRun], kinds: Sequence[str]) -> list[str]:
    """WA, then UA of a variant, a cell for each of these scores."""
    found = [scores(runs, measure) for measure in MEASURES]
    return [percent(one[kind]) for one in found for kind in kinds]


# ---- a variant in each column ---------------------------------------------------------------------------------------


def comparison(name: str, title: str, runs: Runs, rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> Output:
    """A table with a column for each variant and the notes that every comparison needs."""
    all_notes = (*notes, *difference_notes(runs), *score_notes(runs))
    table = Table(f"{title}, {runs.title}", ("", *runs.by_variant), tuple(map(tuple, rows)), all_notes)
    return Output({name: table})


def score_rows(runs: Runs, paper: Mapping[str, tuple[float, float]]) -> list[list[str]]:
    """WA, then UA of each variant, with the paper's below if they may be compared; `paper` has (WA, UA) by variant."""
    rows = []
    for place, (measure, title) in enumerate(MEASURES.items()):
        found = [scores(of_seeds, measure) for of_seeds in runs.by_variant.values()]
        heads = {"mean": f"{title}, %", "std_folds": "  std over folds"}
        if runs.seeds > 1:
            heads["std_seeds"] = "  std over seeds"
        heads["pooled"] = "  all test sets pooled"
        if runs.untuned_speakers:
            heads["untuned"] = "  untuned speakers alone"
        rows += [[head, *(percent(one[kind]) for one in found)] for kind, head in heads.items()]
        if runs.comparable_with_paper:
            cells = [percent(paper[name][place]) if name in paper else "-" for name in runs.by_variant]
            rows.append(["  the paper's", *cells])
    return rows


def difference_rows(
    runs: Runs, reference: str, measure: str = "ua", names: Sequence[str] | None = None
) -> list[list[str]]:
    """The difference of each variant to the `reference`, fold by fold; the reference itself has dashes.

    names   the variants, all by default
    """
    found = [
        None if name == reference else differences(runs, name, reference, measure) for name in names or runs.by_variant
    ]

    def row(head: str, cell: Callable[[np.ndarray], str]) -> list[str]:
        return [head, *("-" if values is None else cell(values) for values in found)]

    rows = [
        row(f"{measure.upper()} minus that of {reference}, points", lambda values: signed(float(values.mean()))),
        row("  std over folds", lambda values: percent(std(values.mean(axis=0)))),
        row("  std over seeds", lambda values: percent(std(values.mean(axis=1)))),
        row("  95 % interval over folds", lambda values: _interval(values.mean(axis=0))),
        row("  folds where it is lower", lambda values: f"{(values.mean(axis=0) < -TIE).sum()} of {values.shape[1]}"),
    ]
    return rows if runs.seeds > 1 else [row for row in rows if row[0] != "  std over seeds"]


def differences(runs: Runs, name: str, reference: str, measure: str) -> np.ndarray:
    """(seeds, folds) float64, a variant's score minus that of the reference."""
    one, other = (
        np.array([[fold[measure] for fold in run.result["folds"]] for run in runs.by_variant[variant]])
        for variant in (name, reference)
    )
    return one - other


def _interval(folds: np.ndarray) -> str:
    if len(folds) < 2:
        return "-"
    found = interval(folds.tolist())
    return f"{signed(found.low)} ... {signed(found.high)}"


# ---- notes ----------------------------------------------------------------------------------------------------------


def score_notes(runs: Runs) -> list[str]:
    """What the scores mean, then the notes about the runs."""
    several = runs.seeds > 1
    notes = [
        mean_note(runs)
        + "; std over folds: sample standard deviation (n - 1) of a run's folds"
        + ", mean over the seeds" * several,
        f"std over seeds: sample standard deviation (n - 1) of {runs.seeds} runs' means over the folds"
        if several
        else "one seed: the variation between seeds is unknown (--seeds N runs more)",
    ]
    if runs.untuned_speakers:
        speakers = ", ".join(runs.untuned_speakers)
        notes.append(f"untuned speakers: not used to choose settings, in the presets or by --tuned ({speakers})")
    return [*notes, *runs.notes()]


def mean_note(runs: Runs) -> str:
    return "accuracies are means over the folds" + ", then over the seeds" * (runs.seeds > 1)


def difference_notes(runs: Runs) -> list[str]:
    """What the rows of `difference_rows` mean; nothing for a single fold."""
    if len(runs.first.result["folds"]) < 2:
        return []
    values = "means over the seeds" if runs.seeds > 1 else "differences"
    return [
        f"differences are taken fold by fold; their std over folds is that of the folds' {values}",
        "95 % interval: Student's t over the folds. It is only a guide, because the folds share most of their training"
        " speakers. If it contains 0, the two are not distinguishable",
    ]
