"""The figures of a run, and the style that the figures of paper/ share.

Figures are matplotlib objects without global state, so that threads and worker processes draw the same.

In every function here `rows` are the rows of metrics.jsonl (one dict per fold and epoch, folds that still run
included) and `result` is what result.json holds.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scratchser.runs.result import changed
from scratchser.support.terminal import say

DPI = 150
WIDTH = 4.2  # inches, of one panel
# Okabe and Ito, "Color universal design", 2008: distinct under every kind of colour vision
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
MARKERS = "osD^vPX*<>h"

PARTS = {"train": "training speakers", "validation": "validation speaker"}
COLOURS = {"train": "tab:blue", "validation": "tab:orange"}
LINE_STYLES = {"train": "--", "validation": "-"}  # readable without colour
AXIS_LABELS = {"loss": "loss, cross-entropy in nats", "ua": "unweighted accuracy, %"}
UNITS = {"loss": 1.0, "ua": 100.0}

Rows = Sequence[Mapping[str, Any]]


def panels(width: float, height: float, columns: int = 1, *, grid: str = "both", **options: Any) -> tuple[Figure, Any]:
    """A figure of `width` x `height` inches and its axes in a row, an array; `options` go to `Figure.subplots`."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, **options)[0]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_axisbelow(True)
        if grid:
            panel.grid(alpha=0.25, axis=grid)
    return figure, axes


def legend(figure: Figure, columns: int, **options: Any) -> None:
    """A legend below the axes."""
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize="small", **options)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; equal figures give equal bytes. Empty, with a message, if it cannot be drawn."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the font has no such letter and draws a box
        try:
            FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
        except (ValueError, RuntimeError, OSError) as error:  # too many pixels; an unreadable font
            say(f"a figure cannot be drawn: {error}")
            return b""
    return buffer.getvalue()


def title(result: Mapping[str, Any]) -> str:
    """Corpus, preset and seed of a run."""
    preset = f"{result['preset']} (changed)" if changed(result) else result["preset"]
    text = f"corpus {result['corpus']['name']}, preset {preset}, seed {result['seed']}"
    return f"{text} (synthetic data)" if result["synthetic"] else text


def rows_by_fold(rows: Rows) -> dict[int, list[Mapping[str, Any]]]:
    """The rows of each fold, by its number."""
    return {number: list(fold) for number, fold in groupby(rows, key=itemgetter("fold"))}


def mean_over_folds(rows: Rows, group: str, name: str) -> np.ndarray:
    """(E,) float64, the mean of row[group][name] over the folds, for the E epochs that all folds have.

    Later epochs are left out: the mean would jump where a fold stops early.
    """
    folds = rows_by_fold(rows).values()
    epochs = min(map(len, folds))
    return np.mean(np.array([[row[group][name] for row in fold[:epochs]] for fold in folds], dtype=float), axis=0)


def mean_norms(rows: Rows) -> dict[str, np.ndarray]:
    """The gradient norm of each layer (E,), mean over the folds."""
    return {layer: mean_over_folds(rows, "gradient_norms", layer) for layer in rows[0]["gradient_norms"]}


def parts(result: Mapping[str, Any]) -> dict[str, str]:
    """PARTS; with select_epoch=false there is no validation."""
    return {part: PARTS[part] for part in PARTS if part == "train" or result["config"]["select_epoch"]}


def learning_curves(result: Mapping[str, Any], rows: Rows, measures: Sequence[str] = ("loss", "ua")) -> Figure:
    """A panel for each measure: a thin line per fold, a thick one for their mean, a dot at each fold's best epoch."""
    figure, axes = panels(WIDTH * len(measures), 3.9, len(measures))
    best_epochs = {fold["fold"]: fold["best_epoch"] for fold in result["folds"]}
    for panel, measure in zip(axes, measures, strict=True):
        for part in parts(result):
            _learning_curve(panel, rows, best_epochs, part, measure)
        panel.set(ylabel=AXIS_LABELS[measure], ylim=(0, 103 if measure == "ua" else None))
        epoch_axis(panel)
    for part, label in parts(result).items():
        axes[0].plot([], [], color=COLOURS[part], ls=LINE_STYLES[part], lw=2.5, label=f"{label}, mean")
    axes[0].plot([], [], color="grey", lw=0.8, alpha=0.6, label="one fold")
    if "validation" in parts(result):
        axes[0].plot([], [], "o", color="black", ms=4, label="best epoch of a fold")
    legend(figure, 2 * len(measures))
    if len(measures) > 1:
        figure.suptitle(title(result))
    return figure


