"""The report of a run as text: the paper's table 2 with means, deviations, the confusion matrix and baselines."""

import json
import math
from collections.abc import Mapping
from typing import Any

from scratchser.runs.result import changed
from scratchser.support.terminal import table

SYNTHETIC = "SYNTHETIC DATA, made by this package: the results say nothing about real speech."


def render(result: Mapping[str, Any]) -> str:
    """The report, from what result.json holds."""
    parts = [_title(result), _folds(result), _untuned(result), _confusion(result), _baselines(result), _notes(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(result: Mapping[str, Any]) -> str:
    corpus = result["corpus"]
    counts = ", ".join(f"{name} {count}" for name, count in zip(corpus["classes"], corpus["counts"], strict=True))
    lines = [
        f"corpus {corpus['name']}: {sum(corpus['counts'])} utterances ({counts})",
        f"preset {result['preset']}, seed {result['seed']}",
    ]
    if changes := [f"{key}={setting(value)}" for key, value in changed(result).items()]:
        lines.append("changed from the preset: " + ", ".join(changes))
    if result["synthetic"]:
        lines.append(SYNTHETIC)
    return "\n".join(lines)


def setting(value: Any) -> str:
    """The value in the form that --set takes."""
    return value if isinstance(value, str) else json.dumps(value)


def _folds(result: Mapping[str, Any]) -> str:
    paper, pooled = result["paper"] or {}, result["pooled"]
    paper_folds = {fold["fold"]: fold for fold in paper.get("folds", ())}
    rows = [["fold", "speaker", "session", "gender", "WA %", "UA %", "utterances", "paper WA %", "UA %"]]
    for fold in result["folds"]:
        cells = [str(fold[key] or "-") for key in ("fold", "test_speaker", "session", "gender")]
        rows.append([*cells, *_wa_ua(fold), str(fold["n_test"]), *_wa_ua(paper_folds.get(fold["fold"], {}))])
    rows += [
        ["mean", "", "", "", *_wa_ua(result, "_mean"), "", *_wa_ua(paper, "_mean")],
        ["std", "", "", "", *_wa_ua(result, "_std"), "", "-", "-"],
        ["pooled", "", "", "", *_wa_ua(pooled), str(pooled["n"]), "-", "-"],
    ]
    if not paper:
        rows = [row[:-2] for row in rows]
    over = counted(len({fold["fold"] for fold in result["folds"]}), "fold")
    if tested(result) != "folds":
        over = f"{len(result['folds'])} test speakers in {over}"
    legend = [f"over {over}: mean, std (sample standard deviation, n - 1), pooled (all test sets as one)"]
    legend += [] if result["complete"] else ["not finished: the results will change with the next folds"]
    legend += [f"paper: tables 1 and 2, the model of the preset {paper['column']}"] if paper else []
    return "\n".join([table(rows, left=4), *legend])


def _untuned(result: Mapping[str, Any]) -> str:
    if (untuned := result["headline"]) is None:
        return ""
    wa, ua = _wa_ua(untuned, "_mean")
    speakers = ", ".join(untuned["speakers"]) or "none so far"
    return f"untuned speakers, on whom no setting was chosen ({speakers}): WA {wa} %, UA {ua} %"


def _confusion(result: Mapping[str, Any]) -> str:
    names, pooled = result["corpus"]["classes"], result["pooled"]
    rows = [["label", *names, "recall %"]]
    for name, counts, recall in zip(names, pooled["confusion"], pooled["recalls"], strict=True):
        rows.append([name, *(str(count) for count in counts), percent(recall)])
    return "all test sets together; rows are labels, columns are predictions\n" + table(rows, left=1)


def _baselines(result: Mapping[str, Any]) -> str:
    rows = [["baseline", "WA %", "UA %", "untuned WA %", "UA %"]]
    for name, scores in [*result["baselines"].items(), ("this model", result)]:
        rows.append([name, *_wa_ua(scores, "_mean"), *_wa_ua(scores["headline"] or {}, "_mean")])
    if result["headline"] is None:
        rows = [row[:3] for row in rows]
    return f"baselines and this model, means over the {tested(result)}\n" + table(rows, left=1)


def _notes(result: Mapping[str, Any]) -> str:
    left_out = [f"left out: {' '.join([p['utterance'], p['where']]).strip()}: {p['what']}" for p in result["left_out"]]
    return "\n".join([f"note: {warning}" for warning in result["warnings"]] + left_out)


def _wa_ua(scores: Mapping[str, Any], kind: str = "") -> list[str]:
    return [percent(scores.get(name + kind)) for name in ("wa", "ua")]


def tested(result: Mapping[str, Any]) -> str:
    """What the means of a run are taken over: its folds, or its test speakers if a fold tests several (--groups)."""
    return "folds" if len({fold["fold"] for fold in result["folds"]}) == len(result["folds"]) else "test speakers"


def counted(number: int, noun: str) -> str:
    """1 fold, 2 folds."""
    return f"{number} {noun}{'s' * (number != 1)}"


def percent(fraction: float | None) -> str:
    """In percent; "-" for None and NaN."""
    return "-" if fraction is None or math.isnan(fraction) else f"{100 * fraction:.1f}"
