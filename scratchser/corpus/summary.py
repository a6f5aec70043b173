"""The counts that `python -m scratchser.corpus` prints, as a JSON document (docs/corpora.md) and as text."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from math import fsum
from statistics import median
from typing import Any

from scratchser.corpus.audio import AudioReport
from scratchser.corpus.check import label_warnings, truncated
from scratchser.corpus.table import Corpus, Utterance, natural
from scratchser.corpus.votes import unanimous
from scratchser.support.terminal import table

Json = dict[str, Any]


def summarise(corpus: Corpus, report: AudioReport | None) -> Json:
    """Everything except folds and baselines. `report` is None without audio. Broken utterances are counted too."""
    seconds = report.seconds if report else {}
    problems = (*corpus.problems, *(report.problems if report else ()))
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
                **_group(corpus, (u for u in corpus.utterances if u.speaker == speaker), seconds),
            }
            for speaker, gender, session in speakers
        ],
        "all": _group(corpus, corpus.utterances, seconds),
        "other_labels": dict(corpus.other_labels),
        "audio": _audio(report) if report else None,
        "expected_counts": _expected_counts(corpus) if corpus.expected_counts else None,
        "warnings": [*label_warnings(corpus), *(truncated(report) if report else ())],
        "problems": [{**asdict(problem), "utterance": problem.utterance or None} for problem in problems],
    }


def _group(corpus: Corpus, utterances: Iterable[Utterance], seconds: dict[str, float]) -> Json:
    """Counts of some utterances. Agreement is null without annotators, durations are null without audio."""
    group = list(utterances)
    labels = Counter(u.label for u in group)
    agreed = [unanimous(u.votes, corpus.classes[u.label]) for u in group if u.votes]
    lengths = [seconds[u.name] for u in group if u.name in seconds]
    return {
        "utterances": len(group),
        "counts": {name: labels[index] for index, name in enumerate(corpus.classes)},
        "unanimous": sum(agreed) if agreed else None,
        "ambiguous": len(agreed) - sum(agreed) if agreed else None,
        "seconds": {"all": fsum(lengths), "min": min(lengths), "median": median(lengths), "max": max(lengths)}
        if lengths
        else None,
    }


def _audio(report: AudioReport) -> Json:
    formats = [
        {"rate_hz": rate, "channels": channels, "utterances": count}
        for (rate, channels), count in Counter(report.formats.values()).most_common()
    ]
    return {"formats": formats, "truncated": [str(path) for path in report.truncated]}


def _expected_counts(corpus: Corpus) -> Json:
    differ = [asdict(count) for count in corpus.expected_counts if count.found != count.expected]
    return {"compared": len(corpus.expected_counts), "differ": differ}


def render(summary: Json) -> str:
    """The summary as text, without the problems, which belong on stderr."""
    parts = [_head(summary), _classes(summary), _speakers(summary), _folds(summary)]
    parts += [_baselines(summary), _expected_counts_text(summary)]
    parts.append("\n".join(f"warning: {line}" for line in summary["warnings"]))
    return "\n\n".join(filter(None, parts))


def _head(summary: Json) -> str:
    everything = summary["all"]
    rows = [("corpus", summary["corpus"] + (", SYNTHETIC: not human speech" if summary["synthetic"] else ""))]
    if summary["folder"]:
        rows.append(("folder", summary["folder"]))
    rows += [("", note) for note in summary["notes"]]
    others = ", ".join(f"{label} {count}" for label, count in summary["other_labels"].items())
    rows.append(
        ("utterances", f"{everything['utterances']}" + (f"; not used, other labels: {others}" if others else ""))
    )
    agreement = f"{everything['unanimous']} unanimous, {everything['ambiguous']} ambiguous"
    rows.append(("annotators", "none" if everything["unanimous"] is None else agreement))
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
    return [("audio", formats), ("durations", f"{lengths}, {seconds['all'] / 60:.1f} minutes in total")]


def _channels(number: int) -> str:
    return {1: "mono", 2: "stereo"}.get(number, f"{number} channels")


def _classes(summary: Json) -> str:
    rows = [["class", "utterances", "share %", "unanimous", "ambiguous", "median s", "minutes"]]
    everything = summary["all"]
    for group in [*summary["classes"], {"class": "all", **everything}]:
        share = 100 * group["utterances"] / max(everything["utterances"], 1)
        rows.append([group["class"], str(group["utterances"]), f"{share:.1f}", *_agreement_and_length(group)])
    return _table(rows)


def _speakers(summary: Json) -> str:
    names = [group["class"] for group in summary["classes"]]
    rows = [["speaker", "gender", "session", *names, "all", "unanimous", "ambiguous", "median s", "minutes"]]
    for group in summary["speakers"]:
        counts = [str(group["counts"][name]) for name in names]
        speaker = [group["speaker"], group["gender"], group["session"]]
        rows.append([*speaker, *counts, str(group["utterances"]), *_agreement_and_length(group)])
    return _table(rows)


def _agreement_and_length(group: Json) -> list[str]:
    agreement = ["" if group[name] is None else str(group[name]) for name in ("unanimous", "ambiguous")]
    seconds = group["seconds"]
    return agreement + ([f"{seconds['median']:.2f}", f"{seconds['all'] / 60:.1f}"] if seconds else ["", ""])


def _folds(summary: Json) -> str:
    rows = [["fold", "test", "validation", "training"]]
    for fold in summary["folds"]:
        rows.append([str(fold["fold"]), fold["test"], fold["validation"], " ".join(fold["train"])])
    return _table(rows, left=4) if len(rows) > 1 else ""


def _baselines(summary: Json) -> str:
    rows = [["baseline", "WA %", "UA %", "pooled WA %", "UA %"]]
    for name, scores in summary.get("baselines", {}).items():
        accuracies = (scores["wa_mean"], scores["ua_mean"], scores["pooled"]["wa"], scores["pooled"]["ua"])
        rows.append([name, *(f"{100 * accuracy:.1f}" for accuracy in accuracies)])
    if len(rows) == 1:
        return ""
    legend = f"leave-one-speaker-out: means over the {len(summary['folds'])} folds, then all test sets pooled"
    return f"{_table(rows)}\n{legend}"


def _expected_counts_text(summary: Json) -> str:
    counts = summary["expected_counts"]
    if not counts:
        return ""
    if not counts["differ"]:
        return f"counts of the complete release: all {counts['compared']} agree"
    rows = [["count", "found", "expected"]]
    rows += [[each["what"], str(each["found"]), str(each["expected"])] for each in counts["differ"]]
    return f"counts of the complete release: {len(counts['differ'])} of {counts['compared']} DIFFER\n{_table(rows)}"


def _table(rows: list[list[str]], left: int = 1) -> str:
    """A table without the columns that are empty below their heading."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    return table(zip(*columns, strict=True), left)
