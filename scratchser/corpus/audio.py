"""Listens to every file once: how long, in what form, and what is broken."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from scratchser.corpus.table import Corpus, Problem, Utterance

RATE = 16000  # Hz, the rate of the paper's corpus; everything else is resampled to it
WINDOW_MS = 64.0  # section 1.2 of the paper: an utterance shorter than one window has no frame
LOUDEST = 1e12  # whole numbers of 32 bits kept as floats pass; powers of what is far beyond have no place in float32
Progress = Callable[[Sequence[Utterance]], Iterable[Utterance]]  # e.g. tqdm


@dataclass
class AudioReport:
    """What was heard, by utterance. Those with a problem have no entry in `seconds` and `formats`."""

    seconds: dict[str, float] = field(default_factory=dict)
    formats: dict[str, tuple[int, int]] = field(default_factory=dict)  # rate in Hz, channels
    problems: list[Problem] = field(default_factory=list)
    truncated: list[Path] = field(default_factory=list)  # files that end before their header says


def has_audio(corpus: Corpus) -> bool:
    """False where there are labels only: not a single wav file is where it should be."""
    return any(u.path is None or u.path.is_file() for u in corpus.utterances)


def check_audio(corpus: Corpus, window_ms: float = WINDOW_MS, progress: Progress = iter) -> AudioReport:
    """Reads the audio of all utterances. `window_ms` is the shortest length that is still an utterance.

    A file that is missing, unreadable, empty, too short or holds samples that are no numbers or above LOUDEST becomes a
    Problem.
    """
    heard = AudioReport()
    for utterance in progress(corpus.utterances):
        what = _listen(corpus, utterance, window_ms, heard)
        if what:
            place = "" if utterance.source == str(utterance.path) else f": {utterance.path}"
            heard.problems.append(Problem(utterance.source or str(utterance.path), what + place, utterance.name))
    return heard


def _listen(corpus: Corpus, utterance: Utterance, window_ms: float, heard: AudioReport) -> str:
    """Enters one utterance into the survey, or says what is wrong with it."""
    path = utterance.path
    if path is not None and not path.is_file():
        return "missing sound file"
    if path is not None and path.stat().st_size == 0:
        return "empty sound file, 0 bytes"
    try:
        sound, rate = corpus.read(utterance)
    except soundfile.LibsndfileError as error:
        return f"unreadable sound file, {error.error_string.rstrip('.')}"
    seconds = len(sound) / rate
    if not len(sound):
        return "empty sound file, no samples"
    if seconds * 1000 < window_ms:
        tenths = len(sound) * 10000 // rate  # rounded down, so that 63.99 ms are not said to be 64
        return f"too short sound file, {tenths / 10:.1f} ms of at least {window_ms:g} ms"
    if not np.isfinite(sound).all():
        return "sound file with samples that are no numbers"
    if (loudest := np.abs(sound).max()) > LOUDEST:
        return f"sound file with samples up to {loudest:.3g}, where 1 is full scale"
    if path is not None and _ends_early(path):
        heard.truncated.append(path)
    heard.seconds[utterance.name] = seconds
    heard.formats[utterance.name] = rate, 1 if sound.ndim == 1 else sound.shape[1]
    return ""


def _ends_early(path: Path) -> bool:
    """True where a RIFF file is shorter than its header says, as a copy that was interrupted is.

    Programs that write to a pipe cannot know the length and enter a huge one: that is no sign of anything.
    """
    with path.open("rb") as file:
        head = file.read(8)
    if len(head) < 8 or head[:4] != b"RIFF":
        return False
    promised = struct.unpack("<I", head[4:])[0]
    return path.stat().st_size < promised + 8 and promised < 0x7FFF0000
