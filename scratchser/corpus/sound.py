"""Reads a sound file, and compares its samples with what its header says."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from scratchser.support.errors import ProcessingError

BLOCK = 2**22  # samples at a time: a header may promise any number of them
LARGEST = 2**27  # samples of all channels: 2.3 hours at 16 kHz
FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "NIST", "CAF", "FLAC", "OGG", "MP3")  # with a checked length
TAGS = 8192  # bytes of headers, padding and comments in the usual file
STREAMED = 0x7FFF0000  # programs that write to a pipe do not know the length and write a huge one
UNKNOWN = 2**62  # libsndfile's number of frames is larger if it is unknown
CUT = re.compile("truncated|end-of-stream|junk after the last page", re.IGNORECASE)  # in libsndfile's log
REST = re.compile("unknown chunk marker|have 0 marker|> file length", re.IGNORECASE)  # bytes that are no chunks
WIDTHS = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1}


class SoundError(ProcessingError):
    """A sound file cannot be read. `what` says why, without the file's name."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.what = what


@dataclass(frozen=True)
class Sound:
    """The content of a sound file.

    samples     (n,) or (n, channels) float32; full scale is 1
    rate        sampling rate in Hz
    truncated   the file is shorter than its header says, as after an interrupted copy
    unread      a large part of the file does not hold samples, so its header may say too few
    """

    samples: np.ndarray
    rate: int
    truncated: bool = False
    unread: bool = False


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """Never seeks, which fails in a FLAC stream of unknown length."""

    def seekable(self) -> bool:
        return False


def read(path: Path) -> Sound:
    """Raises SoundError if the file is missing, unreadable or too long."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SoundError(path, f"unreadable sound file, {'a folder' if path.is_dir() else 'not a regular file'}")
        if status.st_size == 0:
            raise SoundError(path, "empty sound file, 0 bytes")
        # the descriptor, since libsndfile takes no name in another encoding and guesses formats from the name's end
        with path.open("rb", buffering=0) as file, _Sequential(file.fileno(), closefd=False) as opened:
            if opened.format not in FORMATS:
                raise SoundError(path, f"unreadable sound file, its format is {opened.format}: convert it, e.g. to WAV")
            samples = _samples(path, opened)
            truncated = _is_truncated(file.fileno(), opened, len(samples))
            others = status.st_size - samples.size * WIDTHS.get(opened.subtype, status.st_size)
            unread = others > max(status.st_size / 4, 0 if REST.search(opened.extra_info) else TAGS)
            return Sound(samples, opened.samplerate, truncated, unread)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SoundError(path, "missing sound file" + ", a dangling link" * path.is_symlink()) from error
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        raise SoundError(path, f"unreadable sound file, {reason}") from error
    except OSError as error:
        raise SoundError(path, f"unreadable sound file, {error.strerror}") from error


def _samples(path: Path, file: Any) -> np.ndarray:
    """All samples of an open file. Memory grows with what is in the file, not with what its header says."""
    frames = max(1, min(BLOCK // file.channels, file.frames))
    blocks = [file.read(frames, dtype="float32")]
    while len(blocks[-1]) == frames and sum(map(len, blocks)) < file.frames:
        blocks.append(file.read(frames, dtype="float32"))
        if sum(block.size for block in blocks) > LARGEST:
            raise SoundError(path, f"too long sound file, more than {LARGEST} samples")
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _is_truncated(descriptor: int, file: Any, frames: int) -> bool:
    """True if an open file, from which `frames` were read, is shorter than its header says."""
    log = file.extra_info  # what libsndfile noticed in the header
    sizes = [(int(claimed), int(found)) for claimed, found in re.findall(r": (\d+) \(should be (\d+)\)", log)]
    if file.format == "NIST":  # is not in the log
        header = os.pread(descriptor, 1024, 0)
        sizes += [(int(claimed), frames) for claimed in re.findall(rb"sample_count -i (\d+)", header)]
    if frames < 0.99 * file.frames < UNKNOWN:  # in mp3 the number may be an estimate
        return True
    # a difference of 1 is the padding of an odd size
    return bool(CUT.search(log)) or any(found + 1 < claimed < STREAMED for claimed, found in sizes)
