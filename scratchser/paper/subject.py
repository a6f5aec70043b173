"""What the tables and figures about a corpus share: its name in a title, and where its annotators agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scratchser.corpus.table import Corpus, CorpusError
from scratchser.corpus.votes import unanimous
from scratchser.report.text import SYNTHETIC


@dataclass(frozen=True)
class Annotation:
    """How many utterances of each class have which annotators, (K,) int64 each.

    unanimous   every annotator's labels contain the class     ambiguous   the others that have annotators
    unheard     without annotators
    """

    unanimous: np.ndarray
    ambiguous: np.ndarray
    unheard: np.ndarray

    @classmethod
    def of(cls, corpus: Corpus) -> Annotation:
        counts = np.zeros((3, len(corpus.classes)), np.int64)
        for u in corpus.utterances:
            part = 2 if not u.votes else 0 if unanimous(u.votes, corpus.classes[u.label]) else 1
            counts[part, u.label] += 1
        return cls(*counts)


def need_annotators(corpus: Corpus, what: str) -> None:
    """Raises CorpusError where no utterance of the corpus has annotators: `what` cannot be made then."""
    if not any(u.votes for u in corpus.utterances):
        raise CorpusError(
            f"{what} needs to know what each annotator said, and no utterance of this corpus ({corpus.name}) has "
            "annotators. IEMOCAP has them, and so has the built-in corpus (DIR synthetic); a CSV file may give them in"
            " a column votes"
        )


def name(corpus: Corpus) -> str:
    """For titles."""
    return f"corpus {corpus.name}" + " (synthetic data)" * corpus.synthetic


def notes(corpus: Corpus) -> tuple[str, ...]:
    """What a reader of any figure about the corpus should know."""
    broken = len(corpus.problems)
    said = f"{broken} broken thing{'s' * (broken > 1)} in the labels, which python -m scratchser.corpus names"
    return (*corpus.notes, *[said] * (broken > 0), *[SYNTHETIC] * corpus.synthetic)


def of_the_paper(corpus: Corpus) -> bool:
    """True where the corpus is the paper's, real IEMOCAP, whatever part of it was read."""
    return corpus.name == "iemocap" and not corpus.synthetic
