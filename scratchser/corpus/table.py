"""The table of a corpus: one row per utterance. Every reader returns it, and everything else starts from it.

Labels never depend on the audio: without any wav file, a table can still be read, counted and split into folds.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from scratchser.corpus import sound
from scratchser.support.errors import UsageError

CLASSES = ("neutral", "happiness", "sadness", "anger")  # the paper's order
SYNTHETIC_MARKER = "SYNTHETIC.txt"  # a file with this name marks the folder of a synthetic corpus


class CorpusError(UsageError):
    """The corpus cannot be read, or not with these options."""


@dataclass(frozen=True)
class Utterance:
    """One audio clip with one label."""

    name: str  # unique within the corpus, e.g. "Ses01F_impro01_F000" or "03a01Wa"
    path: Path | None  # its wav file; None in the built-in corpus, which synthesises it
    speaker: str  # "1F" ... "5M" for IEMOCAP, "03" ... "16" for EmoDB
    gender: str  # "F", "M", or "" if unknown
    session: str  # "1" ... "5", or "" if the corpus has none
    label: int  # index into Corpus.classes
    votes: tuple[tuple[str, ...], ...] = ()  # the labels that each annotator gave; () without annotators
    source: str = ""  # "file:line" where the label was read, for messages


@dataclass(frozen=True)
class Problem:
    """Something broken, and where to find it.

    `what` starts with the kind of problem; details come after the first comma or colon. `utterance` is the name of the
    utterance of the table that has to be left out because of it, or empty, for example if a line cannot be read.
    """

    where: str  # "path" or "path:line"
    what: str
    utterance: str = ""

    @property
    def kind(self) -> str:
        return re.split("[,:;]", self.what)[0]


@dataclass(frozen=True)
class ExpectedCount:
    """A count that a complete release is known to have, and the count that was found."""

    what: str
    found: int
    expected: int


def read_wav(utterance: Utterance) -> tuple[np.ndarray, int]:
    """Returns the audio, (samples,) or (samples, channels) float32 in [-1, 1], and its sampling rate in Hz.

    Raises SoundError if the file is missing, unreadable or too long.
    """
    found = sound.read(utterance.path or Path(utterance.name))
    return found.samples, found.rate


@dataclass(frozen=True)
class Origin:
    """How another process loads the same corpus: the arguments of `corpus.load`, and the utterances left out since."""

    root: Path | None  # absolute
    kind: str
    scripted: bool
    merge_excited: bool
    classes: tuple[str, ...] | None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """Utterances sorted by name, the classes that their labels index, and the problems in the label files."""

    name: str  # "iemocap", "emodb", "csv", "ravdess" (a CSV file with RAVDESS's names) or "synthetic"
    classes: tuple[str, ...]
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...] = ()
    root: Path | None = None  # the folder; None for the built-in corpus
    read: Callable[[Utterance], tuple[np.ndarray, int]] = read_wav
    other_labels: tuple[tuple[str, int], ...] = ()  # labels outside the classes, and their numbers of utterances
    expected_counts: tuple[ExpectedCount, ...] = ()  # empty if none are known
    notes: tuple[str, ...] = ()  # sentences to print beside the counts
    origin: Origin | None = None  # None if `corpus.load` did not make it

    @property
    def synthetic(self) -> bool:
        """True for the built-in corpus, and for a release tree written from it."""
        return self.name == "synthetic" or (self.root is not None and (self.root / SYNTHETIC_MARKER).exists())

    @property
    def speakers(self) -> tuple[str, ...]:
        return tuple(sorted({u.speaker for u in self.utterances}))

    def without(self, names: Collection[str]) -> Self:
        """The corpus without the utterances of these names and their problems."""
        origin = self.origin
        return replace(
            self,
            origin=origin and replace(origin, left_out=tuple(sorted({*origin.left_out, *names}))),
            utterances=tuple(u for u in self.utterances if u.name not in names),
            problems=tuple(p for p in self.problems if p.utterance not in names),
        )

    def fingerprint(self) -> str:
        """SHA-256, as hex, of everything that decides a run: classes, rows, and the size of each wav file in bytes.

        Paths do not count, so a moved corpus keeps its fingerprint.
        """
        rows = [
            (u.name, u.speaker, u.gender, u.session, self.classes[u.label], u.votes, _size(u.path))
            for u in self.utterances
        ]
        return hashlib.sha256(json.dumps([self.classes, rows]).encode()).hexdigest()


def _size(path: Path | None) -> int:
    try:
        return path.stat().st_size if path is not None else -1
    except OSError:
        return -1


def natural(name: str) -> tuple[bool, int, str]:
    """Sort key that puts "2" before "10", and numbers before words."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
