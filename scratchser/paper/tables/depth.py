"""Depth: UA of 1 to 6 conv layers under 1 to 4 Bi-LSTM layers; the paper found 4 and 1 the best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from scratchser.paper import scores
from scratchser.paper.output import Output, Table
from scratchser.paper.scores import MEASURES, percent
from scratchser.paper.sweep import Runs, Setting
from scratchser.presets import Config, of_depth
from scratchser.report.figures import DPI

CONV, LSTM = range(1, 7), range(1, 5)


def _of(conv: int, lstm: int) -> Callable[[Config], Config]:
    return lambda config: of_depth(config, conv, lstm)


def name(conv: int, lstm: int) -> str:
    return f"{conv}+{lstm}"


SETTINGS = tuple(Setting(name(conv, lstm), change=_of(conv, lstm)) for conv in CONV for lstm in LSTM)


def build(runs: Runs) -> Output:
    """The grid, the same as a picture, and all of each depth in a line."""
    found = {made.name: {measure: scores.of(runs.of[made.name], measure) for measure in MEASURES} for made in SETTINGS}
    ua = np.array([[found[name(conv, lstm)]["ua"].mean for lstm in LSTM] for conv in CONV])
    best = CONV[int(np.argmax(ua) // len(LSTM))], LSTM[int(np.argmax(ua) % len(LSTM))]
    grid = tuple((f"{conv} conv", *map(percent, row)) for conv, row in zip(CONV, ua, strict=True))
    notes = (
        f"UA in percent; the highest here is {name(*best)} (conv + Bi-LSTM), the paper's choice was 4+1",
        f"the highest of {len(SETTINGS)} was partly luck: run again, it is likely to be lower, and another the highest",
        "other depths than the preset's are ours: its first conv layers with all of its strides, or its last one again",
        scores.mean_of(runs),
        *runs.notes(),
    )
    columns = ("", *(f"{lstm} Bi-LSTM" for lstm in LSTM))
    return Output(
        {
            "depth": Table(f"Depth: unweighted accuracy, {runs.title}", columns, grid, notes),
            "depth-each": _each(runs, found),
        },
        {"depth": _draw(runs, ua)},
    )


def _each(runs: Runs, found: dict[str, dict[str, scores.Scores]]) -> Table:
    columns = ["conv", "Bi-LSTM"]
    rows = []
    for conv in CONV:
        for lstm in LSTM:
            row = [str(conv), str(lstm)]
            for of in found[name(conv, lstm)].values():
                row += map(percent, (of.mean, of.over_folds, of.over_seeds, of.pooled, of.untuned))
            rows.append(tuple(row))
    for measure in MEASURES:
        kinds = ("", "std over folds", "std over seeds", "pooled", "untuned speakers")
        columns += [f"{measure.upper()} % {kind}".rstrip() for kind in kinds]
    return Table(f"Depth: each, {runs.title}", tuple(columns), tuple(rows), scores.legend(runs))


def _draw(runs: Runs, ua: np.ndarray) -> Figure:
    figure = Figure(figsize=(5.4, 5.2), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(100 * ua, cmap="viridis", aspect="auto")
    middle = (ua.min() + ua.max()) / 2
    for (i, j), value in np.ndenumerate(ua):
        axes.text(j, i, percent(value), ha="center", va="center", color="black" if value > middle else "white")
    axes.set_xticks(range(len(LSTM)), [str(lstm) for lstm in LSTM])
    axes.set_yticks(range(len(CONV)), [str(conv) for conv in CONV])
    axes.set(xlabel="Bi-LSTM layers", ylabel="conv layers")
    axes.tick_params(length=0)
    figure.colorbar(image, label="unweighted accuracy, %")
    figure.suptitle(runs.title, fontsize="medium")
    return figure
