"""The built-in corpus: synthetic speech of five sessions with a woman and a man each, and three simulated annotators.

It has IEMOCAP's structure (improvised and scripted dialogs, ten labels, sometimes two from one annotator, sometimes no
majority), so that everything can be tried without IEMOCAP. Results on it say nothing about real speech.

An utterance mixes the expressions of an emotion and a neighbouring one. The sound is synthesised when it is read, and
depends only on the seed. docs/synthetic.md explains the details.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

import numpy as np

from scratchser.corpus.synthetic.voice import RATE, Expression, Voice, synthesise
from scratchser.corpus.table import CLASSES, Corpus, CorpusError, Utterance

SIZE = 300  # utterances of the four classes in the improvised dialogs
SCRIPTED_TURNS = 3  # per speaker in every scripted dialog

# fmt: off
EXPRESSIONS = {  #           tempo pauses accent skew drift final contrast legato tilt breath rough
    "neutral":     Expression(4.7, 0.05, 2.5, 0.45, -1.0, -1.5, 4.0, 0.45, -7.5, -23.0, 0.6),
    "happiness":   Expression(5.6, 0.02, 8.0, 0.65,  0.5,  4.0, 6.0, 0.80, -5.5, -17.0, 0.5),
    "sadness":     Expression(3.4, 0.16, 0.8, 0.40, -2.0, -1.0, 2.0, 0.75, -11., -10.0, 1.0),
    "anger":       Expression(5.6, 0.07, 6.5, 0.20, -2.5, -5.0, 9.0, 0.05, -3.5, -30.0, 1.8),
    "excited":     Expression(6.2, 0.02, 10., 0.65,  1.0,  5.0, 7.0, 0.75, -4.5, -18.0, 0.7),
    "frustration": Expression(4.8, 0.12, 4.0, 0.25, -2.0, -3.0, 6.5, 0.20, -5.5, -23.0, 1.4),
    "surprise":    Expression(5.2, 0.05, 10., 0.80,  1.0,  7.0, 6.0, 0.60, -6.5, -15.0, 0.6),
    "fear":        Expression(6.0, 0.12, 3.0, 0.50,  1.5,  1.0, 3.0, 0.45, -8.0, -11.0, 2.2),
    "disgust":     Expression(4.0, 0.08, 4.0, 0.20, -2.5, -4.0, 7.0, 0.40, -6.5, -17.0, 2.2),
    "other":       Expression(4.8, 0.10, 4.0, 0.50, -0.5,  0.5, 5.0, 0.50, -7.0, -19.0, 1.0),
}
SPREAD =           Expression(0.3, 0.02, 0.5, 0.05,  0.5,  0.8, 1.0, 0.06,  0.6,   2.0, 0.2)  # std. dev.
LOWEST =           Expression(2.5, 0.00, 0.3, 0.10, -8.0, -8.0, 0.0, 0.02, -14., -40.0, 0.1)
# The neighbours of each emotion, with their probabilities.
NEIGHBOURS = {
    "neutral":     {"frustration": 0.35, "sadness": 0.25, "happiness": 0.25, "other": 0.15},
    "happiness":   {"excited": 0.45, "neutral": 0.45, "surprise": 0.10},
    "sadness":     {"neutral": 0.60, "frustration": 0.30, "fear": 0.10},
    "anger":       {"frustration": 0.65, "disgust": 0.15, "neutral": 0.20},
    "excited":     {"happiness": 0.75, "surprise": 0.25},
    "frustration": {"anger": 0.40, "neutral": 0.40, "sadness": 0.20},
    "surprise":    {"excited": 0.50, "neutral": 0.50},
    "fear":        {"sadness": 0.60, "surprise": 0.40},
    "disgust":     {"anger": 0.50, "frustration": 0.50},
    "other":       {"neutral": 0.60, "frustration": 0.40},
}
# fmt: on
RARE = ("surprise", "fear", "disgust", "other")
DECK = ("neutral",) * 7 + ("sadness",) * 5 + ("happiness", "anger") * 3 + ("frustration",) * 2 + ("excited",)
LAPSE = 0.08  # probability that an annotator chooses a label at random
MEAN_TRACT_CM = 16.2  # vocal-tract length of women and men together


@dataclass(frozen=True)
class Take:
    """The emotion of an utterance, and the labels that the annotators gave."""

    emotion: str
    neighbour: str
    mix: float  # the neighbour's share of the expression, 0 ... 0.5
    votes: tuple[tuple[str, ...], ...]  # labels per annotator

    @property
    def label(self) -> str | None:
        """The only label that at least two annotators gave, or None if there is none or more than one."""
        counts = Counter(label for labels in self.votes for label in labels)
        agreed = [label for label, count in counts.items() if count >= 2]
        return agreed[0] if len(agreed) == 1 else None


@dataclass(frozen=True)
class Line:
    """One utterance without its sound."""

    name: str  # as in IEMOCAP: dialog, speaker, number of the turn
    dialog: str
    speaker: str  # session and F or M
    take: Take
    key: tuple[int, ...]  # seed of the sound

    @property
    def listed(self) -> bool:
        """True for the rows of the default table: improvised, with one of the four classes."""
        return "impro" in self.dialog and self.take.label in CLASSES


def load(seed: int = 0, size: int = SIZE, tract_spread: float = 1.0) -> Corpus:
    """The `size` improvised utterances that most annotators put into one of the four classes.

    `tract_spread` is a factor on the differences between the speakers' vocal-tract lengths and 16.2 cm; with 0, all
    lengths are the same. Raises CorpusError for a size below 10 (one for each speaker) or a spread outside 0 ... 3
    (above 3, tracts would be shorter than 10 cm), ValueError for a negative seed.
    """
    if not 0 <= tract_spread <= 3:
        raise CorpusError(f"the spread {tract_spread} of the vocal tracts is not between 0 and 3")
    lines = script(seed, size)
    listed = {line.name: line for line in sorted(lines, key=lambda line: line.name) if line.listed}
    utterances = []
    for name, line in listed.items():
        gender, session, label = line.speaker[1], line.speaker[0], CLASSES.index(line.take.label or "")
        utterances.append(Utterance(name, None, line.speaker, gender, session, label, line.take.votes))
    others = Counter(line.take.label or "undecided" for line in lines if "impro" in line.dialog and not line.listed)
    read = partial(_read, listed, seed, tract_spread)  # worker processes get it by pickle
    return Corpus("synthetic", CLASSES, tuple(utterances), read=read, other_labels=tuple(others.most_common()))


def _read(lines: dict[str, Line], seed: int, tract_spread: float, utterance: Utterance) -> tuple[np.ndarray, int]:
    """`Corpus.read`: synthesises an utterance."""
    return sound(lines[utterance.name], seed, tract_spread), RATE


def script(seed: int = 0, size: int = SIZE) -> list[Line]:
    """All utterances of all dialogs in order of time, including scripted dialogs and other labels."""
    if size < 10:
        raise CorpusError(f"a synthetic corpus of {size} utterances: at least 10 are needed, one for each speaker")
    return [line for session in range(1, 6) for line in _session(seed, session, size)]


def sound(line: Line, seed: int = 0, tract_spread: float = 1.0) -> np.ndarray:
    """The sound of a line, (samples,) float32 in [-1, 1] at 16 kHz."""
    take, rng, voice = line.take, np.random.default_rng(line.key), voice_of(seed, line.speaker, tract_spread)
    mixture = (1 - take.mix) * np.array(EXPRESSIONS[take.emotion]) + take.mix * np.array(EXPRESSIONS[take.neighbour])
    expression = Expression(*np.maximum(rng.normal(mixture, SPREAD), LOWEST))
    # these three do not depend on the emotion, or a stopwatch could classify the corpus
    seconds = min(1.0 + rng.exponential(0.6), 4.0)
    pitch_hz = voice.pitch_hz * 2 ** (np.clip(rng.normal(0, 2.0), -4, 4) / 12)
    level_db = rng.uniform(-37, -26)
    return synthesise(voice, expression, seconds, pitch_hz, level_db, rng)


def voice_of(seed: int, speaker: str, tract_spread: float = 1.0) -> Voice:
    """The voice of a speaker such as "1F"."""
    rng = np.random.default_rng([seed, int(speaker[0]), "FM".index(speaker[1]), 1])
    tract, pitch = ((14.2, 15.6), (180, 225)) if speaker[1] == "F" else ((16.4, 18.2), (98, 135))
    tract_cm = rng.uniform(*tract)
    return Voice(
        tract_cm=tract_cm + (tract_spread - 1) * (tract_cm - MEAN_TRACT_CM),  # exactly tract_cm for a spread of 1
        pitch_hz=rng.uniform(*pitch),
        tempo=rng.uniform(0.92, 1.08),
        accent=rng.uniform(0.8, 1.2),
        tilt=rng.uniform(-0.6, 0.6),
        breath=rng.uniform(-2, 2),
    )


def _session(seed: int, session: int, size: int) -> list[Line]:
    improvised, scripted = _dialogs(session)
    spoken: dict[str, list[list[Line]]] = {dialog: [] for dialog in improvised + scripted}
    for number, gender in enumerate("FM"):
        rng = np.random.default_rng([seed, session, number, 0])
        quota = (size + 9 - (2 * (session - 1) + number)) // 10  # the first speakers take the remainder
        takes = _takes(rng, quota)
        shares = [takes[i :: len(improvised)] for i in range(len(improvised))]
        shares += [_takes(rng, 0, SCRIPTED_TURNS) for _ in scripted]
        turn = 0
        for dialog, share in zip(spoken, shares, strict=True):
            names = [f"{dialog}_{gender}{i:03d}" for i in range(len(share))]
            keys = [(seed, session, number, 2, turn + i) for i in range(len(share))]
            turn += len(share)
            spoken[dialog].append(
                [Line(n, dialog, f"{session}{gender}", take, k) for n, take, k in zip(names, share, keys, strict=True)]
            )
    return [line for turns in spoken.values() for pair in zip_longest(*turns) for line in pair if line]


def _dialogs(session: int) -> tuple[list[str], list[str]]:
    """The improvised and the scripted dialogs, with the two unusual forms of names in the release."""
    improvised = [f"{marked}_impro{number:02d}" for marked in "FM" for number in (1, 2)]
    scripted = ["F_script01_1", "M_script01_1"]
    if session == 3:
        improvised[2:] = ["M_impro05a", "M_impro05b"]
    if session == 5:
        scripted.append("M_script01_1b")
    return [f"Ses{session:02d}{name}" for name in improvised], [f"Ses{session:02d}{name}" for name in scripted]


def _takes(rng: np.random.Generator, quota: int, least: int = 0) -> list[Take]:
    """At least `least` takes, of which `quota` belong to the four classes."""
    takes: list[Take] = []
    deck: list[str] = []
    while quota > 0 or len(takes) < least:
        if not deck:
            deck = [str(e) for e in rng.permutation([*DECK, str(rng.choice(RARE))])]
        takes.append(_take(deck.pop(), rng))
        quota -= takes[-1].label in CLASSES
    return takes


def _take(emotion: str, rng: np.random.Generator) -> Take:
    weights = NEIGHBOURS[emotion]
    neighbour = str(rng.choice(list(weights), p=list(weights.values())))
    mix = 0.5 * rng.beta(1.1, 1.2)
    return Take(emotion, neighbour, mix, tuple(_vote(emotion, neighbour, mix, rng) for _ in range(3)))


def _vote(emotion: str, neighbour: str, mix: float, rng: np.random.Generator) -> tuple[str, ...]:
    """One annotator's labels: more often the neighbour if its share is large, sometimes both, rarely another label."""
    if rng.random() < LAPSE:
        return (str(rng.choice(list(EXPRESSIONS))),)
    first, second = (
        (neighbour, emotion) if rng.random() < mix**1.5 / (mix**1.5 + (1 - mix) ** 1.5) else (emotion, neighbour)
    )
    return (first, second) if rng.random() < 0.4 * mix else (first,)
