"""Several runs side by side, as text and as a page: tables of what differs in their settings and in their results."""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchser.presets import completed
from scratchser.report.templates import render
from scratchser.report.text import SYNTHETIC, percent, setting
from scratchser.runs.folder import RunError
from scratchser.runs.run import Record
from scratchser.support.files import read_json
from scratchser.support.terminal import table

MOST = len(string.ascii_uppercase)


@dataclass(frozen=True)
class ComparedRun:
    """A run of a comparison; its label is A, B, C, ..."""

    label: str
    record: Record
    result: Mapping[str, Any]


def load(records: Sequence[Record]) -> list[ComparedRun]:
    """The runs with their results. Raises RunError if one has none yet, StorageError if a file is damaged."""
    if not 2 <= len(records) <= MOST:
        raise RunError(f"got {len(records)} run, a comparison needs 2 to {MOST}; for one run open its report.html")
    for record in records:
        if not (record.path / "result.json").exists():
            raise RunError(f"{record.path} has no finished fold yet: wait, or continue the run with --resume")
    results = [read_json(record.path / "result.json") for record in records]
    return [ComparedRun(*each) for each in zip(string.ascii_uppercase, records, results, strict=False)]


def text(runs: Sequence[ComparedRun]) -> str:
    """The comparison as it is printed."""
    parts = [f"{caption}\n{table(rows, left=1)}" for caption, rows in tables(runs).items()]
    return "\n\n".join([*parts, "\n".join(f"note: {note}" for note in notes(runs))]) + "\n"


def html(runs: Sequence[ComparedRun]) -> str:
    """The comparison as a self-contained page, with the confusion matrices."""
    return render("comparison.html", runs=runs, tables=tables(runs), notes=notes(runs))


def tables(runs: Sequence[ComparedRun]) -> dict[str, list[list[str]]]:
    """Rows by caption, the first row is the header; tables without a row are left out."""
    labels = [run.label for run in runs]
    found = {
        "Means and sample standard deviations over the folds, and all test sets pooled": [
            ["run", "folds", "UA %", "std", "WA %", "std", "pooled UA %", "folder"],
            *map(_scores, runs),
        ],
        "Settings that differ": [["setting", *labels], *([name, *row] for name, row in settings(runs).items())],
        "By test speaker": [
            ["speaker", *(f"{label} {measure}" for label in labels for measure in ("UA %", "WA %"))],
            *([name, *map(percent, row)] for name, row in by_speaker(runs).items()),
        ],
        f"UA minus that of {labels[0]} in points, over the speakers tested in both": [
            ["run", "folds", "mean", "std", "better in", "worse in"],
            *differences(runs),
        ],
    }
    return {caption: rows for caption, rows in found.items() if len(rows) > 1}


def _scores(run: ComparedRun) -> list[str]:
    result = run.result
    scores = [result[key] for key in ("ua_mean", "ua_std", "wa_mean", "wa_std")]
    scores.append(result["pooled"]["ua"])
    return [run.label, str(len(result["folds"])), *map(percent, scores), str(run.record.path)]


def settings(runs: Sequence[ComparedRun]) -> dict[str, list[str]]:
    """Everything that differs between the runs: preset, seed, corpus, commit, device and hyper-parameters, as text."""
    values = []
    for run in runs:
        corpus, start = run.result["corpus"], run.record.starts()[0]
        commit, plus, changes = (start.get("commit") or "unknown").partition("+")
        values.append(
            {key: run.result[key] for key in ("preset", "seed")}
            | {"corpus": corpus["name"], "corpus fingerprint": corpus["fingerprint"][:12]}
            | {"commit": commit[:12] + plus + changes, "device": start.get("device")}
            | completed(run.result["config"])
        )
    names = dict.fromkeys(name for one in values for name in one)
    rows = {name: [setting(one.get(name)) for one in values] for name in names}
    return {name: row for name, row in rows.items() if len(set(row)) > 1}


def by_speaker(runs: Sequence[ComparedRun]) -> dict[str, list[float | None]]:
    """UA and WA of every test speaker, run after run; None if the run has not tested the speaker."""
    folds = [{fold["test_speaker"]: fold for fold in run.result["folds"]} for run in runs]
    speakers = dict.fromkeys(speaker for by_name in folds for speaker in by_name)
    return {
        speaker: [by_name.get(speaker, {}).get(measure) for by_name in folds for measure in ("ua", "wa")]
        for speaker in speakers
    }


def differences(runs: Sequence[ComparedRun]) -> list[list[str]]:
    """A row for each run of the first run's corpus: the fold-by-fold difference to the first run."""
    first, rows = {fold["test_speaker"]: fold["ua"] for fold in runs[0].result["folds"]}, []
    for run in runs[1:]:
        both = [fold for fold in run.result["folds"] if fold["test_speaker"] in first]
        if not both or not _same_corpus(runs[0], run):
            continue
        gains = np.array([fold["ua"] - first[fold["test_speaker"]] for fold in both])
        std = percent(float(gains.std(ddof=1))) if len(gains) > 1 else "-"
        better, worse = int((gains > 0).sum()), int((gains < 0).sum())
        rows.append([run.label, str(len(gains)), f"{100 * gains.mean():+.1f}", std, str(better), str(worse)])
    return rows


def _same_corpus(one: ComparedRun, other: ComparedRun) -> bool:
    return bool(one.result["corpus"]["fingerprint"] == other.result["corpus"]["fingerprint"])


def notes(runs: Sequence[ComparedRun]) -> list[str]:
    """What a reader of the tables should know."""
    found = [SYNTHETIC] * any(run.result["synthetic"] for run in runs)
    if not all(_same_corpus(runs[0], run) for run in runs):
        found.append("the runs do not all have the same utterances; no difference is given for those that differ")
    if unfinished := [run.label for run in runs if not run.result["complete"]]:
        found.append(f"not finished yet: {', '.join(unfinished)}")
    return [*found, "two seeds of the same settings also differ; compare several seeds before trusting a difference"]
