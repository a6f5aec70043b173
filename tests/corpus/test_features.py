"""Spectrograms of sound with any sampling rate and channels, and their folder on the disk."""

from dataclasses import replace

import numpy as np
import pytest

from scratchser import reference
from scratchser.corpus.audio import check_audio
from scratchser.corpus.check import conversions
from scratchser.corpus.features import Features, extract
from scratchser.corpus.table import Corpus, Utterance
from scratchser.kernels import mel, stft
from scratchser.presets import Config, SettingError
from scratchser.support.files import StorageError

CONFIG = Config(frequency_khz=4, log_floor=1e-4)


def corpus_of(**sounds):
    """A corpus whose utterances are given as name=(samples, rate in Hz)."""
    utterances = tuple(Utterance(name, None, "1F", "F", "1", 0) for name in sounds)
    return Corpus("csv", ("neutral",), utterances, read=lambda utterance: sounds[utterance.name])


def noise(samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def tone(hertz, rate, seconds=0.5):
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate).astype(np.float32)


SOUNDS = {"a": (noise(5000), 16000), "b": (noise(1024, 1), 16000), "c": (noise(9000, 2), 16000)}


@pytest.fixture(scope="module")
def corpus():
    return corpus_of(**SOUNDS)


@pytest.fixture(scope="module")
def features(corpus):
    progressed = []
    features = extract(corpus, CONFIG, lambda utterances: (progressed.append(u.name) or u for u in utterances))
    assert progressed == ["a", "b", "c"]
    return features


def test_every_utterance_is_its_own_spectrogram(features):
    assert features.values.dtype == np.float32
    np.testing.assert_array_equal(features.lengths, [8, 1, 16])
    assert len(features.values) == 25
    for n, (sound, _) in enumerate(SOUNDS.values()):
        expected = reference.stft.forward(sound, stft.hann(1024, np.float64), 512, 257, 1e-4)
        np.testing.assert_allclose(features.of(n), expected, rtol=0, atol=2e-3)  # quiet bins beside loud ones, float32


def test_a_mel_axis(corpus, features):
    found, axis = extract(corpus, replace(CONFIG, mel_bands=20)), mel.triangles(257, 20, 4000)
    np.testing.assert_array_equal(found.values, mel.forward(features.values, axis))
    np.testing.assert_array_equal(found.lengths, features.lengths)


def test_a_window_that_is_not_a_power_of_two_is_refused(corpus):
    with pytest.raises(SettingError, match="window_ms=50 is 800 samples"):
        extract(corpus, replace(CONFIG, window_ms=50))


def test_other_rates_and_channels_become_16_khz_mono_and_are_reported():
    left = tone(1000, 48000)
    sounds = {
        "a": (tone(1000, 16000), 16000),
        "b": (np.stack([left, left], axis=1), 48000),
        "c": (np.stack([left, -left], axis=1), 48000),
        "d": (tone(1000, 44100), 44100),
    }
    corpus = corpus_of(**sounds)
    features = extract(corpus, CONFIG)
    assert [(problem.utterance, problem.kind) for problem in check_audio(corpus).problems] == [
        ("c", "sound file whose channels cancel each other")
    ]
    assert conversions(check_audio(corpus)) == (
        "1 of 3 utterances resampled from 44100 to 16000 Hz",
        "1 of 3 utterances resampled from 48000 to 16000 Hz",
        "1 of 3 utterances mixed down from 2 channels",
    )
    assert conversions(check_audio(corpus_of(low=(tone(1000, 11025), 11025)))) == (
        "1 of 1 utterances resampled from 11025 to 16000 Hz, with nothing above 5512.5 Hz",
    )
    assert len(set(features.lengths)) == 1  # 0.5 s each
    inside = [features.of(n)[1:-1] for n in range(4)]  # the resampler's filter rings at the ends
    for n in (0, 1, 3):
        assert (inside[n].argmax(axis=1) == 64).all()  # 1 kHz
        np.testing.assert_allclose(inside[n][:, 64], inside[0][:, 64], atol=0.01)
    np.testing.assert_array_equal(inside[2], np.float32(np.log(np.float32(1e-4))))  # opposite channels cancel


# ---- the folder on the disk


@pytest.fixture
def folder(tmp_path, corpus, features):
    """Saved features, over the rest of a killed process."""
    (tmp_path / "features.part").mkdir()
    (tmp_path / "features.part" / "values.npy").write_bytes(b"half")
    features.save(tmp_path / "features", corpus, CONFIG)
    return tmp_path / "features"


def test_saved_features_have_the_same_bits_and_are_shared(folder, corpus, features):
    opened = Features.open(folder, corpus, CONFIG)
    for name in ("values", "starts", "lengths"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(features, name))
        assert isinstance(getattr(opened, name).base, np.memmap)
    opened.values[:] = 0  # stays in this process
    np.testing.assert_array_equal(Features.open(folder, corpus, CONFIG).values, features.values)
    assert [path.name for path in folder.parent.iterdir()] == ["features"]


@pytest.mark.parametrize(("changes", "utterance", "what"), [
    ({"log_floor": 1e-5}, "", "log floor"),
    ({"frequency_khz": 8}, "", "number of bins"),
    ({"frequency_khz": 8, "window_ms": 32}, "", "window"),  # 257 bins as before
    ({"shift_ms": 16}, "", "hop"),
    ({"mel_bands": 40}, "", "mel bands"),
    ({}, "b", "corpus"),
])  # fmt: skip
def test_features_of_other_settings_or_utterances_are_refused(folder, corpus, changes, utterance, what):
    with pytest.raises(StorageError, match=f"features of another {what}: remove it"):
        Features.open(folder, corpus.without({utterance}), replace(CONFIG, **changes))


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, corpus, features, monkeypatch):
    def full_disk(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scratchser.corpus.features.write_json", full_disk)
    with pytest.raises(StorageError, match="No space left"):
        features.save(tmp_path / "features", corpus, CONFIG)
    assert not list(tmp_path.iterdir())


def test_features_are_never_overwritten(folder, corpus, features):
    with pytest.raises(StorageError, match="remove it"):
        replace(features, values=features.values + 1).save(folder, corpus, CONFIG)
    np.testing.assert_array_equal(Features.open(folder, corpus, CONFIG).values, features.values)


@pytest.mark.parametrize(("damage", "what"), [
    (lambda file: file.write_bytes(file.read_bytes()[:-1]), "damaged"),
    (lambda file: np.save(file, np.load(file)[:-1]), "do not belong together"),
    (lambda file: file.unlink(), "damaged"),
    (lambda file: file.with_name("source.json").unlink(), "cannot read"),
])  # fmt: skip
def test_damaged_features_are_refused(folder, corpus, damage, what):
    damage(folder / "values.npy")
    with pytest.raises(StorageError, match=what):
        Features.open(folder, corpus, CONFIG)
