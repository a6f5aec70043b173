"""Table 4: in each class, the number of utterances whose annotators agree, and of those whose annotators disagree."""

import numpy as np

from scratchser.corpus.readers.expected_counts import IMPROVISED, IMPROVISED_UNANIMOUS
from scratchser.corpus.table import CLASSES, Corpus
from scratchser.paper import output
from scratchser.paper.output import Output, Table

COLUMNS = ("unanimous", "unanimous %", "ambiguous", "ambiguous %", "total")


def build(corpus: Corpus) -> Output:
    """A row for each class; the paper's numbers are added for IEMOCAP in the paper's classes.

    Raises CorpusError for a corpus without annotators.
    """
    output.require_annotators(corpus, "table 4")
    counts = output.annotation_counts(corpus)
    columns, rows = ["emotion", *COLUMNS], [[name] for name in (*corpus.classes, "total")]
    notes = ["unanimous: every annotator chose the utterance's label, possibly with others"]
    pairs = [(counts["unanimous"], counts["ambiguous"])]
    if output.is_iemocap(corpus) and corpus.classes == CLASSES:
        agreed = np.array(IMPROVISED_UNANIMOUS)
        pairs.append((agreed, np.array(IMPROVISED) - agreed))
        columns += [f"paper: {column}" for column in COLUMNS]
        notes.append("paper: its table 4, all improvised dialogs, excited not counted as happiness")
    for pair in pairs:
        for row, *cells in zip(rows, *(np.append(part, part.sum()) for part in pair), strict=True):
            row += _cells(*cells)
    if missing := int(counts["without annotators"].sum()):
        notes.append(f"not counted: {missing} utterance{'s' * (missing > 1)} without annotators")
    title = f"Table 4: utterances per class, unanimous and ambiguous, {output.corpus_name(corpus)}"
    made = Table(title, columns, rows, (*notes, *output.corpus_notes(corpus)))
    return Output({"table4": made})


def _cells(unanimous: int, ambiguous: int) -> list[str]:
    total = unanimous + ambiguous
    shares = [f"{100 * part / total:.1f}" if total else "-" for part in (unanimous, ambiguous)]
    return [str(unanimous), shares[0], str(ambiguous), shares[1], str(total)]
