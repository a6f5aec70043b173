"""Normalisation: eq. (5) at three depths; the paper says that it overfits nets of at most two conv layers.

off            spectrograms as they are
fold           mean and deviation of the fold's training speakers
whole-corpus   those of everybody, as the paper has it: the test speaker is heard before the test, which is a leak
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scratchser.paper import scores
from scratchser.paper.output import Output, Table
from scratchser.paper.scores import percent, signed
from scratchser.paper.sweep import Finished, Runs, Setting
from scratchser.presets import Config, of_depth, with_settings

DEPTHS = (1, 2, 4)  # conv layers, under one Bi-LSTM
KINDS = ("off", "fold", "whole-corpus")


def _of(conv: int, kind: str) -> Callable[[Config], Config]:
    return lambda config: with_settings(of_depth(config, conv, 1), [f"normalisation={kind}"])


def name(conv: int, kind: str) -> str:
    return f"{conv} conv, {kind}"


SETTINGS = tuple(Setting(name(conv, kind), change=_of(conv, kind)) for conv in DEPTHS for kind in KINDS)


def build(runs: Runs) -> Output:
    """A line for each depth and kind: accuracies, how much is learned by heart, and the difference to "off"."""
    columns = ["conv layers", "eq. (5)"]
    for measure in scores.MEASURES:
        kinds = ("", "std over folds", "std over seeds", "pooled")
        columns += [f"{measure.upper()} % {kind}".rstrip() for kind in kinds]
    columns += ["training UA %", "training less test", "UA minus off", "its std over folds"]
    columns += ["its std over seeds"] * (runs.seeds > 1) + ["its 95 % interval", "folds where lower"]
    rows = []
    for conv in DEPTHS:
        for kind in KINDS:
            found = runs.of[name(conv, kind)]
            row = [str(conv), kind]
            for measure in scores.MEASURES:
                of = scores.of(found, measure)
                row += map(percent, (of.mean, of.over_folds, of.over_seeds, of.pooled))
            learned = float(np.mean([training_ua(run) for run in found]))
            row += [percent(learned), signed(learned - scores.of(found, "ua").mean)]
            row += [cell for _, cell in scores.against(runs, [name(conv, kind)], name(conv, "off"))]
            rows.append(tuple(row))
    notes = (
        "off: spectrograms as they are; fold: by mean and deviation of the fold's training speakers",
        "whole-corpus: by those of everybody, as the paper has it. The test speaker is among them: a LEAK, so that this"
        " line's figures are no fair estimate",
        "training UA: of the best epoch, mean over the folds; the less of it remains at the test, the more was learned"
        " by heart",
        "UA minus off: fold by fold, at the same depth",
        *scores.about_differences(runs),
        *scores.legend(runs),
    )
    title = f"Normalisation, eq. (5), and depth, {runs.title}"
    return Output({"normalisation": Table(title, tuple(columns), tuple(rows), notes)})


def training_ua(run: Finished) -> float:
    """Mean over a run's folds of the UA on the training speakers in the best epoch, while they were trained on."""
    rows = {(row["fold"], row["epoch"]): row["train"]["ua"] for row in run.record.metrics()}
    return float(np.mean([rows[fold["fold"], fold["best_epoch"]] for fold in run.result["folds"]]))
