"""Utterances whose annotators agree are recognised better (section 3.3, table 6).

gap      mean over the classes of the recall of unanimous utterances minus the recall of ambiguous ones
null     the same predictions after the votes were shuffled among the unseen speakers' utterances of each class. Who is
         unanimous then depends on neither sound nor prediction, so both recalls have the same mean in each class

A class that has only unanimous or only ambiguous utterances in a corpus is left out of its gap.
"""

import numpy as np

from scratchser import metrics
from scratchser.corpus.table import CLASSES
from scratchser.corpus.votes import unanimous
from scratchser.paper.claims import corpora
from scratchser.paper.claims.claim import SMALL, Arm, Claim, Difference, Trial
from scratchser.paper.claims.corpora import CorpusSpec
from scratchser.report.agreement import class_indices

MANY = CorpusSpec(test=(10, 10, 10, 10))  # enough for two subsets


def arms(seed: int) -> dict[str, Arm]:
    return {"plain": Arm(MANY, SMALL)}


def gap(labels: np.ndarray, predicted: np.ndarray, agreed: np.ndarray) -> float:
    """Points of UA, from labels, predictions and agreement (U,).

    Raises ValueError if no class has utterances of both kinds.
    """
    K = len(CLASSES)
    agree, disagree = (
        metrics.recalls(metrics.confusion(labels[subset], predicted[subset], K)) for subset in (agreed, ~agreed)
    )
    both = np.isfinite(agree) & np.isfinite(disagree)
    if not both.any():
        raise ValueError("no class has unanimous and ambiguous utterances")
    return 100 * float(np.mean(agree[both] - disagree[both]))


def shuffled(labels: np.ndarray, agreed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The agreement (U,), shuffled within each class."""
    new = agreed.copy()
    for label in np.unique(labels):
        new[labels == label] = rng.permutation(agreed[labels == label])
    return new


def _results(trial: Trial) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and agreement (U,) of the unseen speakers' utterances."""
    rows = trial.folders["plain"].prediction_rows()
    votes = {u.name: u.votes for u in corpora.corpus(trial.arms["plain"].spec, trial.seed).utterances}
    agreed = np.array([unanimous(votes[row["utterance"]], row["truth"]) for row in rows])
    return class_indices(rows, "truth", CLASSES), class_indices(rows, "predicted", CLASSES), agreed


def _gap(trial: Trial) -> float:
    return gap(*_results(trial))


def _gap_shuffled(trial: Trial) -> float:
    labels, predicted, agreed = _results(trial)
    return gap(labels, predicted, shuffled(labels, agreed, np.random.default_rng([trial.seed, 4])))


CLAIM = Claim(
    name="annotators",
    first_seed=130_000,
    arms=arms,
    differences=(
        Difference("effect", "UA of unanimous - of ambiguous utterances", _gap),
        Difference("null", "the same, votes shuffled within each class", _gap_shuffled),
    ),
)
