"""The one table that every corpus becomes: a row per utterance.

Readers of corpora (iemocap.py, emodb.py, csv_manifest.py, synthetic.py) end here, and everything later begins here.
Labels never depend on the audio: a table can be read, counted and split into folds where there is no wav file at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from scratchser.support.errors import UsageError

CLASSES = ("neutral", "happiness", "sadness", "anger")  # the paper's order
SYNTHETIC_MARKER = "SYNTHETIC.txt"  # a file of this name in a corpus's folder says that no human spoke there


class CorpusError(UsageError):
    """No table can be made; the message says why and what to do."""


@dataclass(frozen=True)
class Utterance:
    """One clip and what is known about it."""

    name: str  # unique within the corpus, e.g. "Ses01F_impro01_F000" or "03a01Wa"
    path: Path | None  # its wav file; None where the corpus makes its sound itself
    speaker: str  # "1F" ... "5M" for IEMOCAP, "03" ... "16" for EmoDB
    gender: str  # "F", "M", or "" if unknown
    session: str  # "1" ... "5", or "" where the corpus has none
    label: int  # index into Corpus.classes
    votes: tuple[tuple[str, ...], ...] = ()  # per annotator, the class names given; () = no annotators
    source: str = ""  # "file:line" where the label was read, for messages


@dataclass(frozen=True)
class Problem:
    """A broken thing, named so that it can be found and mended.

    Where an utterance of the table has to be skipped because of it, `utterance` is its name. A problem that names
    none, such as a line that cannot be read, never reached the table.
    """

    where: str  # "path" or "path:line"
    what: str
    utterance: str = ""


@dataclass(frozen=True)
class ExpectedCount:
    """A count of a complete release that is known beforehand."""

    what: str
    found: int
    expected: int


def read_wav(utterance: Utterance) -> tuple[np.ndarray, int]:
    """The utterance's audio as float32 in [-1, 1], (samples,) or (samples, channels), and its rate in Hz.

    Raises ValueError where the utterance has no file, soundfile.LibsndfileError where it is missing or unreadable.
    """
    if utterance.path is None:
        raise ValueError(f"{utterance.name} has no wav file")
    return soundfile.read(utterance.path, dtype="float32")


@dataclass(frozen=True)
class Origin:
    """What another process loads the same corpus by: the arguments of `corpus.load`, and the names left out since."""

    root: Path | None  # absolute
    kind: str
    scripted: bool
    merge_excited: bool
    classes: tuple[str, ...] | None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """Utterances sorted by name, the classes that their labels index, and what was noticed while reading the labels."""

    name: str  # "iemocap", "emodb", "csv" or "synthetic"
    classes: tuple[str, ...]
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...] = ()
    root: Path | None = None  # the folder; None where the corpus lives in the program
    read: Callable[[Utterance], tuple[np.ndarray, int]] = read_wav
    other_labels: tuple[tuple[str, int], ...] = ()  # labels outside the classes and how many utterances each
    expected_counts: tuple[ExpectedCount, ...] = ()  # empty where nothing is known beforehand
    notes: tuple[str, ...] = ()  # one sentence each, for whoever reads the counts
    origin: Origin | None = None  # None where `corpus.load` did not make it

    @property
    def synthetic(self) -> bool:
        """True where no human spoke: the built-in corpus, or a release tree written by it."""
        return self.name == "synthetic" or (self.root is not None and (self.root / SYNTHETIC_MARKER).exists())

    @property
    def speakers(self) -> tuple[str, ...]:
        return tuple(sorted({u.speaker for u in self.utterances}))

    def without(self, names: Collection[str]) -> Corpus:
        """The corpus less the utterances of these names, and less the problems that they were."""
        origin = self.origin
        return replace(
            self,
            origin=origin and replace(origin, left_out=tuple(sorted({*origin.left_out, *names}))),
            utterances=tuple(u for u in self.utterances if u.name not in names),
            problems=tuple(p for p in self.problems if p.utterance not in names),
        )

    def fingerprint(self) -> str:
        """SHA-256, as hex, of all that decides a run: classes, rows, and the size of each wav file in bytes.

        Paths do not count, so that a corpus that was moved stays the same corpus.
        """
        rows = [
            (u.name, u.speaker, u.gender, u.session, self.classes[u.label], u.votes, _size(u.path))
            for u in self.utterances
        ]
        return hashlib.sha256(json.dumps([self.classes, rows]).encode()).hexdigest()


def _size(path: Path | None) -> int:
    return path.stat().st_size if path is not None and path.exists() else -1


def natural(name: str) -> tuple[bool, int, str]:
    """Sorting key that puts "2" before "10", and numbers before words."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
