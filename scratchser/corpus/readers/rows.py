"""What a reader has found so far: utterances, problems and labels outside the classes."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from scratchser.corpus.table import Corpus, Problem, Utterance


class Rows:
    """Collects the rows of a corpus. Everything broken goes to `problem`, whatever the kind of corpus."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.utterances: list[Utterance] = []
        self.problems: list[Problem] = []
        self.other_labels: Counter[str] = Counter()
        self.seen: dict[str, str] = {}  # name of an utterance -> where it was read

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

    def corpus(self, name: str, root: Path, **more: Any) -> Corpus:
        """The table. A problem keeps only the name of an utterance in the table, since no other can be left out."""
        utterances = tuple(sorted(self.utterances, key=lambda u: u.name))
        names = {u.name for u in utterances}
        problems = tuple(p if p.utterance in names else replace(p, utterance="") for p in self.problems)
        others = tuple(self.other_labels.most_common())
        return Corpus(name, self.classes, utterances, problems, root, other_labels=others, **more)
