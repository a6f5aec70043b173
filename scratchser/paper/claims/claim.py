"""What a claim is: trainings of each corpus, and numbers that are taken from what they left on the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from scratchser.paper.claims.corpora import World
from scratchser.presets import PRESETS, Config
from scratchser.runs.fold_dir import FoldDir

# A small `demo`. The last epoch is tested: the validation speaker has nothing to choose, so that the difference of two
# trainings is not made of which epochs were lucky.
SMALL = replace(
    PRESETS["demo"],
    conv_channels=(12, 16, 24),
    conv_kernels=((9, 9), (5, 5), (3, 5)),
    conv_strides=((2, 8), (2, 4), (1, 2)),
    lstm_units=24,
    l2=0.01,
    conv_l2=0.02,
    batch_size=8,
    epochs=20,
    patience=20,
    selection_share=0.01,
    vtlp="off",
    oversample=(),
)


@dataclass(frozen=True)
class Arm:
    """One training of a corpus: in which world, with which settings; `again`: with another seed of its own."""

    world: World
    config: Config
    again: bool = False


@dataclass(frozen=True)
class Corpus:
    """A corpus whose trainings are done: its number, its seed, its arms and what each left on the disk."""

    number: int
    seed: int
    arms: Mapping[str, Arm]
    folders: Mapping[str, FoldDir]

    def result(self, arm: str) -> dict[str, Any]:
        result = self.folders[arm].result()
        assert result is not None, f"corpus {self.number}: {arm} has not been trained"
        return result

    def ua(self, arm: str) -> float:
        """UA on the unseen speakers in %."""
        return 100 * float(self.result(arm)["ua"])


Kind = Literal["effect", "contrast", "null"]


@dataclass(frozen=True)
class Number:
    """A number of each corpus, in points of UA.

    kind   "effect": what the paper claims; "contrast": to understand it by; "null": truly 0, by an argument
    """

    kind: Kind
    what: str
    of: Callable[[Corpus], float]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper as an experiment.

    name      also its folder
    says      the claim in a sentence
    first     corpus number n, from 1, has the seed first + n
    arms      the trainings of a corpus by their names, from the corpus's seed
    numbers   what is taken from them
    """

    name: str
    says: str
    first: int
    arms: Callable[[int], dict[str, Arm]]
    numbers: tuple[Number, ...]

    def seed(self, number: int) -> int:
        return self.first + number


def difference(one: str, other: str) -> Callable[[Corpus], float]:
    """UA of the first arm less UA of the other, in points."""
    return lambda corpus: corpus.ua(one) - corpus.ua(other)
