"""Figure 2: a spectrogram under VTLP, eq. (4), with α = 0.9, 1 and 1.1 side by side.

The utterance is the one of median duration. A dashed line follows what was at half of the highest frequency.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scratchser.corpus.audio import RATE, check_audio, has_audio
from scratchser.corpus.features import Signal, extract
from scratchser.corpus.table import Corpus, CorpusError, Utterance
from scratchser.kernels import vtlp
from scratchser.paper import output
from scratchser.paper.output import Output
from scratchser.presets import PAPER_BEST
from scratchser.report.figures import DPI

ALPHAS = (0.9, 1.0, 1.1)


def build(corpus: Corpus) -> Output:
    """Raises CorpusError where there is no audio, or none that can be read."""
    config = PAPER_BEST
    utterance = median_utterance(corpus, config.window_ms)
    features = extract(replace(corpus, utterances=(utterance,)), config)
    spectrogram, khz = features.of(0), float(config.frequency_khz)
    seconds = len(spectrogram) * Signal.of(config).hop / RATE
    title = f"{utterance.name}, {corpus.classes[utterance.label]}, {output.name(corpus)}"
    return Output(figures={"figure2": _draw(title, spectrogram, seconds, khz)})


def median_utterance(corpus: Corpus, window_ms: float) -> Utterance:
    """The utterance of median duration, of an even number the shorter of the two; broken ones do not count.

    Raises CorpusError where there is none.
    """
    if not has_audio(corpus):
        raise CorpusError(f"{corpus.root}: figure 2 needs sound, and none of the corpus's wav files is there")
    seconds = check_audio(corpus, window_ms).seconds
    if not seconds:
        raise CorpusError(f"{corpus.root}: figure 2 needs sound, and none of the corpus's wav files can be read")
    order = sorted(seconds, key=lambda name: (seconds[name], name))
    middle = order[(len(order) - 1) // 2]
    return next(u for u in corpus.utterances if u.name == middle)


def _draw(title: str, spectrogram: np.ndarray, seconds: float, khz: float) -> Figure:
    """`spectrogram` (T, F) float32, log power before eq. (5); all three warps of it on one colour scale."""
    warped = [vtlp.forward(spectrogram, alpha) for alpha in ALPHAS]
    low, high = min(map(np.min, warped)), max(map(np.max, warped))
    bins = spectrogram.shape[1]
    half = bins // 2
    figure = Figure(figsize=(10, 3.8), dpi=DPI, layout="constrained")
    row = figure.subplots(1, len(ALPHAS), sharey=True)
    for axes, alpha, picture in zip(row, ALPHAS, warped, strict=True):
        image = axes.imshow(
            picture.T, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high, extent=(0, seconds, 0, khz)
        )
        moved = float(vtlp.target(half, alpha, bins)) * khz / (bins - 1)
        axes.axhline(moved, color="white", ls="--", lw=1)
        axes.set(title=f"α = {alpha:g}", xlabel="time, s")
        axes.xaxis.set_major_locator(MaxNLocator(6))
    row[0].set_ylabel("frequency, kHz")
    figure.colorbar(image, ax=row, label="logarithm of power", pad=0.01)
    figure.suptitle(f"{title}; dashed: what α = 1 has at {khz / 2:g} kHz", fontsize="medium")
    return figure
