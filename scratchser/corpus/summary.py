"""A corpus in figures: what `python -m scratchser.corpus` prints, as one JSON document (see docs/corpora.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import fsum
from statistics import median
from typing import Any

from scratchser.corpus.audio import Survey
from scratchser.corpus.check import cut_off, warnings
from scratchser.corpus.table import Corpus, Problem, Utterance, natural
from scratchser.corpus.votes import unanimous

Json = dict[str, Any]


def summarise(corpus: Corpus, survey: Survey | None) -> Json:
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
        "aside": dict(corpus.aside),
        "audio": _audio(survey),
        "gold": _gold(corpus),
        "warnings": [*warnings(corpus), *(cut_off(survey) if survey else ())],
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


def _audio(survey: Survey | None) -> Json | None:
    if survey is None:
        return None
    formats = [
        {"rate_hz": rate, "channels": channels, "utterances": count}
        for (rate, channels), count in Counter(survey.formats.values()).most_common()
    ]
    return {"formats": formats, "cut_off": [str(path) for path in survey.cut_off]}


def _gold(corpus: Corpus) -> Json | None:
    if not corpus.gold:
        return None
    differ = [
        {"what": count.what, "found": count.found, "expected": count.expected}
        for count in corpus.gold
        if count.found != count.expected
    ]
    return {"compared": len(corpus.gold), "differ": differ}


def _problem(problem: Problem) -> Json:
    return {"where": problem.where, "what": problem.what, "utterance": problem.utterance or None}
