"""A corpus of your own: a CSV file with one row per utterance.

    path,speaker,emotion,gender,session,votes
    anna/001.wav,anna,neutral,F,1,"neu|neu,sad|oth"

The columns path, speaker and emotion are required, the others are optional. Paths start at the folder of the CSV file.
In votes, | separates the annotators and commas separate the labels of one annotator (the field then needs quotes). A
label is a word or a three-letter code; labels.py lists both. Labels outside the classes are only counted.
"""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from scratchser.corpus.readers.labels import class_list, spell
from scratchser.corpus.table import Corpus, CorpusError, Problem, Utterance

NEEDED = ("path", "speaker", "emotion")
OPTIONAL = ("gender", "session", "votes")
GENDERS = {"": "", "f": "F", "female": "F", "m": "M", "male": "M"}
Row = dict[str, str]


def find(root: Path) -> list[Path]:
    """`root` itself if it is a CSV file, or the CSV files in the folder `root` that have the required columns."""
    if root.is_file():
        return [root] if root.suffix.lower() == ".csv" else []
    files = (file for file in sorted(root.glob("*.csv")) if not file.name.startswith("."))
    return [file for file in files if set(NEEDED) <= set(_columns(file))]


def load(root: Path, *, classes: Sequence[str] | None = None) -> Corpus:
    """The utterances of the only CSV file that `find` returns. Broken rows become Problems.

    Raises CorpusError if there is none or more than one, or if it cannot be read as a table.
    """
    files = find(root)
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise CorpusError(f"{root}: needs exactly one CSV file with the columns {', '.join(NEEDED)}; found: {found}")
    reader = _Reader(files[0], class_list(classes, None, "the CSV file"))
    ignored = [name for name in _columns(files[0]) if name not in NEEDED + OPTIONAL]
    for line, row, problem in _rows(files[0]):
        if problem:
            reader.problems.append(Problem(f"{files[0]}:{line}", problem))
        else:
            reader.add(line, row)
    reader.check_sessions()
    return Corpus(
        name="csv",
        classes=reader.classes,
        utterances=tuple(sorted(reader.utterances.values(), key=lambda u: u.name)),
        problems=tuple(reader.problems),
        root=files[0].parent,
        other_labels=tuple(reader.other_labels.most_common()),
        notes=(f"ignored columns: {', '.join(ignored)}",) if ignored else (),
    )


def _columns(file: Path) -> list[str]:
    """The headings; none if the file is no table. Raises CorpusError if it cannot be opened."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            return [name.strip() for name in next(csv.reader(lines), [])]
    except csv.Error:
        return []
    except OSError as error:
        raise CorpusError(f"{file}: {error.strerror}") from error


def _rows(file: Path) -> Iterator[tuple[int, Row, str]]:
    """Yields line number, fields by column, and a problem of the row, or "". Empty lines are skipped."""
    columns = _columns(file)
    missing = [name for name in NEEDED if name not in columns]
    if missing or len(set(columns)) < len(columns):
        problem = f"no column {', '.join(missing)}" if missing else "a column appears twice"
        raise CorpusError(f"{file}:1: {problem}; required: {', '.join(NEEDED)}, optional: {', '.join(OPTIONAL)}")
    line = 1
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            next(reader)
            for fields in reader:
                line = reader.line_num
                row = {name: field.strip() for name, field in zip(columns, fields, strict=False)}
                problem = ", ".join(f"no {name}" for name in NEEDED if not row.get(name))
                if len(fields) != len(columns):
                    problem = f"{len(fields)} fields instead of {len(columns)} (votes with commas need quotes)"
                if any(field.strip() for field in fields):
                    yield line, row, problem
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{file}: not a CSV file in UTF-8, somewhere after line {line}: {error}") from error


class _Reader:
    """Collects utterances, problems and other labels from the rows."""

    def __init__(self, file: Path, classes: tuple[str, ...]) -> None:
        self.file = file
        self.classes = classes
        self.seen: dict[str, int] = {}
        self.speakers: dict[str, tuple[str, str, int]] = {}
        self.utterances: dict[str, Utterance] = {}
        self.problems: list[Problem] = []
        self.other_labels: Counter[str] = Counter()

    def add(self, line: int, row: Row) -> None:
        where, name = f"{self.file}:{line}", os.path.normpath(row["path"])
        if name in self.seen:
            self._problem(line, f"duplicate of {name}, first at line {self.seen[name]}", name)
            return
        self.seen[name] = line
        label = spell(row["emotion"], self.classes)
        if label is None:
            self._problem(line, f"unknown label {row['emotion']!r}; the classes are {', '.join(self.classes)}", "")
            return
        if label not in self.classes:
            self.other_labels[label] += 1
            return
        gender, session = GENDERS.get(row.get("gender", "").lower()), row.get("session", "")
        if gender is None:
            self._problem(line, f"unknown gender {row['gender']!r}: F, M or nothing", name)
            gender = ""
        self._check_speaker(line, name, row["speaker"], gender, session)
        votes = self._votes(line, name, row.get("votes", ""))
        path = self.file.parent / row["path"]
        number = self.classes.index(label)
        self.utterances[name] = Utterance(name, path, row["speaker"], gender, session, number, votes, where)

    def check_sessions(self) -> None:
        """Folds need a session for all utterances or for none."""
        without = [u for u in self.utterances.values() if not u.session]
        if len(without) < len(self.utterances):
            self.problems += [Problem(u.source, "no session, but other rows have one", u.name) for u in without]

    def _check_speaker(self, line: int, name: str, speaker: str, gender: str, session: str) -> None:
        """A speaker in two sessions would be in the training and in the test."""
        known_gender, known_session, first = self.speakers.setdefault(speaker, (gender, session, line))
        if gender != known_gender:
            self._problem(line, f"speaker {speaker} has another gender at line {first}", name)
        if session != known_session:
            self._problem(line, f"speaker {speaker} is in another session at line {first}", name)

    def _votes(self, line: int, name: str, field: str) -> tuple[tuple[str, ...], ...]:
        if not field:
            return ()
        words = [[word.strip() for word in part.split(",")] for part in field.split("|")]
        votes = [[spell(word, self.classes) for word in part] for part in words]
        unknown = [word for part in words for word in part if word and spell(word, self.classes) is None]
        if unknown:
            self._problem(line, f"broken votes {field!r}: unknown label {', '.join(map(repr, unknown))}", name)
        elif not all(word for part in words for word in part):
            self._problem(line, f"broken votes {field!r}: an empty label", name)
        elif any(len(set(labels)) < len(labels) for labels in votes):
            self._problem(line, f"broken votes {field!r}: an annotator gives a label twice", name)
        return tuple(tuple(label for label in labels if label) for labels in votes)

    def _problem(self, line: int, problem: str, name: str) -> None:
        self.problems.append(Problem(f"{self.file}:{line}", problem, name))
