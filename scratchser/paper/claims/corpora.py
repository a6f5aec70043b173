"""A synthetic corpus for a trial: ten voices, of which four train, one validates and five are unseen.

The seed determines everything: other seeds give other voices and sounds. With the same seed, two specs give the same
speakers with the same utterances, except for what the specs change, so that they can be compared corpus by corpus.
"""

from dataclasses import dataclass, replace

from scratchser.corpus import synthetic
from scratchser.corpus.split import Fold
from scratchser.corpus.table import CLASSES, Corpus, CorpusError

TRAIN = ("1F", "1M", "2F", "2M")
VALIDATION = "3F"
UNSEEN = "unseen"  # the other five get this one name, because a fold tests one speaker
POOL = 2000  # utterances to choose from; sound is only made for the chosen ones


@dataclass(frozen=True)
class CorpusSpec:
    """How a corpus is made.

    tract_spread   factor for the differences of the vocal tracts' lengths: 1 as in the built-in corpus, 0 all equal
    train, test    utterances per class of each training speaker, and of each unseen speaker
    """

    tract_spread: float = 1.0
    train: tuple[int, ...] = (8, 8, 8, 8)
    test: tuple[int, ...] = (5, 5, 5, 5)

    def quota(self, speaker: str) -> tuple[int, ...]:
        """Utterances per class; one for the validation speaker, on whom nothing is selected (claim.py)."""
        if speaker == VALIDATION:
            return (1,) * len(CLASSES)
        return self.train if speaker in TRAIN else self.test


def corpus(spec: CorpusSpec, seed: int) -> Corpus:
    """The corpus of this seed. Raises CorpusError if a speaker has too few utterances of a class."""
    pool = synthetic.load(seed, POOL, spec.tract_spread)
    needed = {(speaker, label): n for speaker in pool.speakers for label, n in enumerate(spec.quota(speaker))}
    chosen = []
    for utterance in pool.utterances:
        key = utterance.speaker, utterance.label
        if needed[key]:
            needed[key] -= 1
            seen = utterance.speaker in (*TRAIN, VALIDATION)
            chosen.append(utterance if seen else replace(utterance, speaker=UNSEEN))
    for (speaker, label), n in needed.items():
        if n:
            raise CorpusError(f"corpus {seed}: speaker {speaker} has too few utterances of {CLASSES[label]}")
    return replace(pool, utterances=tuple(chosen))


def fold(number: int) -> Fold:
    """The only fold of corpus `number`, which is also a part of the training's seed."""
    return Fold(number, session="", gender="", test=UNSEEN, validation=VALIDATION, train=TRAIN)
