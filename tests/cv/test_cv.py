"""The command as a user calls it: what it prints, what it refuses, and the same bits after every interruption."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import result_schema
import small_corpus
import soundfile
from process import exit_code
from small_corpus import SETTINGS, TIMES, read_csv

from scratchser.cv import __main__ as cv
from scratchser.cv import experiment
from scratchser.cv.command import default_preset
from scratchser.report import page

THREE = [*SETTINGS, "--epochs", 3, "--folds", "1,3,4"]


@pytest.fixture
def no_page(monkeypatch):
    """report.html takes longer than the training of a small fold."""
    monkeypatch.setattr(page, "write", lambda *arguments, **options: None)


run = partial(exit_code, cv.main)


def numbers(path):
    """All that a run measured, without its times."""
    result = json.loads((path / "result.json").read_text())
    folds = [{**fold, **TIMES} for fold in result["folds"]]
    rows = [{**json.loads(line), **TIMES} for line in (path / "metrics.jsonl").read_text().splitlines()]
    return {**result, "folds": folds, "warnings": None}, rows, (path / "predictions.csv").read_text()


@pytest.fixture(scope="module")
def straight(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "straight"
    assert run(folder, *THREE, "--workers", 1, "--out", out) == 0
    return out


def test_the_files_of_a_run(straight):
    files = ["config.json", "environment.json", "metrics.jsonl", "predictions.csv", "result.json", "report.txt"]
    figures = ["report.html", "learning_curves.png", "confusion.png"]
    assert {path.name for path in straight.iterdir()} - {".lock"} == {*files, *figures, "folds"}
    result, rows, predictions = numbers(straight)
    assert [fold["fold"] for fold in result["folds"]] == [1, 3, 4] and len(rows) == 9
    table = list(csv.DictReader(predictions.splitlines()))
    assert len(table) == 24 and len({row["utterance"] for row in table}) == 24
    for row in table:
        assert sum(float(row[f"p_{name}"]) for name in result["corpus"]["classes"]) == pytest.approx(1, abs=1e-6)
        assert sum(int(row[f"votes_{name}"]) for name in result["corpus"]["classes"]) == 11


def test_a_finished_run_keeps_its_notes_about_the_audio(tmp_path, no_page):
    (tmp_path / "corpus").mkdir()
    folder, out = small_corpus.write(tmp_path / "corpus"), tmp_path / "run"
    for path in folder.glob("a*.wav"):
        soundfile.write(path, soundfile.read(path)[0], 2 * small_corpus.RATE)
    command = [folder, *SETTINGS, "--epochs", 1, "--folds", 1, "--workers", 1, "--out", out]
    assert run(*command) == 0
    first = json.loads((out / "result.json").read_text())
    assert "8 of 48 utterances resampled from 32000 to 16000 Hz" in first["warnings"]
    assert run(*command, "--resume") == 0  # nothing to train, no spectrogram to make
    assert json.loads((out / "result.json").read_text())["warnings"] == first["warnings"]


def test_the_page_is_written_again_on_resume(folder, straight, capsys):
    page = straight / "report.html"
    assert "Confusion matrices" in page.read_text() and "<audio" not in page.read_text()
    command = [folder, *THREE, "--out", straight, "--resume"]
    page.unlink()
    assert run(*command, "--audio") == 0
    assert "<audio" in page.read_text() and "Resumed 1 time" in page.read_text()
    capsys.readouterr()
    assert run(*command, "--json") == 0
    assert "<audio" not in page.read_text() and "Resumed 2 times" in page.read_text()
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads((straight / "result.json").read_text())
    assert f"next: open {page}" in printed.err and f"predict {straight} FILE" in printed.err


@pytest.mark.parametrize(
    ("arguments", "preset"), [([], "demo"), (["csv"], "mel"), (["csv", "--corpus", "iemocap"], "best")]
)
def test_default_preset(folder, capsys, arguments, preset):
    args = cv.parser().parse_args([str(folder) if part == "csv" else part for part in arguments])
    assert default_preset(args) == preset
    assert capsys.readouterr().err.startswith(f"preset {preset}: ")


def test_another_seed_gives_other_numbers(folder, straight, tmp_path, no_page):
    assert run(folder, *THREE, "--folds", 1, "--seed", 1, "--workers", 1, "--out", tmp_path / "seed") == 0
    assert numbers(tmp_path / "seed")[1][0]["train"]["loss"] != numbers(straight)[1][0]["train"]["loss"]


@pytest.mark.parametrize("compiled", [True, False])
def test_a_run_with_an_empty_cache_says_once_that_it_compiles(folder, tmp_path, monkeypatch, capsys, compiled):
    def interrupt(*arguments):  # the baselines are the first to read a sound of the built-in corpus
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "is_compiled", lambda file: compiled)
    monkeypatch.setattr(experiment, "evaluate", interrupt)
    assert run(folder, *THREE, "--out", tmp_path / "run") == 1
    assert capsys.readouterr().err.count("compiling kernels (once;") == (not compiled)


def test_ctrl_c_ends_with_one_line_that_names_the_run(folder, tmp_path):
    command = [folder, *SETTINGS, "--epochs", 10**6, "--set", f"patience={10**6}", "--folds", "1,3", "--workers", 2]
    words = [sys.executable, "-m", "scratchser.cv", *map(str, command)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if a script runs the tests with &
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=tmp_path) as process:
        try:
            any("epoch 2/" in line for line in process.stderr)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            message = process.communicate(timeout=60)[1]  # stderr ends when the last of its processes ends
        finally:
            signal.signal(signal.SIGINT, before)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    (out,) = (tmp_path / "runs").iterdir()
    assert process.returncode == 1 and message.splitlines()[-1].endswith(f"--resume --out {Path('runs') / out.name}")
    assert "Traceback" not in message


def test_jobs_of_a_batch_queue_become_one_run(folder, straight, tmp_path, capsys, no_page):
    """Each has finished one fold; the job of the last fold was killed."""
    jobs = [Path(shutil.copytree(straight, tmp_path / f"fold-{fold}")) for fold in (1, 3)]
    for job, other in zip(jobs, ("03", "01"), strict=True):
        for fold in (other, "04"):
            (job / "folds" / fold / "result.json").unlink()
    command = [folder, *THREE, "--workers", 1, "--out", tmp_path / "all"]
    assert run(*command, "--from", *jobs) == 0
    message = capsys.readouterr().err
    assert "2 of 3 folds are copied from other runs" in message and "fold 3 epoch" not in message
    assert numbers(tmp_path / "all") == numbers(straight)
    starts = json.loads((tmp_path / "all" / "folds" / "03" / "environment.json").read_text())
    assert {start["run"] for start in starts} == {str(tmp_path / "fold-3")}
    assert not (tmp_path / "all" / "folds" / "04" / "environment.json").exists()
    assert run(*command, "--resume", "--from", *jobs) == 0  # all done: nothing is copied again
    assert numbers(tmp_path / "all") == numbers(straight)


def test_runs_of_other_settings_are_refused(folder, straight, tmp_path, capsys):
    before = numbers(straight)
    three, four = [folder, *THREE], [folder, *THREE, "--epochs", 4]
    out = ["--out", tmp_path / "run"]
    for command, message in (
        ([*three, "--out", straight], "--resume"),
        ([*four, "--out", straight, "--resume"], "config.epochs was 3 and is now 4"),
        ([*four, "--from", straight, *out], "config.epochs was 3 and is now 4"),
        ([*three, "--from", straight, straight, *out], "fold 1 is finished twice"),
        ([*three, "--from", tmp_path, *out], "holds no run: correct the path\n"),
    ):
        assert run(*command) == 2
        assert message in capsys.readouterr().err
    assert numbers(straight) == before and not (tmp_path / "run").exists()


def test_groups_of_speakers(folder, tmp_path, capsys):
    """One model for two speakers; the means are over the speakers."""
    out, command = tmp_path / "run", [folder, *SETTINGS, "--epochs", 1, "--folds", "1,3", "--workers", 1]
    assert run(*command, "--groups", 3, "--out", out) == 0
    assert "over 4 test speakers in 2 folds: mean" in capsys.readouterr().out
    assert "A row for each test speaker" in (out / "report.html").read_text()
    result = json.loads((out / "result.json").read_text())
    first, second, *_ = folds = result["folds"]
    assert [(fold["fold"], fold["test_speaker"]) for fold in folds] == [(1, "a"), (1, "b"), (3, "e"), (3, "f")]
    assert result["complete"] and result_schema.problems(result, "result.json") == []
    assert result["ua_mean"] == pytest.approx(sum(fold["ua"] for fold in folds) / 4)
    table = read_csv(out / "predictions.csv")
    for fold in folds:
        right = [row["predicted"] == row["truth"] for row in table if row["speaker"] == fold["test_speaker"]]
        assert len(right) == 8 == fold["n_test"] and fold["wa"] == sum(right) / 8
        assert fold["gender"] == small_corpus.SPEAKERS[fold["test_speaker"]]
        assert fold["test_speaker"] not in fold["train_speakers"] and len(fold["train_speakers"]) == 3
    group = json.loads((out / "folds" / "01" / "result.json").read_text())
    assert group["test_speaker"] == "a b" and group["ua"] == pytest.approx((first["ua"] + second["ua"]) / 2)
    for groups, now in ((["--groups", 4], 4), ([], None)):
        assert run(*command, *groups, "--out", out, "--resume") == 2
        assert f"groups was 3 and is now {now}" in capsys.readouterr().err


def test_broken_files_are_listed_and_nothing_is_trained(tmp_path, capsys):
    folder = small_corpus.write(tmp_path, each=1)
    (folder / "a00.wav").unlink()
    (folder / "b10.wav").write_bytes(b"")
    assert run(folder, *SETTINGS, "--epochs", 1, "--out", tmp_path / "run") == 1
    message = capsys.readouterr().err
    assert "a00.wav" in message and "b10.wav" in message and "manifest.csv:" in message and "--skip-broken" in message
    assert not (tmp_path / "run").exists()


def test_skipped_files_are_in_the_report(tmp_path, capsys, no_page):
    """Only speaker b, who validates in fold 1, has a neutral file left."""
    folder = small_corpus.write(tmp_path, each=1)
    for speaker in "acdef":
        (folder / f"{speaker}00.wav").unlink()
    arguments = [folder, *SETTINGS, "--epochs", 1, "--folds", 1, "--workers", 1, "--out", tmp_path / "run"]
    assert run(*arguments, "--skip-broken", "--folds", "9") == 2
    assert "warning: speakers a, c, d, e, f have no neutral" in capsys.readouterr().err  # also before an error
    assert run(*arguments, "--skip-broken") == 0
    printed = capsys.readouterr()
    assert "a00.wav" in printed.out
    for warning in ("speakers a, c, d, e, f have no neutral", "no training speaker has neutral"):
        assert f"warning: {warning}" in printed.err.partition("run: ")[0] and f"note: {warning}" in printed.out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert len(result["left_out"]) == 5 and result["folds"][0]["missing_classes"] == ["neutral"]


def test_a_readout_norm_needs_several_recordings_of_a_speaker(tmp_path, capsys):
    table = small_corpus.write(tmp_path, each=1) / "manifest.csv"
    header, *rows = table.read_text().splitlines()
    one_each = [rows[4 * n + n % 4] for n in range(len(small_corpus.SPEAKERS))]
    table.write_text("\n".join([header, *one_each]))
    assert run(tmp_path, "--preset", "mel-speaker", "--out", tmp_path / "run") == 2
    assert "each has only one: use mel" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "epoch=3"], "'epochs'"),
        (["--folds", "1,77"], "'77'"),
        (["--resume"], "--out RUN"),
        (["--seed", "-1"], "at least 0"),
        (["--groups", "7"], "--groups 7: should be from 2 to 6"),
        (["--set", f"lstm_units={10**12}"], "the largest tensor is lstm1.Wh"),
        (["--set", 'oversample=["hapiness"]'], "hapiness is no class of this corpus"),
        (["--epochs", "0"], "epochs"),
    ],
)
def test_wrong_commands_end_with_one_line(folder, tmp_path, capsys, arguments, message):
    code = run(folder, *arguments, *([] if "--resume" in arguments else ["--out", tmp_path / "run"]))
    error = capsys.readouterr().err
    assert code == 2 and message in error and "Traceback" not in error
