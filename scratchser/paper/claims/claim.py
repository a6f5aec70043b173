"""A claim of the paper: what to train on each corpus, and which differences to take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from scratchser.paper.claims.trial import Arm, Trial
from scratchser.presets import PRESETS
from scratchser.runs.fold_dir import FoldDir

# A small `demo`. Only the last epoch can be selected, so that a difference does not depend on lucky epochs.
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

Kind = Literal["effect", "contrast", "null"]


@dataclass(frozen=True)
class Difference:
    """A value of each trial, in points of UA.

    kind   "effect": what the paper claims; "contrast": helps to understand it; "null": truly 0 by construction
    """

    kind: Kind
    name: str
    value: Callable[[Trial], float]


@dataclass(frozen=True)
class Claim:
    """A claim as an experiment.

    name          also the name of its folder
    first_seed    corpus n, counted from 1, has the seed first_seed + n
    arms          the trainings on a corpus, from the corpus's seed
    differences   what is compared
    """

    name: str
    first_seed: int
    arms: Callable[[int], dict[str, Arm]]
    differences: tuple[Difference, ...]

    def seed(self, number: int) -> int:
        return self.first_seed + number

    def trial(self, number: int, out: Path) -> Trial:
        """The trainings on corpus `number`, in OUT = `out`."""
        arms = self.arms(self.seed(number))
        folders = {name: FoldDir(out / self.name / name, number, synthetic=True) for name in arms}
        return Trial(self.name, number, self.seed(number), arms, folders)


def difference(one: str, other: str) -> Callable[[Trial], float]:
    """UA of the first arm minus UA of the other, in points."""
    return lambda trial: trial.ua(one) - trial.ua(other)
