"""The machine's matrix product by NumPy, and the spectrogram with SciPy and with librosa. ours.py describes a task."""

import numpy as np
import scipy.signal

from scratchser.bench import problem
from scratchser.bench.ours import Stft


class Gemm:
    """NumPy's product of two square float32 matrices, which tells the arithmetic rate of the machine."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.a, self.b = (rng.standard_normal((problem.GEMM, problem.GEMM), np.float32) for _ in range(2))

    def run(self) -> None:
        np.matmul(self.a, self.b)


class ScipyStft(Stft):
    def spectrogram(self, x: np.ndarray) -> np.ndarray:
        transform = scipy.signal.ShortTimeFFT(self.window, problem.HOP, problem.RATE)
        first = problem.WINDOW // 2 // problem.HOP  # the first frame without padding
        frames = 1 + (len(x) - problem.WINDOW) // problem.HOP
        Z = transform.stft(x, p0=first, p1=first + frames)
        return np.log(np.maximum(np.abs(Z) ** 2, np.float32(self.floor))).T


class LibrosaStft(Stft):
    def spectrogram(self, x: np.ndarray) -> np.ndarray:
        import librosa  # only in librosa's own process

        Z = librosa.stft(x, n_fft=problem.WINDOW, hop_length=problem.HOP, window=self.window, center=False)
        return np.log(np.maximum(np.abs(Z) ** 2, np.float32(self.floor))).T


TASKS = {"numpy": {"gemm": Gemm}, "scipy": {"stft": ScipyStft}, "librosa": {"stft": LibrosaStft}}
