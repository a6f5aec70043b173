"""The summary of a corpus as text with aligned columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def render(summary: Json) -> str:
    """The whole document, problems excepted: those belong to the error output."""
    blocks = [_head(summary), _classes(summary), _speakers(summary)]
    blocks += [block for block in (_folds(summary), _baselines(summary), _gold(summary)) if block]
    if summary["warnings"]:
        blocks.append("\n".join(f"warning: {line}" for line in summary["warnings"]))
    return "\n\n".join(blocks)


def columns(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table under the headings in its first row: `left` columns flush left, the others right, empty ones left out."""
    aligned = []
    for place, column in enumerate(column for column in zip(*rows, strict=True) if any(column[1:])):
        width = max(map(len, column))
        aligned.append([cell.ljust(width) if place < left else cell.rjust(width) for cell in column])
    return "\n".join("  ".join(row).rstrip() for row in zip(*aligned, strict=True))


def _head(summary: Json) -> str:
    rows = [("corpus", summary["corpus"] + (", SYNTHETIC: no human spoke here" if summary["synthetic"] else ""))]
    if summary["folder"]:
        rows.append(("folder", summary["folder"]))
    rows += [("", note) for note in summary["notes"]]
    aside = ", ".join(f"{label} {count}" for label, count in summary["aside"].items())
    total = summary["all"]
    rows.append(("utterances", f"{total['utterances']}" + (f"; left aside, of other labels: {aside}" if aside else "")))
    if total["unanimous"] is not None:
        rows.append(("annotators", f"{total['unanimous']} unanimous, {total['ambiguous']} ambiguous"))
    else:
        rows.append(("annotators", "none"))
    rows += _audio_rows(summary)
    return "\n".join(f"{name:<12}{text}".rstrip() for name, text in rows)


def _audio_rows(summary: Json) -> list[tuple[str, str]]:
    seconds = summary["all"]["seconds"]
    if seconds is None:
        return [("audio", "none: labels only")]
    formats = "; ".join(
        f"{each['rate_hz'] / 1000:g} kHz {_channels(each['channels'])}, {each['utterances']} utterances"
        for each in summary["audio"]["formats"]
    )
    lengths = f"{seconds['min']:.2f} / {seconds['median']:.2f} / {seconds['max']:.2f} s (min / median / max)"
    return [("audio", formats), ("durations", f"{lengths}, {seconds['all'] / 60:.1f} minutes in all")]


def _channels(number: int) -> str:
    return {1: "mono", 2: "stereo"}.get(number, f"{number} channels")


def _classes(summary: Json) -> str:
    rows = [["class", "utterances", "share %", "unanimous", "ambiguous", "median s", "minutes"]]
    everything = summary["all"]
    for group in [*summary["classes"], {"class": "all", **everything}]:
        share = 100 * group["utterances"] / max(everything["utterances"], 1)
        rows.append([group["class"], str(group["utterances"]), f"{share:.1f}", *_agreement(group), *_lengths(group)])
    return columns(rows)


def _speakers(summary: Json) -> str:
    names = [group["class"] for group in summary["classes"]]
    rows = [["speaker", "gender", "session", *names, "all", "unanimous", "ambiguous", "median s", "minutes"]]
    for group in summary["speakers"]:
        counts = [str(group["counts"][name]) for name in names]
        who = [group["speaker"], group["gender"], group["session"]]
        rows.append([*who, *counts, str(group["utterances"]), *_agreement(group), *_lengths(group)])
    return columns(rows)


def _agreement(group: Json) -> list[str]:
    return ["" if group[name] is None else str(group[name]) for name in ("unanimous", "ambiguous")]


def _lengths(group: Json) -> list[str]:
    seconds = group["seconds"]
    return [f"{seconds['median']:.2f}", f"{seconds['all'] / 60:.1f}"] if seconds else ["", ""]


def _folds(summary: Json) -> str:
    rows = [["fold", "test", "validation", "training"]]
    for fold in summary["folds"] or ():
        rows.append([str(fold["fold"]), fold["test"], fold["validation"], " ".join(fold["train"])])
    return columns(rows, left=4) if len(rows) > 1 else ""


def _baselines(summary: Json) -> str:
    rows = [["guess from", "WA %", "UA %", "pooled WA %", "UA %"]]
    for name, scores in (summary.get("baselines") or {}).items():
        figures = (scores["wa_mean"], scores["ua_mean"], scores["pooled"]["wa"], scores["pooled"]["ua"])
        rows.append([name, *(f"{100 * figure:.1f}" for figure in figures)])
    if len(rows) == 1:
        return ""
    legend = f"speaker-out: means over the {len(summary['folds'])} folds, then all test sets pooled"
    return f"{columns(rows)}\n{legend}"


def _gold(summary: Json) -> str:
    gold = summary["gold"]
    if not gold:
        return ""
    if not gold["differ"]:
        return f"known counts of the complete release: all {gold['compared']} agree"
    rows = [["count", "found", "known"]]
    rows += [[each["what"], str(each["found"]), str(each["expected"])] for each in gold["differ"]]
    return f"known counts of the complete release: {len(gold['differ'])} of {gold['compared']} DIFFER\n{columns(rows)}"
