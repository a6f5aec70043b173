"""A trial: one synthetic corpus, and all trainings on it.

OUT/vtlp/wide/folds/01/ has metrics.jsonl, predictions.csv and result.json of the training `wide` of the claim `vtlp` on
corpus 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scratchser.corpus.batches import Dataset
from scratchser.corpus.features import extract
from scratchser.cv.fold import run_fold
from scratchser.cv.workers import Row
from scratchser.paper.claims import corpora
from scratchser.paper.claims.corpora import CorpusSpec
from scratchser.presets import Config
from scratchser.runs.fold_dir import FoldDir


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
