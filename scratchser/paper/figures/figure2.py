"""Figure 2: a spectrogram under VTLP, eq. (4), with α = 0.9, 1 and 1.1, of the utterance with the median duration.

A dashed line follows half of the highest frequency.
"""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from scratchser.corpus.audio import RATE, check_audio
from scratchser.corpus.features import Signal, extract
from scratchser.corpus.table import Corpus, CorpusError
from scratchser.kernels import vtlp
from scratchser.paper import output
from scratchser.paper.output import Output
from scratchser.presets import PAPER_BEST
from scratchser.report import figures

ALPHAS = (0.9, 1.0, 1.1)


def build(corpus: Corpus) -> Output:
    """Raises CorpusError if the corpus has no audio that can be read."""
    config = PAPER_BEST
    seconds = check_audio(corpus, config).seconds  # of the utterances that are not broken
    if not seconds:
        raise CorpusError(f"{corpus.root}: figure 2 needs audio, but none of the corpus's wav files can be read")
    order = sorted(seconds, key=lambda name: (seconds[name], name))
    median = order[(len(order) - 1) // 2]  # of an even number, the shorter one in the middle
    utterance = next(u for u in corpus.utterances if u.name == median)
    log_power = extract(replace(corpus, utterances=(utterance,)), config).of(0)
    shown = len(log_power) * Signal.of(config).hop / RATE
    title = f"{utterance.name}, {corpus.classes[utterance.label]}, {output.corpus_name(corpus)}"
    return Output(figures={"figure2": _draw(title, log_power, shown, config.frequency_khz)})


def _draw(title: str, log_power: np.ndarray, seconds: float, khz: float) -> Figure:
    """`log_power` (T, F) float32, before eq. (5); all three warps on one colour scale."""
    warped = [vtlp.forward(log_power, alpha) for alpha in ALPHAS]
    scale = {"vmin": min(map(np.min, warped)), "vmax": max(map(np.max, warped))}
    bins = log_power.shape[1]
    half = bins // 2
    figure, row = figures.panels(10, 3.8, len(ALPHAS), grid="", sharey=True)
    for axes, alpha, values in zip(row, ALPHAS, warped, strict=True):
        image = figures.draw_spectrogram(axes, values, seconds, khz, **scale)
        line = float(vtlp.target(half, alpha, bins)) * khz / (bins - 1)
        axes.axhline(line, color="white", ls="--", lw=1)
        axes.set(title=f"α = {alpha:g}", xlabel="time, s")
    row[0].set_ylabel("frequency, kHz")
    figure.colorbar(image, ax=row, label="logarithm of power", pad=0.01)
    figure.suptitle(f"{title}; dashed: {khz / 2:g} kHz at α = 1", fontsize="medium", parse_math=False)
    return figure
