"""The log power spectrograms of a corpus, section 1.2.

One matrix holds the frames of all utterances, one after the other. A batch gathers rows from it, and worker processes
share it as a memory-mapped file.
"""

import os
import shutil
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.signal

from scratchser.corpus.audio import RATE, Progress
from scratchser.corpus.table import Corpus
from scratchser.kernels import mel, stft
from scratchser.kernels.machine.device import CPU, Array, Device
from scratchser.presets import Config, SettingError
from scratchser.support.files import StorageError, read_json, write_json

LARGEST_RATIO = 10000  # 1 / largest relative error of odd sampling rates; the filter has up to 20 times as many taps
ARRAYS = ("values", "starts", "lengths")
SOURCE = "source.json"  # beside the saved arrays: what they were computed from


@dataclass(frozen=True)
class Signal:
    """The settings of a spectrogram in samples and bins."""

    window: int
    hop: int
    bins: int
    floor: float
    bands: int  # of the mel axis; 0: none

    @classmethod
    def of(cls, config: Config) -> Self:
        """Raises SettingError unless the window is a power of two samples, as the transform needs."""
        window = config.window_ms * RATE // 1000
        if window & (window - 1):
            raise SettingError(f"window_ms={config.window_ms} is {window} samples at {RATE} Hz, not a power of two")
        bins = config.frequency_khz * config.window_ms + 1  # 1 / window_ms kHz apart, with both ends
        return cls(window, config.shift_ms * RATE // 1000, bins, config.log_floor, config.mel_bands)

    @property
    def size(self) -> int:
        """Elements of a frame."""
        return self.bands or self.bins


@dataclass(frozen=True)
class Features:
    """The spectrograms of a corpus, in the order of its utterances."""

    values: Array  # (N, F) float32, log power of all frames, utterance after utterance
    starts: np.ndarray  # (U,) int64, first frame of each utterance
    lengths: np.ndarray  # (U,) int64, number of frames of each utterance

    def of(self, utterance: int) -> np.ndarray:
        """The spectrogram (T, F) of one utterance, a view."""
        start = self.starts[utterance]
        return self.values[start : start + self.lengths[utterance]]

    def at(self, device: Device) -> Self:
        """The same features with the values on a device, so that batches can be gathered there."""
        return self if device is CPU else replace(self, values=device.upload(self.values))

    def save(self, folder: Path, corpus: Corpus, config: Config) -> None:
        """Write the features of a corpus with these settings to a new folder, for `open`, in one step.

        Raises StorageError if that fails or the folder exists: features are never overwritten.
        """
        part = folder.with_name(f"{folder.name}.part")
        try:
            shutil.rmtree(part, ignore_errors=True)  # from a killed process
            part.mkdir(parents=True)
            for name in ARRAYS:
                with open(part / f"{name}.npy", "wb") as file:
                    np.save(file, getattr(self, name), allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
            write_json(part / SOURCE, _source(corpus, config))
            part.rename(folder)
        except OSError as error:
            reason = f"cannot write {folder}: {error.strerror or error}"
            raise StorageError(f"{reason}. Free some space, fix the permissions or remove it") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    @classmethod
    def open(cls, folder: Path, corpus: Corpus, config: Config) -> Self:
        """Returns the features that `save` wrote, mapped into memory that all processes share (copy on write).

        Raises StorageError if the folder is missing, damaged, or made from another corpus or with other settings.
        """
        found, expected = read_json(folder / SOURCE), _source(corpus, config)
        if different := [name for name in expected if found.get(name) != expected[name]]:
            raise StorageError(f"{folder} holds features of another {', another '.join(different)}: remove it")
        try:
            # copy on write: for read-only arrays, Numba would compile everything a second time
            mapped = [np.load(folder / f"{name}.npy", "c", allow_pickle=False) for name in ARRAYS]
        except (OSError, ValueError, EOFError) as error:
            raise StorageError(f"{folder} is damaged ({error}): remove it") from error
        values, starts, lengths = (np.asarray(array) for array in mapped)
        if len(starts) != len(lengths) or len(values) != lengths.sum():
            raise StorageError(f"{folder} is damaged (its arrays do not belong together): remove it")
        return cls(values, starts, lengths)


def _source(corpus: Corpus, config: Config) -> dict[str, Any]:
    signal = Signal.of(config)
    settings = {"window": signal.window, "hop": signal.hop, "number of bins": signal.bins, "log floor": signal.floor}
    if signal.bands:  # not there in runs of earlier versions
        settings["mel bands"] = signal.bands
    return {"corpus": corpus.fingerprint(), "rate": RATE, **settings}


def extract(corpus: Corpus, config: Config, progress: Progress = iter, device: Device = CPU) -> Features:
    """Read, mix down and resample every utterance of a corpus, and transform it on a device, perhaps to a mel axis.

    `check_audio` must accept all of them. Raises SettingError as `Signal.of`.
    """
    signal = Signal.of(config)
    window = device.upload(stft.hann(signal.window))
    axis = mel.triangles(signal.bins, signal.bands, config.frequency_khz * 1000) if signal.bands else None
    spectrograms = [np.empty((0, signal.size), np.float32)]
    for utterance in progress(corpus.utterances):
        sound = device.upload(mono(*corpus.read(utterance)))
        spectrogram = stft.forward(sound, window, signal.hop, signal.bins, signal.floor)
        if axis is not None:
            spectrogram = mel.forward(spectrogram, axis)
        spectrograms.append(device.download(spectrogram))
    lengths = np.array([len(spectrogram) for spectrogram in spectrograms[1:]], np.int64)
    return Features(np.concatenate(spectrograms), np.cumsum(lengths) - lengths, lengths)


def mono(sound: np.ndarray, rate: int) -> np.ndarray:
    """Converts sound (samples,) or (samples, channels) at `rate` Hz to (samples,) float32 at RATE."""
    if sound.ndim == 2:
        sound = sound.mean(axis=1)
    if rate != RATE:
        ratio = Fraction(RATE, rate).limit_denominator(LARGEST_RATIO)
        sound = scipy.signal.resample_poly(sound, ratio.numerator, ratio.denominator)
    return np.ascontiguousarray(sound, np.float32)
