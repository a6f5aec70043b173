"""What headers get wrong, and sound that is silent, shifted, cancelled or in another scale."""

import io
import os
import struct

import numpy as np
import pytest
import scipy.signal
import soundfile

from scratchser.corpus import sound
from scratchser.corpus.audio import BEYOND, CANCELLING, OFFSET, check_audio, is_silent
from scratchser.corpus.check import sound_warnings
from scratchser.corpus.features import LARGEST_RATIO, extract, mono
from scratchser.corpus.sound import SoundError, read
from scratchser.corpus.table import Corpus, Utterance
from scratchser.presets import Config

SPEECH = (0.1 * np.random.default_rng(0).standard_normal(16000)).astype(np.float32)


def encoded(format, subtype=None, endian=None, samples=SPEECH):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16000, format=format, subtype=subtype, endian=endian)
    return buffer.getvalue()


def wav_with_sizes(riff, data, samples=SPEECH):
    """A wav file of these samples whose header has these sizes in bytes."""
    content = encoded("WAV", samples=samples)
    return b"RIFF" + struct.pack("<I", riff) + content[8:40] + struct.pack("<I", data) + content[44:]


def flac_with_length(samples):
    content = bytearray(encoded("FLAC"))
    content[21] = content[21] & 0xF0 | samples >> 32
    content[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(content)


@pytest.fixture
def file(tmp_path):
    """file(content) is the path of a file with this content."""

    def write(content):
        (tmp_path / "sound").write_bytes(content)
        return tmp_path / "sound"

    return write


# ---- the file and its header


@pytest.mark.parametrize("kind", [
    ("WAV",), ("WAV", "FLOAT"), ("WAV", "PCM_16", "BIG"), ("WAVEX",), ("RF64",), ("W64",), ("AIFF",), ("AU",),
    ("NIST",), ("FLAC",), ("OGG",), ("MP3",), ("CAF",),
], ids="-".join)  # fmt: skip
def test_a_truncated_file_is_noticed_in_every_format(file, kind):
    content = encoded(*kind)
    whole = read(file(content))
    assert len(whole.samples) == 16000 and not whole.truncated and not whole.unread
    for part in (0.3, 0.66, 0.98):
        try:
            assert read(file(content[: int(part * len(content))])).truncated
        except SoundError as error:
            assert kind[0] in ("FLAC", "CAF", "OGG") and "unreadable sound file" in error.what


@pytest.mark.parametrize("kind", ["AVR", "IRCAM", "PAF", "PVF", "MAT5", "SDS"])
def test_formats_whose_length_is_not_checked_are_refused(file, kind):
    with pytest.raises(SoundError, match=f"unreadable sound file, its format is {kind}: convert it"):
        read(file(encoded(kind, "PCM_16")))


@pytest.mark.parametrize(("content", "samples", "truncated", "unread"), [
    (wav_with_sizes(36, 0), 0, False, True),
    (wav_with_sizes(6036, 0, SPEECH[:3000]), 0, False, True),
    (wav_with_sizes(6036, 3000, SPEECH[:3000]), 1500, False, True),
    (wav_with_sizes(6036, 600, 0 * SPEECH[:3000]), 300, False, True),
    (wav_with_sizes(36 + 600, 600, SPEECH[:300]) + b"id3 \0\4\0\0" + bytes(1024), 300, False, False),
    (encoded("WAV", samples=SPEECH[:0]), 0, False, False),
    (wav_with_sizes(0, 0xFFFFFFFF), 16000, False, False),
    (wav_with_sizes(0x7FFFF024, 0x7FFFF000), 16000, False, False),
    (wav_with_sizes(0x7FFE0024, 0x7FFE0000), 16000, True, False),
    (wav_with_sizes(32037, 32000), 16000, False, False),  # padded to an even size
    (b".snd" + struct.pack(">5I", 24, 0, 3, 16000, 1) + bytes(32000), 0, False, True),
    (flac_with_length(0), 16000, False, False),
    (flac_with_length(2**36 - 1), 16000, True, False),
])  # fmt: skip
def test_lengths_that_a_header_gets_wrong(file, content, samples, truncated, unread):
    found = read(file(content))
    assert (len(found.samples), found.truncated, found.unread) == (samples, truncated, unread)


def test_a_file_is_read_in_blocks_up_to_a_limit(file, monkeypatch):
    path = file(encoded("WAV", "FLOAT"))
    monkeypatch.setattr(sound, "BLOCK", 1000)
    np.testing.assert_array_equal(read(path).samples, SPEECH)
    monkeypatch.setattr(sound, "LARGEST", 15999)
    with pytest.raises(SoundError, match="too long sound file"):
        read(path)


@pytest.mark.parametrize(("make", "what"), [
    (lambda path: path.mkdir(), "unreadable sound file, a folder"),
    (os.mkfifo, "unreadable sound file, not a regular file"),
    (lambda path: path.symlink_to(path), "unreadable sound file, Too many levels"),
    (lambda path: path.symlink_to("nowhere"), "missing sound file, a dangling link"),
])  # fmt: skip
def test_paths_that_are_no_file(tmp_path, make, what):
    make(tmp_path / "a.raw")
    with pytest.raises(SoundError) as caught:
        read(tmp_path / "a.raw")
    assert caught.value.what.startswith(what)
    with pytest.raises(SoundError, match="File name too long"):
        read(tmp_path / ("x" * 300))


# ---- the samples


def report_of(sounds, rate=16000):
    """What `check_audio` finds in sounds by "speaker-name"."""
    rows = tuple(Utterance(name, None, name.partition("-")[0], "", "", 0) for name in sounds)
    return check_audio(Corpus("csv", ("neutral",), rows, read=lambda u: (np.float32(sounds[u.name]), rate)))


@pytest.mark.parametrize(("samples", "problem"), [
    (0 * SPEECH, "silent"),
    (0 * SPEECH + 0.3, "silent"),
    (np.random.default_rng(0).integers(-1, 2, 16000) / 32768 - 0.3, "silent"),
    (np.stack([SPEECH, -SPEECH], axis=1), "sound file whose channels cancel each other"),
    (np.stack([SPEECH, 0.01 * SPEECH], axis=1), ""),
    (0.02 * SPEECH, ""),
])  # fmt: skip
def test_nothing_is_trained_on_silence(samples, problem):
    assert "".join(each.kind for each in report_of({"a": samples}).problems).startswith(problem or "")
    assert len(report_of({"a": samples}).problems) == bool(problem)


def test_silent_is_what_has_an_empty_spectrogram():
    time, noise = np.arange(4096), np.random.default_rng(1).standard_normal(4096)
    click = np.where(time == 2000, 1, 0)
    config = Config(frequency_khz=4)
    found = set()
    for shape in (np.sin(0.1 * time), np.sin(1.5 * time), noise, click):
        for loudness in np.geomspace(1e-5, 1, 30):
            samples = loudness * shape
            utterance = Utterance("u", None, "a", "", "", 0)
            corpus = Corpus("csv", ("a",), (utterance,), read=lambda u, samples=samples: (samples, 16000))
            empty = np.ptp(extract(corpus, config).values) == 0
            assert is_silent(samples, samples.std(), 16000, config) == empty
            found.add(empty)
    assert found == {True, False}


@pytest.mark.parametrize(("samples", "what"), [
    (SPEECH + 0.3, OFFSET),
    (np.stack([SPEECH, -0.9 * SPEECH], axis=1), CANCELLING),
    (32768 * SPEECH, BEYOND),
])  # fmt: skip
def test_unusual_sound_is_a_warning(samples, what):
    report = report_of({"a": SPEECH, "b": samples})
    assert report.problems == [] and list(map(str, report.unusual[what])) == ["b"]
    assert any(f"1 sound file {what}: b" in warning for warning in sound_warnings(report))


@pytest.mark.parametrize(("scales", "warning"), [
    ({"a": 1, "b": 20, "c": 0.3}, ""),
    ({"a": 1, "b": 32768, "c": 2, "d": 30000}, "speakers b, d: 2"),
    ({"a": 1, "b": 1, "c": 1 / 50}, "speaker c: 50 times fainter"),
])  # fmt: skip
def test_speakers_in_another_scale_are_named(scales, warning):
    sounds = {f"{name}-{n}": scale * SPEECH for name, scale in scales.items() for n in range(3)}
    sounds["a-4"] = 1000 * SPEECH  # a single one tells nothing about the speaker
    found = [each for each in sound_warnings(report_of(sounds)) if each.startswith("speaker")]
    assert len(found) == bool(warning) and all(each.startswith(warning) for each in found)


@pytest.mark.parametrize(("rate", "problem"), [(7, True), (3999, True), (4000, False), (768000, False), (10**9, True)])
def test_absurd_sampling_rates_are_problems(rate, problem):
    noise = np.random.default_rng(0).normal(0, 0.1, 60000)
    kinds = [each.kind for each in report_of({"a": noise}, rate).problems]
    assert kinds == ["sound file with an absurd sampling rate"] * problem


@pytest.mark.parametrize("rate", [4001, 16001, 44101, 767999])
def test_odd_sampling_rates_need_no_long_filter(rate, monkeypatch):
    exact, used = scipy.signal.resample_poly, []
    monkeypatch.setattr(scipy.signal, "resample_poly", lambda x, *ratio: used.append(ratio) or exact(x, *ratio))
    time = np.arange(rate) / rate
    found = mono(np.sin(2 * np.pi * 440 * time), rate)[500:15500]
    ((up, down),) = used
    assert down <= LARGEST_RATIO and up <= 4 * LARGEST_RATIO
    assert np.abs(found - np.sin(2 * np.pi * 440 * np.arange(500, 15500) / 16000)).max() < 0.2
