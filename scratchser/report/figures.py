"""The figures of a run: learning curves and the confusion matrix.

Drawn with matplotlib's objects and no global state, so that a run in a thread or a worker draws the same.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from scratchser.runs.result import changed

COLOURS = {"train": "tab:blue", "validation": "tab:orange"}
STYLES = {"train": "--", "validation": "-"}  # for who cannot tell the colours
DOTS = 150  # per inch


def learning_curves(result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss and UA per epoch: a thin line per fold, a thick one for their mean, the best epochs marked.

    result   what result.json holds
    rows     metrics.jsonl: a dict per epoch and fold; folds not yet done may be among them
    """
    folds, best = by_fold(rows), {fold["fold"]: fold["best_epoch"] for fold in result["folds"]}
    figure = Figure(figsize=(10, 4.5), dpi=DOTS, layout="constrained")
    loss, ua = figure.subplots(1, 2)
    curves(loss, folds, best, "loss", 1.0)
    curves(ua, folds, best, "ua", 100.0)
    loss.set(ylabel="loss, cross-entropy in nats", ylim=(0, None))
    ua.set(ylabel="unweighted accuracy, %", ylim=(0, 103))
    names = {"train": "training speakers", "validation": "validation speaker"}
    keys = [Line2D([], [], color=COLOURS[part], ls=STYLES[part], lw=2.5, label=names[part]) for part in COLOURS]
    keys += [
        Line2D([], [], color="grey", lw=0.8, alpha=0.6, label="one fold"),
        Line2D([], [], color="grey", lw=2.5, label="mean while all folds run"),
        Line2D([], [], color="black", ls="", marker="o", ms=4, label="best epoch of a fold"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False, fontsize="small")
    figure.suptitle(title(result))
    return figure


def by_fold(rows: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    """The rows of metrics.jsonl of each fold."""
    folds: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        folds.setdefault(row["fold"], []).append(row)
    return folds


def curves(
    axes: Axes, folds: Mapping[int, Sequence[Mapping[str, Any]]], best: Mapping[int, int], name: str, unit: float
) -> None:
    """One measure against the epoch. A missing value (null) leaves a gap."""
    together = min(map(len, folds.values()))  # beyond, a mean would jump whenever a fold stops early
    for part, colour in COLOURS.items():
        shared = []
        for number, rows in folds.items():
            values = np.array([row[part][name] for row in rows], dtype=float) * unit
            epochs = np.array([row["epoch"] for row in rows])
            axes.plot(epochs, values, color=colour, lw=0.8, alpha=0.4)
            if part == "validation" and number in best:
                chosen = epochs == best[number]
                axes.plot(epochs[chosen], values[chosen], "o", color="black", ms=4, zorder=4)
            shared.append(values[:together])
        axes.plot(epochs[:together], np.mean(shared, axis=0), color=colour, ls=STYLES[part], lw=2.5, zorder=3)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def confusion(result: Mapping[str, Any]) -> Figure:
    """All test sets together: each cell the share of its row in percent and the number of utterances."""
    pooled, names = result["pooled"], result["corpus"]["classes"]
    counts = np.array(pooled["confusion"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.95 * len(names)
    figure = Figure(figsize=(side + 0.6, side), dpi=DOTS, layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), share in np.ndenumerate(shares):
        colour = "white" if share > 0.6 else "black"
        axes.text(j, i - 0.08, f"{100 * share:.1f} %", ha="center", va="center", color=colour)
        axes.text(j, i + 0.22, f"{counts[i, j]}", ha="center", va="center", color=colour, fontsize="small")
    ticks = range(len(names))
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, [f"{name}\n({total})" for name, total in zip(names, counts.sum(axis=1), strict=True)])
    axes.tick_params(length=0)
    axes.set(xlabel="taken for", ylabel="label (utterances)")
    scores = f"WA {100 * pooled['wa']:.1f} %, UA {100 * pooled['ua']:.1f} %"
    axes.set_title(f"{scores}, all test sets together", fontsize="medium")
    figure.suptitle(title(result))
    return figure


def title(result: Mapping[str, Any]) -> str:
    preset = result["preset"] + " (changed)" * bool(changed(result))
    title = f"corpus {result['corpus']['name']}, preset {preset}, seed {result['seed']}"
    return title + (" (synthetic data)" if result["synthetic"] else "")


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


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
