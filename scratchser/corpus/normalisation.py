"""Normalisation of spectrograms: of all pixels alike, as in eq. (5), or of each frequency bin, which is ours.

The paper's kinds, applied to a batch after the warp:

    fold           mean and deviation of all pixels of the training speakers
    whole-corpus   the same over all speakers, which leaks the test speaker
    off            none

Ours, applied to each frequency bin before the warp, with the mean and deviation over frames

    bin            of the training speakers
    speaker        of all recordings of the utterance's own speaker
    utterance      of the utterance itself

"speaker" also uses the other recordings of a test speaker, but no label: it is transductive. The statistics of a
speaker or an utterance are shrunk towards those of the training speakers, which count as PRIOR seconds
(group_norm.shrink).
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from scratchser.corpus.features import Features
from scratchser.kernels import bin_norm, group_norm, mean_variance
from scratchser.presets import Config

EPSILON = 1e-8  # avoids division by zero
PER_BIN = "bin", "speaker", "utterance"  # the kinds that normalise each bin by itself
PRIOR = {"speaker": 10.0, "utterance": 1.0}  # seconds


@dataclass(frozen=True)
class Normalisation:
    """Eq. (5): a pixel x becomes (x - mean) * scale."""

    mean: float
    scale: float

    @classmethod
    def of(cls, features: Features, utterances: np.ndarray, kind: str) -> Self:
        """Statistics over all pixels of the utterances in any order; x stays the same unless eq. (5) is chosen.

        Only utterances of the training speakers give a result without a leak. Raises ValueError without utterances.
        """
        if kind not in ("fold", "whole-corpus"):
            return cls(0.0, 1.0)
        chosen = np.unique(utterances)
        starts, lengths = features.starts[chosen], features.lengths[chosen]
        mean, variance = mean_variance.mean_and_variance(features.values, starts, lengths)
        return cls(mean, 1 / math.sqrt(variance + EPSILON))


@dataclass(frozen=True)
class Bins:
    """mean, variance (F,) float64 of each frequency bin over the frames of the training speakers."""

    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, features: Features, utterances: np.ndarray) -> Self:
        """Raises ValueError without utterances."""
        chosen = np.unique(utterances)
        ranges = features.starts[chosen], features.lengths[chosen]
        _, mean, variance = bin_norm.mean_and_variance(features.values, *ranges, np.zeros(len(chosen), np.int64))
        return cls(mean[0], variance[0])

    def normalise(self, features: Features, voices: np.ndarray, config: Config) -> Features:
        """Returns the features with each bin normalised as config.normalisation says.

        voices   (U,) int64, from 0: which speaker each utterance is of
        """
        kind, U = config.normalisation, len(features.starts)
        groups = {"bin": np.zeros(U, np.int64), "speaker": voices, "utterance": np.arange(U)}[kind]
        ranges, mean, variance = (features.starts, features.lengths), self.mean[None], self.variance[None]
        if kind in PRIOR:
            own = bin_norm.mean_and_variance(features.values, *ranges, groups)
            mean, variance = group_norm.shrink(*own, PRIOR[kind] * 1000 / config.shift_ms, self.mean, self.variance)
        scale = 1 / np.sqrt(variance + EPSILON)
        return replace(features, values=bin_norm.normalise(features.values, *ranges, groups, mean, scale))
