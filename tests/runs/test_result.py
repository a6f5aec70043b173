"""The numbers of result.json against sums done by hand, and its keys against docs/result-schema.md."""

import json
import statistics
from dataclasses import replace

import made_up
import numpy as np
import pytest
import result_schema

from scratchser.corpus.baselines import Baseline
from scratchser.corpus.split import Fold, make_folds
from scratchser.corpus.table import CLASSES, Problem
from scratchser.presets import PRESETS
from scratchser.runs import result
from scratchser.support.files import plain

FOLD = Fold(2, "1", "M", "1M", "1F", ("2F", "2M"))
MEASURED = {
    "validation": {"loss": 0.5, "wa": 0.75, "ua": 0.7},
    "normalisation": {"mean": 1.5, "scale": 0.25},
    "best_epoch": 3,
    "epochs_run": 5,
    "seconds": 2.5,
    "frames_per_second": 1e3,
}


def entry(confusion, number=2, speaker="1M"):
    fold = Fold(number, "1", "M", speaker, "1F", ("2F", "2M"))
    return result.fold_result(fold, CLASSES, np.array(confusion), **MEASURED)


def whole(path, corpus, **details):
    with made_up.run(path, corpus) as run:
        found = result.result(run.settings, run.results(), baselines=made_up.baselines(make_folds(corpus)), **details)
    return json.loads(json.dumps(found, allow_nan=False))


def test_a_fold_whose_speaker_lacks_a_class():
    found = entry([[3, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 2, 0, 6]])
    assert found["recalls"] == [0.75, 0.5, None, 0.75]
    assert found["missing_classes"] == ["sadness"]
    assert found["ua"] == pytest.approx((0.75 + 0.5 + 0.75) / 3)
    assert found["wa"] == pytest.approx(10 / 14)
    assert found["n_test"] == 14
    assert (found["test_speaker"], found["validation_speaker"], found["train_speakers"]) == ("1M", "1F", ["2F", "2M"])
    assert found["validation"] == MEASURED["validation"]


def test_mean_deviation_and_pooled():
    first = entry([[4, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]], 1, "1F")
    second = entry([[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], 2, "1M")
    third = entry([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 2, 0], [0, 0, 1, 1]], 3, "2F")
    folds = [first, second, third]
    matrices = (np.eye(4), np.ones((4, 4)), 2 * np.eye(4) + 2, np.eye(4))
    baseline = Baseline("majority", dict(zip(("1F", "1M", "2F", "2M"), matrices, strict=True)))
    settings = made_up.settings(made_up.corpus(), folds=(1, 2, 3, 4))
    found = result.result(settings, folds, baselines=[baseline], tuned_on=("1M",), warnings=["rain"])
    uas = [1.0, 1 / 3, (0.5 + 0.5 + 1 + 0.5) / 4]
    assert found["ua_mean"] == pytest.approx(statistics.mean(uas))
    assert found["ua_std"] == pytest.approx(statistics.stdev(uas))
    was = [1.0, 1 / 3, 5 / 8]
    assert found["wa_mean"] == pytest.approx(statistics.mean(was))
    assert found["wa_std"] == pytest.approx(statistics.stdev(was))
    assert found["pooled"]["confusion"] == [[5, 2, 0, 0], [0, 4, 1, 0], [0, 1, 4, 0], [0, 0, 1, 3]]
    assert found["pooled"]["n"] == 21
    assert found["pooled"]["wa"] == pytest.approx(16 / 21)
    assert found["pooled"]["ua"] == pytest.approx((5 / 7 + 4 / 5 + 4 / 5 + 3 / 4) / 4)
    assert found["headline"]["speakers"] == ["1F", "2F"]
    assert found["headline"]["ua_mean"] == pytest.approx((uas[0] + uas[2]) / 2)
    assert found["headline"]["ua_std"] == pytest.approx(statistics.stdev([uas[0], uas[2]]))
    assert found["baselines"]["majority"]["ua_mean"] == pytest.approx((1 + 1 / 4 + 4 / 10) / 3)  # not the fourth fold's
    assert found["baselines"]["majority"]["headline"]["ua_mean"] == pytest.approx((1 + 4 / 10) / 2)
    assert found["complete"] is False
    assert found["warnings"][0] == "rain"
    missing = "fold 2: speaker 1M has no anger; the fold's UA is the mean over the other classes"
    assert found["warnings"][1:] == [missing]


