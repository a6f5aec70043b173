"""The utterances that a run misclassified with the highest confidence: their spectrograms and recordings."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import soundfile

from scratchser.corpus.audio import RATE
from scratchser.corpus.features import Signal, extract, mono
from scratchser.corpus.table import Corpus, Utterance
from scratchser.presets import Config
from scratchser.report import figures
from scratchser.report.templates import data_uri

SHOWN = 8
CLIP_SECONDS = 6.0
AUDIO_BYTES = 1_500_000  # of all clips of a page together

Row = Mapping[str, str]  # of predictions.csv


@dataclass(frozen=True)
class Misclassified:
    """A misclassified utterance.

    row           its row of predictions.csv
    confidence    the mean probability of the predicted class
    frames        of its spectrogram
    spectrogram   the image as a data URI, "" if it cannot be drawn
    clip          the recording as a data URI, "" without one
    shortened     the clip is only the beginning of the utterance
    """

    row: Row
    confidence: float
    utterance: Utterance
    frames: int
    spectrogram: str
    clip: str
    shortened: bool


def misclassified(rows: Sequence[Row], corpus: Corpus, config: Config, *, audio: bool) -> list[Misclassified]:
    """The most confident errors in the rows of predictions.csv; with clips if `audio`, as long as AUDIO_BYTES last."""
    wrong = [(float(row[f"p_{row['predicted']}"]), row) for row in rows if row["predicted"] != row["truth"]]
    chosen = sorted(wrong, key=lambda one: (-one[0], one[1]["utterance"]))[:SHOWN]
    by_name = {u.name: u for u in corpus.utterances}
    utterances = tuple(by_name[row["utterance"]] for _, row in chosen)
    features = extract(replace(corpus, utterances=utterances), config)
    seconds_per_frame = Signal.of(config).hop / RATE
    top, unit = (config.mel_bands, "mel band") if config.mel_bands else (config.frequency_khz, "kHz")
    found, bytes_left = [], AUDIO_BYTES
    for n, ((confidence, row), utterance) in enumerate(zip(chosen, utterances, strict=True)):
        values = features.of(n)
        image = figures.png(figures.spectrogram(values, len(values) * seconds_per_frame, top, unit))
        sound = mono(*corpus.read(utterance)) if audio else np.empty(0)
        clip = flac(sound[: round(CLIP_SECONDS * RATE)]) if audio else b""
        clip = clip if len(clip) <= bytes_left else b""
        bytes_left -= len(clip)
        found.append(
            Misclassified(
                row,
                confidence,
                utterance,
                len(values),
                data_uri("image/png", image),
                data_uri("audio/flac", clip),
                len(sound) > CLIP_SECONDS * RATE,
            )
        )
    return found


def flac(sound: np.ndarray) -> bytes:
    """Sound (samples,) at RATE as a FLAC file: half the size of a wav file, and every browser plays it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
