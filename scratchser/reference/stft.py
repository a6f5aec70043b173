"""Eqs. (1) to (3) and the logarithm of the lowest bins: a sum over samples for every frame and bin."""

import numpy as np


def power(x, window, hop, bins):
    """|X|² (T, bins) in float64 of x (samples,): a Fourier matrix times every complete window."""
    N = len(window)
    angle = 2 * np.pi * (np.outer(np.arange(bins), np.arange(N)) % N) / N
    matrix = np.cos(angle) - 1j * np.sin(angle)
    starts = range(0, len(x) - N + 1, hop)
    return np.array([np.abs(matrix @ (x[s : s + N].astype(np.float64) * window)) ** 2 for s in starts])


def forward(x, window, hop, bins, floor):
    """Log power (T, bins)."""
    return np.log(np.maximum(power(x, window, hop, bins), floor))
