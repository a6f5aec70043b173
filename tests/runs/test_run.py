"""A run's folder is never overwritten, continues only with its own settings, and can be killed at any moment."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import made_up
import numpy as np
import pytest

from scratchser.corpus.split import make_folds
from scratchser.corpus.table import Corpus, Problem
from scratchser.presets import PRESETS
from scratchser.runs import run as run_dir
from scratchser.runs.fold_dir import FoldDir
from scratchser.runs.folder import RunError
from scratchser.support.files import StorageError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def corpus() -> Corpus:
    return made_up.corpus()


def start(path: Path, settings: dict, environment: dict = made_up.ENVIRONMENT, resume: bool = False) -> None:
    with run_dir.open_run(path, settings, environment, resume=resume):
        pass


def test_a_killed_fold_continues_from_its_checkpoint(tmp_path):
    """It may have written the metrics of one epoch more, and temporary files."""
    fold = FoldDir(tmp_path, 1, False)
    rows = [{"epoch": epoch, "train": {"loss": 1 / epoch}} for epoch in (1, 2)]
    with fold.locked():
        fold.write_metrics(rows)
        fold.save_checkpoint({"w": np.ones(3)}, {"epoch": 1})
        (fold.path / ".checkpoint.npz.12345.tmp").write_text("half")
    with fold.locked():
        arrays, meta = fold.checkpoint()
        assert meta == {"epoch": 1} and np.array_equal(arrays["w"], np.ones(3))
        assert [row["epoch"] for row in fold.metrics(until=1)] == [1] and len(fold.metrics()) == 2
        assert not list(fold.path.glob(".*.tmp"))


def test_a_run_is_never_overwritten(tmp_path, corpus):
    start(tmp_path / "run", made_up.settings(corpus, (1,)))
    (tmp_path / "thesis.txt").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(RunError, match=r"run holds a run already.*--resume.*--out"):
        start(tmp_path / "run", made_up.settings(corpus))
    with pytest.raises(RunError, match=r"holds other files \(run\).*--out"):
        start(tmp_path, made_up.settings(corpus))
    with pytest.raises(RunError, match="other holds no run: correct the path, or start a run there without --resume"):
        start(tmp_path / "other", made_up.settings(corpus), resume=True)
    assert {name: data for name, data in contents(tmp_path).items() if name != ".lock"} == before
    start(tmp_path / "run", made_up.settings(corpus, (1,)), resume=True)  # not locked any more


def test_a_killed_start_can_be_started_again(tmp_path, corpus):
    (tmp_path / ".lock").write_text("12345")
    (tmp_path / "environment.json").write_text("[]\n")
    (tmp_path / ".config.json.12345.tmp").write_text('{"half')
    start(tmp_path, made_up.settings(corpus))
    assert json.loads((tmp_path / "config.json").read_text()) == made_up.settings(corpus)
    assert json.loads((tmp_path / "environment.json").read_text()) == [made_up.ENVIRONMENT]
    assert not list(tmp_path.glob(".*.tmp"))


def test_runs_and_folds_have_one_writer(tmp_path, corpus):
    settings = made_up.settings(corpus)
    for resume in (False, True):
        with run_dir.open_run(tmp_path, settings, made_up.ENVIRONMENT, resume=resume):
            with pytest.raises(StorageError, match="is writing"):
                start(tmp_path, settings, resume=True)
            one, two = FoldDir(tmp_path, 1, False), FoldDir(tmp_path, 2, False)
            with one.locked(), two.locked(), pytest.raises(StorageError, match="is writing"), one.locked():
                pass


def test_resume_lists_every_difference(tmp_path, corpus):
    start(tmp_path, made_up.settings(corpus))
    before = contents(tmp_path)
    other = replace(corpus, utterances=corpus.utterances[1:])
    config = replace(PRESETS["best"], learning_rate=0.5, conv_kernels=((3, 3),) * 4)
    left_out = [Problem("a.wav", "empty", "1F_neutral_0")]
    settings = run_dir.settings(other, config, preset="best", seed=4, folds=(1, 2), left_out=left_out)
    with pytest.raises(RunError) as caught:
        start(tmp_path, settings, resume=True)
    message = str(caught.value)
    assert f"config.learning_rate was {PRESETS['best'].learning_rate} and is now 0.5" in message
    assert "is now [[3, 3], [3, 3], [3, 3], [3, 3]]" in message and "seed was 3 and is now 4" in message
    assert f"corpus.fingerprint was {corpus.fingerprint()} and is now {other.fingerprint()}" in message
    assert "left_out was [] and is now ['1F_neutral_0']" in message
    assert "corpus.name" not in message and "config.epochs" not in message and "\n" not in message
    assert contents(tmp_path) == before


def test_settings_that_an_older_version_lacked_have_their_defaults(tmp_path, corpus):
    settings = made_up.settings(corpus)
    older = {key: value for key, value in settings["config"].items() if key not in ("pool", "tta_copies")}
    start(tmp_path, {**settings, "config": older})
    start(tmp_path, settings, resume=True)
    other = {**settings, "config": {**settings["config"], "tta_copies": 1}}
    with pytest.raises(RunError, match=r"config.tta_copies was 0 and is now 1\. "):
        start(tmp_path, other, resume=True)


def test_resume_with_a_moved_corpus(tmp_path, corpus):
    problem = Problem("/old/a.wav", "empty", "gone")
    start(tmp_path, made_up.settings(replace(corpus, root=tmp_path / "old"), left_out=[problem]))
    moved = made_up.settings(replace(corpus, root=tmp_path / "new"), left_out=[replace(problem, where="/new/a.wav")])
    with run_dir.open_run(tmp_path, moved, made_up.ENVIRONMENT, resume=True) as run:
        assert run.warnings == []
        assert run.settings["corpus"]["root"] == str(tmp_path / "old")


def test_a_warning_for_another_machine(tmp_path, corpus):
    settings = made_up.settings(corpus)
    start(tmp_path, settings)
    elsewhere = {**made_up.ENVIRONMENT, "libraries": {"numpy": "2.1"}, "cpu": "two", "threads": 64}
    start(tmp_path, settings, elsewhere, resume=True)
    with run_dir.open_run(tmp_path, settings, made_up.ENVIRONMENT, resume=True) as run:  # the first machine again
        assert len(run.warnings) == 2
        assert "libraries.numpy was 2.0 at first and 2.1 later" in run.warnings[0]
        assert "cpu was one at first and two later" in run.warnings[1]
        with replace(run.folds[0], environment={**made_up.ENVIRONMENT, "commit": "abc"}).locked():
            pass
        assert "commit was None at first and abc later" in run.warnings[2]
    starts = json.loads((tmp_path / "environment.json").read_text())
    assert starts == [made_up.ENVIRONMENT, elsewhere, made_up.ENVIRONMENT]


def test_copied_folds_are_compared_with_each_other_alone(tmp_path, corpus):
    """The run that collects them has computed nothing."""
    for number, numpy in ((1, "2.1"), (2, "2.1"), (3, "2.2")):
        with made_up.run(tmp_path / str(number), corpus, (number,)) as run:
            environment = {**made_up.ENVIRONMENT, "libraries": {"numpy": numpy}}
            (run.path / "environment.json").write_text(json.dumps([environment]))
            run.folds[0].save_checkpoint({}, {})
    for other, warnings in ((2, 0), (3, 1)):
        out, settings = tmp_path / f"1-{other}", made_up.settings(corpus, (1, other))
        with run_dir.open_run(out, settings, made_up.ENVIRONMENT, resume=False) as run:
            for fold in run_dir.finished_folds([tmp_path / "1", tmp_path / str(other)], settings):
                run.take(fold)
            assert run.done and len(run.warnings) == warnings
            assert not warnings or "was 2.1 at first and 2.2 later" in run.warnings[0]


def test_merge_while_folds_are_running(tmp_path, corpus):
    with run_dir.open_run(tmp_path, made_up.settings(corpus, (1, 2)), made_up.ENVIRONMENT, resume=False) as run:
        first, second = run.folds
        run.merge()
        assert (tmp_path / "predictions.csv").read_text() == ""
        with second.locked():
            second.write_metrics(made_up.rows(2, 3))
            second.write_predictions(corpus.classes, corpus.utterances[:1], np.eye(4)[:1], np.array([0]), np.array([1]))
        made_up.finish_fold(corpus, make_folds(corpus)[0], first)
        run.merge()
        assert [result["fold"] for result in run.results()] == [1]
    table = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    assert {(row["fold"], row["speaker"], row["synthetic"]) for row in table} == {("1", "1F", "false")}
    assert (tmp_path / "metrics.jsonl").read_text().count('"fold": 2') == 3


def test_nan_is_null_on_disk(tmp_path):
    fold = FoldDir(tmp_path, 1, True)
    with fold.locked():
        fold.write_metrics([{"epoch": 1, "validation": {"loss": math.nan, "ua": 0.5}}])
    assert (fold.path / "metrics.jsonl").read_text().count("null") == 1
    (row,) = fold.metrics()
    assert math.isnan(row["validation"]["loss"]) and row["validation"]["ua"] == 0.5
    assert (row["fold"], row["synthetic"]) == (1, True)


def test_settings_describe_the_corpus():
    synthetic = made_up.corpus("synthetic", lacking=("2F", "anger"))
    settings = made_up.settings(synthetic, folds=(4, 2))
    corpus = settings["corpus"]
    assert settings["folds"] == [2, 4]
    assert (corpus["synthetic"], corpus["counts"], corpus["speakers"][1]) == (True, [20, 30, 20, 27], "1M")
