"""The results of the claims: tables with effects and nulls side by side, and a figure of all intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scratchser.metrics import Interval, interval
from scratchser.paper.claims import rates
from scratchser.paper.claims.claim import Claim, Kind, Trial
from scratchser.paper.output import Output, Table
from scratchser.report import figures

STYLES: dict[Kind, tuple[str, str]] = {
    "effect": ("tab:blue", "o"),
    "contrast": ("tab:grey", "s"),
    "null": ("tab:orange", "D"),
}


class Result(NamedTuple):
    """A difference of a claim: its value for each corpus, by the corpus's seed, and their interval."""

    claim: str
    kind: Kind
    name: str
    values: dict[int, float]
    interval: Interval


def output(claims: Sequence[Claim], trials: Sequence[Trial]) -> Output:
    """The tables and the figure of finished trials."""
    by_claim = {claim.name: [trial for trial in trials if trial.claim == claim.name] for claim in claims}
    found = []
    for claim in claims:
        for difference in claim.differences:
            values = {trial.seed: difference.value(trial) for trial in by_claim[claim.name]}
            mean = interval(list(values.values()))
            found.append(Result(claim.name, difference.kind, difference.name, values, mean))
    tables = {"claims": effects(found), "claims_arms": arms(by_claim), "claims_corpora": corpora(found)}
    if rates.CLAIM.name in by_claim:
        tables["claims_gradients"] = gradients(by_claim[rates.CLAIM.name])
    return Output(tables, {"claims": draw(found)})


def effects(found: Sequence[Result]) -> Table:
    rows = [
        (*result[:3], *_cells(result.interval, "+.1f"), "yes" if result.interval.covers(0) else "no")
        for result in found
    ]
    notes = (
        "Points of UA on unseen speakers. Synthetic corpora: the results say nothing about real speech.",
        "Intervals, by Student's t, and SDs are over corpora, each with its own voices and sounds.",
        "A null is 0 by construction: its interval should cover 0, and misses it in 5 of 100 experiments.",
    )
    columns = ("claim", "kind", "difference", "corpora", "mean", "95 % interval", "SD", "covers 0")
    return Table("The paper's claims on synthetic corpora", columns, rows, notes)


def _cells(i: Interval, digits: str) -> tuple[str, str, str, str]:
    """Corpora, mean, interval and SD."""
    return str(i.n), f"{i.mean:{digits}}", f"{i.low:{digits}} ... {i.high:{digits}}", f"{i.sd:.1f}"


def arms(by_claim: dict[str, list[Trial]]) -> Table:
    """The UA of each arm: it should be neither at chance, 25 %, nor near 100 %."""
    rows = [
        (claim, name, *_cells(interval([trial.ua(name) for trial in trials]), ".1f"))
        for claim, trials in by_claim.items()
        for name in trials[0].arms
    ]
    return Table("UA of each arm", ("claim", "arm", "corpora", "UA %", "95 % interval", "SD"), rows)


def corpora(found: Sequence[Result]) -> Table:
    """Every value of every corpus, for other statistics."""
    rows = [(*result[:3], str(seed), f"{value:.4f}") for result in found for seed, value in result.values.items()]
    return Table("Corpus by corpus", ("claim", "kind", "difference", "seed", "points"), rows)


def gradients(trials: Sequence[Trial]) -> Table:
    """Geometric means over corpora; the interval is that of the logarithms."""
    logs = [rates.log_ratios(trial) for trial in trials]
    rows = []
    for layer in logs[0]:
        i = interval([ratios[layer] for ratios in logs])
        mean, low, high = np.exp([i.mean, i.low, i.high])
        rows.append((layer, str(i.n), f"{mean:.2f}", f"{low:.2f} ... {high:.2f}", "yes" if i.covers(0) else "no"))
    columns = ("layer", "corpora", "ratio", "95 % interval", "covers 1")
    title = "||dW|| / sqrt(n) relative to that of the LSTM, one learning rate for all layers"
    return Table(title, columns, rows)


def draw(found: Sequence[Result]) -> Figure:
    """A line with a marker for each interval and its mean."""
    figure, (axes,) = figures.panels(9, 1.2 + 0.42 * len(found), grid="x")
    for y, result in enumerate(found):
        i, (colour, marker) = result.interval, STYLES[result.kind]
        axes.plot([i.low, i.high], [y, y], color=colour, lw=2)
        axes.plot(i.mean, y, marker, color=colour)
    axes.axvline(0, color="black", lw=0.8)
    labels = [f"{result.claim}: {result.name}" for result in found]
    axes.set_yticks(range(len(found)), labels, fontsize="small")
    axes.invert_yaxis()
    axes.set_xlabel("points of UA, mean over corpora and 95 % interval (synthetic data)")
    handles = [Line2D([], [], color=colour, marker=marker, label=kind) for kind, (colour, marker) in STYLES.items()]
    figures.legend(figure, len(handles), handles=handles)
    return figure
