"""Trivial baselines: what they measure, how they classify, and that they see only the training speakers."""

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from scratchser.corpus import baselines
from scratchser.corpus.split import make_folds
from scratchser.corpus.table import CLASSES, Corpus, Utterance

RATE = 16000


def voice(hz: float, seconds: float, rate: int = RATE, gain: float = 0.1) -> np.ndarray:
    """Ten harmonics, louder below than above."""
    time = np.arange(round(seconds * rate)) / rate
    return gain * sum(np.sin(2 * np.pi * hz * n * time + n) / n for n in range(1, 11))


def corpus(describe) -> Corpus:
    """Six speakers in three sessions, four utterances of each class that sound as `describe` says."""
    rows, sounds = [], {}
    for speaker in ("1F", "1M", "2F", "2M", "3F", "3M"):
        for label in range(4):
            for take in range(4):
                name = f"{speaker}_{label}_{take}"
                rows.append(Utterance(name, None, speaker, speaker[1], speaker[0], label))
                sounds[name] = describe(speaker, label, take)
    return Corpus("csv", CLASSES, tuple(rows), read=lambda u: (sounds[u.name].astype(np.float32), RATE))


@pytest.mark.parametrize("hz", [90.0, 133.0, 220.0, 410.0])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_finds_the_pitch_of_a_voice_at_any_rate(hz, rate):
    f0 = np.exp(baselines.mean_log_f0(voice(hz, 0.6, rate), rate))
    assert f0 == pytest.approx(hz, rel=0.015)  # lags are integers


def test_pitch_is_measured_only_in_voiced_frames():
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    assert np.isnan(baselines.mean_log_f0(noise, RATE))
    assert np.isnan(baselines.mean_log_f0(np.zeros(RATE), RATE))
    assert np.isnan(baselines.mean_log_f0(voice(200, 0.01), RATE))
    half = np.concatenate([voice(200, 0.5), voice(100, 0.5, gain=1e-3)])
    assert np.exp(baselines.mean_log_f0(half, RATE)) == pytest.approx(200, rel=0.01)


def test_measures_the_mean_of_the_channels():
    sound = np.stack([voice(200, 0.5), 0 * voice(200, 0.5)], axis=1).astype(np.float32)
    made = Corpus("csv", CLASSES, (Utterance("u", None, "s", "", "", 0),), read=lambda u: (sound, RATE))
    numbers = baselines.measure(made)
    assert np.exp(numbers["duration"]) == pytest.approx([0.5])
    assert np.exp(numbers["loudness"]) == pytest.approx([np.sqrt(np.mean((voice(200, 0.5) / 2) ** 2))], rel=1e-4)


def test_density_is_that_of_scipy():
    rng = np.random.default_rng(1)
    values, points = rng.normal(0, 2, 30), np.linspace(-5, 5, 11)
    width = 2.0 * values.std() * 30**-0.2
    expected = np.log(gaussian_kde(values, width / values.std(ddof=1))(points)) + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(baselines.log_density(values, points), expected, rtol=1e-10)


def test_every_class_is_as_likely_as_the_others():
    values = np.concatenate([np.linspace(-1, 1, 100), np.linspace(1, 3, 4)])
    labels = np.repeat([0, 1], [100, 4])
    assert baselines.classify(values, labels, np.array([0.0, 1.9, np.nan]), 3).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("sound", "telling"),
    [
        (lambda rng, k: voice(rng.choice([120.0, 200.0]), 0.3 + 0.2 * k), ["duration"]),
        (lambda rng, k: voice(120.0 * 1.4**k, 0.4, gain=0.1 * 0.5**k), ["loudness", "mean F0"]),
    ],
)
def test_what_predicts_the_class_is_found(sound, telling):
    rng = np.random.default_rng(2)
    made = corpus(lambda speaker, label, take: sound(rng, label))
    scores = {each.name: each.as_dict()["ua_mean"] for each in baselines.evaluate(made, make_folds(made))}
    assert scores.pop("majority") == 0.25
    assert [name for name, ua in scores.items() if ua == 1.0] == telling
    assert all(ua < 0.5 for ua in scores.values() if ua != 1.0)


def test_only_the_training_speakers_are_used():
    """Other labels of the test and validation speakers do not change the predictions."""
    rng = np.random.default_rng(3)
    lengths = {(s, k, t): 0.3 + 0.1 * k + 0.2 * rng.random() for s in "123" for k in range(4) for t in range(4)}
    honest = corpus(lambda speaker, label, take: voice(150.0, lengths[speaker[0], label, take]))
    fold = make_folds(honest)[0]
    turned = tuple(
        Utterance(u.name, None, u.speaker, u.gender, u.session, (u.label + (u.speaker in ("1F", "1M"))) % 4)
        for u in honest.utterances
    )
    lying = Corpus("csv", CLASSES, turned, read=honest.read)
    for before, after in zip(baselines.evaluate(honest, [fold]), baselines.evaluate(lying, [fold]), strict=True):
        assert np.array_equal(np.roll(before.confusions["1F"], 1, axis=0), after.confusions["1F"])
    assert before.name == "mean F0"


def test_majority_is_that_of_the_training_speakers():
    """All speakers have each class four times, but in session 2 the first three classes only once."""
    everything = corpus(lambda speaker, label, take: voice(150.0, 0.3))
    rows = tuple(u for u in everything.utterances if u.session != "2" or u.label == 3 or u.name.endswith("0"))
    made = Corpus("csv", CLASSES, rows, read=everything.read)
    majority = baselines.evaluate(made, make_folds(made))[0]
    predicted = [matrix.sum(axis=0).tolist() for matrix in majority.confusions.values()]
    assert predicted == [[0, 0, 0, 16]] * 2 + [[7, 0, 0, 0]] * 2 + [[0, 0, 0, 16]] * 2  # session 2's folds see a tie
    assert majority.as_dict()["wa_mean"] == pytest.approx((4 * 4 / 16 + 2 * 1 / 7) / 6)
