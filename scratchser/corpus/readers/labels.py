"""The words that annotators use, long and short."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from scratchser.corpus.table import CLASSES, CorpusError

CODES = {
    "neu": "neutral",
    "hap": "happiness",
    "sad": "sadness",
    "ang": "anger",
    "exc": "excited",
    "fru": "frustration",
    "sur": "surprise",
    "fea": "fear",
    "dis": "disgust",
    "bor": "boredom",
    "oth": "other",
    "xxx": "undecided",  # the annotators did not agree on any label
}


def spell(word: str, known: Collection[str] = ()) -> str | None:
    """The full name of a label in either form and any case; a word of `known` stands for itself. None if unknown."""
    if word in known:
        return word
    lower = word.strip().lower()
    name = CODES.get(lower, lower)
    return name if name in known or name in CODES.values() else None


def class_list(wanted: Sequence[str] | None, possible: Collection[str] | None, corpus: str) -> tuple[str, ...]:
    """The classes asked for, or the paper's four.

    `possible` are the labels that the corpus has; None means that the user names them. Raises CorpusError where fewer
    than two different classes are left or one of them cannot occur.
    """
    if wanted is None:
        return CLASSES
    classes = tuple(spell(word.strip()) or word.strip() for word in wanted)
    if len(classes) < 2 or len(set(classes)) < len(classes) or not all(classes):
        raise CorpusError(f"classes: {', '.join(classes)}: at least two are needed, each once")
    strange = [name for name in classes if possible is not None and name not in possible]
    if strange:
        choice = ", ".join(sorted(possible or ()))
        raise CorpusError(f"{corpus} has no label {', '.join(strange)}: choose from {choice}")
    return classes
