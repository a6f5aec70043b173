"""Your own corpus: a CSV file with one row per utterance.

    path,speaker,emotion,gender,session,votes
    anna/001.wav,anna,neutral,F,1,"neu|neu,sad|oth"

The columns path, speaker and emotion are required, the others are optional. Paths start at the folder of the CSV file.
In votes, | separates the annotators and commas separate the labels of one annotator (the field then needs quotes). A
label is a word or a three-letter code; labels.py lists both. Labels outside the classes are only counted.
"""

import csv
import io
import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from scratchser.corpus.readers.labels import CODES, class_list, spell
from scratchser.corpus.readers.rows import Rows, names_in, unreadable
from scratchser.corpus.table import Corpus, CorpusError, Utterance
from scratchser.support.errors import CONTROL
from scratchser.support.suggest import hint

NEEDED = ("path", "speaker", "emotion")
OPTIONAL = ("gender", "session", "votes")
OTHER_NAMES = {"path": ("file", "filename", "wav", "audio"), "speaker": ("spk", "actor"), "emotion": ("label", "class")}
GENDERS = {"": "", "f": "F", "female": "F", "m": "M", "male": "M"}
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16
LONGEST = 10_000  # characters of a header
RAVDESS = re.compile(r"03-01-0\d-0\d-0\d-0\d-(\d\d)")  # such as 03-01-05-01-02-01-07: speech of actor 07


class Header(NamedTuple):
    """The first line of a CSV file. Headings are in lower case, without empty ones at the end."""

    columns: list[str]
    separator: str
    encoding: str

    @property
    def missing(self) -> list[str]:
        return [name for name in NEEDED if name not in self.columns]


def find(root: Path) -> list[Path]:
    """`root` itself if it is a file of text, or the CSV files in the folder `root` that have the required columns."""
    if root.is_file():
        return [root] if root.suffix.lower() in (".csv", ".tsv", ".txt") else []
    return [file for file in _csv_files(root) if not unreadable(file) and not _header(file).missing]


def detect(root: Path) -> str:
    """Why the folder or file is of this kind, or ""."""
    return "".join(f"{file.name} has the columns {', '.join(NEEDED)}" for file in find(root)[:1])


def complaint(root: Path) -> str:
    """The end of a message: what the first CSV file in the folder `root` lacks, or nothing if there is none."""
    for file in _csv_files(root)[:1]:
        reason = unreadable(file)
        return f". {file.name}: {reason}" if reason else f". {file.name}:1: {_complaint(_header(file))}"
    return ""


def load(root: Path, *, classes: Sequence[str] | None = None) -> Corpus:
    """The utterances of the only CSV file that `find` returns. Broken rows become Problems.

    Raises CorpusError if there is none or more than one, or if it cannot be read as a table.
    """
    files = find(root)
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none" + complaint(root)
        raise CorpusError(f"{root}: needs exactly one CSV file with the columns {', '.join(NEEDED)}; found: {found}")
    header, rows = _header(files[0]), Rows(class_list(classes, None, "the CSV file"))
    _Reader(files[0], header, rows).read()
    ignored = [name or "(no name)" for name in header.columns if name not in NEEDED + OPTIONAL]
    notes = (f"ignored columns: {', '.join(ignored)}",) if ignored else ()
    return rows.corpus(_name(rows.utterances), files[0].parent, notes=notes)


def _name(utterances: Sequence[Utterance]) -> str:
    """The corpus's name: ravdess if all sound files have RAVDESS's names, each of which ends with the speaker."""
    actors = ((RAVDESS.fullmatch(Path(u.name).stem), u.speaker) for u in utterances)
    return "ravdess" if utterances and all(found and found[1] == speaker for found, speaker in actors) else "csv"


def _csv_files(folder: Path) -> list[Path]:
    files = (folder / name for name in names_in(folder) if name.lower().endswith((".csv", ".tsv")))
    return [file for file in files if not os.path.isdir(file)]


def _header(file: Path) -> Header:
    """The separator is a comma, a semicolon or a tab."""
    with file.open("rb") as data:
        encoding = "utf-16" if data.read(2) in BYTE_ORDER_MARKS else "utf-8-sig"
    with file.open(encoding=encoding, errors="replace", newline="") as lines:
        line = lines.readline(LONGEST)
    headers = []
    for separator in ",;\t":
        columns = [name.strip().lower() for name in next(csv.reader([line], delimiter=separator), [])]
        while columns and not columns[-1]:
            columns.pop()
        headers.append(Header(columns, separator, encoding))
    return min(headers, key=lambda header: (len(header.missing), -len(header.columns)))


