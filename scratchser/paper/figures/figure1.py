"""Figure 1: the classes of a corpus, and the numbers of unanimous and ambiguous utterances in each."""

import numpy as np
from matplotlib.figure import Figure

from scratchser.corpus.table import Corpus, CorpusError
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
    """The figure and its numbers; the total alone without annotators. Raises CorpusError without any utterance."""
    if not corpus.utterances:
        raise CorpusError(f"{corpus.root}: all entries are broken: fix them, python -m scratchser.corpus lists them")
    annotated = any(u.votes for u in corpus.utterances)
    always = ("unanimous", "ambiguous") if annotated else ()
    found = output.annotation_counts(corpus)
    parts = {name: counts for name, counts in found.items() if name in always or counts.any()}
    totals = np.sum(list(parts.values()), axis=0)
    shares = [f"{100 * total / max(totals.sum(), 1):.1f}" for total in totals]
    rows = tuple(
        (name, *map(str, counts), share)
        for name, *counts, share in zip(corpus.classes, *parts.values(), totals, shares, strict=True)
    )
    title = f"Distribution of the {len(corpus.classes)} classes, {output.corpus_name(corpus)}"
    columns = ("emotion", *parts, "total", "share %")
    notes = () if annotated else ("this corpus has no annotators: only the classes are shown",)
    made = Table(f"Figure 1: {title}", columns, rows, (*notes, *output.corpus_notes(corpus)))
    return Output({"figure1": made}, {"figure1": _draw(title, corpus.classes, parts, totals, shares)})


def _draw(
    title: str, classes: tuple[str, ...], parts: dict[str, np.ndarray], totals: np.ndarray, shares: list[str]
) -> Figure:
    figure, (axes,) = figures.panels(max(5.0, 1.6 + 1.1 * len(classes)), 4.2, grid="y")
    highest, bottom = max(int(totals.max()), 1), np.zeros(len(classes), np.int64)
    for name, counts in parts.items():
        colour, hatch = STYLES[name]
        bars = axes.bar(classes, counts, 0.65, bottom, label=name, color=colour, hatch=hatch, edgecolor="white", lw=0)
        if len(parts) > 1:  # a lower part has no space for its number
            labels = [str(count) if count >= 0.045 * highest else "" for count in counts]
            box = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=0.05"}
            axes.bar_label(bars, labels, label_type="center", fontsize="small", bbox=box)
        bottom = bottom + counts
    axes.bar_label(bars, [f"{total}  ({share} %)" for total, share in zip(totals, shares, strict=True)], padding=3)
    axes.set_xticks(range(len(classes)), classes, parse_math=False)
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel="utterances", ylim=(0, 1.12 * highest))
    figures.legend(figure, len(parts))
    figure.suptitle(title, fontsize="medium")
    return figure
