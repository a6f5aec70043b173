"""What came out: a row for each number, effects and nulls side by side, and a picture of all intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scratchser.metrics import interval
from scratchser.paper.claims import rates
from scratchser.paper.claims.claim import Claim, Corpus, Kind
from scratchser.paper.output import Output, Table

COLOURS: dict[Kind, str] = {"effect": "tab:blue", "contrast": "tab:grey", "null": "tab:orange"}
MARKERS: dict[Kind, str] = {"effect": "o", "contrast": "s", "null": "D"}

Values = list[tuple[Claim, Kind, str, list[float]]]  # of each number, its value for each corpus


def values(claims: Sequence[Claim], done: Mapping[str, Sequence[Corpus]]) -> Values:
    return [
        (claim, number.kind, number.what, [number.of(corpus) for corpus in done[claim.name]])
        for claim in claims
        for number in claim.numbers
    ]


def output(claims: Sequence[Claim], done: Mapping[str, Sequence[Corpus]]) -> Output:
    """The tables and the figure of claims whose trainings are done, by the names of their files."""
    found = values(claims, done)
    tables = {"claims": effects(found), "claims_arms": arms(claims, done), "claims_corpora": corpora(claims, found)}
    if any(claim.name == rates.CLAIM.name for claim in claims):
        tables["claims_gradients"] = gradients(done[rates.CLAIM.name])
    return Output(tables, {"claims": forest(found)})


def effects(found: Values) -> Table:
    rows = []
    for claim, kind, what, numbers in found:
        i = interval(numbers)
        cells = str(i.n), f"{i.mean:+.1f}", f"{i.low:+.1f} ... {i.high:+.1f}", f"{i.sd:.1f}"
        rows.append((claim.name, kind, what, *cells, "yes" if i.covers(0) else "no"))
    notes = (
        "Points of UA on unseen speakers. Synthetic corpora: no human speaks in them.",
        "Intervals, by Student's t, and SDs are over corpora, each with voices and sounds of its own.",
        "A null is 0 by construction: its interval should cover 0, and misses it in 5 of 100 experiments.",
    )
    head = ("claim", "kind", "difference", "corpora", "mean", "95 % interval", "SD", "covers 0")
    return Table("What the paper's claims come to on synthetic corpora", head, tuple(rows), notes)


def arms(claims: Sequence[Claim], done: Mapping[str, Sequence[Corpus]]) -> Table:
    """Where the trainings stand: neither at chance, 25, nor at the ceiling."""
    rows = []
    for claim in claims:
        for name in done[claim.name][0].arms:
            i = interval([corpus.ua(name) for corpus in done[claim.name]])
            rows.append((claim.name, name, str(i.n), f"{i.mean:.1f}", f"{i.low:.1f} ... {i.high:.1f}", f"{i.sd:.1f}"))
    head = ("claim", "arm", "corpora", "UA %", "95 % interval", "SD")
    return Table("The trainings behind them", head, tuple(rows))


def corpora(claims: Sequence[Claim], found: Values) -> Table:
    """Every number of every corpus, for whoever wants another statistic."""
    rows = [
        (claim.name, kind, what, str(claim.seed(n)), f"{number:.4f}")
        for claim, kind, what, numbers in found
        for n, number in enumerate(numbers, 1)
    ]
    return Table("Corpus by corpus", ("claim", "kind", "difference", "seed", "points"), tuple(rows))


def gradients(done: Sequence[Corpus]) -> Table:
    """Geometric means over corpora; the interval is that of the logarithms."""
    logs = [rates.log_ratios(corpus) for corpus in done]
    rows = []
    for layer in logs[0]:
        i = interval([corpus[layer] for corpus in logs])
        mean, low, high = np.exp([i.mean, i.low, i.high])
        rows.append((layer, str(i.n), f"{mean:.2f}", f"{low:.2f} ... {high:.2f}", "yes" if i.covers(0) else "no"))
    head = ("layer", "corpora", "ratio", "95 % interval", "covers 1")
    return Table("||dW|| / sqrt(n) over that of the LSTM, one rate for all", head, tuple(rows))


def forest(found: Values) -> Figure:
    figure = Figure(figsize=(9, 1.2 + 0.42 * len(found)), layout="constrained")
    axes = figure.subplots()
    for row, (_, kind, _, numbers) in enumerate(found):
        i = interval(numbers)
        axes.plot([i.low, i.high], [row, row], color=COLOURS[kind], lw=2)
        axes.plot(i.mean, row, MARKERS[kind], color=COLOURS[kind])
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(range(len(found)), [f"{claim.name}: {what}" for claim, _, what, _ in found], fontsize="small")
    axes.invert_yaxis()
    axes.set_xlabel("points of UA, mean over corpora and 95 % interval (synthetic data)")
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    kinds = [Line2D([], [], color=COLOURS[kind], marker=MARKERS[kind], label=kind) for kind in COLOURS]
    figure.legend(handles=kinds, loc="outside lower center", ncols=len(kinds), frameon=False, fontsize="small")
    return figure
