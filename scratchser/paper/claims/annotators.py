"""Annotators who do not agree, and how much better their unanimous utterances are recognised (section 3.3, table 6).

    gap      mean over the classes of: recall of the unanimous utterances less recall of the ambiguous ones
    null     the same predictions, after the votes were dealt anew among the unseen speakers' utterances of a class: who
             is unanimous is then drawn without a look at the sound or the prediction, and each class keeps its two
             numbers of utterances, so that both recalls have the same mean, class by class

A class that has only one kind of utterances is left out of a corpus's gap: a UA over different classes would differ
without any reason.
"""

from collections.abc import Sequence

import numpy as np

from scratchser import metrics
from scratchser.corpus.table import CLASSES
from scratchser.corpus.votes import unanimous
from scratchser.paper.claims import corpora
from scratchser.paper.claims.claim import SMALL, Arm, Claim, Corpus, Number
from scratchser.paper.claims.corpora import World

MANY = World(test=(10, 10, 10, 10))  # each is in one of two subsets


def arms(seed: int) -> dict[str, Arm]:
    return {"plain": Arm(MANY, SMALL)}


def gap(labels: np.ndarray, predicted: np.ndarray, agreed: np.ndarray) -> float:
    """Points of UA, from labels, predictions and agreement (U,).

    Raises ValueError where no class has utterances of both kinds.
    """
    K = len(CLASSES)
    sure, unsure = (
        metrics.recalls(metrics.confusion(labels[subset], predicted[subset], K)) for subset in (agreed, ~agreed)
    )
    both = np.isfinite(sure) & np.isfinite(unsure)
    if not both.any():
        raise ValueError("no class has unanimous and ambiguous utterances")
    return 100 * float(np.mean(sure[both] - unsure[both]))


def dealt(labels: np.ndarray, agreed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The agreement (U,) dealt anew within each class."""
    new = agreed.copy()
    for label in np.unique(labels):
        new[labels == label] = rng.permutation(agreed[labels == label])
    return new


def _heard(corpus: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and agreement of the unseen speakers' utterances."""
    rows = corpus.folders["plain"].prediction_rows()
    votes = {u.name: u.votes for u in corpora.corpus(corpus.arms["plain"].world, corpus.seed).utterances}
    return (
        _places([row["truth"] for row in rows]),
        _places([row["predicted"] for row in rows]),
        np.array([unanimous(votes[row["utterance"]], row["truth"]) for row in rows]),
    )


def _places(names: Sequence[str]) -> np.ndarray:
    return np.array([CLASSES.index(name) for name in names])


def _gap(corpus: Corpus) -> float:
    return gap(*_heard(corpus))


def _gap_dealt(corpus: Corpus) -> float:
    labels, predicted, agreed = _heard(corpus)
    return gap(labels, predicted, dealt(labels, agreed, np.random.default_rng([corpus.seed, 4])))


CLAIM = Claim(
    name="annotators",
    says="What annotators agree on is recognised better",
    first=130_000,
    arms=arms,
    numbers=(
        Number("effect", "UA of unanimous - of ambiguous utterances", _gap),
        Number("null", "the same, votes dealt anew within each class", _gap_dealt),
    ),
)
