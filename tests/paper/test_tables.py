"""The tables of trained results: every number again from predictions.csv, in plain Python, over made-up runs."""

import csv
import itertools
import re
import statistics
from dataclasses import replace
from types import SimpleNamespace

import made_up
import numpy as np
import pytest
from small_corpus import read_csv

from scratchser.corpus.table import CLASSES
from scratchser.metrics import interval
from scratchser.paper import scores
from scratchser.paper.figures import figure4
from scratchser.paper.sweep import base_for
from scratchser.paper.tables import depth, normalisation, pooling, table1, table2, table3, table6
from scratchser.presets import PRESETS, pooled
from scratchser.runs.published import TABLE1, TABLE2, TABLE6

EMODB = dict(zip(sorted({u.speaker for u in made_up.corpus().utterances}),
                 ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16"), strict=True))  # fmt: skip


def emodb():
    """Speakers of EmoDB's names."""
    made = made_up.corpus("emodb")
    return replace(made, utterances=tuple(replace(u, speaker=EMODB[u.speaker], session="") for u in made.utterances))


def accuracies(rows):
    """(WA, UA) of rows of predictions.csv."""
    right = [row["truth"] == row["predicted"] for row in rows]
    recalls = []
    for name in CLASSES:
        of_class = [hit for hit, row in zip(right, rows, strict=True) if row["truth"] == name]
        if of_class:
            recalls.append(sum(of_class) / len(of_class))
    return sum(right) / len(right), sum(recalls) / len(recalls)


def read(run):
    """The predictions of a run, from the files of its folds, by fold."""
    tables = [read_csv(path) for path in sorted(run.path.glob("folds/*/predictions.csv"))]
    return {rows[0]["fold"]: rows for rows in tables}


def of_folds(run, place):
    """WA, place 0, or UA, place 1, of each fold."""
    return [accuracies(rows)[place] for rows in read(run).values()]


def cells(made, name, tmp_path):
    """The table as its CSV file has it: by the row's head, or (head, row above) where a head is indented."""
    made.write(tmp_path)
    with open(tmp_path / f"{name}.csv", newline="") as file:
        _, *rows = csv.reader(file)
    found, above = {}, ""
    for head, *values in rows:
        above = above if head.startswith(" ") else head
        found[(head.strip(), above) if head.startswith(" ") else head] = values
    return found


def percents(values):
    return [f"{100 * value:.1f}" for value in values]


def rounds(cells, values):
    """The cells are these fractions in percent with one digit; a five after it may go either way."""
    values = list(values)
    assert len(cells) == len(values) and all(re.fullmatch(r"\d+\.\d", cell) for cell in cells)
    return all(abs(float(cell) - 100 * value) < 0.05 + 1e-9 for cell, value in zip(cells, values, strict=True))


def test_table_1_is_computed_from_the_predictions(tmp_path):
    planned = made_up.sweep(tmp_path, table1.VARIANTS, emodb(), seeds=2)
    found = cells(table1.build(planned), "table1", tmp_path)
    for place, head in enumerate(("Weighted accuracy, %", "Unweighted accuracy, %")):
        expected = []
        for runs in planned.by_variant.values():
            by_fold = [of_folds(run, place) for run in runs]
            means = list(map(statistics.mean, by_fold))
            pooled = [accuracies([row for rows in read(run).values() for row in rows])[place] for run in runs]
            untuned = [statistics.mean(folds[4:]) for folds in by_fold]  # 03, 08, 09 and 10 come first
            deviations = statistics.mean(map(statistics.stdev, by_fold)), statistics.stdev(means)
            expected.append([statistics.mean(means), *deviations, statistics.mean(pooled), statistics.mean(untuned)])
        rows = ("std over folds", "std over seeds", "all test sets pooled", "untuned speakers alone")
        for key, values in zip([head, *((row, head) for row in rows)], zip(*expected, strict=True), strict=True):
            assert rounds(found[key], values)
        mean = [values[0] for values in expected]
        head = f"{('WA', 'UA')[place]} minus that of baseline, points"
        assert found[head][0] == "-" and all(
            float(shown) == pytest.approx(100 * (value - mean[0]), abs=0.05 + 1e-9)
            for shown, value in zip(found[head][1:], mean[1:], strict=True)
        )
    assert ("the paper's", "Weighted accuracy, %") not in found


def test_table_1_has_the_papers_columns_and_its_figures_under_ours(tmp_path):
    """Augmentation, oversampling, gradient adjustment, kHz, as its table 1 has them."""
    planned = made_up.sweep(tmp_path, table1.VARIANTS, made_up.all_of_iemocap())
    found = cells(table1.build(planned), "table1", tmp_path)
    assert found["Augmentation during training"] == ["-", "-", "+aug", "-", "+aug", "+aug"]
    assert found["Oversampling (×2) of happiness and anger"] == ["-"] + ["+over"] * 5
    assert found["Gradient adjustment"] == ["-", "-", "-", "+grdt", "+grdt", "+grdt"]
    assert found["Frequency range, kHz"] == ["4"] * 5 + ["8"]
    assert ("std over seeds", "Weighted accuracy, %") not in found
    for name, (run,) in planned.by_variant.items():
        assert run.settings["preset"] == name and run.config == PRESETS[name]
    for place, head in enumerate(("Weighted accuracy, %", "Unweighted accuracy, %")):
        assert found["the paper's", head] == percents(scores[place] for scores in TABLE1.values())
    assert percents(TABLE1["best"]) == ["64.5", "61.7"] and percents(TABLE1["baseline"]) == ["66.4", "57.7"]


def test_one_fold_has_no_interval_and_equal_learning_rates_can_differ_in_l2(tmp_path):
    base = base_for(table1.VARIANTS, ["learning_rate=0.01"])
    made = table1.build(made_up.sweep(tmp_path, table1.VARIANTS, made_up.corpus(), base=base, folds=1))
    found = cells(made, "table1", tmp_path)
    assert found["Gradient adjustment"] == ["-", "-", "-", "+grdt", "+grdt", "+grdt"]
    assert found["95 % interval over folds", "UA minus that of baseline, points"] == ["-"] * 6
    assert not any("95 %" in note for note in made.tables["table1"].notes)


def test_the_papers_figures_stand_beside_its_own_experiment_only(tmp_path):
    corpus = made_up.all_of_iemocap()
    beside = made_up.sweep(tmp_path / "a", table2.VARIANTS, corpus)
    assert beside.comparable_with_paper
    shown = cells(table2.build(beside), "table2", tmp_path)
    assert [shown[str(n)][-2:] for n in range(1, 11)] == [percents(scores) for scores in TABLE2]
    assert rounds(shown["Total"][-2:], TABLE1["best"])
    fewer = replace(corpus, utterances=corpus.utterances[1:])
    changed = {"base": base_for(table2.VARIANTS, ["learning_rate=0.01"])}
    for n, (other, options) in enumerate([(corpus, changed), (corpus, {"folds": 8}), (fewer, {}), (emodb(), {})]):
        assert not made_up.sweep(tmp_path / str(n), table2.VARIANTS, other, **options).comparable_with_paper


def test_table_2_is_computed_from_the_predictions(tmp_path):
    planned = made_up.sweep(tmp_path, table2.VARIANTS, emodb(), seeds=2)
    made = table2.build(planned)
    found = cells(made, "table2", tmp_path)
    runs = [[accuracies(rows) for rows in read(run).values()] for run in planned.by_variant["best"]]
    over = [tuple(map(statistics.mean, zip(*fold, strict=True))) for fold in zip(*runs, strict=True)]
    columns = [[fold[place] for fold in folds] for folds in (*runs, over) for place in (0, 1)]
    for number in range(10):
        assert rounds(found[str(number + 1)][3:], [column[number] for column in columns])
    assert [found[str(n)][:3] for n in (1, 2)] == [["03", "1", "F"], ["08", "1", "M"]]
    assert rounds(found["Total"][3:], map(statistics.mean, columns))
    deviations = [statistics.stdev(column) for column in columns[:4]]
    means = [statistics.mean(deviations[place::2]) for place in (0, 1)]  # not that of the folds' means over the seeds
    assert rounds(found["std over folds"][3:], [*deviations, *means])
    of_seeds = [statistics.stdev(map(statistics.mean, columns[place:4:2])) for place in (0, 1)]
    assert found["std over seeds"][3:7] == ["-"] * 4 and rounds(found["std over seeds"][7:], of_seeds)
    kept = [4, 5, 6, 7, 8, 9]  # in EmoDB's pairs, 03-08 and 09-10 come first
    assert rounds(found["untuned speakers alone"][3:], [statistics.mean(c[n] for n in kept) for c in columns])

    ranges = cells(made, "table2-five-fold", tmp_path)
    sides = itertools.product((0, 1), repeat=5)
    ua = [sum(runs[1][2 * n + side][1] for n, side in enumerate(one)) / 5 for one in sides]
    assert ranges["seed 1"][0] == "32"
    assert rounds(ranges["seed 1"][4:], [min(ua), statistics.mean(ua), max(ua)])
    scores = cells(made, "table2-five-fold-scores", tmp_path)
    assert len(scores) == 32 and rounds([row[3] for row in scores.values()], ua)


def annotated(corpus, without=()):
    """Every second utterance with three annotators that agree, the others with one who does not."""

    def votes(n, u):
        word = CLASSES[u.label]
        return () if n in without else ((word,), (word, "other"), (word,)) if n % 2 else ((word,), (word,), ("fear",))

    rows = tuple(replace(u, votes=votes(n, u)) for n, u in enumerate(corpus.utterances))
    return replace(corpus, utterances=rows)


def test_table_6_is_computed_from_the_predictions(tmp_path):
    corpus = annotated(made_up.corpus(), without=(3, 4))
    planned = made_up.sweep(tmp_path, table6.VARIANTS, corpus, seeds=2)
    assert planned.configs["softlab"] == replace(planned.configs["best"], soft_labels=True)
    found = cells(table6.build(planned), "table6", tmp_path)
    agreed = {u.name: len([v for v in u.votes if CLASSES[u.label] in v]) == 3 for u in corpus.utterances if u.votes}
    assert len(agreed) == len(corpus.utterances) - 2
    subsets = [lambda name: name in agreed, agreed.get, lambda name: agreed.get(name) is False]
    columns = [("best", "predicted"), ("best", "second"), ("softlab", "predicted")]
    for place, (keep, (setting, choice)) in enumerate((k, c) for k in subsets for c in columns):
        seeds = [
            [
                [{**row, "predicted": row[choice]} for row in rows if keep(row["utterance"])]
                for rows in read(run).values()
            ]
            for run in planned.by_variant[setting]
        ]
        pools = [[row for rows in folds for row in rows] for folds in seeds]
        for name in CLASSES:
            hits = [[row["predicted"] == name for row in pool if row["truth"] == name] for pool in pools]
            recalls = [statistics.mean(map(int, right)) for right in hits]
            assert rounds([found[name][place]], [statistics.mean(recalls)])
            assert rounds([found["std over seeds", name][place]], [statistics.stdev(recalls)])
            assert found[f"utterances: {name}"][place] == str(len(hits[0]))
        for n, word in enumerate(("Weighted", "Unweighted")):
            head, each = f"{word}, mean over folds", [[accuracies(rows)[n] for rows in folds] for folds in seeds]
            assert rounds([found[head][place]], [statistics.mean(map(statistics.mean, each))])
            assert rounds([found["std over folds", head][place]], [statistics.mean(map(statistics.stdev, each))])
            pooled = [accuracies(pool)[n] for pool in pools]
            assert rounds([found[f"{word}, pooled"][place]], [statistics.mean(pooled)])


def test_table_6_has_the_papers_figures_under_ours(tmp_path):
    runs = made_up.sweep(tmp_path, table6.VARIANTS, annotated(made_up.all_of_iemocap()))
    found = cells(table6.build(runs), "table6", tmp_path)
    assert found["the paper's", "happiness"] == ["28.9", "42.6", "15.5", "29.4", "37.3", "11.5", "28.8", "43.8", "16.7"]
    head = "Unweighted, mean over folds"
    assert found["the paper's", head] == ["61.7", "21.6", "59.1", "66.2", "19.9", "61.3", "58.2", "22.8", "56.1"]


def test_the_papers_own_classes_give_its_unweighted_second_choice():
    """A slip of the pen in the figures would show: UA is near the mean of the classes, above all where it is pooled."""
    for rows in TABLE6.values():
        for column in range(3):
            assert rows[-1][column] == pytest.approx(statistics.mean(row[column] for row in rows[:4]), abs=0.013)


def test_figure_4_is_the_mean_of_the_folds_norms(tmp_path):
    planned = made_up.sweep(tmp_path, figure4.VARIANTS, made_up.corpus(), folds=2)
    assert planned.configs["without adjustment"] == PRESETS["over-aug"]
    assert planned.configs["with adjustment"] == PRESETS["best-4khz"]
    for n, run in enumerate(planned.runs):
        for folder, epochs in zip(run.record.folds, (3, 4), strict=True):
            rows = made_up.rows(folder.number, epochs)
            for row in rows:
                conv = (n + 1) * folder.number / row["epoch"]
                row["gradient_norms"] = {"conv1": conv, "lstm1": 0.5, "dense": 0.25}
            with folder.locked():
                folder.write_metrics(rows)
    made = figure4.build(planned)
    found = cells(made, "figure4", tmp_path)
    assert found["conv1"] == ["1.5", "0.917", "0.5", "3", "1.83", "1"]  # mean of folds 1 and 2, epochs 1 to 3
    assert found["lstm1"] == ["0.5"] * 6
    assert "the conv layers' mean norm is 1.8 times" in "\n".join(made.tables["figure4"].notes)
    assert made.figures["figure4"].axes[0].lines[0].get_ydata() == pytest.approx([1.5, 0.75, 0.5])


def test_depth_is_a_grid_of_what_the_predictions_give(tmp_path):
    planned = made_up.sweep(tmp_path, depth.VARIANTS, made_up.corpus(), folds=3)
    assert len(planned.runs) == 24 and planned.configs["4+1"] == PRESETS["best"]
    made = depth.build(planned)
    grid = cells(made, "depth", tmp_path)
    best = max(planned.by_variant, key=lambda name: statistics.mean(of_folds(planned.by_variant[name][0], 1)))
    assert f"the highest here is {best} " in made.tables["depth"].notes[0]
    for row in read_csv(tmp_path / "depth-each.csv"):
        (run,) = planned.by_variant[f"{row['conv']}+{row['Bi-LSTM']}"]
        assert (len(run.config.conv_channels), run.config.lstm_layers) == (int(row["conv"]), int(row["Bi-LSTM"]))
        uas = of_folds(run, 1)
        assert rounds([row["UA %"], row["UA % std over folds"]], [statistics.mean(uas), statistics.stdev(uas)])
        assert grid[f"{row['conv']} conv"][int(row["Bi-LSTM"]) - 1] == row["UA %"]


def test_pooling_is_compared_fold_by_fold(tmp_path):
    planned = made_up.sweep(tmp_path, pooling.VARIANTS, made_up.corpus(), seeds=2)
    assert planned.configs["with pooling"] == pooled(PRESETS["best"]) != planned.configs["without"] == PRESETS["best"]
    found = cells(pooling.build(planned), "pooling", tmp_path)
    without, with_it = ([of_folds(run, 1) for run in runs] for runs in planned.by_variant.values())
    differences = [
        statistics.mean([b - a for a, b in zip(*pair, strict=True)])
        for pair in zip(zip(*without, strict=True), zip(*with_it, strict=True), strict=True)
    ]
    head = "UA minus that of without, points"
    assert found[head][0] == "-"
    assert float(found[head][1]) == pytest.approx(100 * statistics.mean(differences), abs=0.05 + 1e-9)
    assert found[head][1][0] in "+-"
    assert rounds([found["std over folds", head][1]], [statistics.stdev(differences)])
    seeds = [statistics.mean(b) - statistics.mean(a) for a, b in zip(without, with_it, strict=True)]
    assert rounds([found["std over seeds", head][1]], [statistics.stdev(seeds)])
    low, high = interval(differences).low, interval(differences).high
    assert found["95 % interval over folds", head] == ["-", f"{100 * low:+.1f} ... {100 * high:+.1f}"]
    assert found["folds where it is lower", head] == ["-", f"{sum(d < 0 for d in differences)} of 10"]
    assert found["Windows of the pooling"] == ["-", "2x2 2x2 2x2 1x2"]


def test_a_tie_is_not_lower():
    def runs(*seeds):
        return [SimpleNamespace(result={"folds": [{"ua": ua} for ua in uas]}) for uas in seeds]

    one, other = runs((0.3, 0.5), (0.1, 0.2)), runs((0.1, 0.6), (0.3, 0.5))  # of fold 1 the mean is equal, but rounded
    made = SimpleNamespace(by_variant={"one": one, "other": other}, seeds=2)
    rows = {head.strip(): cell for head, cell in scores.difference_rows(made, "other", names=["one"])}
    assert rows["folds where it is lower"] == "1 of 2" and rows["UA minus that of other, points"] == "-10.0"
    assert scores.signed(-2.8e-17) == "+0.0"


def test_normalisation_has_the_overfitting_the_differences_and_the_leak(tmp_path):
    planned = made_up.sweep(tmp_path, normalisation.VARIANTS, made_up.corpus(), seeds=2, folds=3)
    assert len(planned.runs) == 18 and planned.configs["4 conv, fold"] == PRESETS["best"]
    for name, config in planned.configs.items():
        assert name == f"{len(config.conv_channels)} conv, {config.normalisation}" and config.lstm_layers == 1
    made = normalisation.build(planned)
    made.write(tmp_path)
    for row in read_csv(tmp_path / "normalisation.csv"):
        uas, off = (
            np.array([of_folds(run, 1) for run in planned.by_variant[f"{row['conv layers']} conv, {kind}"]])
            for kind in (row["eq. (5)"], "off")
        )
        training = 1 - 0.7 / 3  # of made_up.rows in the third epoch, the best one there
        assert rounds([row["UA %"], row["training UA %"]], [uas.mean(), training])
        assert float(row["training minus test"]) == pytest.approx(100 * (training - uas.mean()), abs=0.05 + 1e-9)
        if row["eq. (5)"] == "off":
            assert row["UA minus off"] == "-"
            continue
        assert float(row["UA minus off"]) == pytest.approx(100 * (uas - off).mean(), abs=0.05 + 1e-9)
        folds = (uas - off).mean(axis=0)
        assert rounds([row["its std over folds"]], [statistics.stdev(folds)])
        assert row["folds where lower"] == f"{sum(folds < -1e-9)} of 3"  # equal scores differ by rounding
    notes = made.tables["normalisation"].notes
    assert any("LEAK" in note for note in notes) and any("over the test speaker too" in note for note in notes)


def test_table_3_is_batch_normalisation_beside_the_same_without(tmp_path):
    planned = made_up.sweep(tmp_path, table3.VARIANTS, made_up.all_of_iemocap())
    assert planned.configs["off 16"] == PRESETS["best"]
    for name, config in planned.configs.items():
        assert name == f"{config.batchnorm} {config.batch_size}" and config.frequency_khz == 8
        assert replace(config, batchnorm="off", batch_size=16) == PRESETS["best"]
    found = cells(table3.build(planned), "table3", tmp_path)
    assert found["Batch normalisation"] == ["layer"] * 3 + ["off"] * 3
    assert found["Minibatch size"] == ["16", "32", "64"] * 2
    assert found["the paper's", "Weighted accuracy, %"] == ["63.6", "65.1", "65.4", "-", "-", "-"]
    assert found["the paper's", "Unweighted accuracy, %"] == ["58.9", "59.0", "60.8", "-", "-", "-"]
    means = {name: statistics.mean(of_folds(run, 1)) for name, (run,) in planned.by_variant.items()}
    assert rounds(found["Unweighted accuracy, %"], means.values())
    for place, size in enumerate((16, 32, 64)):
        row = found[f"UA minus that of off {size}, points"]
        difference = 100 * (means[f"layer {size}"] - means[f"off {size}"])
        assert float(row[place]) == pytest.approx(difference, abs=0.05 + 1e-9)
        assert [cell for n, cell in enumerate(row) if n != place] == [""] * 5
