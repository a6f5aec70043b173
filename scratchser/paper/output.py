"""What a command gives: tables that are printed and kept as CSV and Markdown, figures that are kept as PNG."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from scratchser.corpus.table import Corpus, CorpusError
from scratchser.corpus.votes import unanimous
from scratchser.report.text import SYNTHETIC, table
from scratchser.runs.tuned_settings import TunedSettings
from scratchser.support.files import write_bytes, write_text


@dataclass(frozen=True)
class Table:
    """A table of texts, in the paper's shape.

    columns   the head         rows    a text for each column
    notes     sentences that a reader of the figures should know
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for a row that is not as long as the head."""
        if wrong := [row for row in self.rows if len(row) != len(self.columns)]:
            raise ValueError(f"{self.title}: {len(wrong[0])} cells for {len(self.columns)} columns: {wrong[0]}")

    def text(self) -> str:
        """As it is printed."""
        return "\n".join([self.title, table([list(self.columns), *map(list, self.rows)], left=1), *self.notes])

    def markdown(self) -> str:
        lines = [self.columns, tuple("---" for _ in self.columns), *self.rows]
        body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return "\n\n".join([f"**{self.title}**", body, *self.notes]) + "\n"

    def csv(self) -> str:
        """The head and the rows; no title and no notes, so that every reader of tables takes it."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self.rows])
        return text.getvalue()


@dataclass(frozen=True)
class Output:
    """Tables and figures by the name of their files, without the ending; and a choice of settings, if one was made."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    tuned: TunedSettings | None = None

    def text(self) -> str:
        return "\n\n".join(made.text() for made in self.tables.values())

    def write(self, folder: Path) -> list[Path]:
        """Every table as NAME.csv and NAME.md, every figure as NAME.png, in `folder`; which files these are."""
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, made in self.tables.items():
            for ending, text in (("csv", made.csv()), ("md", made.markdown())):
                write_text(folder / f"{name}.{ending}", text)
                written.append(folder / f"{name}.{ending}")
        for name, figure in self.figures.items():
            picture = io.BytesIO()
            figure.savefig(picture, format="png", dpi=150, bbox_inches="tight")
            write_bytes(folder / f"{name}.png", picture.getvalue())
            written.append(folder / f"{name}.png")
        if self.tuned:
            self.tuned.write(folder / "tuned.json")
            written.append(folder / "tuned.json")
        return written


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
