"""Figure 4: the gradient norm of each layer in each epoch, without and with a learning rate per layer group.

A norm is that of the data loss's gradient, divided by the square root of the number of weights, so that layers of
different sizes can be compared. The paper gives the conv layers their own learning rate because of this figure.
"""

import numpy as np
from matplotlib.figure import Figure

from scratchser.paper.output import Output, Table
from scratchser.paper.sweep import Sweep, Variant
from scratchser.report import figures

VARIANTS = (Variant("without adjustment", "over-aug"), Variant("with adjustment", "best-4khz"))
Norms = dict[str, np.ndarray]  # (E,) by layer, mean over folds and seeds


def build(sweep: Sweep) -> Output:
    """The curves, and their values in a table."""
    norms = {name: mean_norms(sweep, name) for name in sweep.by_variant}
    columns = ["layer", *(f"{name}: {when}" for name in norms for when in ("epoch 1", "mean", "last epoch"))]
    rows = []
    for layer in next(iter(norms.values())):
        curves = [found[layer] for found in norms.values()]
        rows.append([layer, *(f"{x:.3g}" for curve in curves for x in (curve[0], curve.mean(), curve[-1]))])
    notes = (
        "||dW|| / sqrt(n) of the data loss, mean over an epoch's updates, over the folds and over the seeds, for the"
        " epochs that all folds have",
        *(f"{name}: {_ratio(found)}" for name, found in norms.items()),
        "with adjustment: conv layers have their own learning rate and L2 (over-aug and best-4khz of table 1)",
        *sweep.notes(),
    )
    title = f"Figure 4: gradient norms per layer, {sweep.title}"
    return Output({"figure4": Table(title, columns, rows, notes)}, {"figure4": _draw(sweep.title, norms)})


def mean_norms(sweep: Sweep, variant: str) -> Norms:
    """The norms of a variant, mean over its folds and seeds, for the epochs that all of them have."""
    by_seed = [figures.mean_norms(run.record.metrics()) for run in sweep.by_variant[variant]]
    epochs = min(len(next(iter(norms.values()))) for norms in by_seed)
    return {layer: np.mean([norms[layer][:epochs] for norms in by_seed], axis=0) for layer in by_seed[0]}


def _ratio(norms: Norms) -> str:
    """The paper's observation as a number."""
    conv, lstm = (
        np.mean([norms[layer].mean() for layer in norms if layer.startswith(kind)]) for kind in ("conv", "lstm")
    )
    return f"the conv layers' mean norm is {conv / lstm:.2g} times that of the Bi-LSTM"


def _draw(title: str, norms: dict[str, Norms]) -> Figure:
    figure, row = figures.panels(10, 4.4, len(norms), sharey=True)
    for axes, (name, found) in zip(row, norms.items(), strict=True):
        figures.draw_norms(axes, found, labelled=axes is row[0])
        axes.set_title(name)
    row[0].set_ylabel("gradient norm, ||dW|| / sqrt(n)")
    figures.legend(figure, 8)
    figure.suptitle(f"gradient norms per layer, {title}")
    return figure
