"""Depth: UA of 1 to 6 conv layers with 1 to 4 Bi-LSTM layers. The paper found 4 and 1 to be the best."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from scratchser.paper.output import Output, Table
from scratchser.paper.scores import SUFFIXES, mean_note, score_cells, score_columns, score_notes, scores
from scratchser.paper.sweep import Sweep, Variant
from scratchser.presets import of_depth
from scratchser.report import figures
from scratchser.report.text import percent

CONV, LSTM = range(1, 7), range(1, 5)
VARIANTS = tuple(
    Variant(f"{conv}+{lstm}", change=partial(of_depth, conv=conv, lstm=lstm)) for conv in CONV for lstm in LSTM
)


def build(sweep: Sweep) -> Output:
    """UA as a grid and as a figure, and all scores in a row for each depth."""
    ua = np.array([scores(of_seeds, "ua")["mean"] for of_seeds in sweep.by_variant.values()])
    best = VARIANTS[int(ua.argmax())].name
    ua = ua.reshape(len(CONV), len(LSTM))
    grid = tuple((f"{conv} conv", *map(percent, row)) for conv, row in zip(CONV, ua, strict=True))
    notes = (
        f"UA in percent; the highest here is {best} (conv + Bi-LSTM), the paper's choice was 4+1",
        f"the highest of {len(VARIANTS)} values is partly luck: with other seeds it is likely to be lower",
        "the paper does not give the layers of other depths: ours are the first conv layers of the preset, with all of"
        " its strides, or its last layer repeated",
        mean_note(sweep),
        *sweep.notes(),
    )
    columns = ("", *(f"{lstm} Bi-LSTM" for lstm in LSTM))
    rows = tuple((*name.split("+"), *score_cells(found, list(SUFFIXES))) for name, found in sweep.by_variant.items())
    each = ("conv", "Bi-LSTM", *score_columns(list(SUFFIXES)))
    return Output(
        {
            "depth": Table(f"Depth: unweighted accuracy, {sweep.title}", columns, grid, notes),
            "depth-each": Table(f"Depth: all scores, {sweep.title}", each, rows, score_notes(sweep)),
        },
        {"depth": _draw(sweep.title, ua)},
    )


def _draw(title: str, ua: np.ndarray) -> Figure:
    figure, (axes,) = figures.panels(5.4, 5.2, grid="")
    image = axes.imshow(100 * ua, cmap="viridis", aspect="auto")
    middle = (ua.min() + ua.max()) / 2
    for (i, j), value in np.ndenumerate(ua):
        axes.text(j, i, percent(value), ha="center", va="center", color="black" if value > middle else "white")
    axes.set_xticks(range(len(LSTM)), [str(lstm) for lstm in LSTM])
    axes.set_yticks(range(len(CONV)), [str(conv) for conv in CONV])
    axes.set(xlabel="Bi-LSTM layers", ylabel="conv layers")
    axes.tick_params(length=0)
    figure.colorbar(image, label="unweighted accuracy, %")
    figure.suptitle(title, fontsize="medium")
    return figure
