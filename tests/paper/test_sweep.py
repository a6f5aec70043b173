"""The runs behind a table: shared, continued after an interruption to the same bits, and never confused."""

import json
import re
import shutil
from dataclasses import replace
from functools import partial

import made_up
import numpy as np
import pytest
import small_corpus
from process import exit_code

from scratchser import corpus
from scratchser.corpus.features import extract
from scratchser.corpus.split import make_folds
from scratchser.cv import __main__ as cv
from scratchser.cv import fold as cv_fold
from scratchser.cv.experiment import features_name
from scratchser.cv.prepare import Prepared
from scratchser.paper import __main__ as paper
from scratchser.paper import estimate
from scratchser.paper.figures import figure4
from scratchser.paper.sweep import Sweep, base_for
from scratchser.paper.tables import depth, pooling, table1, table2
from scratchser.presets import PRESETS, SettingError, with_settings
from scratchser.report import page

SMALL = [setting for setting in small_corpus.SMALL if not setting.startswith("frequency_khz")]
SETTINGS = [part for setting in SMALL for part in ("--set", setting)] + ["--epochs", "2", "--folds", "1,3"]
HERE = ["--workers", "1", "--device", "cpu"]
TIMES = re.compile(r'"(seconds|frames_per_second)": [^,}]*')


@pytest.fixture(scope="module", autouse=True)
def empty_page():
    """report.html takes longer than the training of a small fold."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "write", lambda run, *arguments, **options: (run.path / "report.html").touch())
        yield


run = partial(exit_code, paper.main)


@pytest.fixture(scope="module")
def uninterrupted(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "uninterrupted"
    assert run("table6", folder, *SETTINGS, *HERE, "--out", out) == 0
    return out


def contents(out):
    """Every file of a folder with its bytes and when it was written."""
    paths = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def numbers(out):
    """All that the runs of a folder measured, without their times, and the tables."""
    names = "runs/*/metrics.jsonl", "runs/*/predictions.csv", "*.csv", "*.md"
    files = [path for name in names for path in out.glob(name)]
    return {path.relative_to(out): TIMES.sub("", path.read_text()) for path in files}


def test_a_run_is_a_run_of_cv(folder, uninterrupted):
    _, second = sorted((uninterrupted / "runs").iterdir())
    before = (second / "predictions.csv").read_bytes(), (second / "config.json").read_bytes()
    soft = ["--set", "soft_labels=true"] if "soft_labels" in second.name else []
    copy = uninterrupted.parent / "by-cv"
    shutil.copytree(second, copy)
    assert cv.main([str(folder), *SETTINGS, *HERE, *soft, "--preset", "best", "--out", str(copy), "--resume"]) == 0
    assert before == ((copy / "predictions.csv").read_bytes(), (copy / "config.json").read_bytes())


def test_tables_share_their_runs(folder, uninterrupted, capsys):
    before = contents(uninterrupted / "runs")
    assert run("table2", folder, *SETTINGS, *HERE, "--out", uninterrupted, "--resume") == 0
    message = capsys.readouterr()
    assert "epoch" not in message.err and "Table 2" in message.out
    assert contents(uninterrupted / "runs") == before
    assert (uninterrupted / "table2.csv").exists() and not (uninterrupted / "features").exists()


def test_an_interrupted_sweep_continues_to_the_same_bits(folder, uninterrupted, tmp_path, monkeypatch, capsys):
    """After one of two epochs of the second run's first fold; --dry-run counts what is left and changes nothing."""
    out, saved, save = tmp_path / "out", [], cv_fold.save
    command = ["table6", folder, *SETTINGS, *HERE, "--out", out]

    def save_five(training, folder):
        save(training, folder)
        saved.append(folder)
        if len(saved) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(cv_fold, "save", save_five)
    assert run(*command) == 1 and "--resume" in capsys.readouterr().err and not (out / "table6.csv").exists()
    monkeypatch.setattr(cv_fold, "save", save)
    whole, begun = sorted((out / "runs").iterdir(), key=lambda path: "soft_labels" in path.name)
    (whole / "report.html").unlink()
    before = contents(out)
    assert run(*command, "--resume", "--dry-run") == 0
    message = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in message.splitlines()}
    assert rows[whole.name] == ["2", "of", "2", "0", "0"] and rows[begun.name] == ["0", "of", "2", "1", "3"]
    assert "2 runs, 2 folds to train, at most 3 epochs" in message and "min, an estimate" in message
    assert "4 training steps" in message and contents(out) == before
    finished = contents(whole / "folds")
    assert run(*command, "--resume") == 0
    assert contents(whole / "folds") == finished and (whole / "report.html").exists()
    found, expected = numbers(out), numbers(uninterrupted)
    assert found == {path: expected[path] for path in found} and len(found) == 2 * 2 + 2


