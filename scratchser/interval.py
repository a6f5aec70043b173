"""The mean of a number over corpora or speakers, and how far it can be trusted.

    mean ± t(n - 1) s / sqrt(n)     s the sample standard deviation, t the 97.5 % point of Student's distribution

It covers the true mean in 95 of 100 experiments where the numbers are independent and about normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """The mean of n numbers, its 95 % interval from low to high, and the numbers' standard deviation."""

    mean: float
    low: float
    high: float
    sd: float
    n: int

    def covers(self, value: float) -> bool:
        return self.low <= value <= self.high


def interval(numbers: Sequence[float]) -> Interval:
    """Of a number for each corpus or speaker. Raises ValueError for fewer than two, and for one that is not finite."""
    values = np.asarray(numbers, dtype=float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError("an interval needs at least two numbers")
    if not np.isfinite(values).all():
        raise ValueError(f"number {int(np.argmin(np.isfinite(values))) + 1} is not finite")
    n, mean, sd = len(values), float(values.mean()), float(values.std(ddof=1))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * sd / n**0.5
    return Interval(mean, mean - half, mean + half, sd, n)
