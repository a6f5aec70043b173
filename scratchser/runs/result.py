"""The results of a fold and of a run, as result.json holds them; docs/result-schema.md documents each key.

WA, UA and recalls are fractions. None stands for what is undefined: the recall of a class without utterances, the
deviation over a single fold.
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
# what a result means with these kinds of normalisation
NORMALISED = {
    "whole-corpus": "normalisation whole-corpus: the mean and deviation of eq. (5) are taken over the test speaker too",
    "speaker": "normalisation speaker: each frequency bin is normalised over all recordings of its speaker, for the"
    " test speaker too, without labels (transductive)",
}
READOUT_NORMALISED = (
    "readout_norm speaker: each element of the vector of an utterance is normalised over all recordings of its speaker,"
    " for the test speaker too, without labels (transductive)"
)


def fold_result(fold: Fold, classes: Sequence[str], confusion: np.ndarray, **training: Any) -> dict[str, Any]:
    """A fold's entry in result.json.

    confusion   (K, K) of the test speaker, row: label, column: prediction
    training    the entries best_epoch, epochs_run, validation, normalisation, seconds, frames_per_second
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
            **training,
        }
    )


def group_result(fold: Fold, entries: Sequence[Mapping[str, Any]], **training: Any) -> dict[str, Any]:
    """The result of a fold with several test speakers, from an entry of `fold_result` for each."""
    means = {name: np.mean([entry[name] for entry in entries]) for name in ("wa", "ua")}
    return plain({"fold": fold.number, "test_speaker": " ".join(fold.tested), **means, **training, "speakers": entries})


def result(
    settings: Mapping[str, Any],
    folds: Sequence[Mapping[str, Any]],
    *,
    baselines: Sequence[Baseline],
    tuned_on: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """What result.json holds.

    settings    of the run
    folds       the results of one finished fold or more, an entry for each test speaker
    baselines   of all folds in the settings; only the finished folds are used
    tuned_on    speakers on whom settings were chosen: `headline` has the means over the others
    warnings    what a reader of the results should know
    """
    pooled = np.sum([fold["confusion"] for fold in folds], axis=0)
    untuned = [fold for fold in folds if fold["test_speaker"] not in tuned_on] if tuned_on else []
    return plain(
        {
            "schema": SCHEMA,
            "synthetic": settings["corpus"]["synthetic"],
            "corpus": settings["corpus"],
            "preset": settings["preset"],
            "seed": settings["seed"],
            "config": settings["config"],
            "complete": len({fold["fold"] for fold in folds}) == len(settings["folds"]),
            **_summary(folds),
            "pooled": {
                "n": pooled.sum(),
                "wa": metrics.wa(pooled),
                "ua": metrics.ua(pooled),
                "recalls": metrics.recalls(pooled),
                "confusion": pooled,
            },
            "headline": {"speakers": [fold["test_speaker"] for fold in untuned], **_summary(untuned)}
            if tuned_on
            else None,
            "folds": folds,
            "baselines": {
                baseline.name: {
                    **_of_folds(baseline, folds),
                    "headline": _of_folds(baseline, untuned) if untuned else None,
                }
                for baseline in baselines
            },
            "paper": _paper(settings),
            "left_out": settings["left_out"],
            "warnings": [*warnings, *_warnings(settings, folds)],
        }
    )


def changed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The hyper-parameters that differ from the preset; `settings` as in config.json or result.json."""
    preset = plain(PRESETS[settings["preset"]])
    return {key: value for key, value in settings["config"].items() if value != preset[key]}


def _summary(folds: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Mean and sample standard deviation (n - 1) over test speakers; None if there are too few."""
    summary: dict[str, float | None] = {}
    for name in ("wa", "ua"):
        scores = [fold[name] for fold in folds]
        summary[f"{name}_mean"] = float(np.mean(scores)) if scores else None
        summary[f"{name}_std"] = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    return summary


def _of_folds(baseline: Baseline, folds: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """The baseline on the test speakers of these folds alone."""
    return baseline.only([fold["test_speaker"] for fold in folds]).as_dict()


def of_the_paper(settings: Mapping[str, Any]) -> bool:
    """True for the paper's utterances: all improvised ones of IEMOCAP in four classes, left-out ones included."""
    corpus = settings["corpus"]
    total = sum(corpus["counts"]) + len({problem["utterance"] for problem in settings["left_out"]} - {""})
    same = corpus["name"] == "iemocap" and tuple(corpus["classes"]) == CLASSES and total == sum(IMPROVISED)
    return same and not corpus["synthetic"]


def _paper(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The paper's results for the preset; None if a setting was changed or the utterances are others."""
    column = settings["preset"]
    if column not in TABLE1 or changed(settings) or not of_the_paper(settings):
        return None
    wa, ua = TABLE1[column]
    folds = [{"fold": i, "wa": wa, "ua": ua} for i, (wa, ua) in enumerate(TABLE2, start=1) if column == "best"]
    return {"column": column, "wa_mean": wa, "ua_mean": ua, "folds": folds}


def transductive(config: Mapping[str, Any]) -> list[str]:
    """What the results mean if the settings use unlabelled recordings of the test speakers."""
    notes = [NORMALISED[config["normalisation"]]] if config["normalisation"] in NORMALISED else []
    return notes + ([READOUT_NORMALISED] if config["readout_norm"] == "speaker" else [])


def _warnings(settings: Mapping[str, Any], folds: Sequence[Mapping[str, Any]]) -> list[str]:
    return transductive(settings["config"]) + [
        f"fold {fold['fold']}: speaker {fold['test_speaker']} has no {' and no '.join(fold['missing_classes'])};"
        " the fold's UA is the mean over the other classes"
        for fold in folds
        if fold["missing_classes"]
    ]
