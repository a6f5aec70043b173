"""Runs side by side: what differs, fold by fold, and no comparison of what cannot be compared."""

import json
import statistics
from dataclasses import replace

import made_up
import page_check
import pytest

from scratchser import report
from scratchser.corpus.split import make_folds
from scratchser.corpus.table import Corpus
from scratchser.presets import PRESETS
from scratchser.report import __main__, comparison
from scratchser.runs import run as rundir


def percent(fraction):
    return f"{100 * fraction:.1f}"


def saved(path, corpus: Corpus, folds=(1, 2, 3), shift=0, **changes):
    """The folder of a run whose folds have the scores of the folds `shift` numbers later."""
    with made_up.run(path, corpus, folds, **changes) as run:
        for folder in run.folds:
            result = folder.result()
            result["ua"] = min(1.0, result["ua"] + shift * folder.number / 100)
            folder.finish(result)
        report.write(run, baselines=made_up.baselines(tuple(f for f in make_folds(corpus) if f.number in folds)))
    return path


@pytest.fixture
def two(tmp_path):
    corpus = made_up.corpus()
    config = replace(PRESETS["over"], epochs=7)
    first = saved(tmp_path / "first", corpus, (1, 2, 3))
    second = saved(tmp_path / "second", corpus, (2, 3, 4), shift=3, preset="over", config=config, seed=4)
    return first, second


def result(path):
    return json.loads((path / "result.json").read_text())


def loaded(*paths):
    return comparison.load([rundir.read(path) for path in paths])


def lines(text, first):
    return [line.split()[1:] for line in text.splitlines() if line.split()[:1] == [first]]


def test_the_text_holds_each_runs_figures(two, capsys):
    assert __main__.main([str(path) for path in two]) == 0
    text = capsys.readouterr().out
    for label, path in zip("AB", two, strict=True):
        found = result(path)
        (row,) = lines(text, label)[:1]
        scores = [percent(found[key]) for key in ("ua_mean", "ua_std", "wa_mean", "wa_std")]
        who = [str(path), "csv", found["preset"], str(found["seed"]), "3"]
        assert row == [*who, *scores, percent(found["pooled"]["ua"])]
    assert "same utterances" not in text and "two seeds" in text and "SYNTHETIC" not in text


def test_what_differs_and_nothing_else(two):
    found = comparison.settings(loaded(*two))
    default = PRESETS["best"]
    assert found["preset"] == ["best", "over"] and found["seed"] == ["3", "4"]
    assert found["epochs"] == [str(default.epochs), "7"] and found["vtlp"] == ["utterance", "off"]
    assert "momentum" not in found and "corpus" not in found and "device" not in found


def test_a_run_of_an_older_version_has_the_default_of_what_it_lacks(two):
    path = two[0] / "result.json"
    found = json.loads(path.read_text())
    del found["config"]["pool"], found["config"]["tta_copies"]
    path.write_text(json.dumps(found))
    assert not {"pool", "tta_copies"} & comparison.settings(loaded(*two)).keys()
    found["config"]["tta_copies"] = 1
    path.write_text(json.dumps(found))
    assert comparison.settings(loaded(*two))["tta_copies"] == ["1", "0"]


def test_fold_by_fold_over_the_speakers_of_both(two):
    first, second = ({fold["test_speaker"]: fold["ua"] for fold in result(path)["folds"]} for path in two)
    (found,) = comparison.differences(loaded(*two))
    gains = [second[name] - first[name] for name in ("1M", "2F")]
    assert found.folds == 2 and (found.better, found.worse) == (2, 0)
    assert found.mean == pytest.approx(statistics.mean(gains)) == pytest.approx(0.075)
    assert found.std == pytest.approx(statistics.stdev(gains))
    (back,) = comparison.differences(loaded(*reversed(two)))
    assert back.mean == pytest.approx(-found.mean) and (back.better, back.worse) == (0, 2)
    table = comparison.by_speaker(loaded(*two))
    assert table["1F"] == [first["1F"], None] and table["2M"] == [None, second["2M"]]
    said = comparison.sentence(found, loaded(*two)[0])
    assert said.startswith("B less A, UA over 2 folds of both: mean +7.5 points, standard deviation 2.1;")


def test_another_corpus_is_not_subtracted(two, tmp_path):
    other = saved(tmp_path / "other", made_up.corpus("synthetic", lacking=("1F", "anger")))
    runs = loaded(two[0], other)
    assert comparison.differences(runs) == []
    notes = " ".join(comparison.notes(runs))
    assert "not all runs heard the same utterances" in notes and "SYNTHETIC DATA" in notes
    assert comparison.settings(runs)["corpus"] == ["csv", "synthetic"]


def test_the_page_says_what_the_text_says(two, tmp_path, capsys):
    out = tmp_path / "both.html"
    assert __main__.main([*map(str, two), "--out", str(out)]) == 0
    html = out.read_text()
    assert page_check.problems(html) == []
    page = page_check.parse(html)
    tables = {table.all("caption")[0].text: table.rows() for table in page.all("table")}
    for path, row in zip(
        two, tables["Means over the folds, with sample standard deviations, and all test sets pooled"][1:], strict=True
    ):
        assert row[1] == str(path) and row[5] == percent(result(path)["ua_mean"])
    differing = {row[0]: row[1:] for row in tables["All else is the same in these runs"][1:]}
    assert differing == comparison.settings(loaded(*two))
    for label, path in zip("AB", two, strict=True):
        cells = tables[f"{label}, all test sets together"][1:]
        counts = [[int(cell.split()[0]) for cell in row[1:-1]] for row in cells]
        assert counts == result(path)["pooled"]["confusion"]
    (bars,) = page.all("dl", class_="bars")
    shown = dict(zip((dt.text for dt in bars.all("dt")), (dd.text for dd in bars.all("dd")), strict=True))
    uas = [{fold["test_speaker"]: percent(fold["ua"]) for fold in result(path)["folds"]} for path in two]
    assert shown["2F"] == f"A {uas[0]['2F']} % B {uas[1]['2F']} %" and shown["1F"] == f"A {uas[0]['1F']} %"
    assert comparison.sentence(comparison.differences(loaded(*two))[0], loaded(*two)[0]) in page.text


def test_a_folders_name_does_not_become_markup(tmp_path):
    corpus = made_up.corpus()
    paths = [saved(tmp_path / name, corpus) for name in ("<b>one", "{{ 1 }}")]
    html = comparison.html(loaded(*paths))
    assert page_check.problems(html) == [] and not page_check.parse(html).all("b") and "{{ 1 }}" in html


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["first"], "report.html"),
        (["first", "nowhere"], "holds no run"),
        (["first", "started"], "no finished fold yet"),
        (["first", "second", "--out", "page.txt"], ".html"),
        (["first", "second", "--out", "first/report.html"], "choose another"),
    ],
)
def test_wrong_commands_are_answered_in_a_line(two, tmp_path, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "started").mkdir()
    (tmp_path / "started" / "config.json").write_bytes((two[0] / "config.json").read_bytes())
    try:
        code = __main__.main(arguments)
    except SystemExit as exit:  # argparse's own
        code = exit.code
    error = capsys.readouterr().err
    assert code == 2 and said in error and "Traceback" not in error


def test_a_place_that_cannot_be_written(two, tmp_path, capsys):
    assert __main__.main([*map(str, two), "--out", str(tmp_path / "no" / "page.html")]) == 1
    assert "cannot write" in capsys.readouterr().err
