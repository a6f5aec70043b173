"""Training: no leak of the test speaker, which epoch is selected, when it stops, and that it learns."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_corpus

from scratchser import corpus
from scratchser.corpus.batches import Dataset
from scratchser.corpus.features import Features, extract
from scratchser.corpus.split import make_folds
from scratchser.evaluate import embeddings
from scratchser.fit import DivergedError, Training
from scratchser.presets import Config, with_settings

CONFIG = with_settings(Config(epochs=3, patience=3, selection_share=1.0), small_corpus.SMALL)
SPEAKER = {"select_epoch": False, "readout": "statistics", "readout_norm": "speaker"}


@pytest.fixture(scope="module")
def loaded(folder):
    data = corpus.load(folder)
    return data, extract(data, CONFIG), make_folds(data)


def dataset(loaded, config=CONFIG, features=None):
    data = loaded[0]
    return Dataset.of(data.classes, data.utterances, features or loaded[1], config)


def start(loaded, fold=0, **changes):
    config = replace(CONFIG, **changes)
    return Training(dataset(loaded, config), loaded[2][fold], config, seed=0)


def changed(features, utterances):
    """The features with other values for these utterances."""
    values = features.values.copy()
    for u in utterances:
        rows = slice(features.starts[u], features.starts[u] + features.lengths[u])
        values[rows] = 7 - 3 * values[rows]
    return Features(values, features.starts, features.lengths)


@pytest.mark.parametrize(
    ("normalisation", "changes"),
    [*((kind, {}) for kind in ("fold", "bin", "utterance", "whole-corpus")), ("speaker", {"epochs": 2, **SPEAKER})],
)
def test_the_test_speaker_changes_nothing_before_the_test(loaded, normalisation, changes):
    """Except with eq. (5) over the whole corpus, as the paper literally says: a leak."""
    config, fold = replace(CONFIG, normalisation=normalisation, **changes), loaded[2][2]
    plain = dataset(loaded, config)
    other = dataset(loaded, config, changed(loaded[1], plain.of_speakers(fold.test)))
    one, two = (Training(data, fold, config, seed=1) for data in (plain, other))
    for _ in range(2):
        one.run_epoch()
        two.run_epoch()
    for name, array in one.state().items():
        assert np.array_equal(array, two.state()[name]) == (normalisation != "whole-corpus"), name
    assert (str(one.rows[1]["validation"]) == str(two.rows[1]["validation"])) == (normalisation != "whole-corpus")


def test_the_validation_speaker_selects_but_does_not_train(loaded):
    fold, plain = loaded[2][0], dataset(loaded)
    other = dataset(loaded, features=changed(loaded[1], plain.of_speakers(fold.validation)))
    one, two = (Training(data, fold, CONFIG, seed=1) for data in (plain, other))
    rows = [training.run_epoch() for training in (one, two)]
    assert np.array_equal(one.model.parameters.values, two.model.parameters.values)
    assert rows[0]["train"] == rows[1]["train"] and rows[0]["validation"] != rows[1]["validation"]


@pytest.mark.parametrize(
    ("uas", "losses", "changes", "epochs", "best"),
    [
        ([0.5, 0.6, 0.4], [1.0, 2.0, 0.1], {}, 3, 2),
        ([0.5, 0.5, 0.5], [1.0, 0.8, 0.9], {}, 3, 2),
        ([0.5, 0.5, 0.5], [1.0, 1.0, 1.0], {}, 3, 1),
        ([3, 5, 9, 5, 1, 1, 2, 4], [1] * 8, {"epochs": 8, "patience": 1, "selection_share": 0.25}, 8, 8),
        ([0.3, 0.5, 0.4, 0.5, 0.9], [1] * 5, {"epochs": 50, "patience": 2}, 4, 2),
    ],
    ids=["highest UA", "of equal UA the lower loss", "then the first", "only the last quarter", "early stopping"],
)
def test_best_epoch(loaded, monkeypatch, uas, losses, changes, epochs, best):
    training = start(loaded, **changes)
    monkeypatch.setattr(training, "_validate", lambda n: {"ua": uas[n - 1], "loss": losses[n - 1]})
    snapshots = []
    while not training.finished:
        training.run_epoch()
        snapshots.append(training.model.parameters.values.copy())
    assert (len(training.rows), training.best_epoch) == (epochs, best)
    assert np.array_equal(training.best, snapshots[best - 1]) and not np.array_equal(snapshots[0], snapshots[1])


def test_the_last_epoch_without_selection(loaded):
    """The validation speaker trains too. After the last epoch come the statistics of the speakers. Training that
    continues after the second epoch gives the same bits."""
    training, resumed = start(loaded, **SPEAKER), start(loaded, **SPEAKER)
    data, parameters = training.data, training.model.parameters
    chosen = data.of_speakers(*training.fold.train, training.fold.validation)
    assert np.array_equal(np.sort(training.train), chosen)
    while not training.finished:
        assert np.isnan(training.run_epoch()["validation"]["ua"])
        assert np.array_equal(training.best, parameters.values) and training.best_epoch == len(training.rows)
        if len(training.rows) == 2:
            for name, array in training.state().items():
                resumed.state()[name][...] = array
            resumed.rows = list(training.rows)
    resumed.run_epoch()
    for name, array in training.state().items():
        assert np.array_equal(resumed.state()[name], array), name

    z = embeddings(training.model, data.features, training.normalisation, chosen, np.ones(len(chosen)))
    own = [z[data.voices[chosen] == voice] for voice in np.unique(data.voices[chosen])]
    for name, expected in (
        ("norm.mean", np.mean([vectors.mean(axis=0) for vectors in own], axis=0)),
        ("norm.variance", np.mean([vectors.var(axis=0) for vectors in own], axis=0)),
    ):
        np.testing.assert_allclose(parameters.W[name], expected, atol=1e-6, err_msg=name)


def test_validation_leaves_the_running_statistics_alone(loaded):
    training = start(loaded, batchnorm="sequence")
    training.run_epoch()
    before = training.model.parameters.values.copy()
    training._validate(2)
    assert np.array_equal(training.model.parameters.values, before)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not report a process's memory")
def test_memory_stays_flat_over_epochs(loaded):
    """Six epochs of six updates with 1.8 MB of activations each: a leak of these would take 60 MB."""
    config = with_settings(CONFIG, ["conv_channels=[32]", "conv_strides=[[2,4]]", "epochs=20"])
    training = Training(dataset(loaded), loaded[2][0], config, seed=0)

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for _ in range(2):  # compiles, and grows the workspaces
        training.run_epoch()
    before = resident()
    for _ in range(6):
        training.run_epoch()
    assert resident() - before < 15e6


def test_soft_and_smooth_labels_and_weights_come_from_the_votes(loaded):
    data = dataset(loaded, replace(CONFIG, soft_labels=True))
    neutral = data.labels == 0  # neu | neu,sad | oth: neu .75, sad .25, weight 2/3 (table 5)
    np.testing.assert_allclose(data.targets[neutral], np.tile([0.75, 0, 0.25, 0], (neutral.sum(), 1)), rtol=1e-6)
    np.testing.assert_allclose(data.weights[neutral], 2 / 3, rtol=1e-6)
    assert np.array_equal(data.targets[~neutral], np.eye(4)[data.labels[~neutral]])
    assert (data.weights[~neutral] == 1).all()
    smooth = dataset(loaded, replace(CONFIG, soft_labels=True, label_smoothing=0.1))
    np.testing.assert_allclose(smooth.targets, 0.9 * data.targets + 0.1 / 4, rtol=1e-6)
    hard = dataset(loaded)
    assert np.array_equal(hard.targets, np.eye(4)[hard.labels]) and (hard.weights == 1).all()


def test_a_loss_that_is_not_finite_ends_training(loaded):
    with pytest.raises(DivergedError, match=r"fold 1, epoch 1: .* lower the settings learning_rate"):
        start(loaded, learning_rate=1e30, conv_learning_rate=1e30).run_epoch()


def test_learning_lowers_the_loss(loaded):
    training = start(loaded, epochs=15, patience=15)
    losses = [training.run_epoch()["train"]["loss"] for _ in range(15)]
    assert losses[-1] < 0.7 * losses[0]
    norms = training.rows[0]["gradient_norms"]
    assert list(norms) == ["conv1", "lstm1", "dense"] and all(0 < norm < np.inf for norm in norms.values())
