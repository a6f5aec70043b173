"""A run's folder is never overwritten, goes on only with its own settings, and can be killed at any moment."""

import csv
import json
import math
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import made_up
import numpy as np
import pytest

from scratchser.corpus.split import make_folds
from scratchser.corpus.table import Corpus, Problem
from scratchser.presets import PRESETS
from scratchser.runs import run as rundir
from scratchser.support.files import StorageError

# Trains for ever: an epoch's metrics, then its checkpoint, of some size so that a kill falls into the writing
ENDLESS = """
import sys
from pathlib import Path
import numpy as np
from scratchser.runs.fold_dir import FoldDir

fold = FoldDir(Path(sys.argv[1]), 1, False)
with fold:
    saved = fold.checkpoint()
    epoch = saved[1]["epoch"] if saved else 0
    rows = fold.metrics(until=epoch)
    print("going", flush=True)
    while True:
        epoch += 1
        rows.append({"epoch": epoch, "train": {"loss": 1 / epoch}})
        fold.write_metrics(rows)
        fold.save_checkpoint({"w": np.full(300_000, float(epoch))}, {"epoch": epoch})
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def corpus() -> Corpus:
    return made_up.corpus()


def test_a_run_killed_again_and_again_goes_on(tmp_path):
    fold, reached = rundir.FoldDir(tmp_path, 1, False), 0
    for delay in random.Random(0).sample([0.01, 0.05, 0.1, 0.15, 0.2], 4):
        command = [sys.executable, "-c", ENDLESS, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdout.readline() == "going\n"
            time.sleep(delay)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        with fold:  # the dead process's lock is gone, and so are its leftovers
            saved = fold.checkpoint()
            assert not list(fold.path.glob("*.tmp")) and not list(fold.path.glob(".*.tmp"))
        if saved is None:  # killed before the first checkpoint
            continue
        arrays, meta = saved
        assert meta["epoch"] >= reached
        reached = meta["epoch"]
        np.testing.assert_array_equal(arrays["w"], np.full(300_000, float(reached)))
        assert [row["train"]["loss"] for row in fold.metrics(until=reached)] == [1 / (e + 1) for e in range(reached)]
        assert len(fold.metrics()) in (reached, reached + 1)
    assert reached > 0


def test_a_run_is_never_overwritten(tmp_path, corpus):
    made_up.run(tmp_path / "run", corpus, folds=(1,)).close()
    before = contents(tmp_path)
    with pytest.raises(rundir.RunError, match=r"run holds a run already.*--resume.*--out"):
        rundir.create(tmp_path / "run", made_up.settings(corpus), made_up.ENVIRONMENT)
    assert contents(tmp_path) == before
    rundir.resume(tmp_path / "run", made_up.settings(corpus, folds=(1,)), made_up.ENVIRONMENT).close()  # unlocked


def test_somebody_elses_folder_is_left_alone(tmp_path, corpus):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(rundir.RunError, match=r"thesis\.txt.*--out"):
        rundir.create(tmp_path, made_up.settings(corpus), made_up.ENVIRONMENT)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert not (tmp_path / "config.json").exists()


def test_a_start_that_was_killed_can_be_started_again(tmp_path, corpus):
    (tmp_path / ".lock").write_text("12345")
    (tmp_path / "environment.json").write_text("[]\n")
    (tmp_path / ".config.json.12345.tmp").write_text('{"half')
    with rundir.create(tmp_path, made_up.settings(corpus), made_up.ENVIRONMENT):
        assert json.loads((tmp_path / "config.json").read_text()) == made_up.settings(corpus)
        assert json.loads((tmp_path / "environment.json").read_text()) == [made_up.ENVIRONMENT]
        assert not list(tmp_path.glob(".*.tmp"))


def test_two_runs_at_once_are_refused(tmp_path, corpus):
    asked = made_up.settings(corpus), made_up.ENVIRONMENT
    for start in (rundir.create, rundir.resume):
        with start(tmp_path, *asked), pytest.raises(StorageError, match="is writing"):
            rundir.resume(tmp_path, *asked)


def test_a_fold_has_one_writer(tmp_path):
    with (
        rundir.FoldDir(tmp_path, 1, False),
        rundir.FoldDir(tmp_path, 2, False),
        pytest.raises(StorageError, match="is writing"),
    ):
        rundir.FoldDir(tmp_path, 1, False).__enter__()


def test_resume_without_a_run(tmp_path, corpus):
    with pytest.raises(rundir.RunError, match="no run to go on with"):
        rundir.resume(tmp_path / "run", made_up.settings(corpus), made_up.ENVIRONMENT)
    assert not (tmp_path / "run").exists()


def test_resume_names_every_difference(tmp_path, corpus):
    rundir.create(tmp_path, made_up.settings(corpus), made_up.ENVIRONMENT).close()
    before = contents(tmp_path)
    other = replace(corpus, utterances=corpus.utterances[1:])
    asked = rundir.settings(
        other,
        replace(PRESETS["best"], learning_rate=0.5, conv_kernels=((3, 3),) * 4),
        preset="best",
        seed=4,
        folds=(1, 2),
        left_out=[Problem("a.wav", "empty", "1F_neutral_0")],
    )
    with pytest.raises(rundir.RunError) as caught:
        rundir.resume(tmp_path, asked, made_up.ENVIRONMENT)
    said = str(caught.value)
    assert f"config.learning_rate: the run has {PRESETS['best'].learning_rate}, asked for is 0.5" in said
    assert "config.conv_kernels: the run has [[" in said and "asked for is [[3, 3], [3, 3], [3, 3], [3, 3]]" in said
    assert "seed: the run has 3, asked for is 4" in said
    assert "folds: the run has [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], asked for is [1, 2]" in said
    assert f"corpus.fingerprint: the run has {corpus.fingerprint()}, asked for is {other.fingerprint()}" in said
    assert "left_out: the run has [], asked for is ['1F_neutral_0']" in said
    assert "corpus.name" not in said and "config.epochs" not in said and "\n" not in said
    assert contents(tmp_path) == before


def test_resume_of_a_run_of_a_version_without_some_settings(tmp_path, corpus):
    """Its missing ones are the default ones, and nothing else."""
    settings = made_up.settings(corpus)
    older = {key: value for key, value in settings["config"].items() if key not in ("pool", "tta_copies")}
    rundir.create(tmp_path, {**settings, "config": older}, made_up.ENVIRONMENT).close()
    rundir.resume(tmp_path, settings, made_up.ENVIRONMENT).close()
    other = {**settings, "config": {**settings["config"], "tta_copies": 1}}
    with pytest.raises(rundir.RunError, match=r"config.tta_copies: the run has 0, asked for is 1\. "):
        rundir.resume(tmp_path, other, made_up.ENVIRONMENT)


def test_resume_from_another_place_with_the_same_corpus(tmp_path, corpus):
    problem = Problem("/old/a.wav", "empty", "gone")
    rundir.create(
        tmp_path, made_up.settings(replace(corpus, root=tmp_path / "old"), left_out=[problem]), made_up.ENVIRONMENT
    ).close()
    moved = made_up.settings(replace(corpus, root=tmp_path / "new"), left_out=[replace(problem, where="/new/a.wav")])
    with rundir.resume(tmp_path, moved, made_up.ENVIRONMENT) as run:
        assert run.warnings == []
        assert run.settings["corpus"]["root"] == str(tmp_path / "old")


def test_another_machine_is_said(tmp_path, corpus):
    asked = made_up.settings(corpus)
    rundir.create(tmp_path, asked, made_up.ENVIRONMENT).close()
    elsewhere = {**made_up.ENVIRONMENT, "libraries": {"numpy": "2.1"}, "cpu": "two", "threads": 64}
    rundir.resume(tmp_path, asked, elsewhere).close()
    with rundir.resume(tmp_path, asked, made_up.ENVIRONMENT) as run:  # back again, and still said
        assert len(run.warnings) == 2
        assert "libraries.numpy was 2.0 at first and 2.1 later" in run.warnings[0]
        assert "cpu was one at first and two later" in run.warnings[1]
    starts = json.loads((tmp_path / "environment.json").read_text())
    assert starts == [made_up.ENVIRONMENT, elsewhere, made_up.ENVIRONMENT]


def test_merge_puts_the_done_folds_together(tmp_path, corpus):
    with made_up.run(tmp_path, corpus, folds=(1, 4)) as run:
        run.merge()
        assert [result["fold"] for result in run.results()] == [1, 4]
    with open(tmp_path / "predictions.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    folds = {fold.number: fold for fold in make_folds(corpus)}
    expected = [u.name for number in (1, 4) for u in corpus.utterances if u.speaker == folds[number].test]
    assert [row["utterance"] for row in table] == expected
    assert {(row["fold"], row["speaker"]) for row in table} == {("1", "1F"), ("4", "2M")}
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["fold"], line["epoch"]) for line in lines] == [(fold, e) for fold in (1, 4) for e in range(1, 6)]


def test_merge_while_folds_are_running(tmp_path, corpus):
    with rundir.create(tmp_path, made_up.settings(corpus, (1, 2)), made_up.ENVIRONMENT) as run:
        first, second = run.folds
        run.merge()
        assert (tmp_path / "predictions.csv").read_text() == ""
        with second:
            second.write_metrics(made_up.rows(2, 3))
            second.write_predictions(corpus.classes, corpus.utterances[:1], np.eye(4)[:1], np.array([0]), np.array([1]))
        made_up.play(corpus, make_folds(corpus)[0], first)
        run.merge()
        assert [result["fold"] for result in run.results()] == [1]
    table = (tmp_path / "predictions.csv").read_text().splitlines()
    assert {line.split(",")[2] for line in table[1:]} == {"1"}  # the second fold is not done
    assert (tmp_path / "metrics.jsonl").read_text().count('"fold": 2') == 3


def test_predictions_keep_their_digits(tmp_path, corpus):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 3).astype(np.float32)
    votes = np.array([[11, 0, 0, 0], [5, 6, 0, 0], [0, 0, 0, 11]])
    fold = rundir.FoldDir(tmp_path, 7, True)
    with fold:
        chosen = np.array([0, 1, 3]), np.array([2, 0, 1])
        fold.write_predictions(corpus.classes, corpus.utterances[:3], probabilities, *chosen, votes)
    table = list(csv.DictReader(fold.predictions.read_text().splitlines()))
    read = np.array([[row[f"p_{name}"] for name in corpus.classes] for row in table]).astype(np.float32)
    assert read.tobytes() == probabilities.tobytes()
    assert [[int(row[f"votes_{name}"]) for name in corpus.classes] for row in table] == votes.tolist()
    assert [row["predicted"] for row in table] == ["neutral", "happiness", "anger"]
    assert [row["second"] for row in table] == ["sadness", "neutral", "happiness"]
    assert [row["truth"] for row in table] == [corpus.classes[u.label] for u in corpus.utterances[:3]]
    assert [(row["fold"], row["synthetic"]) for row in table] == [("7", "true")] * 3


def test_a_measure_that_is_no_number_stays_one(tmp_path):
    fold = rundir.FoldDir(tmp_path, 1, True)
    with fold:
        fold.write_metrics([{"epoch": 1, "validation": {"loss": math.nan, "ua": 0.5}}])
    assert (fold.path / "metrics.jsonl").read_text().count("null") == 1
    (row,) = fold.metrics()
    assert math.isnan(row["validation"]["loss"]) and row["validation"]["ua"] == 0.5
    assert (row["fold"], row["synthetic"]) == (1, True)


def test_settings_say_what_the_run_is_about(tmp_path):
    synthetic = made_up.corpus("synthetic", lacking=("2F", "anger"))
    said = made_up.settings(synthetic, folds=(4, 2))
    assert said["folds"] == [2, 4]
    assert said["corpus"] == {
        "name": "synthetic",
        "root": None,
        "synthetic": True,
        "fingerprint": synthetic.fingerprint(),
        "speakers": ["1F", "1M", "2F", "2M", "3F", "3M", "4F", "4M", "5F", "5M"],
        "classes": ["neutral", "happiness", "sadness", "anger"],
        "counts": [20, 30, 20, 27],
    }
    assert said["config"]["conv_kernels"] == [list(pair) for pair in PRESETS["best"].conv_kernels]
