"""A run as text: the paper's table 2, and what belongs beside it.

That is mean and deviation, all test sets pooled, the confusion matrix, baselines, and for IEMOCAP the paper's own
figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scratchser.runs import result as results

SYNTHETIC = "SYNTHETIC DATA: made by the package, no human spoke; the figures say nothing about real speech."


def render(result: Mapping[str, Any]) -> str:
    """The report as it is printed, from what result.json holds."""
    parts = [_title(result), _folds(result), _headline(result), _confusion(result), _baselines(result), _notes(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(result: Mapping[str, Any]) -> str:
    corpus = result["corpus"]
    counts = ", ".join(f"{name} {count}" for name, count in zip(corpus["classes"], corpus["counts"], strict=True))
    lines = [
        f"corpus {corpus['name']}: {sum(corpus['counts'])} utterances ({counts})",
        f"preset {result['preset']}, seed {result['seed']}",
    ]
    if changes := results.changed(result):
        lines.append(
            "changed from the preset: " + ", ".join(f"{key}={setting(value)}" for key, value in changes.items())
        )
    return "\n".join(lines + [SYNTHETIC] * result["synthetic"])


def setting(value: Any) -> str:
    """As --set takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _folds(result: Mapping[str, Any]) -> str:
    paper, pooled, count = result["paper"], result["pooled"], len(result["folds"])
    theirs = {fold["fold"]: fold for fold in paper["folds"]} if paper else {}

    def row(who: Sequence[object], scores: Mapping[str, Any], n: object = "", beside: Any = None) -> list[str]:
        cells = [*who, *_scores(scores), n, *(_scores(beside or {}) if paper else [])]
        return [str(cell) for cell in cells]

    rows = [["fold", "speaker", "session", "gender", "WA %", "UA %", "utterances"]]
    rows[0] += ["paper WA %", "UA %"] if paper else []
    for fold in result["folds"]:
        who = [fold[key] or "-" for key in ("fold", "test_speaker", "session", "gender")]
        rows.append(row(who, fold, fold["n_test"], theirs.get(fold["fold"])))
    rows.append(row(["mean", "", "", ""], _of(result, "mean"), beside=_of(paper or {}, "mean")))
    rows.append(row(["std", "", "", ""], _of(result, "std")))
    rows.append(row(["pooled", "", "", ""], pooled, pooled["n"]))
    over = f"over {count} fold{'s' * (count > 1)}"
    legend = [f"{over}: mean, std (sample standard deviation, n - 1), pooled (the test sets as one)"]
    legend += [] if result["complete"] else ["more folds are to come: none of this is the run's last word"]
    legend += [f"paper: its tables 1 and 2, the model that the preset {paper['column']} follows"] if paper else []
    return "\n".join([table(rows, left=4), *legend])


def _headline(result: Mapping[str, Any]) -> str:
    if (headline := result["headline"]) is None:
        return ""
    wa, ua = _scores(_of(headline, "mean"))
    speakers = ", ".join(headline["speakers"]) or "none so far"
    return f"headline, over the speakers by whom no hyper-parameter was chosen ({speakers}): WA {wa} %, UA {ua} %"


def _confusion(result: Mapping[str, Any]) -> str:
    names, pooled = result["corpus"]["classes"], result["pooled"]
    rows = [["label", *names, "recall %"]]
    for name, counts, recall in zip(names, pooled["confusion"], pooled["recalls"], strict=True):
        rows.append([name, *(str(count) for count in counts), percent(recall)])
    return "all test sets together, in columns what an utterance was taken for\n" + table(rows, left=1)


def _baselines(result: Mapping[str, Any]) -> str:
    headline = result["headline"]
    rows = [["baseline", "WA %", "UA %"] + ["headline WA %", "UA %"] * (headline is not None)]
    for name, scores in [*result["baselines"].items(), ("this model", result)]:
        beside = _scores(_of(scores["headline"] or {}, "mean")) if headline else []
        rows.append([name, *_scores(_of(scores, "mean")), *beside])
    return "means over the folds, beside those of the baselines\n" + table(rows, left=1)


def _notes(result: Mapping[str, Any]) -> str:
    left_out = [f"left out: {' '.join([p['utterance'], p['where']]).strip()}: {p['what']}" for p in result["left_out"]]
    return "\n".join([f"note: {warning}" for warning in result["warnings"]] + left_out)


def _of(summary: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: summary.get(f"{name}_{kind}") for name in ("wa", "ua")}


def _scores(scores: Mapping[str, Any]) -> list[str]:
    return [percent(scores.get(name)) for name in ("wa", "ua")]


def percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"


def table(rows: Iterable[Sequence[str]], left: int) -> str:
    """Columns as wide as their widest cell; the first `left` begin at the left, the others end at the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    columns = [f"{'<' if i < left else '>'}{width}" for i, width in enumerate(widths)]
    lines = ("  ".join(f"{cell:{column}}" for cell, column in zip(row, columns, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
