"""Utterances whose annotators agree are recognised better (section 3.3, table 6).

gap      mean over the classes of the recall of unanimous utterances minus the recall of ambiguous ones
null     the same predictions after the votes were shuffled among the unseen speakers' utterances of each class. Who is
         unanimous then depends on neither sound nor prediction, so both recalls have the same mean in each class

A class that has only unanimous or only ambiguous utterances in a corpus is left out of its gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from scratchser.corpus.table import Corpus
from scratchser.paper.claims import corpora
from scratchser.paper.claims.claim import SMALL, Arm, Claim, Difference, Trial
from scratchser.paper.claims.corpora import UNSEEN, CorpusSpec
from scratchser.report.agreement import agreement

MANY = CorpusSpec(test=(10, 10, 10, 10))  # enough for two subsets


def arms(seed: int) -> dict[str, Arm]:
    return {"plain": Arm(MANY, SMALL)}


def gap(rows: Sequence[Mapping[str, str]], corpus: Corpus) -> float:
    """Points of UA, from the rows of predictions.csv and the votes of the corpus."""
    found = agreement(rows, corpus)
    return 100 * float(np.nanmean(found["unanimous", "predicted"].recalls - found["ambiguous", "predicted"].recalls))


def shuffled(corpus: Corpus, rng: np.random.Generator) -> Corpus:
    """The corpus with the votes of the unseen speakers' utterances shuffled within each class."""
    utterances = list(corpus.utterances)
    for label in range(len(corpus.classes)):
        of_class = [n for n, u in enumerate(utterances) if u.speaker == UNSEEN and u.label == label]
        for n, other in zip(of_class, rng.permutation(of_class), strict=True):
            utterances[n] = replace(utterances[n], votes=corpus.utterances[other].votes)
    return replace(corpus, utterances=tuple(utterances))


def _corpus(trial: Trial) -> Corpus:
    return corpora.corpus(trial.arms["plain"].spec, trial.seed)


def _gap(trial: Trial) -> float:
    return gap(trial.folders["plain"].prediction_rows(), _corpus(trial))


def _gap_shuffled(trial: Trial) -> float:
    corpus = shuffled(_corpus(trial), np.random.default_rng([trial.seed, 4]))
    return gap(trial.folders["plain"].prediction_rows(), corpus)


CLAIM = Claim(
    name="annotators",
    first_seed=130_000,
    arms=arms,
    differences=(
        Difference("effect", "UA of unanimous - of ambiguous utterances", _gap),
        Difference("null", "the same, votes shuffled within each class", _gap_shuffled),
    ),
)
