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
from scratchser.paper.sweep import Sweep, SweepRun, Variant
from scratchser.presets import with_settings
from scratchser.report.text import percent

DEPTHS = (1, 2, 4)  # conv layers, with one Bi-LSTM layer
KINDS = ("off", "fold", "whole-corpus")
SCORES = ("mean", "std_folds", "std_seeds", "pooled")


VARIANTS = tuple(
    Variant(
        f"{conv} conv, {kind}",
        change=partial(with_settings, settings=[f"conv_layers={conv}", "lstm_layers=1", f"normalisation={kind}"]),
    )
    for conv in DEPTHS
    for kind in KINDS
)


def build(sweep: Sweep) -> Output:
    """A row for each depth and kind: accuracies, overfitting, and the difference to "off"."""
    columns = ["conv layers", "eq. (5)", *score_columns(SCORES), "training UA %", "training minus test"]
    columns += ["UA minus off", "its std over folds", *(["its std over seeds"] if sweep.seeds > 1 else [])]
    columns += ["its 95 % interval", "folds where lower"]
    rows = []
    for name, runs in sweep.by_variant.items():
        conv, kind = name.split(" conv, ")
        training = float(np.mean([training_ua(run) for run in runs]))
        overfitting = training - scores(runs, "ua")["mean"]
        cells = [cell for _, cell in difference_rows(sweep, f"{conv} conv, off", names=[name])]
        rows.append((conv, kind, *score_cells(runs, SCORES), percent(training), signed(overfitting), *cells))
    notes = (
        "off: no normalisation; fold: mean and deviation of the fold's training speakers",
        "whole-corpus: mean and deviation of all speakers, as in the paper. This is a LEAK of the test speaker: not a"
        " fair estimate",
        "training UA: in the best epoch, mean over the folds; the larger the difference to the test, the more the model"
        " overfits",
        "UA minus off: fold by fold, at the same depth",
        *difference_notes(sweep),
        *score_notes(sweep),
    )
    title = f"Normalisation, eq. (5), and depth, {sweep.title}"
    return Output({"normalisation": Table(title, columns, rows, notes)})


def training_ua(run: SweepRun) -> float:
    """Mean over the folds of the UA on the training speakers, measured during the best epoch."""
    rows = {(row["fold"], row["epoch"]): row["train"]["ua"] for row in run.record.metrics()}
    return float(np.mean([rows[fold["fold"], fold["best_epoch"]] for fold in run.result["folds"]]))