def _learning_curve(axes: Axes, rows: Rows, best_epochs: Mapping[int, int], part: str, measure: str) -> None:
    unit = UNITS[measure]
    for number, fold in rows_by_fold(rows).items():
        epochs = np.array([row["epoch"] for row in fold])
        values = unit * np.array([row[part][measure] for row in fold], dtype=float)  # null becomes NaN, a gap
        axes.plot(epochs, values, color=COLOURS[part], lw=0.8, alpha=0.4)
        if part == "validation" and number in best_epochs:
            best = epochs == best_epochs[number]
            axes.plot(epochs[best], values[best], "o", color="black", ms=4, zorder=4)
    mean = unit * mean_over_folds(rows, part, measure)
    epochs = np.arange(1, len(mean) + 1)
    axes.plot(epochs, mean, color=COLOURS[part], ls=LINE_STYLES[part], lw=2.5, zorder=3)
    if len(mean) == 1:  # a line needs two epochs
        axes.plot(epochs, mean, "_", color=COLOURS[part], ms=12, mew=2.5)


def gradient_norms(norms: Mapping[str, np.ndarray]) -> Figure:
    """Figure 4 of the paper for one run: the norms (E,) of each layer against the epoch."""
    figure, (axes,) = panels(WIDTH, 4.2)
    draw_norms(axes, norms)
    axes.set_ylabel("gradient norm, ||dW|| / sqrt(n)")
    legend(figure, 4)
    return figure


def draw_norms(axes: Axes, norms: Mapping[str, np.ndarray], *, labelled: bool = True) -> None:
    for n, (layer, values) in enumerate(norms.items()):
        colour, marker = PALETTE[n % len(PALETTE)], MARKERS[n % len(MARKERS)]
        label = layer if labelled else None
        axes.plot(np.arange(1, len(values) + 1), values, color=colour, marker=marker, ms=4, lw=1.4, label=label)
    axes.set_yscale("log")
    epoch_axis(axes)


def epoch_axis(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def confusion(result: Mapping[str, Any]) -> Figure:
    """All test sets together: each cell has its share of the row in percent and its number of utterances."""
    pooled, names = result["pooled"], result["corpus"]["classes"]
    counts = np.array(pooled["confusion"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.95 * len(names)
    figure, (axes,) = panels(side + 0.6, side, grid="")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), share in np.ndenumerate(shares):
        colour = "white" if share > 0.6 else "black"
        axes.text(j, i - 0.08, f"{100 * share:.1f} %", ha="center", va="center", color=colour)
        axes.text(j, i + 0.22, f"{counts[i, j]}", ha="center", va="center", color=colour, fontsize="small")
    ticks = range(len(names))
    labels = [f"{name}\n({total})" for name, total in zip(names, counts.sum(axis=1), strict=True)]
    axes.set_xticks(ticks, names, parse_math=False)
    axes.set_yticks(ticks, labels, parse_math=False)
    axes.tick_params(length=0)
    axes.set(xlabel="predicted as", ylabel="label (utterances)")
    scores = f"WA {100 * pooled['wa']:.1f} %, UA {100 * pooled['ua']:.1f} %"
    axes.set_title(f"{scores}, all test sets together", fontsize="medium")
    figure.suptitle(title(result))
    return figure


def spectrogram(log_power: np.ndarray, seconds: float, top: float, unit: str) -> Figure:
    """A log power spectrogram (T, F) as the network gets it, before eq. (5); brighter is louder."""
    figure, (axes,) = panels(WIDTH, 2.3, grid="")
    draw_spectrogram(axes, log_power, seconds, top)
    axes.set(xlabel="seconds", ylabel=unit)
    return figure


def draw_spectrogram(axes: Axes, log_power: np.ndarray, seconds: float, top: float, **options: Any) -> Any:
    """Time to the right, frequency from 0 to `top` upwards; `options` go to `Axes.imshow`, the image is returned."""
    axes.xaxis.set_major_locator(MaxNLocator(6))
    extent = (0, seconds, 0, top)
    return axes.imshow(log_power.T, origin="lower", aspect="auto", cmap="magma", extent=extent, **options)
