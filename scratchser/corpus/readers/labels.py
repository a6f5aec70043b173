"""Labels as words and as three-letter codes."""

import unicodedata
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
    """The full name of a label, given as a word or a code in any case, or as a word in `known`. None if unknown."""
    word = unicodedata.normalize("NFC", word)
    if word in known:
        return word
    lower = word.strip().lower()
    name = CODES.get(lower, lower)
    return name if name in known or name in CODES.values() else None


def class_list(wanted: Sequence[str] | None, possible: Collection[str] | None, corpus: str) -> tuple[str, ...]:
    """Returns the full names of the wanted classes, or the paper's four if `wanted` is None.

    `possible` are the labels of the corpus; None allows any word. Raises CorpusError for fewer than two classes, for a
    class given twice, and for a class that is not possible.
    """
    if wanted is None:
        return CLASSES
    words = [unicodedata.normalize("NFC", word).strip() for word in wanted]
    classes = tuple(spell(word) or word for word in words)
    if len(classes) < 2 or len(set(classes)) < len(classes) or not all(classes):
        raise CorpusError(f"classes: {', '.join(classes)}: at least two are needed, each once")
    unknown = [name for name in classes if possible is not None and name not in possible]
    if unknown:
        choice = ", ".join(sorted(possible or ()))
        raise CorpusError(f"{corpus} has no label {', '.join(unknown)}: choose from {choice}")
    return classes
