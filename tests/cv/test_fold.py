"""A fold in its folder: it continues with the same bits after any epoch, and is tested with its best epoch."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import small_corpus
from small_corpus import TIMES

from scratchser import corpus, metrics
from scratchser.corpus.batches import Dataset
from scratchser.corpus.features import extract
from scratchser.corpus.split import make_folds
from scratchser.cv.fold import restore, run_fold, save
from scratchser.fit import Training
from scratchser.kernels.batchnorm import KINDS
from scratchser.kernels.machine.device import OutOfDeviceMemory
from scratchser.presets import Config, with_settings
from scratchser.runs.fold_dir import FoldDir
from scratchser.support import files

CONFIG = with_settings(Config(epochs=3, patience=3, selection_share=1.0), small_corpus.SMALL)


@pytest.fixture(scope="module")
def loaded(folder):
    corpus_ = corpus.load(folder)
    features = extract(corpus_, CONFIG)
    return Dataset.of(corpus_.classes, corpus_.utterances, features, CONFIG), make_folds(corpus_)


def run(loaded, folder, config=CONFIG):
    data, folds = loaded
    return run_fold(data, folds[folder.number - 1], config, 5, folder, lambda row: None)


def test_a_fold_killed_at_any_write_continues_with_the_same_bits(loaded, tmp_path, monkeypatch):
    """Metrics and checkpoint of three epochs, predictions, and the result."""
    straight, written = FoldDir(tmp_path / "straight", 4, False), []
    write = files.write_bytes

    class Killed(Exception):
        pass

    def count(path, data, last=None):
        if len(written) == last:
            raise Killed
        written.append(path.name)
        write(path, data)

    monkeypatch.setattr(files, "write_bytes", count)
    expected = run(loaded, straight)
    assert written == ["metrics.jsonl", "checkpoint.npz"] * 3 + ["predictions.csv", "result.json"]
    for last in range(1, 8):
        broken = FoldDir(tmp_path / f"after{last}", 4, False)
        written.clear()
        monkeypatch.setattr(files, "write_bytes", partial(count, last=last))
        with pytest.raises(Killed):
            run(loaded, broken)
        monkeypatch.setattr(files, "write_bytes", write)
        assert {**run(loaded, broken), **TIMES} == {**expected, **TIMES}
        assert broken.predictions.read_bytes() == straight.predictions.read_bytes()
        assert [{**row, **TIMES} for row in broken.metrics()] == [{**row, **TIMES} for row in straight.metrics()]
        for name, array in straight.checkpoint()[0].items():
            assert np.array_equal(broken.checkpoint()[0][name], array), name


@pytest.mark.parametrize("kind", KINDS)
def test_with_batch_normalisation_too(loaded, tmp_path, kind):
    """Inference needs the running statistics. Of 48 utterances in batches of 47, the last is alone."""
    (data, folds), config = loaded, replace(CONFIG, batchnorm=kind, batch_size=47)
    straight, killed, resumed = (Training(data, folds[3], config, seed=5) for _ in range(3))
    for _ in range(2):
        straight.run_epoch()
    with (folder := FoldDir(tmp_path, 4, False)).locked():
        killed.run_epoch()
        save(killed, folder)
        restore(resumed, folder)
        resumed.run_epoch()
    for name, array in straight.state().items():
        assert np.array_equal(resumed.state()[name], array), name
    assert resumed.rows[1]["validation"] == straight.rows[1]["validation"]
    W = straight.model.parameters.W
    assert W["lstm1.updates"][0] == 2 * (2 if kind in ("sequence", "layer") else 1) and W["lstm1.mean"].any()
    assert list(straight.rows[0]["gradient_norms"]) == ["conv1", "lstm1", "dense"]


def test_the_result_is_that_of_the_best_epoch(loaded, tmp_path):
    (data, folds), folder = loaded, FoldDir(tmp_path, 2, False)
    result = run(loaded, folder)
    assert result["test_speaker"] == folds[1].test and result["epochs_run"] == 3
    confusion, labels = np.array(result["confusion"]), data.labels[data.of_speakers(folds[1].test)]
    assert confusion.sum(axis=1).tolist() == np.bincount(labels, minlength=4).tolist()
    assert result["ua"] == metrics.ua(confusion)
    assert result["validation"]["ua"] == max(row["validation"]["ua"] for row in folder.metrics())


def test_tta_copies_decide_how_it_is_tested_and_nothing_else(loaded, tmp_path):
    """A single pass has no votes; training and selection are the same."""
    folders, results = [FoldDir(tmp_path / str(copies), 2, False) for copies in (0, 1)], []
    for copies, folder in enumerate(folders):
        results.append(run(loaded, folder, replace(CONFIG, epochs=1, tta_copies=copies)))
        assert ("votes_anger" in folder.predictions.read_text().splitlines()[0]) == (copies == 0)
    assert results[0]["validation"] == results[1]["validation"]
    best = [folder.checkpoint()[0]["best"] for folder in folders]
    assert np.array_equal(*best)


def test_a_full_gpu_ends_with_the_batch_size_to_try(loaded, tmp_path, monkeypatch):
    def full(self):
        raise OutOfDeviceMemory("the GPU has too little memory")

    monkeypatch.setattr(Training, "run_epoch", full)
    with pytest.raises(OutOfDeviceMemory, match="too little memory: try --set batch_size=4 instead of 8"):
        run(loaded, FoldDir(tmp_path, 1, False))
