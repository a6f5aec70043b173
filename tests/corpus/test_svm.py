"""The SVM baselines: both normalisations, the folds, and that a label of a test speaker changes nothing."""

from dataclasses import replace

import numpy as np
import pytest

from scratchser.corpus import svm
from scratchser.corpus.split import make_folds
from scratchser.corpus.table import CLASSES, Corpus, Utterance

needs_extra = pytest.mark.skipif(not svm.installed(), reason="the extra `baselines` is not installed")
SPEAKERS = np.repeat(list("abcdef"), 8)
LABELS = np.tile(np.repeat(range(4), 2), 6)
ROWS = tuple(
    Utterance(f"u{n:02d}", None, str(speaker), "", "", int(label))
    for n, (speaker, label) in enumerate(zip(SPEAKERS, LABELS, strict=True))
)
MADE = Corpus("csv", CLASSES, ROWS)


def test_statistics_are_those_of_the_rows():
    x = np.random.default_rng(0).normal(3, 2, (6, 2)) @ np.array([[1.0, 0.0, 0.0], [0.0, 100.0, 0.0]]) + [0, 0, 0.1]
    rows = np.array([True, True, True, True, False, False])
    found = svm.standardised(x, rows)
    np.testing.assert_allclose(found[:, :2], (x[:, :2] - x[:4, :2].mean(axis=0)) / x[:4, :2].std(axis=0))
    assert not found[:, 2].any()  # constant: no division by the rounding of 0.1


def test_a_speakers_scale_and_offset_disappear():
    x = np.random.default_rng(1).normal(size=(48, 3))
    moved = x * (1 + SPEAKERS.view(np.int32)[:, None] % 5) + SPEAKERS.view(np.int32)[:, None]
    np.testing.assert_allclose(svm.per_speaker(moved, SPEAKERS), svm.per_speaker(x, SPEAKERS), atol=1e-9)


@pytest.mark.parametrize("groups", [None, 3])
def test_only_other_speakers_train(monkeypatch, groups):
    """The stand-in predicts a class of the training set, so a test label that leaks is found."""
    folds, calls = make_folds(MADE, groups), []

    def classify(x, labels, test_x):
        calls.append((x, labels))
        return np.zeros(len(test_x), np.int64)

    monkeypatch.setattr(svm, "classify", classify)
    x = np.random.default_rng(2).normal(size=(48, 3))
    recorded, normalised = svm.of_features("set", x, MADE, folds)
    assert len(calls) == 2 * len(folds) and "transductive" in normalised.name
    for fold, (values, labels) in zip(folds, calls[::2], strict=True):
        train = ~np.isin(SPEAKERS, fold.tested)
        assert np.array_equal(labels, LABELS[train])  # the validation speaker trains too
        np.testing.assert_array_equal(values, svm.standardised(x, train)[train])
    for found in (recorded, normalised):
        assert sorted(found.confusions) == list("abcdef") and found.as_dict()["ua_mean"] == 0.25


@needs_extra
def test_what_only_speaker_statistics_show():
    """A class is a distance from the speaker's mean; the means are far apart."""
    rng = np.random.default_rng(3)
    offsets = {speaker: 1000.0 * n for n, speaker in enumerate("fcadbe")}
    x = LABELS + np.array([offsets[speaker] for speaker in SPEAKERS]) + rng.normal(0, 0.01, 48)
    recorded, normalised = svm.of_features("set", x[:, None], MADE, make_folds(MADE))
    assert normalised.as_dict()["ua_mean"] == 1.0 and recorded.as_dict()["ua_mean"] < 0.5


@needs_extra
def test_functionals_of_sound():
    sound = np.sin(np.arange(32000) * 0.08).astype(np.float32)
    made = replace(MADE, utterances=ROWS[:2], read=lambda u: (sound[: 16000 + 16000 * (u.name == "u01")], 16000))
    found = svm.functionals(made)
    assert {name: values.shape for name, values in found.items()} == {"eGeMAPS": (2, 88), "ComParE": (2, 6373)}
    assert all(np.isfinite(values).all() for values in found.values())
