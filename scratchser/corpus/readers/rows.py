"""What a reader has found so far: utterances, problems and labels outside the classes. And what is on the disk."""

import os
import stat
import unicodedata
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from scratchser.corpus.table import Corpus, CorpusError, Problem, Utterance


def names_in(folder: Path) -> list[str]:
    """The sorted names in a folder, without hidden ones, such as the "._" files that some systems add when copying.

    Empty if there is no such folder. Raises CorpusError if it cannot be read.
    """
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise CorpusError(f"{folder}: {error.strerror}") from error


def unreadable(file: Path) -> str:
    """Why a file cannot be read, or "". To open a pipe could wait forever, so it counts as no file."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return "not a file"
        file.open("rb").close()
    except FileNotFoundError:
        return "a dangling link"
    except OSError as error:
        return error.strerror or str(error)
    return ""


class Rows:
    """Collects the rows of a corpus. Everything broken goes to `problem`, whatever the kind of corpus."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.utterances: list[Utterance] = []
        self.problems: list[Problem] = []
        self.other_labels: Counter[str] = Counter()
        self.seen: dict[str, str] = {}  # name of an utterance -> where it was read
        self.folders: dict[Path, dict[str, list[str]]] = {}  # folder -> spelling of a name (see below) -> names

    def problem(self, where: str, what: str, utterance: str = "") -> None:
        self.problems.append(Problem(where, what, utterance))

    def accepts(self, name: str, where: str, label: str) -> bool:
        """True if the utterance is the first one of its name and has one of the classes.

        A second one is a problem. A label outside the classes is counted, unless it is empty.
        """
        if name in self.seen:
            self.problem(where, f"duplicate utterance: {name}, first at {self.seen[name]}", name)
            return False
        self.seen[name] = where
        if label and label not in self.classes:
            self.other_labels[label] += 1
        return label in self.classes

    def sound_file(self, path: Path) -> Path:
        """`path`, or if it does not exist, the only file beside it that differs in spelling alone (see `_spelling`).

        Raises CorpusError if the folder cannot be read.
        """
        if os.path.lexists(path):
            return path
        if path.parent not in self.folders:
            names = defaultdict(list)
            for name in names_in(path.parent):
                names[_spelling(name)].append(name)
            self.folders[path.parent] = names
        similar = self.folders[path.parent].get(_spelling(path.name), [])
        return path.with_name(similar[0]) if len(similar) == 1 else path

    def corpus(self, name: str, root: Path, **more: Any) -> Corpus:
        """The table. A problem keeps only the name of an utterance in the table, since no other can be left out."""
        utterances = tuple(sorted(self.utterances, key=lambda u: u.name))
        names = {u.name for u in utterances}
        problems = tuple(p if p.utterance in names else replace(p, utterance="") for p in self.problems)
        others = tuple(self.other_labels.most_common())
        return Corpus(name, self.classes, utterances, problems, root, other_labels=others, **more)


def _spelling(name: str) -> str:
    """Equal for names that differ only in case, in Unicode form, or in the endings .wav, .flac and none."""
    stem, suffix = os.path.splitext(unicodedata.normalize("NFC", name).casefold())
    return stem if suffix in (".wav", ".flac") else stem + suffix
