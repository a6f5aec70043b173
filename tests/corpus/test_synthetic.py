"""The synthetic corpus: what distinguishes its classes and what must not, its table and its annotators."""

import pickle
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import stft

from scratchser.corpus import baselines, synthetic
from scratchser.corpus.synthetic import EXPRESSIONS, Take
from scratchser.corpus.synthetic import voice as synthesiser
from scratchser.corpus.synthetic.voice import RATE, Voice
from scratchser.corpus.table import CLASSES, CorpusError
from scratchser.corpus.votes import unanimous


@pytest.fixture(scope="module")
def corpus():
    return synthetic.load()


@pytest.fixture(scope="module")
def sounds(corpus):
    return {u.name: corpus.read(u)[0].astype(float) for u in corpus.utterances}


@pytest.fixture(scope="module")
def analyses(sounds):
    return {name: analyse(sound) for name, sound in sounds.items()}


def pitch_track(sound):
    """Semitones above 100 Hz and whether a frame is voiced, every 10 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, 640)[::160]
    hertz, strength, power = baselines._pitch(frames, RATE)
    return 12 * np.log2(hertz / 100), (strength > 0.6) & (power > 1e-3 * power.max())


def analyse(sound):
    """Semitones and voicing every 10 ms; power (bins, frames) and its level in dB every 8 ms."""
    power = np.abs(stft(sound, RATE, nperseg=512, noverlap=384)[2]) ** 2
    return *pitch_track(sound), power, 10 * np.log10(power.sum(axis=0) + 1e-12)


def numbers(semitones, voiced, power, level):
    """Contours and voice quality, independent of mean pitch, level and duration."""
    tune = semitones[voiced] if voiced.sum() > 9 else np.zeros(10)
    loud = power[:, level > level.max() - 20].mean(axis=1)
    bands = 10 * np.log10([loud[a:b].sum() for a, b in ((2, 16), (16, 32), (32, 64), (64, 128), (128, 250))])
    moves = np.abs(np.diff(tune))
    return np.array(
        [
            np.percentile(tune, 90) - np.percentile(tune, 10),
            tune[-8:].mean() - np.median(tune),
            np.mean(moves[moves < 3]),
            np.mean(level < level.max() - 25),
            level[level > level.max() - 40].std(),
            np.abs(np.diff(level)).mean(),
            *(bands[1:] - bands[0]),
        ]
    )


@pytest.mark.parametrize("emotion", CLASSES)
@pytest.mark.parametrize("speaker", [Voice(14.5, 210.0), Voice(17.0, 115.0)])
def test_duration_level_and_mean_pitch_do_not_depend_on_the_expression(emotion, speaker):
    rng = np.random.default_rng(2)
    sound = synthesiser.synthesise(speaker, EXPRESSIONS[emotion], 2.5, speaker.pitch_hz, -28.0, rng)
    assert sound.dtype == np.float32 and len(sound) == 2.5 * RATE
    assert 10 * np.log10(np.mean(sound.astype(float) ** 2)) == pytest.approx(-28.0, abs=0.05)
    semitones, voiced = pitch_track(sound)
    away = semitones - 12 * np.log2(speaker.pitch_hz / 100)
    assert abs(away[voiced & (np.abs(away) < 9)].mean()) < 1.0  # octave errors left out


def test_the_default_corpus_never_clips_and_lies_on_the_grid_of_16_bit_samples(sounds):
    for sound in sounds.values():
        assert np.abs(sound).max() < 0.999
        np.testing.assert_array_equal(sound * 32768, np.round(sound * 32768))


# ---- what distinguishes the classes, and what must not


def discriminant_ua(features, labels, speakers):
    """Leave-one-speaker-out UA of Fisher's linear discriminant with equal priors."""
    predicted = np.empty(len(labels), int)
    for speaker in np.unique(speakers):
        train, test = speakers != speaker, speakers == speaker
        means = np.array([features[train & (labels == k)].mean(axis=0) for k in range(4)])
        within = np.cov((features[train] - means[labels[train]]).T)
        W = np.linalg.solve(within, means.T)
        predicted[test] = (features[test] @ W - 0.5 * np.sum(means.T * W, axis=0)).argmax(axis=1)
    return np.mean([np.mean(predicted[labels == k] == k) for k in range(4)])