def test_runs_of_other_settings_or_another_corpus_are_never_mixed(folder, uninterrupted, tmp_path, capsys):
    changed, new = tmp_path / "changed", tmp_path / "new"
    shutil.copytree(uninterrupted, changed)
    path = sorted((changed / "runs").iterdir())[1] / "config.json"  # the first run must not be changed either
    saved = json.loads(path.read_text())
    saved["config"]["momentum"] = 0.8
    path.write_text(json.dumps(saved))
    other = tmp_path / "other"
    other.mkdir()
    small_corpus.write(other, each=1)
    l2 = ["--set", "l2=0.01", "--set", "conv_l2=0.01"]
    before = contents(changed), contents(uninterrupted)
    for arguments, message in (
        ([folder, "--out", changed, "--resume"], "config.momentum was 0.8 and is now 0.9"),
        ([folder, "--out", uninterrupted, "--resume", "--folds", "1"], "folds was [1, 3] and is now [1]"),
        ([folder, "--out", uninterrupted], "use them with --resume"),
        ([folder, "--out", new, "--resume"], "no runs to continue"),
        ([other, "--out", uninterrupted, "--resume", *l2], "holds runs of other utterances (corpus"),
        ([other, "--out", uninterrupted, "--resume", *l2, "--dry-run"], "choose another folder with --out"),
    ):
        assert run("table6", *SETTINGS, *HERE, *arguments) == 2
        assert message in capsys.readouterr().err
    assert (contents(changed), contents(uninterrupted)) == before and not new.exists()


def plan(out, variants, changes=(), built_in=False, seeds=1):
    data = made_up.corpus()
    base = base_for(variants, changes, built_in=built_in)
    return Sweep.plan(variants, base, Prepared(data, (), (), make_folds(data)), seeds, out)


def test_another_configuration_has_another_folder(tmp_path):
    ladder, again = plan(tmp_path, table1.VARIANTS, seeds=2), plan(tmp_path, table2.VARIANTS, seeds=3)
    assert len(ladder.runs) == 12 and [run.settings["seed"] for run in again.runs] == [0, 1, 2]
    assert ladder.by_variant["best"] == again.by_variant["best"][:2]
    assert ladder.by_variant["best"][0].path.name.startswith("best-")
    assert ladder.by_variant["best"][0].path.name.endswith("-seed0")
    other = plan(tmp_path, table2.VARIANTS, ["learning_rate=0.01"]).runs[0]
    assert other.path not in {run.path for run in again.runs} and other.path.name.startswith("best-learning_rate=0.01-")
    widths = [plan(tmp_path, table2.VARIANTS, [f"conv_channels=[{n},8,8,8]"]).runs[0].path.name for n in (8, 9)]
    assert all(name.startswith("best-conv_channels-") for name in widths) and len(set(widths)) == 2
    assert plan(tmp_path, figure4.VARIANTS).by_variant["with adjustment"] == ladder.by_variant["best-4khz"][:1]


def test_runs_share_the_features_that_are_the_same(tmp_path):
    configs = plan(tmp_path, table1.VARIANTS).configs
    assert len({features_name(config) for config in configs.values()}) == 2
    changes = {}, {"frequency_khz": 4}, {"window_ms": 32}, {"shift_ms": 16}, {"log_floor": 1e-3}
    assert len({features_name(replace(configs["best"], **change)) for change in changes}) == 5


def test_the_built_in_corpus_gets_the_small_model(tmp_path):
    planned = plan(tmp_path, table1.VARIANTS, built_in=True)
    demo = PRESETS["demo"]
    assert planned.configs["best-4khz"] == demo and planned.configs["best"] == replace(demo, frequency_khz=8)
    assert planned.configs["baseline"] == replace(
        demo, vtlp="off", oversample=(), conv_learning_rate=demo.learning_rate, conv_l2=demo.l2
    )
    assert {run.settings["preset"] for run in planned.runs} == {"demo"}
    assert any("demo" in note for note in planned.base.notes())


