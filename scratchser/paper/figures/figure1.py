"""Figure 1: the classes of a corpus, and in each how many utterances are unanimous and ambiguous."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from scratchser.corpus.table import Corpus
from scratchser.paper import output
from scratchser.paper.output import Output, Table
from scratchser.report.figures import DPI, PALETTE

# colour and hatch, for who cannot tell the colours
LOOKS = {"unanimous": (PALETTE[0], ""), "ambiguous": (PALETTE[5], "//"), "without annotators": ("silver", "..")}


def build(corpus: Corpus) -> Output:
    """The figure and its numbers. Without annotators there are the classes alone, and the figure says so."""
    parts = _parts(corpus)
    totals = np.sum(list(parts.values()), axis=0)
    rows = [[name, *map(str, counts)] for name, *counts in zip(corpus.classes, *parts.values(), strict=True)]
    for row, total in zip(rows, totals, strict=True):
        row += [str(total), f"{100 * total / max(totals.sum(), 1):.1f}"]
    title = f"Distribution of the {len(corpus.classes)} classes, {output.name(corpus)}"
    columns = ("emotion", *parts, "total", "share %")
    notes = ("nobody annotated this corpus: the classes alone",) * (list(parts) == ["without annotators"])
    made = Table(f"Figure 1: {title}", columns, tuple(map(tuple, rows)), (*notes, *output.notes(corpus)))
    return Output({"figure1": made}, {"figure1": _draw(title, corpus.classes, parts, totals)})


def _parts(corpus: Corpus) -> dict[str, np.ndarray]:
    """(K,) counts by what LOOKS calls them; those without annotators only where there are some."""
    found = output.Annotation.of(corpus)
    parts = dict(zip(LOOKS, (found.unanimous, found.ambiguous, found.unheard), strict=True))
    if not found.unheard.any():
        return {name: parts[name] for name in ("unanimous", "ambiguous")}
    return parts if (found.unanimous + found.ambiguous).any() else {"without annotators": found.unheard}


def _draw(title: str, classes: tuple[str, ...], parts: dict[str, np.ndarray], totals: np.ndarray) -> Figure:
    figure = Figure(figsize=(max(5.0, 1.6 + 1.1 * len(classes)), 4.2), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    highest, below = max(int(totals.max()), 1), np.zeros(len(classes), np.int64)
    for name, counts in parts.items():
        colour, hatch = LOOKS[name]
        axes.bar(
            range(len(classes)), counts, 0.65, below, label=name, color=colour, hatch=hatch, edgecolor="white", lw=0
        )
        for place, (count, low) in enumerate(zip(counts.tolist(), below.tolist(), strict=True)):
            if len(parts) > 1 and count >= 0.045 * highest:  # a lower part has no room for its number
                text = axes.text(place, low + count / 2, str(count), ha="center", va="center", fontsize="small")
                text.set_bbox({"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=0.05"})
        below = below + counts
    for place, total in enumerate(totals.tolist()):
        share = f"{total}  ({100 * total / max(int(totals.sum()), 1):.1f} %)"
        axes.annotate(share, (place, total), (0, 3), textcoords="offset points", ha="center", va="bottom")
    axes.set_xticks(range(len(classes)), classes)
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel="utterances", ylim=(0, 1.12 * highest))
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(parts), frameon=False, fontsize="small")
    figure.suptitle(title, fontsize="medium")
    return figure