@pytest.mark.parametrize(
    ("preset", "changes", "warnings"),
    [
        ("best", {}, 0),
        ("best", {"normalisation": "whole-corpus"}, 1),
        ("mel", {}, 0),
        ("mel", {"readout_norm": "speaker"}, 1),
        ("mel-speaker", {}, 2),
    ],
)
def test_a_normalisation_over_the_test_speaker_is_a_warning(preset, changes, warnings):
    config = replace(PRESETS[preset], **changes)
    settings = made_up.settings(made_up.corpus(), (2,), preset=preset, config=config)
    found = result.result(settings, [entry(np.eye(4, dtype=int))], baselines=[], warnings=["rain"])["warnings"]
    assert found[0] == "rain" and ["test speaker" in warning for warning in found[1:]] == [True] * warnings


def test_one_fold_has_no_deviation():
    settings = made_up.settings(made_up.corpus(), folds=(2,))
    found = result.result(settings, [entry(np.eye(4, dtype=int))], baselines=[])
    assert (found["ua_mean"], found["ua_std"], found["complete"], found["headline"]) == (1.0, None, True, None)
    assert result_schema.problems(found, "result.json") == []


@pytest.mark.parametrize("details", [{}, {"tuned_on": ("1F", "1M")}, {"tuned_on": tuple("12345")}, {"warnings": ["w"]}])
def test_result_json_is_as_documented(tmp_path, details):
    found = whole(tmp_path, made_up.corpus("synthetic", lacking=("2F", "anger")), **details)
    assert found["synthetic"] is True
    assert result_schema.problems(found, "result.json") == []


def test_metrics_rows_made_up_for_tests_are_as_documented():
    row = {"fold": 1, **made_up.rows(1, 1)[0], "synthetic": False}
    assert result_schema.problems(plain(row), "metrics.jsonl") == []


def test_the_paper_stands_beside_the_same_utterances_only(tmp_path):
    corpus = made_up.all_of_iemocap()
    found = whole(tmp_path / "best", corpus, tuned_on=("1F",))
    assert result_schema.problems(found, "result.json") == []
    paper = found["paper"]
    assert (paper["wa_mean"], paper["ua_mean"], paper["column"]) == (0.645, 0.617, "best")
    for key in ("wa", "ua"):  # the paper's last row is the mean of its folds, to its rounding
        mean = statistics.mean(fold[key] for fold in paper["folds"])
        assert mean == pytest.approx(paper[f"{key}_mean"], abs=5e-4 + 1e-9)

    def shown(made, **changes):
        settings = made_up.settings(made, folds=(1,), **changes)
        return result.result(settings, [entry(np.eye(4, dtype=int), 1)], baselines=[])["paper"]

    assert shown(corpus, preset="over-grdt") == {"column": "over-grdt", "wa_mean": 0.635, "ua_mean": 0.598, "folds": []}
    assert shown(corpus, preset="demo") is None
    assert shown(corpus, config=replace(PRESETS["best"], learning_rate=0.5)) is None
    assert shown(made_up.corpus("iemocap")) is None
    one_less = type(corpus)("iemocap", CLASSES, corpus.utterances[1:])
    assert shown(one_less) is None
    twice = [Problem("a.wav", what, corpus.utterances[0].name) for what in ("empty", "short")]
    assert shown(one_less, left_out=twice)["ua_mean"] == 0.617
    assert shown(one_less, left_out=[Problem("a.txt:3", "no label")]) is None
    (tmp_path / "SYNTHETIC.txt").touch()
    assert shown(type(corpus)("iemocap", CLASSES, corpus.utterances, root=tmp_path)) is None
