"""Runs side by side, as text and as one self-contained page: what differs in what was run, and in what came out."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchser.presets import completed
from scratchser.report import figures
from scratchser.report import figures as charts
from scratchser.report.templates import data_uri, render
from scratchser.report.text import SYNTHETIC, percent, setting, table
from scratchser.runs.run import Record, RunError
from scratchser.support.files import read_json

MOST = len(string.ascii_uppercase)


@dataclass(frozen=True)
class Run:
    """A run in a comparison; `label` is A, B, C and so on."""

    label: str
    record: Record
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """UA of a run less that of the first run, fold by fold: mean, deviation (None for one fold), folds, and how many of
    them are better and worse."""

    run: Run
    mean: float
    std: float | None
    folds: int
    better: int
    worse: int


def load(records: Sequence[Record]) -> list[Run]:
    """The runs with their results. Raises RunError where one has none yet, StorageError where a file is damaged."""
    if not 2 <= len(records) <= MOST:
        raise RunError(f"{len(records)} run given: a comparison needs 2 to {MOST}; one alone has its own report.html")
    for record in records:
        if not (record.path / "result.json").exists():
            raise RunError(f"{record.path} has no finished fold yet: wait for one, or go on with the run by --resume")
    labels = string.ascii_uppercase
    return [Run(label, r, read_json(r.path / "result.json")) for label, r in zip(labels, records, strict=False)]


def text(runs: Sequence[Run]) -> str:
    """The comparison as it is printed."""
    rows = [["run", "folder", "corpus", "preset", "seed", "folds", "UA %", "std", "WA %", "std", "pooled UA %"]]
    for run in runs:
        found = run.result
        scores = [percent(found[key]) for key in ("ua_mean", "ua_std", "wa_mean", "wa_std")]
        who = [run.label, str(run.record.path), found["corpus"]["name"], found["preset"]]
        numbers = [str(found["seed"]), str(len(found["folds"]))]
        rows.append([*who, *numbers, *scores, percent(found["pooled"]["ua"])])
    parts = [table(rows, left=4)]
    if differing := settings(runs):
        head = ["setting", *(run.label for run in runs)]
        parts.append("what differs\n" + table([head, *([key, *values] for key, values in differing.items())], left=1))
    speakers = [["UA % by test speaker", *(run.label for run in runs)]]
    speakers += [[name, *map(percent, scores)] for name, scores in by_speaker(runs).items()]
    parts.append(table(speakers, left=1))
    parts += [sentence(difference, runs[0]) for difference in differences(runs)]
    return "\n\n".join([*parts, "\n".join(notes(runs))]) + "\n"


def html(runs: Sequence[Run]) -> str:
    """The comparison as a page."""
    metrics = {run.label: run.record.metrics() for run in runs}
    last = {label: charts.mean_curve(rows, "validation", "ua")[-1] for label, rows in metrics.items()}
    ends = ", ".join(f"{label} ends at {percent(ua)} %" for label, ua in last.items())
    return render(
        "comparison.html",
        runs=runs,
        settings=settings(runs),
        speakers=by_speaker(runs),
        sentences=[sentence(difference, runs[0]) for difference in differences(runs)],
        notes=notes(runs),
        curve=data_uri("image/png", figures.png(charts.side_by_side(metrics))),
        alt=f"UA of the validation speakers by epoch, mean over the folds: {ends}.",
    )


def settings(runs: Sequence[Run]) -> dict[str, list[str]]:
    """What is not the same in all runs, as text by name: hyper-parameters, preset, seed, corpus, commit, device."""
    each = []
    for run in runs:
        corpus, first = run.result["corpus"], run.record.starts()[0]
        named = {"preset": run.result["preset"], "seed": run.result["seed"], "corpus": corpus["name"]}
        made = {"corpus fingerprint": corpus["fingerprint"][:12], "commit": _short(first.get("commit"))}
        each.append({**named, **made, "device": first.get("device"), **completed(run.result["config"])})
    names = dict.fromkeys(name for one in each for name in one)
    values = {name: [setting(one.get(name)) for one in each] for name in names}
    return {name: row for name, row in values.items() if len(set(row)) > 1}


def _short(commit: str | None) -> str:
    """Twelve digits of it, and whether files differed from it."""
    digits, plus, changes = (commit or "unknown").partition("+")
    return digits[:12] + plus + changes


def by_speaker(runs: Sequence[Run]) -> dict[str, list[float | None]]:
    """UA of every test speaker in each run; None where it was not tested."""
    scores = [{fold["test_speaker"]: fold["ua"] for fold in run.result["folds"]} for run in runs]
    names = dict.fromkeys(name for one in scores for name in one)
    return {name: [one.get(name) for one in scores] for name in names}


def differences(runs: Sequence[Run]) -> list[Difference]:
    """Of each run to the first, over the test speakers of both, where both heard the very same utterances."""
    found = []
    first = {fold["test_speaker"]: fold["ua"] for fold in runs[0].result["folds"]}
    for run in runs[1:]:
        both = [fold for fold in run.result["folds"] if fold["test_speaker"] in first]
        if both and run.result["corpus"]["fingerprint"] == runs[0].result["corpus"]["fingerprint"]:
            gains = np.array([fold["ua"] - first[fold["test_speaker"]] for fold in both])
            std = float(gains.std(ddof=1)) if len(gains) > 1 else None
            better, worse = int((gains > 0).sum()), int((gains < 0).sum())
            found.append(Difference(run, float(gains.mean()), std, len(gains), better, worse))
    return found


def sentence(difference: Difference, first: Run) -> str:
    spread = "" if difference.std is None else f", standard deviation {100 * difference.std:.1f}"
    return (
        f"{difference.run.label} less {first.label}, UA over {difference.folds} folds of both: mean"
        f" {100 * difference.mean:+.1f} points{spread}; better in {difference.better}, worse in {difference.worse}"
    )


def notes(runs: Sequence[Run]) -> list[str]:
    """What a reader of the figures should know."""
    said = [SYNTHETIC] * any(run.result["synthetic"] for run in runs)
    if len({run.result["corpus"]["fingerprint"] for run in runs}) > 1:
        said.append("note: not all runs heard the same utterances; where they did not, no difference is given")
    if unfinished := [run.label for run in runs if not run.result["complete"]]:
        said.append(f"note: folds are still to come of {', '.join(unfinished)}")
    return [
        *said,
        "note: two seeds of the same settings differ too; compare several before you trust a small difference",
    ]
