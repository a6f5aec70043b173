"""Weighted and unweighted accuracy, section 3 of the paper, from a confusion matrix.

confusion[i, j]   (K, K) int64, number of utterances of class i that were predicted as class j
weighted (WA)     share of all utterances that were predicted correctly
recall of i       share of the utterances of class i that were predicted correctly
unweighted (UA)   mean of the recalls: each class has the same weight, however rare
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit


def confusion(labels: ArrayLike, predicted: ArrayLike, K: int) -> np.ndarray:
    """The (K, K) int64 matrix of two equally long sequences of class indices in [0, K). Raises ValueError otherwise."""
    labels, predicted = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if labels.shape != predicted.shape or labels.ndim != 1:
        raise ValueError(f"labels {labels.shape} and predictions {predicted.shape} must be equally long sequences")
    both = np.concatenate([labels, predicted])
    if np.any((both < 0) | (both >= K)):
        raise ValueError(f"a class index is outside 0 ... {K - 1}")
    matrix = np.zeros((K, K), dtype=np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


def wa(confusion: np.ndarray) -> float:
    """Weighted accuracy in [0, 1]; NaN without utterances."""
    total = confusion.sum()
    return float(np.trace(confusion) / total) if total else float("nan")


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Recall of each class, (K,) float64 in [0, 1]; NaN for a class without utterances."""
    counts = confusion.sum(axis=1)
    return np.where(counts > 0, np.diagonal(confusion) / np.maximum(counts, 1), np.nan)


def ua(confusion: np.ndarray) -> float:
    """Unweighted accuracy in [0, 1], over the classes that have utterances; NaN without utterances."""
    present = confusion.sum(axis=1) > 0
    return float(recalls(confusion)[present].mean()) if present.any() else float("nan")


CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """The mean of n values, its 95 % confidence interval from low to high, and their standard deviation."""

    mean: float
    low: float
    high: float
    sd: float
    n: int

    def covers(self, value: float) -> bool:
        return self.low <= value <= self.high


def interval(numbers: Sequence[float]) -> Interval:
    """Student's t interval. Raises ValueError for fewer than two numbers, and for one that is not finite."""
    values = np.asarray(numbers, dtype=float)
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"an interval needs at least two finite numbers, got {values.tolist()}")
    n, mean, sd = len(values), float(values.mean()), float(values.std(ddof=1))
    half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * sd / n**0.5  # scipy.stats.t.ppf, which imports slowly
    return Interval(mean, mean - half, mean + half, sd, n)