def test_what_is_compared_cannot_be_set():
    for wrong in ("vtlp=off", "frequency_khz=4", "conv_learning_rate=0.02"):
        with pytest.raises(SettingError, match=f"{wrong.partition('=')[0]} cannot be set"):
            base_for(table1.VARIANTS, [wrong])
    with pytest.raises(SettingError, match="lstm_layers cannot be set"):
        base_for(depth.VARIANTS, ["lstm_layers=2"])
    with pytest.raises(SettingError, match="would be the same"):
        base_for(table1.VARIANTS, ["learning_rate=0.01", "l2=0.06"])  # as much as the conv layers have
    with pytest.raises(SettingError, match="pool cannot be set"):  # "without" would have some
        base_for(pooling.VARIANTS, ["pool=half"])
    assert base_for(pooling.VARIANTS, ["conv_strides=[[2,4],[2,2],[2,2],[1,2]]"]).config.lstm_layers == 1
    assert base_for(depth.VARIANTS, ["conv_channels=[8,8,8,8]"]).config.conv_channels == (8,) * 4
    assert base_for(table2.VARIANTS, ["vtlp=off"]).config.vtlp == "off"


def test_the_estimate_counts_the_frames_that_are_trained_on(folder):
    data = corpus.load(folder)
    config = with_settings(PRESETS["best"], SMALL)
    lengths = estimate.frame_counts(estimate.sample_counts(data), config)
    np.testing.assert_array_equal(lengths, extract(data, config).lengths)
    fold = make_folds(data)[0]

    def frames(*speakers, labels=range(4)):
        return sum(
            int(n) for u, n in zip(data.utterances, lengths, strict=True) if u.speaker in speakers and u.label in labels
        )

    speed = estimate.Speed(training=2.0, forward=0.5)
    trained = frames(*fold.train) + frames(*fold.train, labels=(1, 3))  # happiness and anger are shown twice
    expected = 7 * (2.0 * trained + 0.5 * frames(fold.validation)) + 11 * 0.5 * frames(fold.test)
    assert estimate.seconds(data, lengths, fold, config, 7, speed) == expected
    plain = replace(config, vtlp="off", oversample=())
    expected = 7 * (2.0 * frames(*fold.train) + 0.5 * frames(fold.validation)) + 0.5 * frames(fold.test)
    assert estimate.seconds(data, lengths, fold, plain, 7, speed) == expected
    expected = 7 * 2.0 * frames(*fold.train, fold.validation) + 0.5 * frames(fold.test)
    assert estimate.seconds(data, lengths, fold, replace(plain, select_epoch=False), 7, speed) == expected
    assert estimate.measure(data, lengths, fold, replace(plain, select_epoch=False), "cpu").training > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tabel1"], "did you mean 'table1'?"),
        (["table1", "--seeds", "0"], "at least 1"),
        (["table1", "--resume"], "--out OUT"),
        (["table1", "--set", "epoch=3"], "'epochs'"),
        (["table1", "--set", f"lstm_units={10**12}"], "fewer lstm_units"),
        (["table1", "--set", "vtlp=off"], "vtlp cannot be set"),
        (["table4", "--epochs", "3"], "table4 trains nothing"),
        (["claims"], "claims makes its own corpora"),
        (["figure3", "--tuned", "x.json"], "x.json: missing"),
        (["table2", "--folds", "77"], "'77'"),
    ],
)
def test_errors_end_in_a_line(folder, tmp_path, capsys, arguments, message):
    target = [arguments[0], folder, *arguments[1:]] if arguments[0] in paper.COMMANDS else arguments
    assert run(*target, *([] if "--resume" in arguments else ["--out", tmp_path / "out"])) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error and not (tmp_path / "out").exists()


def test_table_6_without_annotators_names_a_corpus_that_has_them(tmp_path, capsys):
    manifest = small_corpus.write(tmp_path, each=1) / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("neu|neu,sad|oth", ""))
    assert run("table6", tmp_path, *SETTINGS, *HERE, "--out", tmp_path / "out") == 2
    assert "synthetic" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_commands_that_need_no_runs(folder, tmp_path, capsys):
    assert run("figure1", folder, "--out", tmp_path / "out") == 0
    assert "Figure 1" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"figure1.csv", "figure1.md", "figure1.png"}
    assert run("figure3", folder, "--set", "lstm_units=8", "--out", tmp_path / "out") == 0
    layers = small_corpus.read_csv(tmp_path / "out" / "figure3.csv")
    assert {row["layer"]: row["width"] for row in layers}["lstm1"] == "2 x 8 units"
    assert run("figure1", "--dry-run", folder) == 0  # DIR may stand after an option
