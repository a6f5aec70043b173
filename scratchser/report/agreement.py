"""The results of a run for utterances where the annotators agree and where they disagree: the paper's table 6.

The model's first choice and its second choice are counted for each class over all test sets together. WA and UA are
given pooled in the same way, and as means over the folds, as the paper's own two rows seem to be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scratchser import metrics
from scratchser.corpus.table import Corpus
from scratchser.corpus.votes import unanimous

SUBSETS = ("all", "unanimous", "ambiguous")
CHOICES = ("predicted", "second")  # the columns of predictions.csv


@dataclass(frozen=True)
class Agreement:
    """The results of one choice of the model within a subset of the utterances.

    counts             (K,) int64 utterances per class
    recalls            (K,) float64, NaN for a class without utterances
    wa, ua             over all folds together
    wa_folds, ua_folds means over the folds that have such utterances
    wa_std, ua_std     their sample standard deviations (n - 1), NaN for a single fold
    """

    counts: np.ndarray
    recalls: np.ndarray
    wa: float
    ua: float
    wa_folds: float
    ua_folds: float
    wa_std: float
    ua_std: float


def agreement(rows: Sequence[Mapping[str, str]], corpus: Corpus) -> dict[tuple[str, str], Agreement]:
    """The results by (subset, choice), from the rows of predictions.csv; empty if no utterance has annotators.

    Utterances without annotators are in no subset, not even in "all".
    """
    votes = {u.name: u.votes for u in corpus.utterances if u.votes}
    rows = [row for row in rows if row["utterance"] in votes]
    if not rows:
        return {}
    agreed = np.array([unanimous(votes[row["utterance"]], row["truth"]) for row in rows])
    masks = dict(zip(SUBSETS, (np.full(len(rows), True), agreed, ~agreed), strict=True))
    folds = np.array([row["fold"] for row in rows])
    indices = {name: np.array([corpus.classes.index(row[name]) for row in rows]) for name in ("truth", *CHOICES)}
    return {
        (subset, choice): _agreement(indices["truth"][mask], indices[choice][mask], folds[mask], len(corpus.classes))
        for subset, mask in masks.items()
        for choice in CHOICES
    }


def _agreement(labels: np.ndarray, predicted: np.ndarray, folds: np.ndarray, K: int) -> Agreement:
    pooled = metrics.confusion(labels, predicted, K)
    by_fold = [metrics.confusion(labels[folds == fold], predicted[folds == fold], K) for fold in np.unique(folds)]
    scores = np.array([[of(matrix) for matrix in by_fold] for of in (metrics.wa, metrics.ua)])
    means = scores.mean(axis=1) if by_fold else np.full(2, np.nan)
    stds = scores.std(axis=1, ddof=1) if len(by_fold) > 1 else np.full(2, np.nan)
    return Agreement(
        pooled.sum(axis=1),
        metrics.recalls(pooled),
        metrics.wa(pooled),
        metrics.ua(pooled),
        *map(float, (*means, *stds)),
    )
