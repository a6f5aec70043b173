"""Reads every audio file once: its duration, its format, and what is broken."""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from scratchser.corpus.table import Corpus, Problem, Utterance

RATE = 16000  # Hz, the sampling rate of the paper's corpus; other audio is resampled to it
WINDOW_MS = 64.0  # section 1.2 of the paper: a shorter utterance has no frame
MAX_SAMPLE = 1e12  # allows 32-bit integers stored as floats; the power of far larger samples overflows float32
Progress = Callable[[Sequence[Utterance]], Iterable[Utterance]]  # e.g. tqdm


@dataclass
class AudioReport:
    """Durations and formats of the good utterances, by name, and the problems of the others."""

    seconds: dict[str, float] = field(default_factory=dict)
    formats: dict[str, tuple[int, int]] = field(default_factory=dict)  # sampling rate in Hz, channels
    problems: list[Problem] = field(default_factory=list)
    truncated: list[Path] = field(default_factory=list)  # files that are shorter than their header says


def has_audio(corpus: Corpus) -> bool:
    """False if the corpus has labels only: none of its wav files exists."""
    return any(u.path is None or u.path.is_file() for u in corpus.utterances)


def check_audio(corpus: Corpus, window_ms: float = WINDOW_MS, progress: Progress = iter) -> AudioReport:
    """Reads the audio of all utterances. An utterance that is shorter than `window_ms` is a problem."""
    report = AudioReport()
    for utterance in progress(corpus.utterances):
        if problem := _check(corpus, utterance, window_ms, report):
            path = "" if utterance.source == str(utterance.path) else f": {utterance.path}"
            report.problems.append(Problem(utterance.source or str(utterance.path), problem + path, utterance.name))
    return report


def _check(corpus: Corpus, utterance: Utterance, window_ms: float, report: AudioReport) -> str:
    """Adds an utterance to the report, or returns what is wrong with it."""
    path = utterance.path
    if path is not None and not path.is_file():
        return "missing sound file"
    if path is not None and path.stat().st_size == 0:
        return "empty sound file, 0 bytes"
    try:
        sound, rate = corpus.read(utterance)
    except soundfile.LibsndfileError as error:
        return f"unreadable sound file, {error.error_string.rstrip('.')}"
    if not len(sound):
        return "empty sound file, no samples"
    seconds = len(sound) / rate
    if seconds * 1000 < window_ms:
        tenths = len(sound) * 10000 // rate  # rounded down, or 63.99 ms would print as 64
        return f"too short sound file, {tenths / 10:.1f} ms of at least {window_ms:g} ms"
    if not np.isfinite(sound).all():
        return "sound file with samples that are not finite"
    if (largest := np.abs(sound).max()) > MAX_SAMPLE:
        return f"sound file with samples up to {largest:.3g}, where 1 is full scale"
    if path is not None and _is_truncated(path):
        report.truncated.append(path)
    report.seconds[utterance.name] = seconds
    report.formats[utterance.name] = rate, 1 if sound.ndim == 1 else sound.shape[1]
    return ""


def _is_truncated(path: Path) -> bool:
    """True if a RIFF file is shorter than its header says, as after an interrupted copy."""
    with path.open("rb") as file:
        kind, size = struct.unpack("<4sI", file.read(8))
    # programs that write to a pipe do not know the length and write a huge one
    return kind == b"RIFF" and path.stat().st_size < size + 8 and size < 0x7FFF0000
