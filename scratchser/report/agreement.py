"""How a run does where the annotators agree and where they do not: the paper's table 6.

The first choice of the model, and the second, are counted per class over all test sets together. WA and UA are given
that way too, and as means over the folds, which the paper's own two rows seem to be.
"""

from __future__ import annotations

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
    """A choice of the model within a subset of the utterances.

    counts    (K,) int64 utterances per class
    recalls   (K,) float64 share of them where the choice was the label; NaN for a class without an utterance
    wa, ua    over all folds together        wa_folds, ua_folds   means over the folds that have such utterances
                                             wa_std, ua_std       their sample standard deviations (n - 1), NaN of one
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
    """By (subset, choice), from the rows of predictions.csv; empty where no utterance among them has annotators.

    Utterances without annotators are in no subset, not even in "all".
    """
    votes = {u.name: u.votes for u in corpus.utterances if u.votes}
    rows = [row for row in rows if row["utterance"] in votes]
    if not rows:
        return {}
    agreed = np.array([unanimous(votes[row["utterance"]], row["truth"]) for row in rows])
    masks = dict(zip(SUBSETS, (np.full(len(rows), True), agreed, ~agreed), strict=True))
    places = {name: place for place, name in enumerate(corpus.classes)}
    labels, folds = np.array([places[row["truth"]] for row in rows]), np.array([row["fold"] for row in rows])
    chosen = {choice: np.array([places[row[choice]] for row in rows]) for choice in CHOICES}
    return {
        (subset, choice): _of(labels[mask], guesses[mask], folds[mask], len(corpus.classes))
        for subset, mask in masks.items()
        for choice, guesses in chosen.items()
    }


def _of(labels: np.ndarray, guesses: np.ndarray, folds: np.ndarray, K: int) -> Agreement:
    pooled = metrics.confusion(labels, guesses, K)
    each = [metrics.confusion(labels[folds == fold], guesses[folds == fold], K) for fold in np.unique(folds)]
    was, uas = [metrics.wa(matrix) for matrix in each], [metrics.ua(matrix) for matrix in each]
    return Agreement(
        counts=pooled.sum(axis=1),
        recalls=metrics.recalls(pooled),
        wa=metrics.wa(pooled),
        ua=metrics.ua(pooled),
        wa_folds=float(np.mean(was)) if each else float("nan"),
        ua_folds=float(np.mean(uas)) if each else float("nan"),
        wa_std=float(np.std(was, ddof=1)) if len(each) > 1 else float("nan"),
        ua_std=float(np.std(uas, ddof=1)) if len(each) > 1 else float("nan"),
    )
