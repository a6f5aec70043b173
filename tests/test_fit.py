"""One fold: no leak of the test speaker, the epoch that is chosen, and going on to the bit."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_corpus

from scratchser import corpus, metrics
from scratchser.corpus.batches import Dataset
from scratchser.corpus.features import Features, extract
from scratchser.corpus.split import make_folds
from scratchser.fit import DivergedError, _Training, run_fold
from scratchser.kernels.batchnorm import KINDS
from scratchser.kernels.machine.device import OutOfDeviceMemory
from scratchser.presets import Config, with_settings
from scratchser.runs.fold_dir import FoldDir

CONFIG = with_settings(Config(epochs=3, patience=3, selection_share=1.0), small_corpus.SMALL)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    data = corpus.load(small_corpus.write(tmp_path_factory.mktemp("corpus")))
    return data, extract(data, CONFIG), make_folds(data)


def dataset(loaded, config=CONFIG, features=None):
    data = loaded[0]
    return Dataset.of(data.classes, data.utterances, features or loaded[1], config)


def folder(tmp_path, number=1):
    path = tmp_path / "folds" / f"{number:02d}"
    path.mkdir(parents=True)
    return FoldDir(tmp_path, number, False)


def shaken(features, utterances):
    """The features with other values for these utterances."""
    values = features.values.copy()
    for u in utterances:
        rows = slice(features.starts[u], features.starts[u] + features.lengths[u])
        values[rows] = 7 - 3 * values[rows]
    return Features(values, features.starts, features.lengths)


@pytest.mark.parametrize("normalisation", ["fold", "whole-corpus"])
def test_the_test_speaker_changes_nothing_before_the_test(loaded, normalisation):
    """But for eq. (5) over the whole corpus, which is what the paper literally says and leaks."""
    config, fold = replace(CONFIG, normalisation=normalisation), loaded[2][2]
    plain = dataset(loaded, config)
    other = dataset(loaded, config, shaken(loaded[1], plain.of_speakers(fold.test)))
    runs = [_Training(data, fold, config, seed=1) for data in (plain, other)]
    for _ in range(2):
        for training in runs:
            training.epoch()
    same = np.array_equal(runs[0].model.parameters.values, runs[1].model.parameters.values)
    assert same == (normalisation == "fold")
    assert (runs[0].rows[1]["validation"] == runs[1].rows[1]["validation"]) == (normalisation == "fold")


def test_the_validation_speaker_chooses_but_does_not_train(loaded):
    fold = loaded[2][0]
    plain = dataset(loaded)
    other = dataset(loaded, features=shaken(loaded[1], plain.of_speakers(fold.validation)))
    runs = [_Training(data, fold, CONFIG, seed=1) for data in (plain, other)]
    rows = [training.epoch() for training in runs]
    assert np.array_equal(runs[0].model.parameters.values, runs[1].model.parameters.values)
    assert rows[0]["train"] == rows[1]["train"] and rows[0]["validation"] != rows[1]["validation"]


@pytest.mark.parametrize(
    ("validation", "chosen"),
    [
        ([(0.5, 1.0), (0.6, 2.0), (0.4, 0.1)], 2),
        ([(0.5, 1.0), (0.5, 0.8), (0.5, 0.9)], 2),
        ([(0.5, 1.0), (0.5, 1.0), (0.5, 1.0)], 1),
    ],
    ids=["highest UA", "ties to the lower loss", "then the first"],
)
def test_best_epoch(loaded, monkeypatch, validation, chosen):
    training = _Training(dataset(loaded), loaded[2][0], CONFIG, seed=0)
    monkeypatch.setattr(training, "_validate", lambda n: dict(zip(("ua", "loss"), validation[n - 1], strict=True)))
    snapshots = []
    for _ in validation:
        training.epoch()
        snapshots.append(training.model.parameters.values.copy())
    assert training.best_epoch == chosen
    assert np.array_equal(training.best, snapshots[chosen - 1]) and not np.array_equal(snapshots[0], snapshots[1])


def test_early_epochs_are_no_candidates(loaded, monkeypatch):
    """Of 8 epochs the last quarter: not the best of all, the third, but the better one of the last two."""
    config = replace(CONFIG, epochs=8, patience=1, selection_share=0.25)
    training = _Training(dataset(loaded), loaded[2][0], config, seed=0)
    uas = [0.3, 0.5, 0.9, 0.5, 0.1, 0.1, 0.2, 0.4]
    monkeypatch.setattr(training, "_validate", lambda n: {"ua": uas[n - 1], "loss": 1.0})
    while not training.over:
        training.epoch()
    assert len(training.rows) == 8 and training.best_epoch == 8


def test_early_stopping_counts_from_the_best_epoch(loaded, monkeypatch):
    training = _Training(dataset(loaded), loaded[2][0], replace(CONFIG, epochs=50, patience=2), seed=0)
    uas = [0.3, 0.5, 0.4, 0.5, 0.9]
    monkeypatch.setattr(training, "_validate", lambda n: {"ua": uas[n - 1], "loss": 1.0})
    while not training.over:
        training.epoch()
    assert len(training.rows) == 4 and training.best_epoch == 2


def test_a_fold_that_stops_after_any_epoch_goes_on_to_the_bit(loaded, tmp_path):
    fold = loaded[2][3]
    straight = folder(tmp_path / "straight", fold.number)
    expected = run_fold(dataset(loaded), fold, CONFIG, 5, straight, lambda row: None)
    for after in (1, 2, 3):
        broken = folder(tmp_path / f"after{after}", fold.number)

        class Killed(Exception):
            pass

        def kill(row, after=after):
            if row["epoch"] == after:
                raise Killed

        with pytest.raises(Killed):
            run_fold(dataset(loaded), fold, CONFIG, 5, broken, kill)
        found = run_fold(dataset(loaded), fold, CONFIG, 5, broken, lambda row: None)
        timing = {"seconds": 0, "frames_per_second": 0}
        assert {**found, **timing} == {**expected, **timing}
        assert broken.predictions.read_bytes() == straight.predictions.read_bytes()
        assert [{**row, **timing} for row in broken.metrics()] == [{**row, **timing} for row in straight.metrics()]
        for name, array in straight.checkpoint()[0].items():
            assert np.array_equal(broken.checkpoint()[0][name], array), name


@pytest.mark.parametrize("kind", KINDS)
def test_with_batch_normalisation_a_fold_goes_on_to_the_bit(loaded, tmp_path, kind):
    """Running statistics included: inference needs them. Of 48 utterances in batches of 47 the last is alone."""
    fold, config = loaded[2][3], replace(CONFIG, batchnorm=kind, batch_size=47)
    straight = _Training(dataset(loaded, config), fold, config, seed=5)
    for _ in range(2):
        straight.epoch()
    folder(tmp_path, fold.number)
    with FoldDir(tmp_path, fold.number, False) as kept:
        killed = _Training(dataset(loaded, config), fold, config, seed=5)
        killed.epoch()
        killed.save(kept)
        resumed = _Training(dataset(loaded, config), fold, config, seed=5)
        resumed.restore(kept)
        resumed.epoch()
    for name, array in straight._state().items():
        assert np.array_equal(resumed._state()[name], array), name
    assert resumed.rows[1]["validation"] == straight.rows[1]["validation"]
    W = straight.model.parameters.W
    assert W["lstm1.updates"][0] == 2 * (2 if kind in ("sequence", "layer") else 1) and W["lstm1.mean"].any()
    assert list(straight.rows[0]["gradient_norms"]) == ["conv1", "lstm1", "dense"]


def test_validation_leaves_the_running_statistics_alone(loaded):
    config = replace(CONFIG, batchnorm="sequence")
    training = _Training(dataset(loaded, config), loaded[2][0], config, seed=0)
    training.epoch()
    before = training.model.parameters.values.copy()
    training._validate(2)
    assert np.array_equal(training.model.parameters.values, before)


def test_the_result_is_that_of_the_best_epoch(loaded, tmp_path):
    fold = loaded[2][1]
    data = dataset(loaded)
    result = run_fold(data, fold, CONFIG, 2, folder(tmp_path, fold.number), lambda row: None)
    assert result["test_speaker"] == fold.test and result["epochs_run"] == 3
    confusion = np.array(result["confusion"])
    assert confusion.sum(axis=1).tolist() == np.bincount(data.labels[data.of_speakers(fold.test)], minlength=4).tolist()
    assert result["ua"] == metrics.ua(confusion)
    rows = FoldDir(tmp_path, fold.number, False).metrics()
    assert result["validation"]["ua"] == max(row["validation"]["ua"] for row in rows)


def test_copies_decide_how_it_is_tested_and_nothing_else(loaded, tmp_path):
    """A single pass has no votes; what was trained and chosen is the same."""
    fold, found = loaded[2][1], {}
    for copies in (0, 1):
        config = replace(CONFIG, epochs=1, tta_copies=copies)
        one = folder(tmp_path / str(copies), fold.number)
        found[copies] = run_fold(dataset(loaded), fold, config, 2, one, lambda row: None)
        assert ("votes_anger" in one.predictions.read_text().splitlines()[0]) == (copies == 0)
        parameters = one.checkpoint()[0]["best"]
    assert found[0]["validation"] == found[1]["validation"]
    assert np.array_equal(parameters, FoldDir(tmp_path / "0", fold.number, False).checkpoint()[0]["best"])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell a process's memory")
def test_memory_stays_flat_over_epochs(loaded):
    """Six epochs of six updates with 1.8 MB of activations each: leaking them would take 60 MB."""
    config = with_settings(CONFIG, ["conv_channels=[32]", "conv_strides=[[2,4]]", "epochs=20"])
    training = _Training(dataset(loaded), loaded[2][0], config, seed=0)

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for _ in range(2):  # compiles, and grows the workspaces
        training.epoch()
    before = resident()
    for _ in range(6):
        training.epoch()
    assert resident() - before < 15e6


def test_soft_labels_and_weights_come_from_the_votes(loaded):
    data = dataset(loaded, replace(CONFIG, soft_labels=True))
    neutral = data.labels == 0  # neu | neu,sad | oth: neu .75, sad .25, weight 2/3 (table 5)
    np.testing.assert_allclose(data.targets[neutral], np.tile([0.75, 0, 0.25, 0], (neutral.sum(), 1)), rtol=1e-6)
    np.testing.assert_allclose(data.weights[neutral], 2 / 3, rtol=1e-6)
    assert (
        np.array_equal(data.targets[~neutral], np.eye(4)[data.labels[~neutral]]) and (data.weights[~neutral] == 1).all()
    )
    hard = dataset(loaded)
    assert np.array_equal(hard.targets, np.eye(4)[hard.labels]) and (hard.weights == 1).all()


def test_a_loss_that_is_no_number_ends_the_fold(loaded):
    training = _Training(
        dataset(loaded), loaded[2][0], replace(CONFIG, learning_rate=1e30, conv_learning_rate=1e30), seed=0
    )
    with pytest.raises(DivergedError, match=r"fold 1, epoch 1: .* lower the settings learning_rate"):
        training.epoch()


def test_learning_lowers_the_loss(loaded):
    training = _Training(dataset(loaded), loaded[2][0], replace(CONFIG, epochs=15, patience=15), seed=0)
    losses = [training.epoch()["train"]["loss"] for _ in range(15)]
    assert losses[-1] < 0.7 * losses[0]
    norms = training.rows[0]["gradient_norms"]
    assert list(norms) == ["conv1", "lstm1", "dense"] and all(0 < norm < np.inf for norm in norms.values())


def test_a_full_gpu_is_answered_with_the_batch_size_to_try(loaded, tmp_path, monkeypatch):
    def full(self):
        raise OutOfDeviceMemory("the GPU has no room")

    monkeypatch.setattr(_Training, "epoch", full)
    with pytest.raises(OutOfDeviceMemory, match="has no room: try --set batch_size=4 instead of 8"):
        run_fold(dataset(loaded), loaded[2][0], CONFIG, 1, folder(tmp_path), lambda row: None)
