"""Normalisation: eq. (5) at three depths. The paper says that it overfits nets of at most two conv layers.

off            spectrograms without normalisation
fold           mean and deviation of the fold's training speakers
whole-corpus   mean and deviation of all speakers, as in the paper: this leaks the test speaker
"""

from functools import partial

import numpy as np

from scratchser.paper.output import Output, Table
from scratchser.paper.scores import (
    difference_notes,
    difference_rows,
    score_cells,
    score_columns,
    score_notes,
    scores,
    signed,
)
from scratchser.paper.sweep import FinishedRun, Runs, Variant
from scratchser.presets import with_settings
from scratchser.report.text import percent

DEPTHS = (1, 2, 4)  # conv layers, with one Bi-LSTM layer
KINDS = ("off", "fold", "whole-corpus")
SCORES = ("mean", "std_folds", "std_seeds", "pooled")


def _name(conv: int, kind: str) -> str:
    return f"{conv} conv, {kind}"


def _settings(conv: int, kind: str) -> list[str]:
    return [f"conv_layers={conv}", "lstm_layers=1", f"normalisation={kind}"]


VARIANTS = tuple(
    Variant(_name(conv, kind), change=partial(with_settings, settings=_settings(conv, kind)))
    for conv in DEPTHS
    for kind in KINDS
)


def build(runs: Runs) -> Output:
    """A row for each depth and kind: accuracies, overfitting, and the difference to "off"."""
    columns = ["conv layers", "eq. (5)", *score_columns(SCORES), "training UA %", "training minus test"]
    columns += ["UA minus off", "its std over folds"] + ["its std over seeds"] * (runs.seeds > 1)
    columns += ["its 95 % interval", "folds where lower"]
    rows = []
    for conv in DEPTHS:
        for kind in KINDS:
            name = _name(conv, kind)
            found = runs.by_variant[name]
            training = float(np.mean([training_ua(run) for run in found]))
            overfitting = training - scores(found, "ua")["mean"]
            cells = [cell for _, cell in difference_rows(runs, _name(conv, "off"), names=[name])]
            rows.append((str(conv), kind, *score_cells(found, SCORES), percent(training), signed(overfitting), *cells))
    notes = (
        "off: no normalisation; fold: mean and deviation of the fold's training speakers",
        "whole-corpus: mean and deviation of all speakers, as in the paper. This is a LEAK of the test speaker: not a"
        " fair estimate",
        "training UA: in the best epoch, mean over the folds; the larger the difference to the test, the more the model"
        " overfits",
        "UA minus off: fold by fold, at the same depth",
        *difference_notes(runs),
        *score_notes(runs),
    )
    title = f"Normalisation, eq. (5), and depth, {runs.title}"
    return Output({"normalisation": Table(title, tuple(columns), tuple(rows), notes)})


def training_ua(run: FinishedRun) -> float:
    """Mean over the folds of the UA on the training speakers, measured during the best epoch."""
    rows = {(row["fold"], row["epoch"]): row["train"]["ua"] for row in run.record.metrics()}
    return float(np.mean([rows[fold["fold"], fold["best_epoch"]] for fold in run.result["folds"]]))
