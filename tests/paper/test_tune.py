"""Settings are chosen by the highest UA on the speakers of some sessions only, and every later result says so."""

import json
import shutil
from collections import defaultdict

import numpy as np
import pytest
import small_corpus
from small_corpus import read_csv

from scratchser.cv import __main__ as cv
from scratchser.paper import __main__ as paper
from scratchser.report import page
from scratchser.support.files import read_json

SMALL = [text for setting in [*small_corpus.SMALL, "epochs=2"] for text in ("--set", setting)]
TRIED = ["--try", "learning_rate=0.02  l2=0.001"]


@pytest.fixture(scope="module")
def tuned(folder, tmp_path_factory):
    """The folder of a choice by the two speakers of session 1."""
    out = tmp_path_factory.mktemp("tune") / "out"
    command = ["tune", str(folder), "--sessions", "1", *TRIED, *SMALL, "--workers", "1", "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:  # report.html takes longer than the training of a small fold
        patch.setattr(page, "write", lambda run, *arguments, **options: (run.path / "report.html").touch())
        assert paper.main(command) == 0
    return out


def test_the_candidate_of_the_highest_ua_is_chosen(tuned):
    """UA again from each candidate's predictions.csv."""
    found = {}
    for run in (tuned / "runs").iterdir():
        config = read_json(run / "config.json")["config"]
        right = defaultdict(list)
        for row in read_csv(run / "predictions.csv"):
            right[row["speaker"], row["truth"]].append(row["truth"] == row["predicted"])
        recalls = {key: np.mean(values) for key, values in right.items()}
        speakers = {speaker for speaker, _ in recalls}
        uas = [np.mean([recall for (who, _), recall in recalls.items() if who == speaker]) for speaker in speakers]
        found[config["learning_rate"], config["l2"]] = np.mean(uas)
    chosen = read_json(tuned / "tuned.json")
    assert chosen["tried"] == len(found) == 2 and chosen["settings"] and max(found.values()) > min(found.values())
    settings = {key: json.loads(value) for key, _, value in (text.partition("=") for text in chosen["settings"])}
    best = settings.get("learning_rate", 0.005), settings.get("l2", 0.03)
    assert found[best] == max(found.values()) == pytest.approx(chosen["ua"])
    rows = read_csv(tuned / "tune.csv")
    assert [row["settings"] for row in rows] == ["as it is", "learning_rate=0.02 l2=0.001"]
    assert sum(row[""] == "chosen" for row in rows) == 1
    assert chosen["speakers"] == ["a", "b"]  # no other speaker is tested or validated
    for run in (tuned / "runs").iterdir():
        folds = read_json(run / "result.json")["folds"]
        assert {fold[who] for fold in folds for who in ("test_speaker", "validation_speaker")} == {"a", "b"}


def test_a_run_with_tuned_settings_reports_the_other_speakers_separately(folder, tuned, tmp_path, capsys):
    out = tmp_path / "run"
    command = [str(folder), "--tuned", str(tuned / "tuned.json"), "--folds", "1,3", "--workers", "1", "--out", str(out)]
    assert cv.main(command) == 0
    result, chosen = read_json(out / "result.json"), read_json(tuned / "tuned.json")
    tested = {fold["test_speaker"]: fold["ua"] for fold in result["folds"]}
    assert result["headline"]["speakers"] == sorted(set(tested) - {"a", "b"}) and len(tested) == 2
    assert result["headline"]["ua_mean"] == pytest.approx(tested[result["headline"]["speakers"][0]])
    for setting in chosen["settings"]:
        key, _, value = setting.partition("=")
        assert result["config"][key] == json.loads(value)
    sentence = "settings selected among 2 by the test UA of the speakers a, b"
    assert sentence in capsys.readouterr().out and sentence in (out / "report.html").read_text()
    assert cv.main([*command[:1], *command[3:], "--resume"]) == 2  # the tuned settings belong to the run


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--sessions", "9", "there is no session '9'; this corpus has 1, 2, 3"),
        ("--sessions", "1,2,3", "none is left to test the chosen settings"),
        ("--try", "learning_rat=1", "'learning_rate'"),
    ],
)
def test_wrong_sessions_and_settings_are_refused(folder, tmp_path, capsys, option, value, message):
    assert paper.main(["tune", str(folder), option, value, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: {**found, "fingerprint": "0"}, "tuned on other utterances"),
        (lambda found: {**found, "settings": [0.1]}, "not a tuned.json"),
        (lambda found: [1], "not a tuned.json"),
        (None, "missing"),
    ],
)
def test_a_file_that_is_not_for_this_corpus_is_refused(folder, tuned, tmp_path, capsys, change, message):
    path = tmp_path / "tuned.json"
    if change:
        path.write_text(json.dumps(change(read_json(tuned / "tuned.json"))))
    assert cv.main([str(folder), "--tuned", str(path), "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_candidate_that_changes_nothing_is_not_counted(folder, tuned, tmp_path):
    """The same run under three names; those of `tuned` are used."""
    shutil.copytree(tuned, tmp_path / "out")
    same = ["--try", "learning_rate=0.005", "--try", ""]
    command = ["tune", str(folder), "--sessions", "1", *TRIED, *same, *SMALL, "--workers", "1", "--resume"]
    assert paper.main([*command, "--out", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 2
    assert read_json(tmp_path / "out" / "tuned.json")["tried"] == 2
