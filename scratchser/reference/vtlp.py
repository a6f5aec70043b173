"""Eq. (4), and its inverse by interpolation between its corners."""

import numpy as np


def G(f, alpha, fmax):
    """The frequency to which the warp moves f."""
    f0 = 0.9 * fmax
    return np.where(f <= f0, alpha * f, (fmax - alpha * f0) / (fmax - f0) * (f - f0) + alpha * f0)


def forward(S, alpha):
    """Y (T, F): each frame of S (T, F), real or complex, read at G⁻¹ of every bin."""
    bins = np.arange(S.shape[1])
    fmax = bins[-1]
    source = np.interp(bins, [0, alpha * 0.9 * fmax, fmax], [0, 0.9 * fmax, fmax])
    return np.array([np.interp(source, bins, frame) for frame in S])
