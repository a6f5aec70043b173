"""What is printed and written says what result.json says, and always that data is synthetic."""

import csv
import json
from dataclasses import replace

import made_up
import pytest

from scratchser.corpus.split import make_folds
from scratchser.corpus.table import Problem
from scratchser.presets import PRESETS, with_settings
from scratchser.report import summary
from scratchser.report.text import percent, render
from scratchser.runs import run as run_dir


def written(path, corpus, folds=tuple(range(1, 11)), tuned_on=(), warnings=(), **changes):
    baselines = made_up.baselines(tuple(fold for fold in make_folds(corpus) if fold.number in folds))
    with made_up.run(path, corpus, folds, **changes) as run:
        return summary.write(run, baselines=baselines, tuned_on=tuned_on, warnings=warnings)


def cells(text, first):
    (line,) = (line for line in text.splitlines() if line.split()[:1] == [first])
    return line.split()[1:]


def test_table_2s_form(tmp_path):
    result = written(tmp_path, made_up.corpus("synthetic"))
    text = render(result)
    assert (tmp_path / "report.txt").read_text() == text
    assert cells(text, "fold") == ["speaker", "session", "gender", "WA", "%", "UA", "%", "utterances"]
    for fold in result["folds"]:
        who = [fold["test_speaker"], fold["session"], fold["gender"]]
        assert cells(text, str(fold["fold"])) == [*who, percent(fold["wa"]), percent(fold["ua"]), str(fold["n_test"])]
    assert cells(text, "mean")[:2] == [percent(result["wa_mean"]), percent(result["ua_mean"])]
    assert cells(text, "std") == [percent(result["wa_std"]), percent(result["ua_std"])]
    pooled = result["pooled"]
    assert cells(text, "pooled") == [percent(pooled["wa"]), percent(pooled["ua"]), str(pooled["n"])]
    assert "over 10 folds: mean, std (sample standard deviation, n - 1)" in text
    for name, counts, recall in zip(result["corpus"]["classes"], pooled["confusion"], pooled["recalls"], strict=True):
        assert cells(text, name) == [*map(str, counts), percent(recall)]
    majority = result["baselines"]["majority"]
    assert cells(text, "majority") == [percent(majority["wa_mean"]), percent(majority["ua_mean"])]
    assert f"this model  {percent(result['wa_mean'])}  {percent(result['ua_mean'])}" in text
    assert "paper" not in text and "untuned" not in text and "not finished" not in text


def test_the_paper_beside_ours(tmp_path):
    text = render(written(tmp_path, made_up.all_of_iemocap()))
    assert cells(text, "5")[-2:] == ["64.8", "52.1"]
    assert cells(text, "10")[-2:] == ["51.0", "44.2"]
    assert cells(text, "mean")[-2:] == ["64.5", "61.7"] and len(cells(text, "mean")) == 4
    assert cells(text, "std")[-2:] == ["-", "-"]
    assert "tables 1 and 2" in text


def test_what_is_changed_from_the_preset(tmp_path):
    config = replace(PRESETS["over"], oversample=("sadness",), vtlp="epoch", epochs=2, soft_labels=True)
    corpus = made_up.all_of_iemocap()
    text = render(written(tmp_path / "changed", corpus, (1,), preset="over", config=config))
    message = 'changed from the preset: vtlp=epoch, oversample=["sadness"], soft_labels=true, epochs=2'
    assert text.splitlines()[1:3] == ["preset over, seed 3", message]
    assert with_settings(PRESETS["over"], message.partition(": ")[2].split(", ")) == config
    assert "paper" not in text
    same = render(written(tmp_path / "same", corpus, (1,), preset="over"))
    assert "changed" not in same and "paper" in same


def test_notes_and_what_is_missing(tmp_path):
    corpus = made_up.corpus("emodb", lacking=("2F", "anger"))
    problems = [Problem("wav/a.wav", "no sample in it", "a"), Problem("list.csv:7", "no label")]
    result = written(tmp_path, corpus, (3,), warnings=["it rained"], left_out=problems)
    text = render(result)
    assert "note: it rained" in text
    assert "note: fold 3: speaker 2F has no anger; the fold's UA is the mean over the other classes" in text
    assert "left out: a wav/a.wav: no sample in it\nleft out: list.csv:7: no label" in text
    assert cells(text, "anger")[-1] == "-"
    assert cells(text, "std") == ["-", "-"]
    assert "over 1 fold:" in text
    assert "SYNTHETIC" not in text


def test_the_untuned_speakers_have_means_of_their_own(tmp_path):
    result = written(tmp_path, made_up.corpus("emodb"), (1, 2, 3), tuned_on=("1F", "1M"))
    text = render(result)
    third = result["folds"][2]
    assert f"(2F): WA {percent(third['wa'])} %, UA {percent(third['ua'])} %" in text
    baseline = result["baselines"]["majority"]["headline"]
    assert cells(text, "majority")[2:] == [percent(baseline["wa_mean"]), percent(baseline["ua_mean"])]
    only_tuned = render(written(tmp_path / "other", made_up.corpus("emodb"), (1, 2), tuned_on=("1F", "1M")))
    assert "(none so far): WA - %, UA - %" in only_tuned


def test_a_run_under_way_says_so(tmp_path):
    corpus = made_up.corpus()
    settings = made_up.settings(corpus, (1, 2))
    with run_dir.open_run(tmp_path, settings, made_up.ENVIRONMENT, resume=False):
        pass
    with run_dir.open_run(tmp_path, settings, {**made_up.ENVIRONMENT, "cpu": "elsewhere"}, resume=True) as run:
        made_up.finish_fold(corpus, make_folds(corpus)[1], run.folds[1])
        result = summary.write(run, baselines=made_up.baselines(make_folds(corpus)[:2]))
    assert result["complete"] is False
    assert result["baselines"]["majority"]["pooled"]["confusion"][0][0] == 2 + 1  # the second fold's, not the first's
    assert "not finished" in render(result)
    assert "cpu was one at first and elsewhere later" in render(result)


@pytest.mark.parametrize("name", ["synthetic", "emodb"])
def test_every_output_says_whether_the_data_is_synthetic(tmp_path, name):
    result = written(tmp_path, made_up.corpus(name), (1, 2))
    synthetic = name == "synthetic"
    assert json.loads((tmp_path / "result.json").read_text()) == result
    assert result["synthetic"] is result["corpus"]["synthetic"] is synthetic
    assert json.loads((tmp_path / "config.json").read_text())["corpus"]["synthetic"] is synthetic
    assert ("SYNTHETIC DATA" in (tmp_path / "report.txt").read_text()) is synthetic
    assert len(list(tmp_path.rglob("metrics.jsonl"))) == len(list(tmp_path.rglob("predictions.csv"))) == 1 + 2
    for file in tmp_path.rglob("metrics.jsonl"):
        assert {json.loads(line)["synthetic"] for line in file.read_text().splitlines()} == {synthetic}
    for file in tmp_path.rglob("predictions.csv"):
        rows = list(csv.DictReader(file.read_text().splitlines()))
        assert {row["synthetic"] for row in rows} == {str(synthetic).lower()}
    assert {file.name for file in tmp_path.glob("*.png")} == {"learning_curves.png", "confusion.png"}  # test_figures.py
