"""Trivial baselines, which predict the class from one number of an utterance or from none.

majority   the most frequent class of the training speakers
duration   log of the seconds
loudness   log of the root mean square of the samples
mean F0    mean log of the fundamental frequency over the voiced frames

A number is classified by the classes' densities among the fold's training speakers, with equal priors because UA is the
measure. A density is a sum of Gaussians of width 2 s n^(-1/5), with s the standard deviation of the n values of the
class. On EmoDB this was better than other widths and than a single Gaussian.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from scratchser import metrics
from scratchser.corpus.audio import Progress, has_audio
from scratchser.corpus.split import Fold
from scratchser.corpus.table import Corpus

LOWEST_HZ, HIGHEST_HZ = 75.0, 500.0  # of the fundamental frequency
WINDOW_S, SHIFT_S = 0.040, 0.020  # three periods of the lowest
VOICED = 0.5  # smallest peak of the autocorrelation in a voiced frame
AUDIBLE = 1e-3  # smallest power of a voiced frame, relative to the loudest one
OCTAVE_COST = 0.01  # per octave: of two equal peaks, the one with the shorter period wins
BLOCK = 320_000  # samples at a time, so that memory does not grow with the file: 500 frames at 16 kHz


@dataclass(frozen=True)
class Baseline:
    """The confusion matrices (K, K) of one baseline, one for each test speaker."""

    name: str
    confusions: Mapping[str, np.ndarray]

    def only(self, speakers: Sequence[str]) -> Self:
        """The baseline on these test speakers alone."""
        return replace(self, confusions={speaker: self.confusions[speaker] for speaker in speakers})

    def as_dict(self) -> dict[str, Any]:
        """For JSON: means over the test speakers, and all their utterances pooled."""
        matrices = list(self.confusions.values())
        pooled = np.sum(matrices, axis=0)
        return {
            "wa_mean": float(np.mean([metrics.wa(matrix) for matrix in matrices])),
            "ua_mean": float(np.mean([metrics.ua(matrix) for matrix in matrices])),
            "pooled": {"wa": metrics.wa(pooled), "ua": metrics.ua(pooled), "confusion": pooled.tolist()},
        }


def evaluate(corpus: Corpus, folds: Sequence[Fold], progress: Progress = iter) -> tuple[Baseline, ...]:
    """All baselines over the folds; only the majority if the corpus has no audio. No wav file may be broken."""
    labels = np.array([u.label for u in corpus.utterances])
    speakers = np.array([u.speaker for u in corpus.utterances])
    K = len(corpus.classes)
    confusions: dict[str, dict[str, np.ndarray]] = {}
    numbers = measure(corpus, progress) if has_audio(corpus) else {}
    for fold in folds:
        train = np.isin(speakers, fold.train)
        for speaker in fold.tested:
            test = speakers == speaker
            predicted = {"majority": np.full(test.sum(), np.bincount(labels[train], minlength=K).argmax())}
            for name, values in numbers.items():
                predicted[name] = classify(values[train], labels[train], values[test], K)
            for name, classes in predicted.items():
                confusions.setdefault(name, {})[speaker] = metrics.confusion(labels[test], classes, K)
    return tuple(Baseline(name, matrices) for name, matrices in confusions.items())


def measure(corpus: Corpus, progress: Progress = iter) -> dict[str, np.ndarray]:
    """The natural logarithms of the three numbers, (U,) float64 each."""
    rows = []
    for utterance in progress(corpus.utterances):
        sound, rate = corpus.read(utterance)
        mono = sound.reshape(len(sound), -1).mean(axis=1, dtype=np.float64)
        loudness = np.log(np.sqrt(np.mean(mono**2)) + 1e-10)
        rows.append((np.log(len(mono) / rate), loudness, mean_log_f0(mono, rate)))
    columns = np.array(rows).T
    return dict(zip(("duration", "loudness", "mean F0"), columns, strict=True))


def classify(values: np.ndarray, labels: np.ndarray, test_values: np.ndarray, K: int) -> np.ndarray:
    """The class with the highest density at each of `test_values`, (n,) int64. `values` and `labels` (m,) train.

    NaN counts as the median of the training values. A class without training values is never predicted.
    """
    median = np.median(values[~np.isnan(values)]) if not np.isnan(values).all() else 0.0
    values, test_values = np.nan_to_num(values, nan=median), np.nan_to_num(test_values, nan=median)
    scores = np.full((K, len(test_values)), -np.inf)
    for k in set(labels.tolist()):
        scores[k] = log_density(values[labels == k], test_values)
    return scores.argmax(axis=0)


def log_density(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Logarithm of the kernel density of `values` (m,) at `points` (n,), up to a constant that all densities share."""
    width = max(2.0 * values.std() * len(values) ** -0.2, 1e-3)  # 1e-3 if all values are equal
    exponent = -0.5 * ((points[:, None] - values) / width) ** 2
    return np.logaddexp.reduce(exponent, axis=1) - np.log(width * len(values))


def mean_log_f0(sound: np.ndarray, rate: int) -> float:
    """Mean natural log of the fundamental frequency in Hz over the voiced frames of `sound` (samples,); NaN if none.

    F0 is the highest peak of a frame's autocorrelation divided by that of the window, after Boersma (1993), "Accurate
    short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled sound".
    """
    n, hop = round(WINDOW_S * rate), round(SHIFT_S * rate)
    if len(sound) < n:
        return float("nan")
    frames = np.lib.stride_tricks.sliding_window_view(sound, n)[::hop]
    number = max(1, BLOCK // n)
    blocks = [_pitch(frames[start : start + number], rate) for start in range(0, len(frames), number)]
    f0, strength, power = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    voiced = (strength > VOICED) & (power > AUDIBLE * power.max())
    return float(np.log(f0[voiced]).mean()) if voiced.any() else float("nan")


def _pitch(frames: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of the frames (T, n): F0 in Hz, height of the peak minus the octave cost, and power, (T,) each."""
    n = frames.shape[1]
    window = np.hanning(n)
    correlation = _autocorrelation((frames - frames.mean(axis=1, keepdims=True)) * window)
    power = correlation[:, 0]
    lags = np.arange(int(rate / HIGHEST_HZ), int(rate / LOWEST_HZ) + 1)
    shape = _autocorrelation(window[None])[0]
    height = correlation[:, lags] / np.maximum(power, 1e-20)[:, None] / (shape[lags] / shape[0])
    height -= OCTAVE_COST * np.log2(lags / lags[0])
    best = height.argmax(axis=1)
    return rate / lags[best], height[np.arange(len(best)), best], power


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    """The autocorrelation of each row of (T, n) at the lags 0 ... n - 1."""
    n = frames.shape[1]
    size = 1 << (2 * n - 1).bit_length()
    return np.fft.irfft(np.abs(np.fft.rfft(frames, size)) ** 2, size)[:, :n]
