"""What the network sees in an epoch, in which order and warped how (section 2), and normalised how (eq. (5)).

An epoch's randomness comes from (seed, fold, epoch) alone, so a run that goes on after an interruption sees what it
would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scratchser.corpus.features import Features
from scratchser.corpus.table import Utterance
from scratchser.corpus.votes import soft_label
from scratchser.kernels import mean_variance, vtlp
from scratchser.kernels.machine.device import Array
from scratchser.presets import Config

ALPHAS = 0.9, 1.1  # the range that warp factors are drawn from
EPSILON = 1e-8  # of eq. (5): a corpus of equal pixels does not divide by zero


@dataclass(frozen=True)
class Normalisation:
    """Eq. (5): a pixel x becomes (x - mean) scale."""

    mean: float
    scale: float

    @staticmethod
    def of(features: Features, utterances: np.ndarray, kind: str) -> Normalisation:
        """Statistics over all pixels of these utterances, whatever their order; nothing is changed if `kind` is "off".

        For a result without a leak they are those of the fold's training speakers. Raises ValueError where there are
        no pixels.
        """
        if kind == "off":
            return Normalisation(0.0, 1.0)
        chosen = np.unique(utterances)
        mean, variance = mean_variance.moments(features.values, features.starts[chosen], features.lengths[chosen])
        return Normalisation(mean, 1 / math.sqrt(variance + EPSILON))


@dataclass(frozen=True)
class Dataset:
    """A corpus as arrays over its U utterances: labels (U,) int64, targets (U, K) and weights (U,) float32."""

    classes: tuple[str, ...]
    utterances: tuple[Utterance, ...]
    features: Features
    labels: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    @staticmethod
    def of(classes: tuple[str, ...], utterances: tuple[Utterance, ...], features: Features, config: Config) -> Dataset:
        labels = np.array([u.label for u in utterances], np.int64)
        targets = np.eye(len(classes), dtype=np.float32)[labels]
        weights = np.ones(len(labels), np.float32)
        if config.soft_labels:
            for n, utterance in enumerate(utterances):
                if utterance.votes:
                    targets[n], weights[n] = soft_label(utterance.votes, classes)
        return Dataset(classes, utterances, features, labels, targets, weights)

    def of_speakers(self, *speakers: str) -> np.ndarray:
        """Indices of these speakers' utterances."""
        return np.array([n for n, u in enumerate(self.utterances) if u.speaker in speakers], np.int64)


@dataclass(frozen=True)
class Batch:
    """A padded minibatch."""

    x: Array  # (B, T, F, 1) float32 where the features are, zero past an utterance's end
    lengths: np.ndarray  # (B,) int64, frames; the longest is T
    targets: np.ndarray  # (B, K) float32
    weights: np.ndarray  # (B,) float32
    utterances: np.ndarray  # (B,) int64, indices into the features


def rng_of(seed: int, fold: int, epoch: int) -> np.random.Generator:
    """The generator of one epoch of one fold."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(fold, epoch)))


def training_order(data: Dataset, utterances: np.ndarray, config: Config, rng: np.random.Generator) -> np.ndarray:
    """All these utterances in random order, those of the classes config.oversample twice.

    Names that are no class of the corpus are passed over. The order in which the utterances are given does not matter.
    """
    twice = [k for k, name in enumerate(data.classes) if name in config.oversample]
    chosen = np.sort(utterances)
    return rng.permutation(np.concatenate([chosen, chosen[np.isin(data.labels[chosen], twice)]]))


def training_alphas(config: Config, number: int, rng: np.random.Generator) -> np.ndarray:
    """Warp factors (number,): one for all in strategy "epoch", one each in strategy "utterance", else 1."""
    if config.vtlp == "off":
        return np.ones(number)
    return np.full(number, rng.uniform(*ALPHAS)) if config.vtlp == "epoch" else rng.uniform(*ALPHAS, number)


def validation_alphas(config: Config, number: int, rng: np.random.Generator) -> np.ndarray:
    """Warp factors (number,) of an epoch's validation: one each in strategy "utterance", else 1.

    They come from a stream of their own, so the epoch's generator may be the one that its training began with.
    """
    return rng.spawn(1)[0].uniform(*ALPHAS, number) if config.vtlp == "utterance" else np.ones(number)


def assemble(
    features: Features, normalisation: Normalisation, utterances: np.ndarray, alphas: np.ndarray
) -> tuple[Array, np.ndarray]:
    """x (B, T, F, 1) and lengths (B,) of these utterances (B,), each warped by its own factor (B,), and normalised."""
    starts, lengths = features.starts[utterances], features.lengths[utterances]
    T = int(lengths.max())
    x = vtlp.batch(features.values, starts, lengths, alphas, normalisation.mean, normalisation.scale, T)
    return x.reshape(*x.shape, 1), lengths


def minibatches(
    data: Dataset, utterances: np.ndarray, config: Config, normalisation: Normalisation, rng: np.random.Generator
) -> Iterator[Batch]:
    """An epoch over the training utterances in batches of config.batch_size; the last one may be smaller."""
    order = training_order(data, utterances, config, rng)
    alphas = training_alphas(config, len(order), rng)
    for at in range(0, len(order), config.batch_size):
        chosen = order[at : at + config.batch_size]
        x, lengths = assemble(data.features, normalisation, chosen, alphas[at : at + config.batch_size])
        yield Batch(x, lengths, data.targets[chosen], data.weights[chosen], chosen)
