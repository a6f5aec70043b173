"""Table 4: how many utterances of each class the annotators agreed about, and how many not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scratchser.corpus.readers.expected_counts import IMPROVISED, IMPROVISED_UNANIMOUS
from scratchser.corpus.table import CLASSES, Corpus
from scratchser.paper import output
from scratchser.paper.output import Output, Table

COLUMNS = ("unanimous", "unanimous %", "ambiguous", "ambiguous %", "total")


def build(corpus: Corpus) -> Output:
    """Per class and in all; the paper's figures beside ours where the corpus is IEMOCAP in the paper's classes.

    Raises CorpusError for a corpus without annotators.
    """
    output.need_annotators(corpus, "table 4")
    found = output.Annotation.of(corpus)
    columns, rows = ["emotion", *COLUMNS], [[name] for name in (*corpus.classes, "total")]
    notes = ["unanimous: the labels of every annotator contain the utterance's label, whatever else they contain"]
    parts = [(found.unanimous, found.ambiguous)]
    if output.of_the_paper(corpus) and corpus.classes == CLASSES:
        agreed = np.array(IMPROVISED_UNANIMOUS)
        parts.append((agreed, np.array(IMPROVISED) - agreed))
        columns += [f"paper: {column}" for column in COLUMNS]
        notes.append("paper: its table 4, all improvised dialogs, excited not counted as happiness")
    for unanimous, ambiguous in parts:
        for row, pair in zip(rows, zip(_with_sum(unanimous), _with_sum(ambiguous), strict=True), strict=True):
            row += _cells(*pair)
    if unheard := int(found.unheard.sum()):
        notes.append(f"not counted: {unheard} utterance{'s' * (unheard > 1)} without annotators")
    title = f"Table 4: utterances per class, unanimous and ambiguous, {output.name(corpus)}"
    made = Table(title, tuple(columns), tuple(map(tuple, rows)), (*notes, *output.notes(corpus)))
    return Output({"table4": made})


def _with_sum(counts: np.ndarray) -> Sequence[int]:
    return [*counts.tolist(), int(counts.sum())]


def _cells(unanimous: int, ambiguous: int) -> list[str]:
    total = unanimous + ambiguous
    shares = [f"{100 * part / total:.1f}" if total else "-" for part in (unanimous, ambiguous)]
    return [str(unanimous), shares[0], str(ambiguous), shares[1], str(total)]
