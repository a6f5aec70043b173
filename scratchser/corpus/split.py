"""Leave-one-speaker-out (LOSO) cross-validation, section 3 of the paper: one fold per speaker.

The test speaker of a fold is one of a session, the validation speaker is the other one of the same session, and the
speakers of all other sessions train. So training contains no voice and no conversation of the test. With
select_epoch=false the validation speaker trains too, unless a conversation was shared with the test speaker.

A corpus with many speakers can be split into groups instead (--groups): the speakers of a group are tested in one fold.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from scratchser.corpus.table import Corpus, natural
from scratchser.presets import Config
from scratchser.support.errors import UsageError


class FoldsError(UsageError):
    """The corpus cannot be split into folds, or a fold does not exist. The message says why."""


@dataclass(frozen=True)
class Fold:
    """The speakers of one fold. `session` and `gender` are those of the test speaker, empty for a group."""

    number: int  # from 1
    session: str
    gender: str
    test: str
    validation: str
    train: tuple[str, ...]
    more: tuple[str, ...] = ()  # the other test speakers of a group
    partners: bool = False  # the test and the validation speaker are of one session of the corpus

    def training(self, config: Config) -> tuple[str, ...]:
        """The speakers who train: the validation speaker too, if no epoch is selected and they shared no session."""
        both = not config.select_epoch and not self.partners
        return (*self.train, self.validation) if both else self.train

    @property
    def tested(self) -> tuple[str, ...]:
        """All test speakers."""
        return (self.test, *self.more)


def make_folds(corpus: Corpus, groups: int | None = None) -> tuple[Fold, ...]:
    """One fold per speaker: sessions ascending, the woman before the man, as in the paper's table 2.

    Without sessions, speakers are paired (see `pair`). A speaker who is alone in a session takes the first speaker of
    the next session for validation, who then does not train.

    With `groups`, one fold for each group of `split`. The validation speaker of fold n is number n of the next group,
    counted on from its first speaker after the last one.

    Raises FoldsError if a session has more than two speakers, no speaker is left to train on, there is only one class,
    or the corpus cannot be split into so many groups.
    """
    genders = {u.speaker: u.gender for u in corpus.utterances}
    sessions = _sessions(corpus)
    if groups is not None:
        if sessions:
            raise FoldsError("--groups is for corpora without sessions: groups would separate speakers of a session")
        if not 2 <= groups <= len(genders):
            raise FoldsError(f"--groups {groups}: should be from 2 to {len(genders)}, the number of speakers")
    real, sessions = bool(sessions), sessions or pair(genders)
    order = sorted(sessions, key=natural)
    chosen: list[tuple[str, tuple[str, ...], str]] = []  # session, test speakers and validation speaker
    if groups is None:
        for position, session in enumerate(order):
            following = sessions[order[(position + 1) % len(order)]]
            for test in sessions[session]:
                others = [speaker for speaker in sessions[session] if speaker != test]
                chosen.append((session, (test,), others[0] if others else following[0]))
    else:
        parts = split(genders, groups)
        for position, part in enumerate(parts):
            following = parts[(position + 1) % groups]
            chosen.append(("", part, following[position % len(following)]))
    folds: list[Fold] = []
    for session, (test, *more), validation in chosen:
        apart = {test, *more, validation}
        train = tuple(speaker for name in order for speaker in sessions[name] if speaker not in apart)
        if not train:
            remedy = "use more --groups" if groups and len(genders) > 2 else "add recordings of others"
            raise FoldsError(
                f"{corpus.root or corpus.name}: too few speakers, {len(genders)}: one tests, one validates, others"
                f" must train; {remedy}"
            )
        gender = "" if more else genders[test]
        partners = real and validation in sessions[session]
        folds.append(Fold(len(folds) + 1, session, gender, test, validation, train, tuple(more), partners))
    classes = {corpus.classes[u.label] for u in corpus.utterances}
    if len(classes) < 2:
        raise FoldsError(
            f"{corpus.root or corpus.name}: at least two classes need utterances that can be used; found:"
            f" {', '.join(classes) or 'none'}; choose classes with --classes"
        )
    return tuple(folds)


def class_warnings(corpus: Corpus, folds: Sequence[Fold], config: Config) -> tuple[str, ...]:
    """A sentence for each class that the models of some folds cannot learn."""
    warnings = []
    training = {str(fold.number): fold.training(config) for fold in folds}
    for label, name in enumerate(corpus.classes):
        speakers = {u.speaker for u in corpus.utterances if u.label == label}
        if without := [number for number, train in training.items() if speakers and speakers.isdisjoint(train)]:
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


def split(genders: dict[str, str], groups: int) -> tuple[tuple[str, ...], ...]:
    """Groups of speakers, for each gender in the order of the names.

    Their sizes differ by at most one, and so do their numbers of women and of men: places are dealt to the groups in
    turn, first for the women, then for the men, then for the others.
    """
    found: list[list[str]] = [[] for _ in range(groups)]
    dealt = 0
    for gender in ("F", "M", ""):
        names = sorted((name for name in genders if genders[name] == gender), key=natural)
        places = sorted((dealt + n) % groups for n in range(len(names)))
        for name, place in zip(names, places, strict=True):
            found[place].append(name)
        dealt += len(names)
    return tuple(map(tuple, found))


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