def _complaint(header: Header) -> str:
    """What is wrong with a header, and which columns may be the missing ones."""
    columns, missing = header.columns, header.missing
    if not missing:
        twice = next(name for name in columns if columns.count(name) > 1)
        return f"the column {twice} appears twice: rename or remove one"
    if any("\0" in column for column in columns):
        return "not a text in UTF-8: save it as UTF-8"
    first_row = any(spell(name) or name.endswith((".wav", ".flac")) for name in columns)
    if not columns or (len(missing) == len(NEEDED) and first_row):
        return f"no header line: write the names of the columns above the rows, such as {','.join(NEEDED)}"
    found = ", ".join(map(repr, columns))[:300]
    renamed = [
        f"{near[0]!r} to {name}"
        for name in missing
        if (near := [column for column in columns if get_close_matches(column, (name, *OTHER_NAMES[name]))])
    ]
    advice = f"rename {', '.join(renamed)}; " if renamed else ""
    columns_text = f"required: {', '.join(NEEDED)}; optional: {', '.join(OPTIONAL)}; separator: comma, semicolon or tab"
    return f"no column {', '.join(missing)}; found: {found}; {advice}{columns_text}"


class _Reader:
    """Reads one file."""

    def __init__(self, file: Path, header: Header, rows: Rows) -> None:
        self.file, self.header, self.rows = file, header, rows

    def read(self) -> None:
        columns, line = self.header.columns, 0
        if self.header.missing or any(columns.count(name) > 1 for name in NEEDED + OPTIONAL):
            raise CorpusError(f"{self.file}:1: {_complaint(self.header)}")
        text = io.StringIO(self._text(), newline="")
        reader = csv.reader(text, delimiter=self.header.separator, strict=True)
        try:
            headings = len(next(reader))
            line = reader.line_num
            for fields in reader:
                line = reader.line_num
                if len(fields) == headings + 1 and fields[0].isdecimal():
                    del fields[0]  # the name of the row, as R's write.table prints it without a heading
                if any(field.strip() for field in fields):
                    self._row(f"{self.file}:{line}", [field.strip() for field in fields])
        except csv.Error as error:
            raise CorpusError(f"{self.file}:{line + 1}: not a CSV file: {error}; is a quote missing?") from error
        self._check_speakers()

    def _text(self) -> str:
        try:
            return self.file.read_bytes().decode(self.header.encoding)
        except UnicodeDecodeError as error:
            line = error.object[: error.start].decode(self.header.encoding).count("\n") + 1
            raise CorpusError(f"{self.file}:{line}: not in UTF-8: {error.reason}; save the file as UTF-8") from error

    def _row(self, where: str, fields: list[str]) -> None:
        columns, row = self.header.columns, dict(zip(self.header.columns, fields, strict=False))
        if len(fields) < len(columns) or any(fields[len(columns) :]):
            self.rows.problem(where, f"{len(fields)} fields instead of {len(columns)} (votes with commas need quotes)")
            return
        if empty := [name for name in NEEDED if not row[name]]:
            self.rows.problem(where, f"no {', no '.join(empty)}")
            return
        if CONTROL.search(row["path"] + row["speaker"] + row.get("session", "")):
            self.rows.problem(where, "a line break or another control character in a field (is a quote missing?)")
            return
        written = row["path"].replace("\\", "/")  # on Windows
        name, label = os.path.normpath(written), spell(row["emotion"], self.rows.classes) or ""
        if not label:
            near = hint(row["emotion"], {*self.rows.classes, *CODES.values()}, 0.55)
            classes = ", ".join(self.rows.classes)
            self.rows.problem(where, f"unknown label: {row['emotion']!r}; the classes are {classes}{near}")
        if not self.rows.accepts(name, where, label):
            return
        try:
            path = self.rows.sound_file(self.file.parent / written)
        except CorpusError as error:
            self.rows.problem(where, f"no access to the sound file: {error}")
            return
        gender, session = GENDERS.get(row.get("gender", "").lower()), row.get("session", "")
        if gender is None:
            self.rows.problem(where, f"unknown gender: {row['gender']!r}; F, M or nothing", name)
            gender = ""
        votes, number = self._votes(where, name, row.get("votes", "")), self.rows.classes.index(label)
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
