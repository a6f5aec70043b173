"""What a command returns: tables, written as CSV and Markdown, and figures, written as PNG."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from scratchser.corpus.table import Corpus, CorpusError
from scratchser.corpus.votes import unanimous
from scratchser.report import figures
from scratchser.report.text import SYNTHETIC, table
from scratchser.runs.tuned_settings import TunedSettings
from scratchser.support.files import make_folder, write_bytes


@dataclass(frozen=True)
class Table:
    """A table of text cells with a title and notes for the reader."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def text(self) -> str:
        """The table as it is printed. Raises ValueError for a row of another length than the columns."""
        return "\n".join([self.title, table([self.columns, *self.rows], left=1), *self.notes])

    def markdown(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return "\n\n".join([f"**{self.title}**", body, *self.notes]) + "\n"

    def csv(self) -> str:
        """Columns and rows, without title and notes."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self.rows])
        return text.getvalue()


@dataclass(frozen=True)
class Output:
    """Tables and figures by the name of their files, and the settings that `tune` selects."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    tuned: TunedSettings | None = None

    def text(self) -> str:
        return "\n\n".join(made.text() for made in self.tables.values())

    def write(self, folder: Path) -> list[Path]:
        """Write NAME.csv and NAME.md of each table, NAME.png of each figure, and tuned.json; returns the paths."""
        make_folder(folder)
        images = {f"{name}.png": figures.png(figure) for name, figure in self.figures.items()}
        contents = {name: image for name, image in images.items() if image}  # not those that cannot be drawn
        for name, made in self.tables.items():
            contents |= {f"{name}.csv": made.csv().encode(), f"{name}.md": made.markdown().encode()}
        for name, content in contents.items():
            write_bytes(folder / name, content)
        written = [folder / name for name in contents]
        if self.tuned:
            written.append(folder / "tuned.json")
            self.tuned.write(written[-1])
        return written


# ---- what tables about a corpus share -------------------------------------------------------------------------------


def annotation_counts(corpus: Corpus) -> dict[str, np.ndarray]:
    """Utterances of each class, (K,) int64 each, by the agreement of their annotators.

    unanimous            the label is among the choices of every annotator
    ambiguous            the other utterances with annotators
    without annotators   all others
    """
    counts = {key: np.zeros(len(corpus.classes), np.int64) for key in ("unanimous", "ambiguous", "without annotators")}
    for u in corpus.utterances:
        if not u.votes:
            key = "without annotators"
        else:
            key = "unanimous" if unanimous(u.votes, corpus.classes[u.label]) else "ambiguous"
        counts[key][u.label] += 1
    return counts


def require_annotators(corpus: Corpus, purpose: str) -> None:
    """Raises CorpusError if no utterance has annotators, which `purpose` needs."""
    if not any(u.votes for u in corpus.utterances):
        raise CorpusError(
            f"{purpose} needs the choice of each annotator, but no utterance of this corpus ({corpus.name}) has"
            " annotators. IEMOCAP and the built-in corpus (DIR synthetic) have them; a CSV file can have them in a"
            " column votes"
        )


def corpus_name(corpus: Corpus) -> str:
    """For titles."""
    return f"corpus {corpus.name}{' (synthetic data)' if corpus.synthetic else ''}"


def corpus_notes(corpus: Corpus) -> tuple[str, ...]:
    """Notes under a table or figure about the corpus."""
    notes = list(corpus.notes)
    if broken := len(corpus.problems):
        entries = "entries" if broken > 1 else "entry"
        notes.append(f"{broken} broken {entries} in the labels; python -m scratchser.corpus lists them")
    if corpus.synthetic:
        notes.append(SYNTHETIC)
    return tuple(notes)


def is_iemocap(corpus: Corpus) -> bool:
    """Whether it is the paper's corpus or a part of it, and not synthetic."""
    return corpus.name == "iemocap" and not corpus.synthetic
