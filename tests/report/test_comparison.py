"""Runs side by side: what differs, fold by fold, and no difference between runs of different corpora."""

import json
import shutil
import statistics
from dataclasses import replace
from pathlib import Path

import made_up
import page_check
import pytest
from process import exit_code

from scratchser.corpus.split import make_folds
from scratchser.corpus.table import Corpus
from scratchser.presets import PRESETS
from scratchser.report import __main__, comparison, summary
from scratchser.report.text import percent
from scratchser.runs import run as run_dir

MEANS = "Means and sample standard deviations over the folds, and all test sets pooled"
DIFFERENCES = "UA minus that of A in points, over the speakers tested in both"


def saved(path, corpus: Corpus, folds=(1, 2, 3), shift=0, **changes):
    """The folder of a run; the UA of fold n is `shift` * n points higher than that of made_up.run."""
    with made_up.run(path, corpus, folds, **changes) as run:
        for folder in run.folds:
            result = folder.result()
            result["ua"] = min(1.0, result["ua"] + shift * folder.number / 100)
            folder.finish(result)
        summary.write(run, baselines=made_up.baselines(tuple(f for f in make_folds(corpus) if f.number in folds)))
    return path


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    tmp_path, corpus = tmp_path_factory.mktemp("runs"), made_up.corpus()
    config = replace(PRESETS["over"], epochs=7)
    first = saved(tmp_path / "first", corpus, (1, 2, 3))
    second = saved(tmp_path / "<b>second", corpus, (2, 3, 4), shift=3, preset="over", config=config, seed=4)
    return first, second


def result(path):
    return json.loads((path / "result.json").read_text())


def loaded(*paths):
    return comparison.load([run_dir.read(path) for path in paths])


def settings(*paths):
    return {name: values for name, *values in comparison.settings(loaded(*paths))}


def test_the_means_are_those_of_the_runs(two):
    rows = comparison.tables(loaded(*two))[MEANS][1:]
    for label, path, row in zip("AB", two, rows, strict=True):
        found = result(path)
        scores = [percent(found[key]) for key in ("ua_mean", "ua_std", "wa_mean", "wa_std")]
        assert row == [label, "3", *scores, percent(found["pooled"]["ua"]), str(path)]


def test_what_differs_and_nothing_else(two):
    found = settings(*two)
    assert found["preset"] == ["best", "over"] and found["seed"] == ["3", "4"]
    assert found["epochs"] == [str(PRESETS["best"].epochs), "7"] and found["vtlp"] == ["utterance", "off"]
    assert not {"momentum", "corpus", "device"} & found.keys()


def test_a_run_of_an_older_version_has_the_default_of_what_it_lacks(two, tmp_path):
    path, second = shutil.copytree(two[0], tmp_path / "older") / "result.json", two[1]
    found = result(path.parent)
    del found["config"]["pool"], found["config"]["tta_copies"]
    path.write_text(json.dumps(found))
    assert not {"pool", "tta_copies"} & settings(path.parent, second).keys()
    found["config"]["copies"] = 1  # the name of tta_copies in such a run
    path.write_text(json.dumps(found))
    assert settings(path.parent, second)["tta_copies"] == ["1", "0"]


def test_differences_are_taken_over_the_speakers_of_both(two):
    first, second = ({fold["test_speaker"]: fold for fold in result(path)["folds"]} for path in two)
    gains = [second[name]["ua"] - first[name]["ua"] for name in ("1M", "2F")]
    assert statistics.mean(gains) == pytest.approx(0.075)
    std = percent(statistics.stdev(gains))
    assert comparison.differences(loaded(*two)) == [["B", "2", "+7.5", std, "2", "0"]]
    assert comparison.differences(loaded(*reversed(two))) == [["B", "2", "-7.5", std, "0", "2"]]
    speakers = {name: scores for name, *scores in comparison.by_speaker(loaded(*two))}
    assert speakers["1F"] == [percent(first["1F"]["ua"]), percent(first["1F"]["wa"]), "-", "-"]
    assert speakers["2M"] == ["-", "-", percent(second["2M"]["ua"]), percent(second["2M"]["wa"])]


def test_another_corpus_is_not_subtracted(two, tmp_path):
    other = saved(tmp_path / "other", made_up.corpus("synthetic", lacking=("1F", "anger")))
    runs = loaded(two[0], other)
    assert comparison.differences(runs) == [] and DIFFERENCES not in comparison.tables(runs)
    notes = " ".join(comparison.notes(runs))
    assert "do not all have the same utterances" in notes and "SYNTHETIC DATA" in notes
    assert settings(two[0], other)["corpus"] == ["csv", "synthetic"]


def test_which_runs_are_transductive_is_a_note(two, tmp_path):
    own = saved(tmp_path / "own", made_up.corpus(), config=PRESETS["mel-speaker"], preset="mel-speaker")
    notes = [note for note in comparison.notes(loaded(two[0], own)) if "transductive" in note]
    assert len(notes) == 2 and all(note.startswith("B: ") for note in notes)


def test_text_and_page_have_the_same_tables(two, tmp_path, capsys):
    out = tmp_path / "both.html"
    assert __main__.main([*map(str, two), "--out", str(out)]) == 0
    text, html = capsys.readouterr().out, out.read_text()
    assert page_check.problems(html) == []
    expected = comparison.tables(loaded(*two))
    assert DIFFERENCES in expected and "two seeds" in text and "SYNTHETIC" not in text + html
    shown = {table.all("caption")[0].text: table.rows() for table in page_check.parse(html).all("table")}
    for caption, rows in expected.items():
        assert shown[caption] == rows
        lines = text.partition(f"{caption}\n")[2].splitlines()[: len(rows)]
        assert [line.split() for line in lines] == [" ".join(row).split() for row in rows]
    for label, path in zip("AB", two, strict=True):
        cells = shown[f"{label}, all test sets together"][1:]
        counts = [[int(cell.split()[0]) for cell in row[1:-1]] for row in cells]
        assert counts == result(path)["pooled"]["confusion"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["first", "nowhere"], 2, "holds no run: correct the path\n"),
        (["first", "started"], 2, "no finished fold yet"),
        (["first", "<b>second", "--out", "first/report.html"], 2, "not report.html"),
        (["first", "<b>second", "--out", "no/page.html"], 1, "cannot write"),
    ],
)
def test_errors_end_in_a_line(two, capsys, monkeypatch, arguments, code, message):
    monkeypatch.chdir(two[0].parent)
    Path("started").mkdir(exist_ok=True)
    shutil.copy("first/config.json", "started")
    found = exit_code(__main__.main, *arguments)
    error = capsys.readouterr().err
    assert found == code and message in error and "Traceback" not in error
