"""Folds in worker processes: an error, an interruption or a killed worker ends the run after the current epoch."""

import multiprocessing
import os
import signal

import pytest
import small_corpus

from scratchser import corpus
from scratchser.corpus.features import extract
from scratchser.corpus.split import make_folds
from scratchser.cv.workers import Job, Task, WorkerError, run_folds
from scratchser.presets import Config, with_settings
from scratchser.runs.fold_dir import FoldDir
from scratchser.support import files
from scratchser.support.files import StorageError

ENDLESS = with_settings(Config(epochs=10**6, patience=10**6), small_corpus.SMALL)  # no test waits for its end


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    data = corpus.load(small_corpus.write(tmp_path_factory.mktemp("corpus")))
    cache = tmp_path_factory.mktemp("features") / "features"
    extract(data, ENDLESS).save(cache, data, ENDLESS)
    return Job(data, cache, ENDLESS, seed=0)


@pytest.fixture
def folders(tmp_path):
    return {number: FoldDir(tmp_path, number, False) for number in (1, 2, 3)}


def run_until_two_epochs(job, folders, then):
    """Three folds on two workers; `then` is called after two of them have finished an epoch. The third one waits."""
    trained = set()

    def notify(task, row):
        if task.fold.number not in trained:
            trained.add(task.fold.number)
            if len(trained) == 2:
                then()

    tasks = [Task(job, fold, folders[fold.number]) for fold in make_folds(job.corpus)[:3]]
    for _ in run_folds(tasks, 2, notify):
        raise AssertionError("an endless fold gave a result")


def assert_can_continue(folder):
    """No worker is left, the fold is not locked, and its checkpoint is that of its last line."""
    assert multiprocessing.active_children() == []
    files.hold(folder.path).close()
    _, meta = folder.checkpoint()
    assert meta["epoch"] == len(folder.metrics()) >= 1 and folder.result() is None


def test_an_error_in_one_fold_ends_the_others_after_an_epoch(job, folders):
    path = folders[1].path
    with pytest.raises(StorageError, match=r"cannot write .*folds/01"):
        run_until_two_epochs(job, folders, lambda: path.rename(path.with_name("gone")))
    assert_can_continue(folders[2])


def test_an_interrupted_run_ends_its_workers_after_an_epoch(job, folders):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_until_two_epochs(job, folders, interrupt)
    assert_can_continue(folders[1])
    assert_can_continue(folders[2])
    assert folders[3].checkpoint() is None  # not even begun


def test_a_killed_worker_is_reported(job, folders):
    def kill():
        os.kill(int((folders[2].path / files.LOCK).read_text()), signal.SIGKILL)

    with pytest.raises(WorkerError, match=r"lack of memory.* --resume .*--workers 1") as error:
        run_until_two_epochs(job, folders, kill)
    assert "\n" not in str(error.value)
    assert multiprocessing.active_children() == []
    files.hold(folders[1].path).close()
