"""The IEMOCAP release tree: labels and votes from SessionN/dialog/EmoEvaluation, audio from SessionN/sentences/wav.

A label file has one block per utterance, separated by blank lines:

    [6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[2.5000, 2.5000, 2.5000]
    C-E2:<TAB>Neutral;<TAB>()                      three external annotators: C-E*
    C-E3:<TAB>Neutral; Sadness;<TAB>(a; comment)
    C-F1:<TAB>;<TAB>()                             the speakers' own labels, C-F* and C-M*: ignored
    A-E3:<TAB>val 3; act 2; dom  2;<TAB>()         ratings on scales: ignored

The F or M in the LAST part of an utterance's name is the speaker: the woman of session 3 speaks Ses03M_impro05a_F000.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scratchser.corpus.readers import expected_counts
from scratchser.corpus.readers.labels import CODES, class_list, spell
from scratchser.corpus.readers.rows import Rows, names_in, unreadable
from scratchser.corpus.table import CLASSES, SYNTHETIC_MARKER, Corpus, CorpusError, Utterance

LABELS = frozenset(CODES.values()) - {"boredom"}
ANNOTATORS = 3
HEADER = re.compile(r"\[\d+\.\d+ - \d+\.\d+\]\s+(?P<name>\S+)\s+(?P<code>\w+)\s+\[[^\]]*\]\s*")
SPEAKER = re.compile(r"_([FM])[^\W_]*$")
VOTE = re.compile(r"C-E\d+:\s*(?P<labels>[^(]*)")


@dataclass
class Turn:
    """One block of a label file."""

    name: str = ""
    label: str = ""
    where: str = ""  # file:line
    votes: list[tuple[str, ...]] = field(default_factory=list)


def detect(root: Path) -> str:
    """Why the folder is of this kind, or ""."""
    return "it holds SessionN/dialog/EmoEvaluation" * any(root.glob("Session[1-5]/dialog/EmoEvaluation"))


def load(
    root: Path, *, scripted: bool = False, merge_excited: bool = False, classes: Sequence[str] | None = None
) -> Corpus:
    """The improvised dialogs, or all with `scripted`. `merge_excited` counts excited as happiness in labels and votes.

    The tree may be incomplete or without audio, and broken lines become Problems. Raises CorpusError if there is no
    label file at all or the classes are not IEMOCAP's.
    """
    possible = LABELS - ({"excited"} if merge_excited else set())
    classes = class_list(classes, possible, "IEMOCAP with these options")
    files = label_files(root)
    if not files:
        raise CorpusError(f"{root}: no label files; the folder must hold Session1 ... Session5 as released")
    reader = _Reader(Rows(classes), merge_excited)
    for file in files:
        reader.read(file, scripted)
    synthetic = (root / SYNTHETIC_MARKER).exists()
    missing = expected_counts.DIALOGS - {file.stem for file in files}
    comparable = not missing and not synthetic and classes == CLASSES
    return reader.rows.corpus(
        "iemocap",
        root,
        expected_counts=expected_counts.compare(reader.rows.utterances, scripted, merge_excited) if comparable else (),
        notes=(_incomplete(missing),) if missing and not synthetic else (),
    )


def label_files(root: Path) -> list[Path]:
    """All label files, session by session, sorted by name. Raises CorpusError if a session cannot be read."""
    folders = [root / f"Session{session}" / "dialog" / "EmoEvaluation" for session in range(1, 6)]
    for path in (path for folder in folders for path in (*folder.parents[1::-1], folder)):
        if os.path.lexists(path) and not os.path.isdir(path):
            raise CorpusError(f"{path}: {unreadable(path) or 'a file'} instead of a folder: restore or remove it")
    names = ((folder, name) for folder in folders for name in names_in(folder))
    return [folder / name for folder, name in names if name.startswith("Ses") and name.lower().endswith(".txt")]


def _incomplete(missing: Collection[str]) -> str:
    """Names the missing label files of the sessions that are there."""
    found = expected_counts.DIALOGS - set(missing)
    sessions = sorted({name[4] for name in found})
    names = sorted(name for name in missing if name[4] in sessions)
    return (
        f"incomplete release: {len(found)} of {len(expected_counts.DIALOGS)} label files "
        f"(sessions {', '.join(sessions)}), so the counts are not compared with those of the complete release"
        + (f"; missing: {', '.join(names[:5])}{', ...' * (len(names) > 5)}" if names else "")
    )


class _Reader:
    """Reads one label file after the other."""

    def __init__(self, rows: Rows, merge_excited: bool) -> None:
        self.rows = rows
        self.merge_excited = merge_excited

    def read(self, file: Path, scripted: bool) -> None:
        """Reads an improvised dialog, or any with `scripted`."""
        if file.stem not in expected_counts.DIALOGS or file.parents[2].name != f"Session{file.stem[4]}":
            self.rows.problem(str(file), "not a label file of the release, or in the wrong session: remove it")
            return
        if not scripted and "_impro" not in file.stem:
            return
        if reason := unreadable(file):
            self.rows.problem(str(file), f"label file that cannot be read: {reason}")
            return
        before = len(self.rows.problems)
        turns = list(self._turns(file))
        if not turns and len(self.rows.problems) == before:
            self.rows.problem(str(file), "no utterance in it, empty or cut off")
        for turn in turns:
            self._add(file, turn)

    def _turns(self, file: Path) -> Iterator[Turn]:
        """The blocks of a file. A blank line or the next header ends a block. A block without a name is broken."""
        turn: Turn | None = None
        text = file.read_text(encoding="utf-8", errors="replace")  # ASCII, except perhaps in a comment
        for number, line in enumerate(text.splitlines(), start=1):
            where = f"{file}:{number}"
            if not line.strip():
                turn = None
            elif line.startswith("["):
                turn = self._header(line, where)
                if turn.name:
                    yield turn
            elif vote := VOTE.match(line):
                if turn is None:
                    turn = Turn()
                    self.rows.problem(where, "an annotator's line without a readable header above it")
                turn.votes.append(self._vote(vote["labels"], where, turn.name))

    def _header(self, line: str, where: str) -> Turn:
        header = HEADER.fullmatch(line)
        if not header:
            self.rows.problem(where, f"not a readable header: {line.strip()!r}")
            return Turn()
        label = CODES.get(header["code"], "")
        if label not in LABELS:
            self.rows.problem(where, f"unknown label: {header['code']!r} of {header['name']}")
        return Turn(header["name"], self._merge(label), where)

    def _vote(self, labels: str, where: str, name: str) -> tuple[str, ...]:
        """One annotator's labels, each once. Merged labels count once too: excited with happiness is one label."""
        words = [word.strip() for word in labels.split(";") if word.strip()]
        names = [spell(word) or "" for word in words]
        unknown = [word for word, spelled in zip(words, names, strict=True) if spelled not in LABELS - {"undecided"}]
        if unknown:
            self.rows.problem(where, f"unknown label in the votes: {', '.join(map(repr, unknown))}", name)
        elif not names:
            self.rows.problem(where, "an annotator without a label", name)
        return tuple(dict.fromkeys(self._merge(spelled) for spelled in names))

    def _merge(self, label: str) -> str:
        return "happiness" if self.merge_excited and label == "excited" else label

    def _add(self, file: Path, turn: Turn) -> None:
        speaker = SPEAKER.search(turn.name)
        if not speaker or not turn.name.startswith(f"{file.stem}_"):
            self.rows.problem(turn.where, f"not the name of an utterance of this dialog: {turn.name}")
            return
        if len(turn.votes) != ANNOTATORS:
            what = f"{len(turn.votes)} external annotators (C-E lines) instead of {ANNOTATORS}"
            self.rows.problem(turn.where, what, turn.name)
        if self.rows.accepts(turn.name, turn.where, turn.label):
            path = self.rows.sound_file(file.parents[2] / "sentences" / "wav" / file.stem / f"{turn.name}.wav")
            label, votes = self.rows.classes.index(turn.label), tuple(turn.votes)
            session = file.stem[4]
            who = (session + speaker[1], speaker[1], session)
            self.rows.utterances.append(Utterance(turn.name, path, *who, label, votes, turn.where))
