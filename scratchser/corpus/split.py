"""Speaker-out cross-validation, section 3 of the paper: as many folds as speakers.

A fold's test speaker is one of a session, its validation speaker the other of the same session, and the speakers of
all other sessions are for training. The test is thus never on a voice or a conversation heard in training.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from scratchser.corpus.table import Corpus, natural
from scratchser.support.errors import UsageError


class FoldsError(UsageError):
    """Folds that cannot be made or do not exist; the message says why."""


@dataclass(frozen=True)
class Fold:
    """Who is heard where. `session` and `gender` are the test speaker's."""

    number: int  # from 1
    session: str
    gender: str
    test: str
    validation: str
    train: tuple[str, ...]


def make_folds(corpus: Corpus) -> tuple[Fold, ...]:
    """One fold per speaker: sessions ascending, the woman before the man, as in the paper's table 2.

    Speakers of a corpus without sessions are paired into pseudo-sessions numbered from 1 (see `pair`). A speaker who
    is alone in a session takes the first of the next session for validation, who then does not train. Raises
    FoldsError where a session has more than two speakers, some utterances have a session and others have none, a
    speaker is in two sessions, or nobody is left to train on.
    """
    genders = {u.speaker: u.gender for u in corpus.utterances}
    sessions = _sessions(corpus) or pair(genders)
    order = sorted(sessions, key=natural)
    folds: list[Fold] = []
    for place, session in enumerate(order):
        following = sessions[order[(place + 1) % len(order)]]
        for test in sessions[session]:
            others = [speaker for speaker in sessions[session] if speaker != test]
            validation = others[0] if others else following[0]
            train = tuple(speaker for name in order for speaker in sessions[name] if speaker not in (test, validation))
            if not train:
                raise FoldsError(f"{len(genders)} speakers are too few: one tests, one validates, others must train")
            folds.append(Fold(len(folds) + 1, session, genders[test], test, validation, train))
    return tuple(folds)


def pair(genders: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Pseudo-sessions: women with men in the order of their names, then those left over together, one perhaps alone.

    The pairs are numbered in the order of the first name in each, the women stand first.
    """
    names = sorted(genders, key=natural)
    women = [name for name in names if genders[name] == "F"]
    men = [name for name in names if genders[name] == "M"]
    pairs = list(zip(women, men, strict=False))
    paired = {name for both in pairs for name in both}
    rest = [name for name in names if name not in paired]
    groups = [*pairs, *(tuple(rest[i : i + 2]) for i in range(0, len(rest), 2))]
    groups.sort(key=lambda group: min(natural(name) for name in group))
    return {str(number): group for number, group in enumerate(groups, start=1)}


def _sessions(corpus: Corpus) -> dict[str, tuple[str, ...]]:
    """The corpus's own sessions, women first; empty where it has none."""
    speakers: dict[str, dict[str, str]] = defaultdict(dict)
    for utterance in corpus.utterances:
        speakers[utterance.session][utterance.speaker] = utterance.gender
    if set(speakers) <= {""}:
        return {}
    if "" in speakers:
        raise FoldsError("some utterances have a session and others have none")
    for session, members in speakers.items():
        if len(members) > 2:
            raise FoldsError(
                f"session {session} has {len(members)} speakers, the protocol knows two; "
                "without any sessions the speakers are paired"
            )
    if sum(map(len, speakers.values())) > len(corpus.speakers):
        raise FoldsError("a speaker is in more than one session")
    return {
        session: tuple(sorted(members, key=lambda name: (members[name] != "F", natural(name))))
        for session, members in speakers.items()
    }
