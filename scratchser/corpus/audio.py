"""Reads every audio file once: its duration, its format, and what is broken or unusual."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scratchser.corpus.sound import Sound, SoundError, read
from scratchser.corpus.table import Corpus, Problem, Utterance
from scratchser.presets import Config

RATE = 16000  # Hz, the sampling rate of the paper's corpus; other audio is resampled to it
DEFAULT = Config()
RATES = 4000, 768000  # Hz; the header of a file with another rate is broken
MAX_SAMPLE = 1e12  # allows 32-bit integers stored as floats; the power of far larger samples overflows float32
Progress = Callable[[Sequence[Utterance]], Iterable[Utterance]]  # e.g. tqdm

TRUNCATED = "shorter than the header says, as after an interrupted copy"
UNREAD = "much longer than the header says: the rest is not read"
OFFSET = "with a constant offset that is larger than the sound"
CANCELLING = "with channels that nearly cancel each other when they are mixed down"
BEYOND = "with samples of more than 10 times full scale, like integers stored as floats"


@dataclass
class AudioReport:
    """Durations and formats of the good utterances, by name, and the problems of the others."""

    seconds: dict[str, float] = field(default_factory=dict)
    formats: dict[str, tuple[int, int]] = field(default_factory=dict)  # sampling rate in Hz, channels
    problems: list[Problem] = field(default_factory=list)
    unusual: dict[str, list[Path]] = field(default_factory=dict)  # files that are TRUNCATED, UNREAD, ...
    levels: dict[str, list[float]] = field(default_factory=dict)  # by speaker: root mean square of each good utterance

    @property
    def truncated(self) -> list[Path]:
        return self.unusual.get(TRUNCATED, [])


def has_audio(corpus: Corpus) -> bool:
    """False if the corpus has labels only: none of its wav files exists."""
    return any(u.path is None or _exists(u.path) for u in corpus.utterances)


def _exists(path: Path) -> bool:
    """True also for a path that cannot be examined, so that `read` says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def check_audio(corpus: Corpus, config: Config = DEFAULT, progress: Progress = iter) -> AudioReport:
    """Reads the audio of all utterances. What is shorter than a window or silent with these settings is a problem."""
    report = AudioReport()
    for utterance in progress(corpus.utterances):
        if problem := _check(corpus, utterance, config, report):
            path = "" if utterance.source == str(utterance.path) else f": {utterance.path}"
            report.problems.append(Problem(utterance.source or str(utterance.path), problem + path, utterance.name))
    return report


def _check(corpus: Corpus, utterance: Utterance, config: Config, report: AudioReport) -> str:
    """Adds an utterance to the report, or returns what is wrong with it."""
    try:
        sound = Sound(*corpus.read(utterance)) if utterance.path is None else read(utterance.path)
    except SoundError as error:
        return error.what
    samples, rate = sound.samples, sound.rate
    if not len(samples):
        ignored = ", although many bytes follow: its header says 0, rewrite it, e.g. with sox --ignore-length"
        return "empty sound file, no samples" + ignored * sound.unread
    if not RATES[0] <= rate <= RATES[1]:
        return f"sound file with an absurd sampling rate, {rate} Hz instead of {RATES[0]} to {RATES[1]}"
    seconds = len(samples) / rate
    if seconds * 1000 < config.window_ms:
        tenths = len(samples) * 10000 // rate  # rounded down, or 63.99 ms would print as 64
        return f"too short sound file, {tenths / 10:.1f} ms of at least {config.window_ms} ms"
    if not np.isfinite(samples).all():
        return "sound file with samples that are not finite"
    if (largest := np.abs(samples).max()) > MAX_SAMPLE:
        return f"sound file with samples up to {largest:.3g}, where 1 is full scale"
    mixed = samples if samples.ndim == 1 else samples.mean(axis=1)
    level = mixed.std()
    cancelling = samples.ndim == 2 and bool(10 * level < samples.std(axis=0).max())
    if is_silent(mixed, level, rate, config):
        silent = f"silent sound file, nothing is louder than log_floor={config.log_floor:g}"
        return "sound file whose channels cancel each other, use only one of them" if cancelling else silent
    found = {TRUNCATED: sound.truncated, UNREAD: sound.unread, OFFSET: abs(mixed.mean()) > level}
    for what, unusual in (found | {CANCELLING: cancelling, BEYOND: largest > 10}).items():
        if unusual:
            report.unusual.setdefault(what, []).append(utterance.path or Path(utterance.name))
    report.levels.setdefault(utterance.speaker, []).append(float(level))
    report.seconds[utterance.name] = seconds
    report.formats[utterance.name] = rate, 1 if samples.ndim == 1 else samples.shape[1]
    return ""


def is_silent(sound: np.ndarray, level: float, rate: int, config: Config) -> bool:
    """True if the spectrogram of a sound (samples,) is at its floor everywhere. A constant offset does not count.

    level   the standard deviation of the samples
    """
    n, hop = config.window_ms * rate // 1000, config.shift_ms * rate // 1000
    floor = config.log_floor * (rate / RATE) ** 2  # more samples of the same sound have more power
    if 3 / 8 * n * level**2 > floor:
        return False  # the mean power over all frames and bins is above the floor
    sound, window, bins = sound - sound.mean(), np.hanning(n), config.frequency_khz * config.window_ms + 1
    frames = (sound[start : start + n] for start in range(0, len(sound) - n + 1, hop))
    return all((np.abs(np.fft.rfft(frame * window)[:bins]) ** 2 < floor).all() for frame in frames)
