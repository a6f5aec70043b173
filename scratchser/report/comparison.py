"""Several runs side by side, as text and as a page: tables of what differs in their settings and in their results."""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from scratchser.presets import completed
from scratchser.report.templates import render
from scratchser.report.text import SYNTHETIC, percent, setting
from scratchser.runs import result
from scratchser.runs.folder import RunError
from scratchser.runs.run import Record
from scratchser.support.files import exists, read_json
from scratchser.support.terminal import table

MOST = len(string.ascii_uppercase)


@dataclass(frozen=True)
class ComparedRun:
    """A run of a comparison; its label is A, B, C, ..."""

    label: str
    record: Record
    result: Mapping[str, Any]

    @property
    def folds(self) -> dict[str, Mapping[str, Any]]:
        """The finished folds by test speaker."""
        return {fold["test_speaker"]: fold for fold in self.result["folds"]}

    @property
    def fingerprint(self) -> str:
        return str(self.result["corpus"]["fingerprint"])


def load(records: Sequence[Record]) -> list[ComparedRun]:
    """The runs with their results. Raises RunError if one has none yet, StorageError if a file is damaged."""
    if not 2 <= len(records) <= MOST:
        raise RunError(f"a comparison needs 2 to {MOST} runs, not {len(records)}; for one run open its report.html")
    for record in records:
        if not exists(record.path / "result.json"):
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
        "Settings that differ": [["setting", *labels], *settings(runs)],
        "By test speaker": [
            ["speaker", *(f"{label} {measure}" for label in labels for measure in ("UA %", "WA %"))],
            *by_speaker(runs),
        ],
        f"UA minus that of {labels[0]} in points, over the speakers tested in both": [
            ["run", "folds", "mean", "std", "better in", "worse in"],
            *differences(runs),
        ],
    }
    return {caption: rows for caption, rows in found.items() if len(rows) > 1}


def _scores(run: ComparedRun) -> list[str]:
    scores = [run.result[key] for key in ("ua_mean", "ua_std", "wa_mean", "wa_std")]
    return [run.label, str(len(run.folds)), *map(percent, [*scores, run.result["pooled"]["ua"]]), str(run.record.path)]


def settings(runs: Sequence[ComparedRun]) -> list[list[str]]:
    """A row for each difference between the runs: preset, seed, corpus, commit, device and hyper-parameters."""
    columns = [_settings(run) for run in runs]
    rows = [[name, *(setting(one.get(name)) for one in columns)] for name in dict.fromkeys(chain(*columns))]
    return [row for row in rows if len(set(row[1:])) > 1]


def _settings(run: ComparedRun) -> dict[str, Any]:
    start = run.record.starts()[0]
    commit, plus, changes = (start.get("commit") or "unknown").partition("+")
    return {
        "preset": run.result["preset"],
        "seed": run.result["seed"],
        "groups": run.record.settings.get("groups"),
        "corpus": run.result["corpus"]["name"],
        "corpus fingerprint": run.fingerprint[:12],
        "commit": commit[:12] + plus + changes,
        "device": start.get("device"),
        **completed(run.result["config"]),
    }


def by_speaker(runs: Sequence[ComparedRun]) -> list[list[str]]:
    """A row for each test speaker: UA and WA, run after run; "-" where a run has not tested the speaker."""
    folds = [run.folds for run in runs]
    return [
        [speaker, *(percent(one.get(speaker, {}).get(measure)) for one in folds for measure in ("ua", "wa"))]
        for speaker in dict.fromkeys(chain(*folds))
    ]


def differences(runs: Sequence[ComparedRun]) -> list[list[str]]:
    """A row for each run of the first run's corpus: the fold-by-fold difference to the first run."""
    first, rows = runs[0].folds, []
    for run in runs[1:]:
        both = [name for name in run.folds if name in first and run.fingerprint == runs[0].fingerprint]
        if both:
            gains = np.array([run.folds[name]["ua"] - first[name]["ua"] for name in both])
            std = percent(float(gains.std(ddof=1))) if len(gains) > 1 else "-"
            signs = [str((gains > 0).sum()), str((gains < 0).sum())]
            rows.append([run.label, str(len(gains)), f"{100 * gains.mean():+.1f}", std, *signs])
    return rows


def notes(runs: Sequence[ComparedRun]) -> list[str]:
    """What a reader of the tables should know."""
    found = [SYNTHETIC] if any(run.result["synthetic"] for run in runs) else []
    if len({run.fingerprint for run in runs}) > 1:
        found.append("the runs do not all have the same utterances; no difference is given for those that differ")
    if grouped := [run.label for run in runs if "groups" in run.record.settings]:
        found.append(f"a fold tests several speakers (--groups) in {', '.join(grouped)}: folds here are test speakers")
    transductive = {run.label: result.transductive(completed(run.result["config"])) for run in runs}
    for note in dict.fromkeys(chain(*transductive.values())):
        found.append(f"{', '.join(label for label, own in transductive.items() if note in own)}: {note}")
    if unfinished := [run.label for run in runs if not run.result["complete"]]:
        found.append(f"not finished yet: {', '.join(unfinished)}")
    return [*found, "two seeds of the same settings also differ; compare several seeds before trusting a difference"]
