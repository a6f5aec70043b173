"""The IEMOCAP release tree: labels and votes from SessionN/dialog/EmoEvaluation, audio from SessionN/sentences/wav.

A label file has one block per utterance, separated by blank lines:

    [6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[2.5000, 2.5000, 2.5000]
    C-E2:<TAB>Neutral;<TAB>()                      three external annotators: C-E*
    C-E3:<TAB>Neutral; Sadness;<TAB>(a; comment)
    C-F1:<TAB>;<TAB>()                             the speakers' own labels, C-F* and C-M*: ignored
    A-E3:<TAB>val 3; act 2; dom  2;<TAB>()         ratings on scales: ignored

The F or M in the LAST part of an utterance's name is the speaker: the woman of session 3 speaks Ses03M_impro05a_F000.
The letter after the session number is the speaker with the motion-capture markers.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scratchser.corpus.readers import expected_counts
from scratchser.corpus.readers.labels import CODES, class_list, spell
from scratchser.corpus.table import CLASSES, SYNTHETIC_MARKER, Corpus, CorpusError, Problem, Utterance

LABELS = frozenset(CODES.values()) - {"boredom"}
ANNOTATORS = 3
DIALOG = re.compile(r"Ses0(?P<session>[1-5])[FM]_(impro|script)\w+")
HEADER = re.compile(r"\[\d+\.\d+ - \d+\.\d+\]\s+(?P<name>\S+)\s+(?P<code>\w+)\s+\[[^\]]*\]\s*")
SPEAKER = re.compile(r"_([FM])[^_]*$")
VOTE = re.compile(r"C-E\d+:\s*(?P<labels>[^(]*)")


@dataclass
class Turn:
    """One block of a label file."""

    name: str
    label: str
    line: int
    votes: list[tuple[str, ...]] = field(default_factory=list)


def looks_like(root: Path) -> bool:
    """True if there is at least one SessionN/dialog/EmoEvaluation."""
    return any(root.glob("Session[1-5]/dialog/EmoEvaluation"))


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
    reader = _Reader(classes, merge_excited)
    for file in files:
        if scripted or "_impro" in file.stem:
            reader.read(file)
    utterances = tuple(sorted(reader.utterances.values(), key=lambda u: u.name))
    synthetic = (root / SYNTHETIC_MARKER).exists()
    complete = len(files) == expected_counts.DIALOGS and not synthetic
    comparable = complete and classes == CLASSES
    return Corpus(
        name="iemocap",
        classes=classes,
        utterances=utterances,
        problems=tuple(reader.problems),
        root=root,
        other_labels=tuple(reader.other_labels.most_common()),
        expected_counts=expected_counts.compare(utterances, scripted, merge_excited) if comparable else (),
        notes=() if complete or synthetic else (_incomplete(files),),
    )


def label_files(root: Path) -> list[Path]:
    """All label files, sorted by name, without the "._" files that some systems add when copying."""
    return sorted(root.glob("Session[1-5]/dialog/EmoEvaluation/Ses*.txt"), key=lambda file: file.name)


def _incomplete(files: list[Path]) -> str:
    sessions = sorted({file.parents[2].name.removeprefix("Session") for file in files})
    return (
        f"incomplete release: {len(files)} of {expected_counts.DIALOGS} label files (sessions {', '.join(sessions)}), "
        "so the counts are not compared with those of the complete release"
    )


class _Reader:
    """Collects utterances, problems and other labels from the label files."""

    def __init__(self, classes: tuple[str, ...], merge_excited: bool) -> None:
        self.classes = classes
        self.merge_excited = merge_excited
        self.seen: dict[str, str] = {}
        self.utterances: dict[str, Utterance] = {}
        self.problems: list[Problem] = []
        self.other_labels: Counter[str] = Counter()

    def read(self, file: Path) -> None:
        dialog = DIALOG.fullmatch(file.stem)
        if not dialog or file.parents[2].name != f"Session{dialog['session']}":
            self.problems.append(Problem(str(file), "not the name of a dialog of this session"))
            return
        before = len(self.problems)
        turns = list(self._turns(file))
        if not turns and len(self.problems) == before:
            self.problems.append(Problem(str(file), "no utterance in it: empty or cut off"))
        for turn in turns:
            self._add(file, dialog["session"], turn)

    def _turns(self, file: Path) -> Iterator[Turn]:
        """The blocks of a file. A blank line or the next header ends a block. A block without a name is broken."""
        turn: Turn | None = None
        for number, line in enumerate(_lines(file), start=1):
            where = f"{file}:{number}"
            if not line.strip():
                turn = None
            elif line.startswith("["):
                turn = self._header(line, number, where)
                if turn.name:
                    yield turn
            elif vote := VOTE.match(line):
                if turn is None:
                    turn = Turn("", "", number)
                    self.problems.append(Problem(where, "an annotator's line without a readable header above it"))
                turn.votes.append(self._vote(vote["labels"], where, turn.name))

    def _header(self, line: str, number: int, where: str) -> Turn:
        header = HEADER.fullmatch(line)
        if not header:
            self.problems.append(Problem(where, f"not a readable header: {line.strip()!r}"))
            return Turn("", "", number)
        label = CODES.get(header["code"], "")
        if label not in LABELS:
            self.problems.append(Problem(where, f"unknown label {header['code']!r} of {header['name']}"))
        return Turn(header["name"], self._merge(label), number)

    def _vote(self, labels: str, where: str, name: str) -> tuple[str, ...]:
        """One annotator's labels, each once. Merged labels count once too: excited with happiness is one label."""
        words = [word.strip() for word in labels.split(";") if word.strip()]
        names = [spell(word) or "" for word in words]
        unknown = [word for word, spelled in zip(words, names, strict=True) if spelled not in LABELS - {"undecided"}]
        if unknown:
            self.problems.append(Problem(where, f"unknown label {', '.join(map(repr, unknown))} in the votes", name))
        elif not names:
            self.problems.append(Problem(where, "an annotator without a label", name))
        return tuple(dict.fromkeys(self._merge(spelled) for spelled in names))

    def _merge(self, label: str) -> str:
        return "happiness" if self.merge_excited and label == "excited" else label

    def _add(self, file: Path, session: str, turn: Turn) -> None:
        where = f"{file}:{turn.line}"
        speaker = SPEAKER.search(turn.name)
        if not speaker or not turn.name.startswith(f"{file.stem}_"):
            self.problems.append(Problem(where, f"{turn.name} is not the name of an utterance of this dialog"))
            return
        if turn.name in self.seen:
            first = self.seen[turn.name]
            self.problems.append(Problem(where, f"duplicate of {turn.name}, first at {first}", turn.name))
            return
        self.seen[turn.name] = where
        if len(turn.votes) != ANNOTATORS:
            problem = f"{turn.name} has {len(turn.votes)} external annotators (C-E lines) instead of {ANNOTATORS}"
            self.problems.append(Problem(where, problem, turn.name))
        if turn.label in self.classes:
            self.utterances[turn.name] = Utterance(
                name=turn.name,
                path=file.parents[2] / "sentences" / "wav" / file.stem / f"{turn.name}.wav",
                speaker=session + speaker[1],
                gender=speaker[1],
                session=session,
                label=self.classes.index(turn.label),
                votes=tuple(turn.votes),
                source=where,
            )
        elif turn.label:
            self.other_labels[turn.label] += 1


def _lines(file: Path) -> list[str]:
    """The release is ASCII. Another byte can only occur in a comment, which is ignored."""
    return file.read_text(encoding="utf-8", errors="replace").splitlines()
