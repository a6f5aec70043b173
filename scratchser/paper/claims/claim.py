"""A claim of the paper: the trainings on each corpus, and the differences between them.

OUT/vtlp/wide/folds/01/ has metrics.jsonl, predictions.csv and result.json of the training `wide` of the claim `vtlp` on
corpus 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from scratchser.corpus.batches import Dataset
from scratchser.corpus.features import extract
from scratchser.cv.fold import run_fold
from scratchser.cv.workers import Row
from scratchser.paper.claims import corpora
from scratchser.paper.claims.corpora import CorpusSpec
from scratchser.presets import PRESETS, Config
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


@dataclass(frozen=True)
class Arm:
    """A training: on which kind of corpus, with which settings, and whether with another seed than the other arms."""

    spec: CorpusSpec
    config: Config
    other_seed: bool = False


@dataclass(frozen=True)
class Trial:
    """Corpus `number` of a claim, with the arms that are trained on it and their folders by the arms' names."""

    claim: str
    number: int
    seed: int
    arms: Mapping[str, Arm]
    folders: Mapping[str, FoldDir]

    def unfinished(self) -> list[str]:
        """The names of the arms that are not trained and tested yet."""
        return [name for name in self.arms if self.folders[name].result() is None]

    def run(self, notify: Callable[[Row], None]) -> dict[str, Any]:
        """Train and test the unfinished arms; in a worker process, see `workers.run_folds`. Returns UA by arm."""
        by_spec: dict[CorpusSpec, list[str]] = {}
        for name in self.unfinished():
            by_spec.setdefault(self.arms[name].spec, []).append(name)
        for spec, names in by_spec.items():  # arms with the same corpus share its features
            corpus = corpora.corpus(spec, self.seed)
            features = extract(corpus, self.arms[names[0]].config)
            for name in names:
                arm, folder = self.arms[name], self.folders[name]
                data = Dataset.of(corpus.classes, corpus.utterances, features, arm.config)
                run_fold(data, corpora.fold(self.number), arm.config, 2 * self.seed + arm.other_seed, folder, notify)
                folder.remove_checkpoint()
        return {name: self.ua(name) for name in self.arms}

    def ua(self, arm: str) -> float:
        """UA on the unseen speakers in %."""
        result = self.folders[arm].result()
        assert result is not None, f"corpus {self.number}: {arm} has not been trained"
        return 100 * float(result["ua"])


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
