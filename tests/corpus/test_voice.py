"""The parts of the synthesiser against plain formulas and SciPy, and the formants of its output."""

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from scratchser.corpus.synthetic import voice
from scratchser.corpus.synthetic.voice import RATE, Expression, Voice

CALM = Expression(4.0, 0.0, 1.0, 0.5, 0.0, 0.0, 1.0, 0.9, -6.0, -40.0, 0.1)


def test_pulses_are_the_sum_of_all_harmonics_below_the_limit():
    pitch = np.linspace(90, 250, 4000)
    phase = np.cumsum(2 * np.pi * pitch / RATE)
    phase[0] = 0.0
    k = np.arange(1, 100)[:, None]
    expected = (np.cos(k * phase) * (k * pitch <= 7800)).sum(axis=0)
    np.testing.assert_allclose(voice._pulses(phase, pitch), expected, atol=1e-8)


def test_the_cascade_is_scipys_filter_for_constant_formants():
    sound = np.random.default_rng(0).standard_normal(10 * voice.STEP)
    still, expected = np.array([500.0, 1500.0, 2500.0]), sound
    for f, width in zip(still, (65.0, 95.0, 125.0), strict=True):
        r = np.exp(-np.pi * width / RATE)
        a = [1.0, -2 * r * np.cos(2 * np.pi * f / RATE), r * r]
        expected = lfilter([sum(a)], a, expected)
    np.testing.assert_allclose(voice._cascade(sound, np.tile(still, (10, 1))), expected, atol=1e-9)


@pytest.mark.parametrize("slope", [-3.0, -11.0])
def test_tilt_in_db_per_octave_with_gain_1_at_200_hz(slope):
    impulse = np.zeros(RATE)
    impulse[0] = 1.0
    spectrum = np.abs(np.fft.rfft(voice._tilted(impulse, slope)))
    np.testing.assert_allclose(
        20 * np.log10(spectrum[[200, 400, 1600, 6400]]), slope * np.array([0, 1, 3, 5]), atol=1e-6
    )


def resonances(sound, order=18):
    """Resonant frequencies by linear prediction: peaks of the all-pole envelope narrower than 400 Hz."""
    frame = lfilter([1, -0.98], 1, sound) * np.hanning(len(sound))
    r = np.correlate(frame, frame, "full")[len(frame) - 1 :][: order + 1]
    poles = np.roots(np.r_[1.0, -solve_toeplitz(r[:-1], r[1:])])
    frequency, width = np.angle(poles) * RATE / (2 * np.pi), -np.log(np.abs(poles)) * RATE / np.pi
    return np.sort(frequency[(frequency > 150) & (width < 400)])


def test_vowel_formants_are_those_of_the_table_scaled_by_the_tract(monkeypatch):
    monkeypatch.setattr(voice, "ONSETS", {"": (1.0, 0.0)})
    for vowel in ((660.0, 1720.0, 2410.0), (490.0, 1350.0, 1690.0)):
        monkeypatch.setattr(voice, "VOWELS", np.array([vowel]))
        found = {}
        for length in (14.0, 17.5):
            rng = np.random.default_rng(1)
            sound = voice.synthesise(Voice(length, 60.0), CALM, 1.2, 60.0, -30.0, rng)
            found[length] = resonances(sound[4000:15000].astype(float))[:4]
            expected = np.array([*vowel, 3.5 * 17500 / length]) * (17.5 / length) ** np.array([1, 1, 1, 0])
            np.testing.assert_allclose(found[length], expected, rtol=0.06)
        np.testing.assert_allclose(found[14.0] / found[17.5], 1.25, rtol=0.05)
