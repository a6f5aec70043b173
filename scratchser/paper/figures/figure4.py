"""Figure 4: how large the gradient of each layer's weights is, epoch by epoch, without and with a rate per layer group.

It is why the paper gives the convolution layers a learning rate of their own. A norm is that of the data loss's
gradient, divided by the square root of the number of weights, so that layers of unequal size can be compared.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scratchser.paper.output import Output, Table
from scratchser.paper.sweep import Runs, Setting
from scratchser.report.figures import DPI, MARKERS, PALETTE, mean_norms

SETTINGS = (Setting("without adjustment", "over-aug"), Setting("with adjustment", "best-4khz"))
Norms = dict[str, np.ndarray]  # by layer, (E,): mean over folds and seeds


def build(runs: Runs) -> Output:
    """The curves, and their numbers."""
    norms = {name: norms_of(runs, name) for name in runs.of}
    layers = list(next(iter(norms.values())))
    rows = []
    for layer in layers:
        cells = [layer]
        for found in norms.values():
            cells += [f"{value:.3g}" for value in (found[layer][0], found[layer].mean(), found[layer][-1])]
        rows.append(tuple(cells))
    columns = ["layer", *(f"{name}: {when}" for name in norms for when in ("epoch 1", "mean", "last epoch"))]
    notes = (
        "||dW|| / sqrt(n) of the data loss, mean over an epoch's updates, over the folds and over the seeds; for the"
        " epochs that all folds have",
        *(f"{name}: {_ratio(found)}" for name, found in norms.items()),
        "with adjustment: conv layers with a rate and an L2 of their own; these are over-aug and best-4khz of table 1",
        *runs.notes(),
    )
    title = f"Figure 4: gradient norms per layer, {runs.title}"
    return Output(
        {"figure4": Table(title, tuple(columns), tuple(rows), notes)},
        {"figure4": _draw(runs, norms)},
    )


def norms_of(runs: Runs, setting: str) -> Norms:
    """Of a setting, the mean over its seeds too, for the epochs that all of them have."""
    seeds = [mean_norms(run.record.metrics()) for run in runs.of[setting]]
    together = min(len(next(iter(found.values()))) for found in seeds)
    return {layer: np.mean([found[layer][:together] for found in seeds], axis=0) for layer in seeds[0]}


def _ratio(found: Norms) -> str:
    """How the paper's observation comes out."""
    groups = [[values.mean() for layer, values in found.items() if layer.startswith(kind)] for kind in ("conv", "lstm")]
    times = float(np.mean(groups[0]) / np.mean(groups[1]))
    return f"the conv layers' mean norm is {times:.2g} times that of the Bi-LSTM"


def _draw(runs: Runs, norms: dict[str, Norms]) -> Figure:
    figure = Figure(figsize=(10, 4.4), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(norms), sharey=True)
    for axes, (name, found) in zip(panels, norms.items(), strict=True):
        for n, (layer, values) in enumerate(found.items()):
            colour, mark = PALETTE[n % len(PALETTE)], MARKERS[n % len(MARKERS)]
            label = layer if axes is panels[0] else None
            axes.plot(np.arange(1, len(values) + 1), values, color=colour, marker=mark, ms=4, lw=1.4, label=label)
        axes.set(title=name, xlabel="epoch", yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("gradient norm, ||dW|| / sqrt(n)")
    figure.legend(loc="outside lower center", ncols=8, frameon=False, fontsize="small")
    figure.suptitle(f"per-layer gradients, {runs.title}")
    return figure
