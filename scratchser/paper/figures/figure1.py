"""Figure 1: the classes of a corpus, and the numbers of unanimous and ambiguous utterances in each."""

import numpy as np
from matplotlib.figure import Figure

from scratchser.corpus.table import Corpus
from scratchser.paper import output
from scratchser.paper.output import Output, Table
from scratchser.report import figures

# colour and hatch: readable without colour
STYLES = {
    "unanimous": (figures.PALETTE[0], ""),
    "ambiguous": (figures.PALETTE[5], "//"),
    "without annotators": ("silver", ".."),
}


def build(corpus: Corpus) -> Output:
    """The figure and its numbers; the total alone for a corpus without annotators."""
    parts = output.annotation_counts(corpus)
    annotated = any(u.votes for u in corpus.utterances)
    if not parts["without annotators"].any():
        del parts["without annotators"]
    elif not annotated:
        parts = {"without annotators": parts["without annotators"]}
    totals = np.sum(list(parts.values()), axis=0)
    shares = [f"{100 * total / max(totals.sum(), 1):.1f}" for total in totals]
    rows = tuple(
        (name, *map(str, counts), share)
        for name, *counts, share in zip(corpus.classes, *parts.values(), totals, shares, strict=True)
    )
    title = f"Distribution of the {len(corpus.classes)} classes, {output.corpus_name(corpus)}"
    columns = ("emotion", *parts, "total", "share %")
    notes = ("this corpus has no annotators: only the classes are shown",) * (not annotated)
    made = Table(f"Figure 1: {title}", columns, rows, (*notes, *output.corpus_notes(corpus)))
    return Output({"figure1": made}, {"figure1": _draw(title, corpus.classes, parts, totals, shares)})


def _draw(
    title: str, classes: tuple[str, ...], parts: dict[str, np.ndarray], totals: np.ndarray, shares: list[str]
) -> Figure:
    figure, (axes,) = figures.panels(max(5.0, 1.6 + 1.1 * len(classes)), 4.2, grid="y")
    highest, bottom = max(int(totals.max()), 1), np.zeros(len(classes), np.int64)
    positions = range(len(classes))
    for name, counts in parts.items():
        colour, hatch = STYLES[name]
        axes.bar(positions, counts, 0.65, bottom, label=name, color=colour, hatch=hatch, edgecolor="white", lw=0)
        for x, count, low in zip(positions, counts, bottom, strict=True):
            if len(parts) > 1 and count >= 0.045 * highest:  # a lower part has no room for its number
                text = axes.text(x, low + count / 2, str(count), ha="center", va="center", fontsize="small")
                text.set_bbox({"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=0.05"})
        bottom = bottom + counts
    for x, total, share in zip(positions, totals, shares, strict=True):
        label = f"{total}  ({share} %)"
        axes.annotate(label, (x, total), (0, 3), textcoords="offset points", ha="center", va="bottom")
    axes.set_xticks(positions, classes)
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel="utterances", ylim=(0, 1.12 * highest))
    figures.legend(figure, len(parts))
    figure.suptitle(title, fontsize="medium")
    return figure
