"""A corpus for an experiment: ten voices of its own, four to learn from, one for validation, five unseen.

Everything follows from the corpus's seed: another seed has other voices and other sounds. The same seed in another
`World` is the same speakers saying the same, but for what the world changes, so that two worlds can be compared corpus
by corpus.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from scratchser.corpus import synthetic
from scratchser.corpus.split import Fold
from scratchser.corpus.table import CLASSES, Corpus, CorpusError

TRAIN = ("1F", "1M", "2F", "2M")
VALIDATION = "3F"
UNSEEN = "unseen"  # the name that the other five have together: the trainer tests one speaker
POOL = 2000  # utterances to choose from; what is not chosen is never given a sound


@dataclass(frozen=True)
class World:
    """How a corpus is made.

    tract_spread   how far the vocal tracts' lengths are apart; 1 in the built-in corpus, 0: all the same
    train, test    utterances per class of each speaker who trains, and of each who is unseen
    """

    tract_spread: float = 1.0
    train: tuple[int, ...] = (8, 8, 8, 8)
    test: tuple[int, ...] = (5, 5, 5, 5)

    def quota(self, speaker: str) -> tuple[int, ...]:
        """Utterances per class. The validation speaker chooses nothing here (claim.py) and has one of each."""
        return self.train if speaker in TRAIN else (1,) * len(CLASSES) if speaker == VALIDATION else self.test


def corpus(world: World, seed: int) -> Corpus:
    """The corpus of this seed. Raises CorpusError where a speaker's pool has too few utterances of a class."""
    pool = synthetic.load(seed, POOL, world.tract_spread)
    taken: dict[tuple[str, int], int] = defaultdict(int)
    chosen = []
    for utterance in pool.utterances:
        key = (utterance.speaker, utterance.label)
        if taken[key] < world.quota(utterance.speaker)[utterance.label]:
            taken[key] += 1
            heard = utterance.speaker in (*TRAIN, VALIDATION)
            chosen.append(utterance if heard else replace(utterance, speaker=UNSEEN))
    for speaker in pool.speakers:
        for label, needed in enumerate(world.quota(speaker)):
            if taken[speaker, label] < needed:
                raise CorpusError(f"corpus {seed}: speaker {speaker} has too few utterances of {CLASSES[label]}")
    return replace(pool, utterances=tuple(chosen))


def fold(number: int) -> Fold:
    """The only fold of corpus `number`; the weights and the order of learning begin with this number too."""
    return Fold(number, session="", gender="", test=UNSEEN, validation=VALIDATION, train=TRAIN)
