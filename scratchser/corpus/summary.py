"""The counts that `python -m scratchser.corpus` prints, as a JSON document (docs/corpora.md) and as text."""

from collections import Counter
from dataclasses import asdict
from math import fsum
from statistics import median
from typing import Any

from scratchser.corpus.audio import AudioReport
from scratchser.corpus.check import label_warnings, sound_warnings
from scratchser.corpus.table import Corpus, natural
from scratchser.corpus.votes import unanimous
from scratchser.support.errors import one_line
from scratchser.support.terminal import table

Json = dict[str, Any]


def summarise(corpus: Corpus, report: AudioReport) -> Json:
    """Everything except folds and baselines. `report` is empty without audio. Broken utterances are counted too."""
    formats = Counter(report.formats.values()).most_common()
    audio = {
        "formats": [{"rate_hz": rate, "channels": channels, "utterances": n} for (rate, channels), n in formats],
        "truncated": [str(path) for path in report.truncated],
    }
    compared = {
        "compared": len(corpus.expected_counts),
        "differ": [asdict(count) for count in corpus.expected_counts if count.found != count.expected],
    }
    return {
        "corpus": corpus.name,
        "synthetic": corpus.synthetic,
        "folder": str(corpus.root) if corpus.root else None,
        "fingerprint": corpus.fingerprint(),
        "notes": list(corpus.notes),
        "classes": [{"class": name, **_group(corpus, report, label=k)} for k, name in enumerate(corpus.classes)],
        "speakers": _speakers(corpus, report),
        "all": _group(corpus, report),
        "other_labels": dict(corpus.other_labels),
        "audio": audio if formats or report.problems else None,
        "expected_counts": compared if corpus.expected_counts else None,
        "warnings": [*label_warnings(corpus), *sound_warnings(report)],
        "problems": [
            {**asdict(problem), "utterance": problem.utterance or None}
            for problem in (*corpus.problems, *report.problems)
        ],
    }


def _speakers(corpus: Corpus, report: AudioReport) -> list[Json]:
    speakers = sorted({(u.speaker, u.gender, u.session) for u in corpus.utterances}, key=lambda s: (natural(s[0]), s))
    return [
        {"speaker": speaker, "gender": gender, "session": session, **_group(corpus, report, speaker=speaker)}
        for speaker, gender, session in speakers
    ]


def _group(corpus: Corpus, report: AudioReport, **fields: object) -> Json:
    """Counts of the utterances with these fields. Agreement is null without annotators, durations without audio."""
    group = [u for u in corpus.utterances if all(getattr(u, name) == value for name, value in fields.items())]
    labels = Counter(corpus.classes[u.label] for u in group)
    agreed = [unanimous(u.votes, corpus.classes[u.label]) for u in group if u.votes]
    lengths = [report.seconds[u.name] for u in group if u.name in report.seconds]
    return {
        "utterances": len(group),
        "counts": {name: labels[name] for name in corpus.classes},
        "unanimous": sum(agreed) if agreed else None,
        "ambiguous": len(agreed) - sum(agreed) if agreed else None,
        "seconds": {"all": fsum(lengths), "min": min(lengths), "median": median(lengths), "max": max(lengths)}
        if lengths
        else None,
    }


def render(summary: Json) -> str:
    """The summary as text, without the problems, which belong on stderr."""
    warnings = "\n".join(f"warning: {one_line(line)}" for line in summary["warnings"])
    parts = [_head, _class_table, _speaker_table, _fold_table, _baseline_table, _expected_counts]
    return "\n\n".join(filter(None, [*(part(summary) for part in parts), warnings]))


def _head(summary: Json) -> str:
    everything, seconds = summary["all"], summary["all"]["seconds"]
    rows = [("corpus", summary["corpus"] + (", SYNTHETIC: not human speech" if summary["synthetic"] else ""))]
    if summary["folder"]:
        rows.append(("folder", summary["folder"]))
    rows += [("", note) for note in summary["notes"]]
    others = ", ".join(f"{label} {count}" for label, count in summary["other_labels"].items())
    rows.append(("utterances", f"{everything['utterances']}" + f"; not used, other labels: {others}" * bool(others)))
    agreement = f"{everything['unanimous']} unanimous, {everything['ambiguous']} ambiguous"
    rows.append(("annotators", "none" if everything["unanimous"] is None else agreement))
    nothing = "none that can be used" if summary["audio"] else "none: labels only"
    rows.append(("audio", "; ".join(map(_format, summary["audio"]["formats"])) if seconds else nothing))
    if seconds:
        lengths = f"{seconds['min']:.2f} / {seconds['median']:.2f} / {seconds['max']:.2f} s (min / median / max)"
        rows.append(("durations", f"{lengths}, {seconds['all'] / 60:.1f} minutes in total"))
    return "\n".join(f"{name:<12}{one_line(text)}".rstrip() for name, text in rows)


def _format(found: Json) -> str:
    channels = {1: "mono", 2: "stereo"}.get(found["channels"], f"{found['channels']} channels")
    return f"{found['rate_hz'] / 1000:g} kHz {channels}, {found['utterances']} utterances"


def _class_table(summary: Json) -> str:
    rows = [["class", "utterances", "share %", "unanimous", "ambiguous", "median s", "minutes"]]
    total = max(summary["all"]["utterances"], 1)
    for group in [*summary["classes"], {"class": "all", **summary["all"]}]:
        share = f"{100 * group['utterances'] / total:.1f}"
        rows.append([group["class"], str(group["utterances"]), share, *_agreement_and_length(group)])
    return _table(rows)


def _speaker_table(summary: Json) -> str:
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


def _fold_table(summary: Json) -> str:
    rows = [["fold", "test", "validation", "training"]]
    for fold in summary["folds"]:
        rows.append([str(fold["fold"]), fold["test"], fold["validation"], " ".join(fold["train"])])
    return _table(rows, left=4)


def _baseline_table(summary: Json) -> str:
    if not summary.get("baselines"):
        return ""
    rows = [["baseline", "WA %", "UA %", "pooled WA %", "UA %", "untuned WA %", "UA %"]]
    for name, scores in summary["baselines"].items():
        means = [(one["wa_mean"], one["ua_mean"]) for one in (scores, scores["untuned"]) if one]
        means.insert(1, (scores["pooled"]["wa"], scores["pooled"]["ua"]))
        cells = [f"{100 * accuracy:.1f}" for pair in means for accuracy in pair]
        rows.append([name, *cells, *[""] * (len(rows[0]) - 1 - len(cells))])
    notes = [f"{len(summary['folds'])} folds: means over the test speakers, then all test sets pooled"]
    if rows[1][-1]:
        notes.append("untuned: means over the speakers on whom no setting of a preset was chosen")
    return "\n".join([_table(rows), *notes])


def _expected_counts(summary: Json) -> str:
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
