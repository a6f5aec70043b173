"""The spectrogram by SciPy and by librosa; see ours.py for what a task is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.signal

from scratchser.bench import problem
from scratchser.bench.ours import Stft


class ScipyStft(Stft):
    def spectrogram(self, x: np.ndarray) -> np.ndarray:
        transform = scipy.signal.ShortTimeFFT(self.window, problem.HOP, problem.RATE)
        first = problem.WINDOW // 2 // problem.HOP  # the first slice that begins with the sound
        whole = 1 + (len(x) - problem.WINDOW) // problem.HOP
        Z = transform.stft(x, p0=first, p1=first + whole)
        return np.log(np.maximum(np.abs(Z) ** 2, np.float32(self.floor))).T


class LibrosaStft(Stft):
    def spectrogram(self, x: np.ndarray) -> np.ndarray:
        import librosa  # here, since SciPy's process needs none

        Z = librosa.stft(x, n_fft=problem.WINDOW, hop_length=problem.HOP, window=self.window, center=False)
        return np.log(np.maximum(np.abs(Z) ** 2, np.float32(self.floor))).T


TASKS: dict[str, dict[str, Callable[..., Any]]] = {"scipy": {"stft": ScipyStft}, "librosa": {"stft": LibrosaStft}}
