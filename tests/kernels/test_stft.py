"""The spectrogram against a Fourier matrix and NumPy's FFT."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser import reference
from scratchser.kernels import stft

FLOOR = 1e-6  # of the presets


def noise(samples, dtype=np.float64, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(dtype)


def test_window_is_eq_2():
    expected = scipy.signal.get_window("hann", 1024, fftbins=False)
    np.testing.assert_allclose(stft.hann(1024, np.float64), expected, atol=1e-15)


@pytest.mark.parametrize("N", [2, 4, 8, 16, 32, 64, 128])
def test_every_power_of_two_against_the_fourier_matrix(N):
    x, window = noise(40 * N + 1), noise(N, seed=1) + 1  # a window without symmetry: no error hides in its own mirror
    for hop in {1, N // 2, N, N + 3} - {0}:
        power = np.exp(stft.forward(x, window, hop, N // 2 + 1, 1e-300))
        expected = reference.stft.power(x, window, hop, N // 2 + 1)
        assert power.shape == expected.shape
        assert abs(power - expected).max() <= 1e-12 * expected.max()


@pytest.mark.parametrize("N", [1024, 2048])
def test_the_papers_window_against_numpy(N):
    x, window = noise(37 * N), stft.hann(N, np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(x, N)[:: N // 2]
    expected = np.abs(np.fft.rfft(frames * window)) ** 2
    log_power = stft.forward(x, window, N // 2, N // 2 + 1, 1e-300)
    np.testing.assert_allclose(np.exp(log_power), expected, rtol=1e-10)
    np.testing.assert_array_equal(stft.forward(x, window, N // 2, 257, 1e-300), log_power[:, :257])


def test_the_floor_replaces_what_lies_below_and_touches_nothing_else():
    x, window = noise(6000), stft.hann(1024, np.float64)
    exact = stft.forward(x, window, 512, 257, 1e-300)
    floor = np.median(exact)
    Y = stft.forward(x, window, 512, 257, np.exp(floor))
    np.testing.assert_array_equal(Y[exact > floor], exact[exact > floor])
    np.testing.assert_allclose(Y[exact <= floor], floor, rtol=1e-15)


def test_nan_stays_nan_in_the_frames_that_hold_it():
    x = noise(6000)
    x[3000] = np.nan
    Y = stft.forward(x, stft.hann(1024, np.float64), 512, 257, FLOOR)
    holding = np.array([t * 512 <= 3000 < t * 512 + 1024 for t in range(len(Y))])
    assert np.isnan(Y[holding]).all() and np.isfinite(Y[~holding]).all()


def test_float32_stays_within_its_rounding_of_float64_with_any_number_of_threads(same_with_two_threads):
    x = noise(16000 * 20, np.float32)
    x *= np.linspace(1e-3, 5, x.size, dtype=np.float32)  # quiet frames beside loud ones
    Y = stft.forward(x, stft.hann(1024, np.float32), 512, 513, FLOOR)
    same_with_two_threads(lambda: stft.forward(x, stft.hann(1024, np.float32), 512, 513, FLOOR))
    exact = np.exp(stft.forward(x.astype(np.float64), stft.hann(1024, np.float64), 512, 513, FLOOR))
    assert Y.dtype == np.float32
    # a bin's error is a rounding of the frame's loudest: 2⁻²³ · 8 of its power
    assert (abs(np.exp(Y.astype(np.float64)) - exact).max(axis=1) <= 1e-6 * exact.max(axis=1)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1024, 40000), st.integers(0, 60))
def test_a_frame_does_not_depend_on_its_neighbours(samples, first):
    """Removing complete hops at the beginning or samples at the end leaves the other frames, to the bit."""
    x, window = noise(40000, np.float32), stft.hann(1024)
    whole = stft.forward(x, window, 512, 257, FLOOR)
    part = x[first * 512 :][:samples]
    T = stft.frames(part.size, 1024, 512)
    if T:
        np.testing.assert_array_equal(stft.forward(part, window, 512, 257, FLOOR), whole[first : first + T])


@pytest.mark.parametrize(
    ("samples", "expected"), [(0, 0), (1023, 0), (1024, 1), (1535, 1), (1536, 2), (11680, 21), (466080, 909)]
)
def test_only_whole_windows_are_frames(samples, expected):
    """The last two are the paper's shortest and longest utterance: 0.73 s and 29.13 s."""
    assert stft.frames(samples, 1024, 512) == expected
    if expected:
        assert len(stft.forward(np.zeros(samples, np.float32), stft.hann(1024), 512, 1, FLOOR)) == expected


def test_what_does_not_fit_is_refused():
    x, window = noise(4000), stft.hann(1024, np.float64)
    bad = {
        "power of two": (x, window[:1000], 512, 257, FLOOR),
        "hop": (x, window, 0, 257, FLOOR),
        "514 bins": (x, window, 512, 514, FLOOR),
        "0 bins": (x, window, 512, 0, FLOOR),
        "floor 0": (x, window, 512, 257, 0.0),
        "floor nan": (x, window, 512, 257, np.nan),
        "less than one window": (x[:1023], window, 512, 257, FLOOR),
        "^x is float64": (x[:, None], window, 512, 257, FLOOR),
        "^x is int": (np.zeros(4000, int), window, 512, 257, FLOOR),
        "^window is float64": (x.astype(np.float32), window, 512, 257, FLOOR),
    }
    for message, arguments in bad.items():
        with pytest.raises(ValueError, match=message):
            stft.forward(*arguments)
