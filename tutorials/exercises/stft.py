"""Exercise: the log power spectrogram, eqs. (1) to (3) of the paper. Judge it by

python -m scratchser.check tutorials/exercises/stft.py
"""

import numpy as np

EXERCISE = "stft"


def stft(x: np.ndarray, window: np.ndarray, hop: int, bins: int, floor: float) -> np.ndarray:
    """Y (T, bins) of the sound x, of its dtype.

        X[t, k]  = Σ_n x[t hop + n] window[n] exp(-2πi k n / N)
        Y[t, k]  = log max(|X[t, k]|², floor)          natural logarithm;   k = 0 ... bins - 1

    x        (samples,)   float32 or float64
    window   (N,)         N a power of two
    hop      ()           samples from one frame to the next; only whole windows: T = 1 + ⌊(samples - N) / hop⌋
    bins     ()           at most N / 2 + 1
    floor    ()           power below it counts as the floor, so that silence is finite

    The sum as written is enough. Try the fast transform after you have passed.
    """
    raise NotImplementedError
