"""A corpus of your own: a CSV file with one row per utterance.

    path,speaker,emotion,gender,session,votes
    anna/001.wav,anna,neutral,F,1,"neu|neu,sad|oth"

The columns path, speaker and emotion are required, the others are optional. Paths start at the folder of the CSV file.
In votes, | separates the annotators and commas separate the labels of one annotator (the field then needs quotes). A
label is a word or a three-letter code; labels.py lists both. Labels outside the classes are only counted.
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from scratchser.corpus.readers.labels import class_list, spell
from scratchser.corpus.readers.rows import Rows
from scratchser.corpus.table import Corpus, CorpusError, Utterance

NEEDED = ("path", "speaker", "emotion")
OPTIONAL = ("gender", "session", "votes")
GENDERS = {"": "", "f": "F", "female": "F", "m": "M", "male": "M"}


def find(root: Path) -> list[Path]:
    """`root` itself if it is a CSV file, or the CSV files in the folder `root` that have the required columns."""
    if root.is_file():
        return [root] if root.suffix.lower() == ".csv" else []
    files = (file for file in sorted(root.glob("*.csv")) if not file.name.startswith("."))
    return [file for file in files if set(NEEDED) <= set(_columns(file))]


def detect(root: Path) -> str:
    """Why the folder or file is of this kind, or ""."""
    return "".join(f"{file.name} has the columns {', '.join(NEEDED)}" for file in find(root)[:1])


def load(root: Path, *, classes: Sequence[str] | None = None) -> Corpus:
    """The utterances of the only CSV file that `find` returns. Broken rows become Problems.

    Raises CorpusError if there is none or more than one, or if it cannot be read as a table.
    """
    files = find(root)
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise CorpusError(f"{root}: needs exactly one CSV file with the columns {', '.join(NEEDED)}; found: {found}")
    columns, rows = _columns(files[0]), Rows(class_list(classes, None, "the CSV file"))
    _Reader(files[0], columns, rows).read()
    ignored = [name for name in columns if name not in NEEDED + OPTIONAL]
    return rows.corpus("csv", files[0].parent, notes=(f"ignored columns: {', '.join(ignored)}",) if ignored else ())


def _columns(file: Path) -> list[str]:
    """The headings; none if the file is no table. Raises CorpusError if it cannot be opened."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            return [name.strip() for name in next(csv.reader(lines), [])]
    except csv.Error:
        return []
    except OSError as error:
        raise CorpusError(f"{file}: {error.strerror}") from error


class _Reader:
    """Reads one file."""

    def __init__(self, file: Path, columns: list[str], rows: Rows) -> None:
        self.file, self.columns, self.rows = file, columns, rows

    def read(self) -> None:
        columns, line = self.columns, 1
        missing = [name for name in NEEDED if name not in columns]
        if missing or len(set(columns)) < len(columns):
            problem = f"no column {', '.join(missing)}" if missing else "a column appears twice"
            needed = f"required: {', '.join(NEEDED)}, optional: {', '.join(OPTIONAL)}"
            raise CorpusError(f"{self.file}:1: {problem}; {needed}")
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as lines:
                reader = csv.reader(lines, strict=True)
                next(reader)
                for fields in reader:
                    line = reader.line_num
                    if any(field.strip() for field in fields):
                        self._row(f"{self.file}:{line}", [field.strip() for field in fields])
        except (UnicodeDecodeError, csv.Error) as error:
            reason = f"not a CSV file in UTF-8, somewhere after line {line}: {error}"
            raise CorpusError(f"{self.file}: {reason}") from error
        self._check_speakers()

    def _row(self, where: str, fields: list[str]) -> None:
        columns, row = self.columns, dict(zip(self.columns, fields, strict=False))
        if len(fields) != len(columns):
            self.rows.problem(where, f"{len(fields)} fields instead of {len(columns)} (votes with commas need quotes)")
            return
        if empty := [name for name in NEEDED if not row[name]]:
            self.rows.problem(where, f"no {', no '.join(empty)}")
            return
        name, label = os.path.normpath(row["path"]), spell(row["emotion"], self.rows.classes) or ""
        if not label:
            classes = ", ".join(self.rows.classes)
            self.rows.problem(where, f"unknown label: {row['emotion']!r}; the classes are {classes}")
        if not self.rows.accepts(name, where, label):
            return
        gender, session = GENDERS.get(row.get("gender", "").lower()), row.get("session", "")
        if gender is None:
            self.rows.problem(where, f"unknown gender: {row['gender']!r}; F, M or nothing", name)
            gender = ""
        votes = self._votes(where, name, row.get("votes", ""))
        path, number = self.file.parent / row["path"], self.rows.classes.index(label)
        self.rows.utterances.append(Utterance(name, path, row["speaker"], gender, session, number, votes, where))

    def _check_speakers(self) -> None:
        """A speaker in two sessions would be in the training and in the test. Folds need all sessions or none."""
        first: dict[str, Utterance] = {}
        sessions = any(u.session for u in self.rows.utterances)
        for u in self.rows.utterances:
            before = first.setdefault(u.speaker, u)
            if u.gender != before.gender:
                self.rows.problem(u.source, f"speaker with two genders: {u.speaker}, first at {before.source}", u.name)
            if u.session != before.session:
                self.rows.problem(u.source, f"speaker in two sessions: {u.speaker}, first at {before.source}", u.name)
            if sessions and not u.session:
                self.rows.problem(u.source, "no session, but other rows have one", u.name)

    def _votes(self, where: str, name: str, field: str) -> tuple[tuple[str, ...], ...]:
        """The labels of each annotator; none if the field is broken."""
        if not field:
            return ()
        votes = []
        for part in field.split("|"):
            words = [word.strip() for word in part.split(",")]
            labels = [label for word in words if (label := spell(word, self.rows.classes))]
            if len(labels) < len(words) or len(set(labels)) < len(labels):
                what = "an unknown label" if len(labels) < len(words) else "a label twice"
                self.rows.problem(where, f"broken votes: {what} in {part!r} of {field!r}", name)
                return ()
            votes.append(tuple(labels))
        return tuple(votes)
