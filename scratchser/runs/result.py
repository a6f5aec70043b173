"""The numbers that a run ends with, as result.json holds them: docs/result-schema.md says it key by key.

WA, UA and recalls are fractions; what cannot be known (the recall of a class without an utterance, the deviation over
one fold) is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scratchser import metrics
from scratchser.corpus.baselines import Baseline
from scratchser.corpus.readers.expected_counts import IMPROVISED
from scratchser.corpus.split import Fold
from scratchser.corpus.table import CLASSES
from scratchser.presets import PRESETS
from scratchser.runs.published import TABLE1, TABLE2
from scratchser.support.files import plain

SCHEMA = 2


def fold_result(
    fold: Fold,
    classes: Sequence[str],
    confusion: np.ndarray,
    *,
    validation: Mapping[str, float],
    normalisation: Mapping[str, float],
    best_epoch: int,
    epochs_run: int,
    seconds: float,
    frames_per_second: float,
) -> dict[str, Any]:
    """A fold's entry in result.json.

    confusion           (K, K) of the test speaker, row: label, column: prediction
    validation          loss, wa and ua of the validation speaker at `best_epoch`, whose parameters were tested
    normalisation       mean and scale of eq. (5), which whoever uses the fold's model needs again
    seconds             time of the fold, training and test
    frames_per_second   real frames trained on per second
    """
    recalls = metrics.recalls(confusion)
    return plain(
        {
            "fold": fold.number,
            "session": fold.session,
            "gender": fold.gender,
            "test_speaker": fold.test,
            "validation_speaker": fold.validation,
            "train_speakers": fold.train,
            "n_test": confusion.sum(),
            "wa": metrics.wa(confusion),
            "ua": metrics.ua(confusion),
            "recalls": recalls,
            "missing_classes": [name for name, recall in zip(classes, recalls, strict=True) if np.isnan(recall)],
            "confusion": confusion,
            "best_epoch": best_epoch,
            "epochs_run": epochs_run,
            "validation": {key: validation[key] for key in ("loss", "wa", "ua")},
            "normalisation": normalisation,
            "seconds": seconds,
            "frames_per_second": frames_per_second,
        }
    )


def result(
    settings: Mapping[str, Any],
    folds: Sequence[Mapping[str, Any]],
    *,
    baselines: Sequence[Baseline],
    tuned_on: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """What result.json holds, from the run's settings and the results of one fold or more that are done.

    baselines  over all folds of the settings; those of the folds that are done are counted
    tuned_on   the corpus's speakers by whom hyper-parameters were chosen: the headline is that of the others
    warnings   what a reader of the figures should know
    """
    corpus = settings["corpus"]
    pooled = np.sum([fold["confusion"] for fold in folds], axis=0)
    unseen = [fold for fold in folds if fold["test_speaker"] not in tuned_on]
    speakers = [fold["test_speaker"] for fold in unseen]
    places = {number: place for place, number in enumerate(settings["folds"])}
    done = [places[fold["fold"]] for fold in folds]
    headline = [places[fold["fold"]] for fold in unseen] if tuned_on else []
    return plain(
        {
            "schema": SCHEMA,
            "synthetic": corpus["synthetic"],
            "corpus": corpus,
            "preset": settings["preset"],
            "seed": settings["seed"],
            "config": settings["config"],
            "complete": len(folds) == len(settings["folds"]),
            **_summary(folds),
            "pooled": {
                "n": pooled.sum(),
                "wa": metrics.wa(pooled),
                "ua": metrics.ua(pooled),
                "recalls": metrics.recalls(pooled),
                "confusion": pooled,
            },
            "headline": {"speakers": speakers, **_summary(unseen)} if tuned_on else None,
            "folds": folds,
            "baselines": {each.name: _baseline(each, done, headline) for each in baselines},
            "paper": _paper(settings),
            "left_out": settings["left_out"],
            "warnings": [
                *warnings,
                *_seen_before(settings["config"]),
                *(_missing(fold) for fold in folds if fold["missing_classes"]),
            ],
        }
    )


def changed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The hyper-parameters that are not those of the preset; `settings` as config.json or result.json holds them."""
    preset = plain(PRESETS[settings["preset"]])
    return {key: value for key, value in settings["config"].items() if value != preset[key]}


def _summary(folds: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Mean and sample standard deviation (n - 1) over folds; None where there are too few."""
    summary: dict[str, float | None] = {}
    for name in ("wa", "ua"):
        scores = [fold[name] for fold in folds]
        summary[f"{name}_mean"] = float(np.mean(scores)) if scores else None
        summary[f"{name}_std"] = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    return summary


def _baseline(baseline: Baseline, done: Sequence[int], headline: Sequence[int]) -> dict[str, Any]:
    """A baseline over the folds at the places `done`, and over the headline's."""

    def over(places: Sequence[int]) -> dict[str, Any]:
        return Baseline(baseline.name, tuple(baseline.confusions[place] for place in places)).as_dict()

    return {**over(done), "headline": over(headline) if headline else None}


def of_the_paper(settings: Mapping[str, Any]) -> bool:
    """Whether a run is about the paper's utterances: all improvised ones of IEMOCAP in four classes.

    Those that were left out are counted too.
    """
    corpus = settings["corpus"]
    total = sum(corpus["counts"]) + len({problem["utterance"] for problem in settings["left_out"]} - {""})
    same = corpus["name"] == "iemocap" and tuple(corpus["classes"]) == CLASSES and total == sum(IMPROVISED)
    return same and not corpus["synthetic"]


def _paper(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The paper's own figures for the preset.

    None where its table 1 has no column with these settings, and where it is about other utterances than these.
    """
    column = settings["preset"]
    if column not in TABLE1 or changed(settings) or not of_the_paper(settings):
        return None
    wa, ua = TABLE1[column]
    folds = [{"fold": i, "wa": wa, "ua": ua} for i, (wa, ua) in enumerate(TABLE2, start=1) if column == "best"]
    return {"column": column, "wa_mean": wa, "ua_mean": ua, "folds": folds}


def _seen_before(config: Mapping[str, Any]) -> list[str]:
    if config["normalisation"] != "whole-corpus":
        return []
    return ["normalisation whole-corpus: the mean and deviation of eq. (5) are taken over the test speaker too"]


def _missing(fold: Mapping[str, Any]) -> str:
    return (
        f"fold {fold['fold']}: speaker {fold['test_speaker']} has no {' and no '.join(fold['missing_classes'])};"
        " the fold's UA is the mean over the other classes"
    )
