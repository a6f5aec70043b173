"""The pictures of report.html: narrow enough to be read on a telephone, and without a colour that means something
alone: lines differ in dashes or marks too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scratchser.figures import COLOURS, DOTS, STYLES, by_fold, curves

WIDTH = 4.2  # inches
# told apart by people of any colour vision: Okabe and Ito, "Color universal design", 2008
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
MARKS = "osD^vPX*<>h"
TITLES = {"loss": "loss, cross-entropy in nats", "ua": "unweighted accuracy, %"}
PARTS = {"train": "training speakers", "validation": "validation speaker"}

Rows = Sequence[Mapping[str, Any]]  # of metrics.jsonl


def learning(result: Mapping[str, Any], rows: Rows, name: str) -> Figure:
    """`name`, "loss" or "ua", against the epoch: a thin line per fold, a thick one for their mean."""
    figure, axes = _chart(3.7)
    unit = 100.0 if name == "ua" else 1.0
    best = {fold["fold"]: fold["best_epoch"] for fold in result["folds"]}
    curves(axes, by_fold(rows), best, name, unit)
    for part, label in PARTS.items():
        axes.plot([], [], color=COLOURS[part], ls=STYLES[part], lw=2.5, label=f"{label}, mean")
    axes.plot([], [], "o", color="black", ms=4, label="best epoch of a fold")
    axes.plot([], [], color="grey", lw=0.8, alpha=0.6, label="one fold")
    axes.set(ylabel=TITLES[name], ylim=(0, 103 if name == "ua" else None))
    _legend(figure, 2)
    return figure


def gradient_norms(rows: Rows) -> Figure:
    """Figure 4 of the paper: each layer's gradient norm against the epoch, mean over the folds while all run."""
    figure, axes = _chart(4.2)
    for n, (layer, means) in enumerate(mean_norms(rows).items()):
        colour, mark = PALETTE[n % len(PALETTE)], MARKS[n % len(MARKS)]
        epochs = np.arange(1, len(means) + 1)
        axes.plot(epochs, means, color=colour, marker=mark, ms=4.5, lw=1.4, label=layer)
    axes.set(yscale="log", ylabel="gradient norm, ||dW|| / sqrt(n)")
    _legend(figure, 4)
    return figure


def mean_norms(rows: Rows) -> dict[str, np.ndarray]:
    """Per layer (E,), means over the folds for the epochs that all of them have."""
    folds = list(by_fold(rows).values())
    together = min(map(len, folds))
    layers = rows[0]["gradient_norms"]
    return {
        layer: np.mean([[row["gradient_norms"][layer] for row in fold[:together]] for fold in folds], axis=0)
        for layer in layers
    }


def mean_curve(rows: Rows, part: str, name: str) -> np.ndarray:
    """A measure of "train" or "validation" (E,), mean over the folds for the epochs that all of them have."""
    folds = list(by_fold(rows).values())
    together = min(map(len, folds))
    values = [[row[part][name] for row in fold[:together]] for fold in folds]
    return np.mean(np.array(values, dtype=float), axis=0)


def side_by_side(runs: Mapping[str, Rows]) -> Figure:
    """The validation speakers' UA against the epoch, mean over each run's folds, by the runs' labels."""
    figure, axes = _chart(3.7)
    for n, (label, rows) in enumerate(runs.items()):
        means = 100 * mean_curve(rows, "validation", "ua")
        colour, mark = PALETTE[n % len(PALETTE)], MARKS[n % len(MARKS)]
        axes.plot(np.arange(1, len(means) + 1), means, color=colour, marker=mark, ms=4.5, lw=1.6, label=label)
    axes.set(ylabel=TITLES["ua"], ylim=(0, 103))
    _legend(figure, 4)
    return figure


def spectrogram(picture: np.ndarray, seconds: float, khz: float) -> Figure:
    """A log power spectrogram (T, F) as the network sees it before eq. (5); brighter is louder."""
    figure, axes = _chart(2.3)
    axes.imshow(picture.T, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, khz))
    axes.set(xlabel="seconds", ylabel="kHz")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(False)
    return figure


def _chart(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _legend(figure: Figure, columns: int) -> None:
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize="small")
