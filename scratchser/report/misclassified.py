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
    frames        of its spectrogram
    spectrogram   the image as a data URI
    clip          the recording as a data URI, "" without one
    shortened     the clip is only the beginning of the utterance
    """

    row: Row
    utterance: Utterance
    frames: int
    spectrogram: str
    clip: str = ""
    shortened: bool = False

    @property
    def probability(self) -> float:
        return confidence(self.row)


def confidence(row: Row) -> float:
    """The mean probability of the predicted class."""
    return float(row[f"p_{row['predicted']}"])


def most_confident(rows: Sequence[Row], number: int = SHOWN) -> list[Row]:
    """The rows of predictions.csv with a wrong prediction, the most confident first."""
    wrong = [row for row in rows if row["predicted"] != row["truth"]]
    return sorted(wrong, key=lambda row: (-confidence(row), row["utterance"]))[:number]


def misclassified(rows: Sequence[Row], corpus: Corpus, config: Config, *, audio: bool) -> list[Misclassified]:
    """The most confident errors; with clips if `audio`, as long as AUDIO_BYTES last."""
    chosen = most_confident(rows)
    by_name = {u.name: u for u in corpus.utterances}
    utterances = tuple(by_name[row["utterance"]] for row in chosen)
    features = extract(replace(corpus, utterances=utterances), config)
    seconds_per_frame = Signal.of(config).hop / RATE
    found, bytes_left = [], AUDIO_BYTES
    for n, (row, utterance) in enumerate(zip(chosen, utterances, strict=True)):
        values = features.of(n)
        image = figures.spectrogram(values, len(values) * seconds_per_frame, config.frequency_khz)
        one = Misclassified(row, utterance, len(values), data_uri("image/png", figures.png(image)))
        if audio:
            sound = mono(*corpus.read(utterance))
            clip = flac(sound[: round(CLIP_SECONDS * RATE)])
            if len(clip) <= bytes_left:
                bytes_left -= len(clip)
                shortened = len(sound) > CLIP_SECONDS * RATE
                one = replace(one, clip=data_uri("audio/flac", clip), shortened=shortened)
        found.append(one)
    return found


def flac(sound: np.ndarray) -> bytes:
    """Sound (samples,) at RATE as a FLAC file: half the size of a wav file, and every browser plays it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
