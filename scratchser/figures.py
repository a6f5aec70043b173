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
