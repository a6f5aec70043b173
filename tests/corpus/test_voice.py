"""The parts of the synthesiser against plain formulas and SciPy."""

import numpy as np
import pytest
from scipy.signal import lfilter

from scratchser.corpus.synthetic import voice
from scratchser.corpus.synthetic.voice import RATE


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


@pytest.mark.parametrize("length", [14.0, 17.5])
def test_formants_of_a_vowel_are_scaled_by_the_tract(length):
    vowel, upper = np.array([660.0, 1720.0, 2410.0]), 3.5 * 17500 / length
    np.testing.assert_allclose(voice.formants(vowel, length)[:4], [*(vowel * 17.5 / length), upper])
