"""A corpus in figures: what `python -m scratchser.corpus` prints, as one JSON document (see docs/corpora.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import fsum
from statistics import median
from typing import Any

from scratchser.corpus.audio import AudioReport
from scratchser.corpus.check import label_warnings, truncated
from scratchser.corpus.table import Corpus, Problem, Utterance, natural
from scratchser.corpus.votes import unanimous

Json = dict[str, Any]


def summarise(corpus: Corpus, survey: AudioReport | None) -> Json:
    """All but folds and baselines. `survey` is None for a corpus without audio; broken utterances are still counted."""
    seconds = survey.seconds if survey else {}
    problems = (*corpus.problems, *(survey.problems if survey else ()))
    speakers = sorted({(u.speaker, u.gender, u.session) for u in corpus.utterances}, key=lambda s: natural(s[0]))
    return {
        "corpus": corpus.name,
        "synthetic": corpus.synthetic,
        "folder": str(corpus.root) if corpus.root else None,
        "fingerprint": corpus.fingerprint(),
        "notes": list(corpus.notes),
        "classes": [
            {"class": name, **_group(corpus, (u for u in corpus.utterances if u.label == index), seconds)}
            for index, name in enumerate(corpus.classes)
        ],
        "speakers": [
            {
                "speaker": speaker,
                "gender": gender,
                "session": session,
                "counts": _counts(corpus, (u for u in corpus.utterances if u.speaker == speaker)),
                **_group(corpus, (u for u in corpus.utterances if u.speaker == speaker), seconds),
            }
            for speaker, gender, session in speakers
        ],
        "all": {"counts": _counts(corpus, corpus.utterances), **_group(corpus, corpus.utterances, seconds)},
        "other_labels": dict(corpus.other_labels),
        "audio": _audio(survey),
        "expected_counts": _expected_counts(corpus),
        "warnings": [*label_warnings(corpus), *(truncated(survey) if survey else ())],
        "problems": [_problem(problem) for problem in problems],
    }


def _counts(corpus: Corpus, utterances: Iterable[Utterance]) -> dict[str, int]:
    labels = Counter(u.label for u in utterances)
    return {name: labels[index] for index, name in enumerate(corpus.classes)}


def _group(corpus: Corpus, utterances: Iterable[Utterance], seconds: dict[str, float]) -> Json:
    """Counts of some of the utterances. Agreement is null where nobody voted, durations where nothing was heard."""
    group = list(utterances)
    agreed = [unanimous(u.votes, corpus.classes[u.label]) for u in group if u.votes]
    heard = [seconds[u.name] for u in group if u.name in seconds]
    return {
        "utterances": len(group),
        "unanimous": sum(agreed) if agreed else None,
        "ambiguous": len(agreed) - sum(agreed) if agreed else None,
        "seconds": _seconds(heard) if heard else None,
    }


def _seconds(heard: list[float]) -> Json:
    return {"all": fsum(heard), "min": min(heard), "median": median(heard), "max": max(heard)}


def _audio(survey: AudioReport | None) -> Json | None:
    if survey is None:
        return None
    formats = [
        {"rate_hz": rate, "channels": channels, "utterances": count}
        for (rate, channels), count in Counter(survey.formats.values()).most_common()
    ]
    return {"formats": formats, "truncated": [str(path) for path in survey.truncated]}


def _expected_counts(corpus: Corpus) -> Json | None:
    if not corpus.expected_counts:
        return None
    differ = [
        {"what": count.what, "found": count.found, "expected": count.expected}
        for count in corpus.expected_counts
        if count.found != count.expected
    ]
    return {"compared": len(corpus.expected_counts), "differ": differ}


def _problem(problem: Problem) -> Json:
    return {"where": problem.where, "what": problem.what, "utterance": problem.utterance or None}


def render(summary: Json) -> str:
    """The whole document, problems excepted: those belong to the error output."""
    blocks = [_head(summary), _classes(summary), _speakers(summary)]
    blocks += [block for block in (_folds(summary), _baselines(summary), _expected_counts_text(summary)) if block]
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
    aside = ", ".join(f"{label} {count}" for label, count in summary["other_labels"].items())
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
    rows = [["baseline", "WA %", "UA %", "pooled WA %", "UA %"]]
    for name, scores in (summary.get("baselines") or {}).items():
        figures = (scores["wa_mean"], scores["ua_mean"], scores["pooled"]["wa"], scores["pooled"]["ua"])
        rows.append([name, *(f"{100 * figure:.1f}" for figure in figures)])
    if len(rows) == 1:
        return ""
    legend = f"speaker-out: means over the {len(summary['folds'])} folds, then all test sets pooled"
    return f"{columns(rows)}\n{legend}"


def _expected_counts_text(summary: Json) -> str:
    counts = summary["expected_counts"]
    if not counts:
        return ""
    if not counts["differ"]:
        return f"known counts of the complete release: all {counts['compared']} agree"
    rows = [["count", "found", "known"]]
    rows += [[each["what"], str(each["found"]), str(each["expected"])] for each in counts["differ"]]
    return f"known counts of the complete release: {len(counts['differ'])} of {counts['compared']} DIFFER\n{columns(rows)}"
