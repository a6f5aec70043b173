import numpy as np

EXERCISE = "stft"


def stft(x, window, hop, bins, floor):
    N = len(window)
    T = 1 + (len(x) - N) // hop
    angle = -2 * np.pi * np.outer(np.arange(N), np.arange(bins)) / N
    Y = np.empty((T, bins), x.dtype)
    for t in range(T):
        start = t * hop
        frame = x[start : start + N] * window
        real = frame @ np.cos(angle)
        imaginary = frame @ np.sin(angle)
        power = real**2 + imaginary**2
        Y[t] = np.log(np.maximum(power, floor))
    return Y
