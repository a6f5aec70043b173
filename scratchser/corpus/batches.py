"""The batches of an epoch: order, oversampling and VTLP (section 2), and normalisation (eq. (5)).

All randomness of an epoch comes from (seed, fold, epoch), so an interrupted run continues with the same batches.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from scratchser.corpus.features import Features
from scratchser.corpus.normalisation import Normalisation
from scratchser.corpus.table import Utterance
from scratchser.corpus.votes import soft_label
from scratchser.kernels import mixup, vtlp
from scratchser.kernels.machine.device import Array
from scratchser.presets import Config

ALPHAS = 0.9, 1.1  # range of the warp factors


@dataclass(frozen=True)
class Dataset:
    """A corpus as arrays over its U utterances: labels (U,) int64, targets (U, K) and weights (U,) float32.

    Targets and weights are those of section 3.3 for config.soft_labels, else one-hot and 1. Then config.label_smoothing
    changes the targets.
    """

    classes: tuple[str, ...]
    utterances: tuple[Utterance, ...]
    features: Features
    labels: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(
        cls, classes: tuple[str, ...], utterances: tuple[Utterance, ...], features: Features, config: Config
    ) -> Self:
        labels = np.array([u.label for u in utterances], np.int64)
        targets = np.eye(len(classes), dtype=np.float32)[labels]
        weights = np.ones(len(labels), np.float32)
        if config.soft_labels:
            for n, utterance in enumerate(utterances):
                if utterance.votes:
                    targets[n], weights[n] = soft_label(utterance.votes, classes)
        targets = (1 - config.label_smoothing) * targets + np.float32(config.label_smoothing / len(classes))
        return cls(classes, utterances, features, labels, targets, weights)

    def of_speakers(self, *speakers: str) -> np.ndarray:
        """Indices of the utterances of these speakers."""
        return np.array([n for n, u in enumerate(self.utterances) if u.speaker in speakers], np.int64)

    @cached_property
    def voices(self) -> np.ndarray:
        """The number of each utterance's speaker, (U,) int64."""
        return np.unique([u.speaker for u in self.utterances], return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class Batch:
    """A padded minibatch."""

    x: Array  # (B, T, F, 1) float32 on the device of the features, zero past an utterance's end
    lengths: np.ndarray  # (B,) int64, frames; the largest is T
    targets: np.ndarray  # (B, K) float32
    weights: np.ndarray  # (B,) float32
    utterances: np.ndarray  # (B,) int64, indices into the features


def rng_of(seed: int, fold: int, epoch: int) -> np.random.Generator:
    """The random generator of one epoch of one fold."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(fold, epoch)))


def training_order(data: Dataset, utterances: np.ndarray, config: Config, rng: np.random.Generator) -> np.ndarray:
    """The utterances in random order, those of the classes in config.oversample twice."""
    twice = [k for k, name in enumerate(data.classes) if name in config.oversample]
    chosen = np.sort(utterances)
    return rng.permutation(np.concatenate([chosen, chosen[np.isin(data.labels[chosen], twice)]]))


def training_alphas(config: Config, number: int, rng: np.random.Generator) -> np.ndarray:
    """Warp factors (number,): one for all with "epoch", one each with "utterance", else 1."""
    if config.vtlp == "off":
        return np.ones(number)
    return np.full(number, rng.uniform(*ALPHAS)) if config.vtlp == "epoch" else rng.uniform(*ALPHAS, number)


def validation_alphas(config: Config, number: int, rng: np.random.Generator) -> np.ndarray:
    """Warp factors (number,) for the validation: one each with "utterance", else 1."""
    # a child of rng, so that they differ from those of the training
    return rng.spawn(1)[0].uniform(*ALPHAS, number) if config.vtlp == "utterance" else np.ones(number)


def assemble(
    features: Features, normalisation: Normalisation, utterances: np.ndarray, alphas: np.ndarray
) -> tuple[Array, np.ndarray]:
    """Returns x (B, T, F, 1) and lengths (B,) of the utterances (B,), warped by alphas (B,) and normalised."""
    starts, lengths = features.starts[utterances], features.lengths[utterances]
    T = int(lengths.max())
    x = vtlp.batch(features.values, starts, lengths, alphas, normalisation.mean, normalisation.scale, T)
    return x.reshape(*x.shape, 1), lengths


def minibatches(
    data: Dataset, utterances: np.ndarray, config: Config, normalisation: Normalisation, rng: np.random.Generator
) -> Iterator[Batch]:
    """The batches of one epoch over the training utterances. The last one may be smaller than config.batch_size."""
    augmentation = rng.spawn(2)[1]  # the first child is the validation's
    order = training_order(data, utterances, config, rng)
    alphas = training_alphas(config, len(order), rng)
    weights = data.weights * balance(data, order) if config.class_weights == "balanced" else data.weights
    for rows in cut(order, data.voices if config.readout_norm == "speaker" else None, config.batch_size, rng):
        chosen = order[rows]
        x, lengths = assemble(data.features, normalisation, chosen, alphas[rows])
        yield augmented(Batch(x, lengths, data.targets[chosen], weights[chosen], chosen), config, augmentation)


def augmented(batch: Batch, config: Config, rng: np.random.Generator) -> Batch:
    """The batch with mixup and random gains, or the batch itself without these settings.

    The loss is linear in weights times targets, so that a mixture of both has the mixture of both losses.
    """
    if not config.mixup and not config.gain:
        return batch
    B, real = len(batch.lengths), batch.weights.dtype
    share = rng.beta(config.mixup, config.mixup, B) if config.mixup else np.ones(B)
    share = np.maximum(share, 1 - share).astype(real)  # the larger one, because the length is the utterance's own
    partners, gain = rng.permutation(B), (config.gain * rng.standard_normal(B)).astype(real)
    x = mixup.forward(batch.x.reshape(batch.x.shape[:3]), batch.lengths, share, partners, gain)
    own, other = share * batch.weights, (1 - share) * batch.weights[partners]
    weighted = own[:, None] * batch.targets + other[:, None] * batch.targets[partners]
    weights = own + other
    targets = weighted / np.maximum(weights, np.finfo(real).tiny)[:, None]  # soft labels may have the weight 0
    return replace(batch, x=x.reshape(batch.x.shape), targets=targets, weights=weights)


def cut(order: np.ndarray, voices: np.ndarray | None, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The rows of the order in each minibatch: `size` at a time, the rest last.

    With the voices (U,) of all utterances, a minibatch is of one speaker. The rows of a speaker are cut into equal
    parts of about `size`, and the parts come in random order.
    """
    if voices is None:
        return [np.arange(start, min(start + size, len(order))) for start in range(0, len(order), size)]
    parts: list[np.ndarray] = []
    for voice in np.unique(voices[order]):
        rows = np.flatnonzero(voices[order] == voice)
        parts += np.array_split(rows, max(1, round(len(rows) / size)))
    return [parts[n] for n in rng.permutation(len(parts))]


def balance(data: Dataset, order: np.ndarray) -> np.ndarray:
    """Weights (U,) float32 that give each class the same sum over an epoch; their mean over the epoch is 1."""
    counts = np.bincount(data.labels[order], minlength=len(data.classes))
    per_class = len(order) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return per_class[data.labels].astype(np.float32)
