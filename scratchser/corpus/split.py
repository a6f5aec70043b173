"""Leave-one-speaker-out (LOSO) cross-validation, section 3 of the paper: one fold per speaker.

The test speaker of a fold is one of a session, the validation speaker is the other one of the same session, and the
speakers of all other sessions train. So training contains no voice and no conversation of the test.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from scratchser.corpus.table import Corpus, natural
from scratchser.support.errors import UsageError


class FoldsError(UsageError):
    """The corpus cannot be split into folds, or a fold does not exist. The message says why."""


@dataclass(frozen=True)
class Fold:
    """The speakers of one fold. `session` and `gender` are those of the test speaker."""

    number: int  # from 1
    session: str
    gender: str
    test: str
    validation: str
    train: tuple[str, ...]


def make_folds(corpus: Corpus) -> tuple[Fold, ...]:
    """One fold per speaker: sessions ascending, the woman before the man, as in the paper's table 2.

    Without sessions, speakers are paired (see `pair`). A speaker who is alone in a session takes the first speaker of
    the next session for validation, who then does not train. Raises FoldsError if a session has more than two speakers,
    no speaker is left to train on, or there is only one class.
    """
    genders = {u.speaker: u.gender for u in corpus.utterances}
    sessions = _sessions(corpus) or pair(genders)
    order = sorted(sessions, key=natural)
    folds: list[Fold] = []
    for position, session in enumerate(order):
        following = sessions[order[(position + 1) % len(order)]]
        for test in sessions[session]:
            others = [speaker for speaker in sessions[session] if speaker != test]
            validation = others[0] if others else following[0]
            train = tuple(speaker for name in order for speaker in sessions[name] if speaker not in (test, validation))
            if not train:
                raise FoldsError(
                    f"{corpus.root or corpus.name}: too few speakers, {len(genders)}: one tests, one validates, others"
                    " must train; add recordings of others"
                )
            folds.append(Fold(len(folds) + 1, session, genders[test], test, validation, train))
    classes = {corpus.classes[u.label] for u in corpus.utterances}
    if len(classes) < 2:
        raise FoldsError(
            f"{corpus.root or corpus.name}: at least two classes need utterances that can be used; found:"
            f" {', '.join(classes) or 'none'}; choose classes with --classes"
        )
    return tuple(folds)


def class_warnings(corpus: Corpus, folds: Sequence[Fold]) -> tuple[str, ...]:
    """A sentence for each class that the models of some folds cannot learn."""
    warnings = []
    for label, name in enumerate(corpus.classes):
        speakers = {u.speaker for u in corpus.utterances if u.label == label}
        if without := [str(fold.number) for fold in folds if speakers and speakers.isdisjoint(fold.train)]:
            warnings.append(f"no training speaker has {name}, which cannot be learned, in folds: {', '.join(without)}")
    return tuple(warnings)


def pair(genders: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Pseudo-sessions: women with men in the order of their names, then the remaining speakers, perhaps one alone.

    The pairs are numbered from 1 in the order of the first name in each. Women come first.
    """
    names = sorted(genders, key=natural)
    women = [name for name in names if genders[name] == "F"]
    men = [name for name in names if genders[name] == "M"]
    pairs = list(zip(women, men, strict=False))
    paired = {name for members in pairs for name in members}
    rest = [name for name in names if name not in paired]
    groups = [*pairs, *(tuple(rest[i : i + 2]) for i in range(0, len(rest), 2))]
    groups.sort(key=lambda group: min(natural(name) for name in group))
    return {str(number): group for number, group in enumerate(groups, start=1)}


def _sessions(corpus: Corpus) -> dict[str, tuple[str, ...]]:
    """The sessions of the corpus, women first; empty if it has none."""
    speakers: dict[str, dict[str, str]] = defaultdict(dict)
    for utterance in corpus.utterances:
        speakers[utterance.session][utterance.speaker] = utterance.gender
    if set(speakers) <= {""}:
        return {}
    for session, members in speakers.items():
        if len(members) > 2:
            raise FoldsError(
                f"session {session} has {len(members)} speakers, but the protocol needs two; "
                "without any sessions, the speakers are paired"
            )
    return {
        session: tuple(sorted(members, key=lambda name: (members[name] != "F", natural(name))))
        for session, members in speakers.items()
    }
