"""Predictions of a trained model: single pass, or the vote of eleven warped copies (section 2)."""

from dataclasses import dataclass

import numpy as np

from scratchser.corpus.batches import Normalisation, assemble
from scratchser.corpus.features import Features
from scratchser.kernels import softmax
from scratchser.model import Model
from scratchser.presets import Config

COPIES = np.round(np.arange(0.90, 1.101, 0.02), 2)  # alpha of the test's copies
TOGETHER = 16  # utterances of similar length at a time; a prediction does not depend on it


def scores(
    model: Model, features: Features, normalisation: Normalisation, utterances: np.ndarray, alphas: np.ndarray
) -> np.ndarray:
    """The model's scores (U, K) for utterances (U,), indices into `features`, each warped by its alpha (U,).

    The features are where the model is; the scores are NumPy's.
    """
    order = np.argsort(features.lengths[utterances], kind="stable")
    parts = []
    for at in range(0, len(order), TOGETHER):
        rows = order[at : at + TOGETHER]
        logits = model.forward(*assemble(features, normalisation, utterances[rows], alphas[rows]))
        parts.append(model.device.download(logits))
    sorted_scores = np.concatenate(parts)
    result = np.empty_like(sorted_scores)
    result[order] = sorted_scores
    return result


@dataclass(frozen=True)
class Prediction:
    """first, second (U,) most and next likely class; mean (U, K) probability, votes (U, K) of the copies."""

    first: np.ndarray
    second: np.ndarray
    mean: np.ndarray
    votes: np.ndarray


def vote(probabilities: np.ndarray) -> Prediction:
    """Majority vote of the copies' probabilities (A, U, K); of equally many votes, the larger mean probability wins.

    A single copy (A = 1) gives the plain prediction.
    """
    A, U, K = probabilities.shape
    votes = np.zeros((U, K), np.int64)
    np.add.at(votes, (np.tile(np.arange(U), A), probabilities.argmax(axis=2).ravel()), 1)
    mean = probabilities.mean(axis=0)
    ranked = np.array([np.lexsort((-mean[u], -votes[u])) for u in range(U)]).reshape(U, K)
    return Prediction(ranked[:, 0], ranked[:, 1], mean, votes)


def copies(config: Config) -> np.ndarray:
    """The alphas (A,) of a test's copies: config.tta_copies of them or, if that is 0, eleven if training has warps and else
    the one of a single pass."""
    number = config.tta_copies or (1 if config.vtlp == "off" else len(COPIES))
    return COPIES if number > 1 else np.ones(1)


def copy_probabilities(
    model: Model, features: Features, normalisation: Normalisation, utterances: np.ndarray, alphas: np.ndarray
) -> np.ndarray:
    """Probabilities (A, U, K) of the utterances (U,) in each of the copies that are warped by `alphas` (A,)."""
    warped = (np.full(len(utterances), alpha) for alpha in alphas)
    return np.stack([softmax.forward(scores(model, features, normalisation, utterances, each)) for each in warped])


def predict(
    model: Model, features: Features, normalisation: Normalisation, utterances: np.ndarray, alphas: np.ndarray
) -> Prediction:
    """The vote over warped copies with `alphas` (A,); one copy with alpha 1 is the single pass."""
    return vote(copy_probabilities(model, features, normalisation, utterances, alphas))
