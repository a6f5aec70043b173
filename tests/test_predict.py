"""A run's models on files: the numbers of the run's own tests, for any form of sound, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import result_schema
import scipy.signal
import small_corpus
import soundfile

from scratchser.cv import __main__ as cv
from scratchser.predict import __main__ as predict
from scratchser.predict import ensemble
from scratchser.presets import PRESETS
from scratchser.report import page

# the best epoch may be any, so that its parameters are not just the last ones
CHANGES = [*small_corpus.SMALL, "selection_share=1.0", "learning_rate=0.02", "epochs=6"]
SETTINGS = ["--preset", "best", *(part for setting in CHANGES for part in ("--set", setting))]


@pytest.fixture(scope="module", autouse=True)
def no_page():
    """report.html takes longer than the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "write", lambda *arguments, **options: None)
        yield


def trained(folder, out, *more):
    command = [folder, *SETTINGS, "--folds", "1,4", "--workers", 1, "--out", out, *more]
    assert cv.main([str(part) for part in command]) == 0
    return out


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return trained(folder, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def ask(capsys):
    """ask(...) is (exit code, what --json prints, standard error)."""

    def call(*arguments):
        capsys.readouterr()
        code = predict.main([*map(str, arguments), "--json"])
        message = capsys.readouterr()
        return code, json.loads(message.out) if message.out else None, message.err

    return call


def rows(run, fold):
    return small_corpus.read_csv(run / "folds" / f"{fold:02d}" / "predictions.csv")


@pytest.mark.parametrize("fold", [1, 4])
def test_the_test_speakers_files_get_the_numbers_of_the_folds_test(run, folder, ask, fold):
    """To the bit: the same parameters, the same normalisation, the same copies."""
    expected = rows(run, fold)
    results = [json.loads((run / "folds" / number / "result.json").read_text()) for number in ("01", "04")]
    assert any(result["best_epoch"] < result["epochs_run"] for result in results)
    code, answer, _ = ask(run, "--fold", fold, *(folder / row["utterance"] for row in expected))
    assert code == 0 and answer["folds"] == [fold] and len(answer["files"]) == len(expected) == 8
    for entry, row in zip(answer["files"], expected, strict=True):
        assert {name: np.float32(p) for name, p in entry["probabilities"].items()} == {
            name: np.float32(row[f"p_{name}"]) for name in answer["classes"]
        }
        assert entry["votes"] == {name: int(row[f"votes_{name}"]) for name in answer["classes"]}
        assert (entry["predicted"], entry["second"]) == (row["predicted"], row["second"])


def test_a_voice_is_normalised_by_its_own_files(folder, tmp_path, ask):
    """All files of the test speaker as one voice get the numbers of the fold's test, whatever other voices exist."""
    changes = "normalisation=speaker", "readout_norm=speaker", "readout=statistics", "mel_bands=40"
    sets = [part for change in (*changes, "select_epoch=false") for part in ("--set", change)]
    run = trained(folder, tmp_path / "run", "--folds", "1", *sets)
    expected = rows(run, 1)
    voice = [folder / row["utterance"] for row in expected]
    code, answer, error = ask(run, folder / "e31.wav", "--voice", *voice, "--voice", folder / "c10.wav")
    assert code == 0 and [entry["voice"] for entry in answer["files"]] == [1, *[2] * 8, 3]
    for entry, row in zip(answer["files"][1:-1], expected, strict=True):
        assert [np.float32(p) for p in entry["probabilities"].values()] == [
            np.float32(row[f"p_{name}"]) for name in answer["classes"]
        ]
    assert "transductive" in ensemble.text(answer)
    assert error.count("give at least 3, and 10 s") == 3
    assert ask(run, folder / "e31.wav", "--voice", folder / "e31.wav")[2].endswith("is given for two voices\n")
    joined = ask(run, folder / "e31.wav", *voice)[1]["files"][1]["probabilities"]
    assert joined != answer["files"][1]["probabilities"]


@pytest.mark.parametrize(
    ("normalisation", "readout_norm", "seconds", "warned"),
    [
        ("speaker", "off", [10.1], False),
        ("speaker", "off", [4.0, 5.9], True),
        ("bin", "speaker", [9.0, 9.0], True),
        ("bin", "speaker", [0.5, 0.5, 0.5], False),
        ("bin", "off", [0.1], False),
    ],
)
def test_a_voice_needs_enough_recordings_and_seconds(normalisation, readout_norm, seconds, warned):
    config = replace(PRESETS["mel"], normalisation=normalisation, readout_norm=readout_norm)
    files = [Path(f"{n}.wav") for n in range(len(seconds))]
    found = ensemble._short_voices(config, [files], dict(zip(map(str, files), seconds, strict=True)))
    assert len(found) == warned


def test_all_models_vote_together(run, folder, ask):
    files = [folder / "a00.wav", folder / "e31.wav"]
    together = ask(run, *files)[1]
    single = [ask(run, "--fold", fold, *files)[1]["files"] for fold in (1, 4)]
    assert together["folds"] == [1, 4] and len(together["alphas"]) == 11
    for n, entry in enumerate(together["files"]):
        for name in together["classes"]:
            assert entry["votes"][name] == sum(one[n]["votes"][name] for one in single)
            mean = np.mean([one[n]["probabilities"][name] for one in single])
            assert entry["probabilities"][name] == pytest.approx(mean, abs=1e-6)
        assert sum(entry["votes"].values()) == 22
        most = max(entry["votes"].values())
        assert entry["votes"][entry["predicted"]] == most and entry["predicted"] != entry["second"]
    models = [one[0]["probabilities"] for one in single]
    assert models[0] != models[1]  # else the mean would say nothing


@pytest.mark.parametrize("batchnorm", ["off", "frame-9", "layer"])
def test_without_vtlp_there_is_a_single_pass(folder, tmp_path, ask, batchnorm):
    """To the bit, for one file alone: the run tested it in a batch, with the running statistics of the best epoch."""
    run = trained(folder, tmp_path / "run", "--set", f"batchnorm={batchnorm}", "--set", "vtlp=off", "--folds", "1")
    answer = ask(run, "--fold", "1", folder / "a00.wav")[1]
    assert answer["alphas"] == [1.0] and sum(answer["files"][0]["votes"].values()) == 1
    p = {name: np.float32(p) for name, p in answer["files"][0]["probabilities"].items()}
    assert p == {name: np.float32(rows(run, 1)[0][f"p_{name}"]) for name in answer["classes"]}


def test_any_rate_and_number_of_channels(run, folder, ask, tmp_path):
    """A copy gets the same probabilities as the original, up to the loss of the conversion."""
    sound, _ = soundfile.read(folder / "c10.wav")
    copy = np.tile(scipy.signal.resample_poly(sound, 441, 160)[:, None], 2)
    soundfile.write(tmp_path / "copy.flac", copy, 44100)
    code, answer, error = ask(run, folder / "c10.wav", tmp_path / "copy.flac")
    original, found = (list(entry["probabilities"].values()) for entry in answer["files"])
    assert code == 0 and np.abs(np.subtract(original, found)).max() < 5e-3
    assert "mixed down from 2 channels" in error and "resampled from 44100" in error


def test_broken_files_are_listed_and_the_others_predicted(run, folder, ask, tmp_path):
    soundfile.write(tmp_path / "zeros.wav", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "short.wav", np.full(1000, 0.1), 16000)
    (tmp_path / "text.wav").write_text("no sound")
    files = [*(tmp_path / f"{name}.wav" for name in ("zeros", "short", "text", "gone")), folder / "a00.wav"]
    code, answer, error = ask(run, *files)
    assert code == 1 and [entry["file"] for entry in answer["files"]] == list(map(str, files))
    *broken, good = answer["files"]
    for entry, kind in zip(broken, ("silent", "too short", "unreadable", "missing"), strict=True):
        assert entry["problem"].startswith(kind) and entry["probabilities"] is entry["votes"] is None
    assert f"{tmp_path / 'gone.wav'}: missing sound file" in error
    assert good == ask(run, folder / "a00.wav")[1]["files"][0]  # the others change nothing


def test_the_table_agrees_with_json(run, folder, ask, tmp_path, capsys):
    file = folder / "b20.wav"
    answer = ask(run, file, tmp_path / "gone.wav")[1]
    assert result_schema.problems(answer, "--json", "predict.md") == []
    assert predict.main([str(run), str(file)]) == 0
    printed, entry = capsys.readouterr(), answer["files"][0]
    (line,) = (line for line in printed.out.splitlines() if line.startswith(str(file)))
    percents = [f"{100 * p:.1f}" for p in entry["probabilities"].values()]
    votes = str(entry["votes"][entry["predicted"]])
    assert line.split()[1:] == [entry["predicted"], entry["second"], votes, "of", "22", *percents]
    assert "SYNTHETIC" not in printed.out + printed.err


def test_a_warning_for_synthetic_models_even_if_all_files_are_broken(run, tmp_path, ask, capsys):
    path = Path(shutil.copytree(run, tmp_path / "run")) / "config.json"
    config = json.loads(path.read_text())
    config["corpus"]["synthetic"] = True
    path.write_text(json.dumps(config))
    code, answer, error = ask(path.parent, tmp_path / "gone.wav")
    assert code == 1 and answer["synthetic"] is True and "SYNTHETIC DATA" in error and "gone.wav: missing" in error
    assert predict.main([str(path.parent), str(tmp_path / "gone.wav")]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "holds no run: correct the path\n"),
        (["run", "--fold", "2"], "finished folds of"),
        (["started"], "no finished fold yet"),
        (["foreign"], "no setting 'colour'"),
        (["other"], "holds no run of python -m scratchser.cv: correct"),
    ],
)
def test_wrong_commands_end_with_one_line(run, folder, tmp_path, ask, arguments, message):
    shutil.rmtree(shutil.copytree(run, tmp_path / "started") / "folds")
    config = Path(shutil.copytree(run, tmp_path / "foreign")) / "config.json"
    config.write_text(config.read_text().replace('"lstm_units"', '"colour"'))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    place = run if arguments[0] == "run" else tmp_path / arguments[0]
    code, answer, error = ask(place, *arguments[1:], folder / "a00.wav")
    assert code == 2 and answer is None and message in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("harm", ["gone", "half", "other"])
def test_a_damaged_model_is_reported(run, folder, tmp_path, ask, harm):
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    fold = copy / "folds" / "01"
    checkpoint, config = fold / "checkpoint.npz", copy / "config.json"
    if harm == "gone":
        checkpoint.unlink()
    elif harm == "half":
        checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    else:
        config.write_text(config.read_text().replace('"lstm_units": 8', '"lstm_units": 4'))
    code, answer, error = ask(copy, folder / "a00.wav")
    assert code == 1 and answer is None and str(fold) in error and len(error.splitlines()) == 1