def test_duration_level_and_pitch_are_drawn_independently_of_the_emotion(monkeypatch):
    monkeypatch.setattr(synthetic, "synthesise", lambda voice, expression, *drawn: drawn[:3])
    for line in synthetic.script(size=10)[::5]:
        takes = [replace(line.take, emotion=emotion, neighbour="other") for emotion in EXPRESSIONS]
        assert len({synthetic.sound(replace(line, take=take)) for take in takes}) == 1


def test_contours_and_voice_quality_distinguish_the_classes_but_not_perfectly(corpus, analyses):
    features = np.array([numbers(*analyses[u.name]) for u in corpus.utterances])
    labels = np.array([u.label for u in corpus.utterances])
    speakers = np.array([u.speaker for u in corpus.utterances])
    assert 0.65 < discriminant_ua(features, labels, speakers) < 0.92


# ---- the table and the annotators


def test_the_same_seed_gives_the_same_corpus_and_another_seed_another(corpus, sounds):
    again, other = synthetic.load(), synthetic.load(seed=1)
    assert again.fingerprint() == corpus.fingerprint() != other.fingerprint()
    sent = pickle.loads(pickle.dumps(again.read))
    for u in reversed(again.utterances[::50]):
        np.testing.assert_array_equal(sent(u)[0], sounds[u.name])
    keys = [{line.key for line in synthetic.script(seed)} for seed in (0, 1)]
    assert keys[0].isdisjoint(keys[1]) and len(keys[0]) == len(synthetic.script())  # every sound has its own seed


@pytest.mark.parametrize(("size", "seed"), [(10, 0), (37, 1), (130, 2)])
def test_the_requested_number_of_utterances_is_shared_among_ten_speakers(size, seed):
    made = synthetic.load(seed, size)
    names = [u.name for u in made.utterances]
    assert len(names) == len(set(names)) == size and names == sorted(names)
    counts = Counter(u.speaker for u in made.utterances)
    assert set(counts) == {f"{n}{g}" for n in range(1, 6) for g in "FM"}
    assert max(counts.values()) - min(counts.values()) <= 1
    for u in made.utterances:
        dialog, turn = u.name.rsplit("_", 1)
        assert re.fullmatch(rf"Ses0{u.session}[FM]_impro\d\d[ab]?", dialog) and re.fullmatch(rf"{u.gender}\d\d\d", turn)
        assert u.speaker == u.session + u.gender and u.path is None
    with pytest.raises(CorpusError, match="at least 10"):
        synthetic.load(seed, 9)


def test_the_default_corpus_is_unbalanced_like_iemocap_and_no_speaker_lacks_a_class(corpus):
    counts = np.bincount([u.label for u in corpus.utterances], minlength=4)
    assert counts.argmax() == 0 and counts[2] > max(counts[1], counts[3])
    by_speaker = Counter((u.speaker, u.label) for u in corpus.utterances)
    assert len(by_speaker) == 40 and min(by_speaker.values()) >= 3


@pytest.mark.parametrize(
    ("votes", "hard"),
    [
        ("frustration/neutral,sadness/neutral", "neutral"),
        ("neutral/sadness/anger", None),
        ("neutral,sadness/neutral,sadness/neutral", None),  # two labels have two votes
        ("other/other/neutral", "other"),
    ],
)
def test_the_hard_label_is_the_only_one_with_two_votes(votes, hard):
    assert Take("neutral", "sadness", 0.1, tuple(tuple(v.split(",")) for v in votes.split("/"))).label == hard


def test_annotators_disagree_more_on_weaker_expressions():
    takes = [line.take for line in synthetic.script(size=1000) if line.take.label]
    agreed = np.array([unanimous(take.votes, take.label) for take in takes])
    mix = np.array([take.mix for take in takes])
    assert 0.4 < agreed.mean() < 0.8
    thirds = [agreed[(mix >= a) & (mix < a + 1 / 6)].mean() for a in (0, 1 / 6, 1 / 3)]
    assert thirds[0] > thirds[1] + 0.1 > thirds[2] + 0.2
    assert np.mean([take.label == take.emotion for take in takes]) > 0.8
    given = [labels for take in takes for labels in take.votes]
    assert {label for labels in given for label in labels} == set(EXPRESSIONS)
    assert len(given) == 3 * len(takes) and 0.05 < np.mean([len(labels) == 2 for labels in given]) < 0.25
