"""The utterances that a run got wrong with most confidence: what they look like, and how they sound."""

from __future__ import annotations

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
from scratchser.report import figures as charts
from scratchser.report.templates import data_uri

SHOWN = 8
CLIP_SECONDS = 6.0
AUDIO_BYTES = 1_500_000  # of all clips of a page together

Row = Mapping[str, str]  # of predictions.csv


@dataclass(frozen=True)
class Mistake:
    """An utterance and what became of it; `picture` and `clip` are data URIs, `clip` is empty where there is none."""

    row: Row
    utterance: Utterance
    frames: int
    picture: str
    clip: str = ""
    cut: bool = False  # the clip is the beginning of a longer utterance

    @property
    def probability(self) -> float:
        return confidence(self.row)


def confidence(row: Row) -> float:
    """The mean probability of the class that the utterance was taken for."""
    return float(row[f"p_{row['predicted']}"])


def most_confident(rows: Sequence[Row], number: int = SHOWN) -> list[Row]:
    """The wrong ones among the rows of predictions.csv, the most confident first."""
    wrong = [row for row in rows if row["predicted"] != row["truth"]]
    return sorted(wrong, key=lambda row: (-confidence(row), row["utterance"]))[:number]


def mistakes(rows: Sequence[Row], corpus: Corpus, config: Config, *, audio: bool) -> list[Mistake]:
    """The most confident mistakes with their pictures, and with clips where `audio` allows to embed them."""
    chosen = most_confident(rows)
    by_name = {u.name: u for u in corpus.utterances}
    heard = replace(corpus, utterances=tuple(by_name[row["utterance"]] for row in chosen))
    features, khz, shift = extract(heard, config), config.frequency_khz, Signal.of(config).hop / RATE
    found, left = [], AUDIO_BYTES
    for n, (row, utterance) in enumerate(zip(chosen, heard.utterances, strict=True)):
        spectrogram = features.of(n)
        picture = charts.spectrogram(spectrogram, len(spectrogram) * shift, khz)
        mistake = Mistake(row, utterance, len(spectrogram), data_uri("image/png", figures.png(picture)))
        if audio:
            sound = mono(*corpus.read(utterance))
            clip = flac(sound[: round(CLIP_SECONDS * RATE)])
            if len(clip) <= left:
                left -= len(clip)
                cut = len(sound) > CLIP_SECONDS * RATE
                mistake = replace(mistake, clip=data_uri("audio/flac", clip), cut=cut)
        found.append(mistake)
    return found


def flac(sound: np.ndarray) -> bytes:
    """Sound (samples,) at RATE as a FLAC file: half the size of a wav file, and every browser plays it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
