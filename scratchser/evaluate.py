"""Predictions of a trained model: a single pass, or test-time augmentation with 11 VTLP copies (section 2)."""

from dataclasses import dataclass

import numpy as np

from scratchser.corpus.batches import assemble
from scratchser.corpus.features import Features
from scratchser.corpus.normalisation import Normalisation
from scratchser.kernels import softmax
from scratchser.kernels.machine.device import Array
from scratchser.model import Model
from scratchser.presets import Config

COPIES = np.round(np.arange(0.90, 1.101, 0.02), 2)  # alphas of the 11 copies
BATCH = 16  # utterances of similar length at a time; the scores do not depend on it


def embeddings(
    model: Model, features: Features, normalisation: Normalisation, utterances: np.ndarray, alphas: np.ndarray
) -> Array:
    """Returns the vectors (U, D) of `Model.embed` on the model's device.

    utterances (U,) are indices into the features, which must be on the model's device; alphas (U,) are their warps.
    """
    order = np.argsort(features.lengths[utterances], kind="stable")
    parts = []
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        x, lengths = assemble(features, normalisation, utterances[rows], alphas[rows])
        parts.append(model.device.download(model.embed(x, lengths)))
    return model.device.upload(np.concatenate(parts)[np.argsort(order)])  # in the order of `utterances`


def scores(
    model: Model,
    features: Features,
    normalisation: Normalisation,
    utterances: np.ndarray,
    alphas: np.ndarray,
    voices: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the model's scores before the softmax, a NumPy array (U, K).

    utterances, alphas   (U,) as for `embeddings`
    voices               (U,) int64, from 0, the speaker of each utterance, for a model with readout_norm
    """
    z = embeddings(model, features, normalisation, utterances, alphas)
    return model.device.download(model.classify(z, voices))


@dataclass(frozen=True)
class Prediction:
    """first, second (U,) class; mean (U, K) probability and votes (U, K) of the copies."""

    first: np.ndarray
    second: np.ndarray
    mean: np.ndarray
    votes: np.ndarray


def vote(probabilities: np.ndarray) -> Prediction:
    """Majority vote of A copies from their probabilities (A, U, K). A tie goes to the larger mean probability.

    A single copy (A = 1) gives the plain prediction.
    """
    _, U, K = probabilities.shape
    votes = (probabilities.argmax(axis=2)[:, :, None] == np.arange(K)).sum(axis=0)
    mean = probabilities.mean(axis=0)
    ranked = np.array([np.lexsort((-mean[u], -votes[u])) for u in range(U)]).reshape(U, K)
    return Prediction(ranked[:, 0], ranked[:, 1], mean, votes)


def copies(config: Config) -> np.ndarray:
    """The alphas (A,) of the copies in a test; config.tta_copies explains their number."""
    number = config.tta_copies or (1 if config.vtlp == "off" else len(COPIES))
    return COPIES if number > 1 else np.ones(1)


def copy_probabilities(
    model: Model,
    features: Features,
    normalisation: Normalisation,
    utterances: np.ndarray,
    alphas: np.ndarray,
    voices: np.ndarray | None = None,
) -> np.ndarray:
    """Probabilities (A, U, K) of the utterances (U,), warped by each of `alphas` (A,). The others as for `scores`."""
    warped = (np.full(len(utterances), alpha) for alpha in alphas)
    return np.stack([softmax.forward(scores(model, features, normalisation, utterances, a, voices)) for a in warped])
