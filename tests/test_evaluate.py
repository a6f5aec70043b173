"""The vote of TTA copies, its ties, and scores that do not depend on the batch."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from scratchser import evaluate
from scratchser.corpus.features import Features
from scratchser.corpus.normalisation import Normalisation
from scratchser.kernels import group_norm
from scratchser.layers import SpeakerNorm
from scratchser.model import Model
from scratchser.presets import Config


def test_copies_are_the_papers_eleven():
    assert evaluate.COPIES.tolist() == [0.9, 0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08, 1.1]


@pytest.mark.parametrize(
    ("vtlp", "copies", "alphas"),
    [
        ("off", 0, [1.0]),
        ("epoch", 0, evaluate.COPIES),
        ("utterance", 0, evaluate.COPIES),
        ("off", 11, evaluate.COPIES),
        ("utterance", 1, [1.0]),
    ],
)
def test_copies_follow_the_training_unless_they_are_set(vtlp, copies, alphas):
    np.testing.assert_array_equal(evaluate.copies(Config(vtlp=vtlp, tta_copies=copies)), alphas)


@pytest.mark.parametrize(
    ("copies", "votes", "order"),
    [
        # most votes win, even against a larger mean probability
        ([[0.51, 0.49, 0.0]] * 6 + [[0.0, 1.0, 0.0]] * 5, [6, 5, 0], [0, 1, 2]),
        # equal votes: the larger mean wins
        ([[0.6, 0.4, 0.0], [0.3, 0.7, 0.0]], [1, 1, 0], [1, 0, 2]),
        # the second choice is the next by votes, even against a larger mean
        ([[0.5, 0.01, 0.49]] * 3 + [[0.0, 0.51, 0.49]] * 2 + [[0.0, 0.0, 1.0]], [3, 2, 1], [0, 1, 2]),
        # equal votes for the second choice: the larger mean is next
        ([[0.9, 0.1, 0.0]] * 3 + [[0.1, 0.8, 0.1]] * 2 + [[0.0, 0.1, 0.9]] * 2, [3, 2, 2], [0, 1, 2]),
        # a single copy is the plain prediction
        ([[0.2, 0.5, 0.3]], [0, 1, 0], [1, 2, 0]),
        # without votes, the second choice has the next mean
        ([[0.7, 0.1, 0.2], [0.6, 0.15, 0.25]], [2, 0, 0], [0, 2, 1]),
    ],
)
def test_votes_then_mean_probabilities_decide_for_any_order_of_the_classes(copies, votes, order):
    for permutation in permutations(range(3)):
        found = evaluate.vote(np.array(copies)[:, None, permutation])
        assert found.votes[0].tolist() == [votes[k] for k in permutation]
        assert [permutation[found.first[0]], permutation[found.second[0]]] == order[:2]


def test_equal_votes_and_equal_means_go_to_the_first_class():
    """There is no random choice."""
    copies = np.array([[[0.25, 0.5, 0.25]], [[0.25, 0.25, 0.5]], [[0.5, 0.25, 0.25]]])
    for permutation in permutations(range(3)):
        found = evaluate.vote(copies[:, :, permutation])
        assert found.votes.tolist() == [[1, 1, 1]] and (found.first[0], found.second[0]) == (0, 1)


def test_scores_are_those_of_each_utterance_or_speaker_alone(monkeypatch):
    rng = np.random.default_rng(1)
    lengths = rng.integers(3, 20, 11)
    values = rng.standard_normal((lengths.sum(), 33)).astype(np.float32)
    features = Features(values, np.cumsum(lengths) - lengths, lengths)
    config = Config(conv_channels=(4,), conv_kernels=((3, 5),), conv_strides=((2, 4),), lstm_units=5)
    model, normalisation = Model(config, 33, 4), Normalisation(0.1, 1.3)
    utterances, alphas = rng.permutation(11)[:9], rng.uniform(0.9, 1.1, 9)
    monkeypatch.setattr(evaluate, "BATCH", 4)
    together = evaluate.scores(model, features, normalisation, utterances, alphas)
    for n, utterance in enumerate(utterances):
        alone = evaluate.scores(model, features, normalisation, np.array([utterance]), alphas[n : n + 1])
        assert np.array_equal(alone[0], together[n]), n

    normed = replace(config, readout="statistics", readout_norm="speaker", select_epoch=False, lstm_layers=0)
    model, voices = Model(normed, 33, 4), np.array([2, 0, 2, 2, 0, 2, 4, 2, 0])
    together = evaluate.scores(model, features, normalisation, utterances, alphas, voices)
    for voice in (0, 2, 4):  # a speaker's other utterances have an influence, those of other speakers have none
        own = voices == voice
        given = model, features, normalisation, utterances[own], alphas[own]
        assert np.array_equal(evaluate.scores(*given, voices[own] * 0), together[own])
    z = evaluate.embeddings(model, features, normalisation, utterances, alphas)
    mean = z[voices == 0].sum(axis=0) / (
        3 + SpeakerNorm.PRIOR
    )  # of 3 utterances; the statistics of training are 0 and 1
    squares = (z[voices == 0] ** 2).sum(axis=0) + SpeakerNorm.PRIOR
    variance = squares / (3 + SpeakerNorm.PRIOR) - mean**2
    expected = model.dense.forward((z[voices == 0] - mean) / np.sqrt(variance + group_norm.EPSILON))
    np.testing.assert_allclose(together[voices == 0], expected, rtol=1e-4, atol=1e-5)
