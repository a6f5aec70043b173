"""Folds in worker processes: an interruption or a killed worker ends the run after the current epoch.

The folds here train nothing; test_cv.py kills and interrupts real ones.
"""

import itertools
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from scratchser.cv.workers import WorkerError, run_folds
from scratchser.support import files


@dataclass(frozen=True)
class Endless:
    """A fold without end that saves each epoch in its folder, as a real one does."""

    folder: Path

    def run(self, notify):
        with files.hold(self.folder):
            for epoch in itertools.count(1):
                time.sleep(0.05)
                files.write_text(self.folder / "epoch", str(epoch))
                notify({"epoch": epoch})


@pytest.fixture
def folds(tmp_path):
    return [Endless(tmp_path / name) for name in "abc"]


def run_until_two_epochs(folds, then):
    """Three folds on two workers; `then` is called after two of them have finished an epoch. The third one waits."""
    trained = set()

    def notify(fold, row):
        if fold not in trained:
            trained.add(fold)
            if len(trained) == 2:
                then()

    for _ in run_folds(folds, 2, notify):
        raise AssertionError("an endless fold gave a result")


def assert_no_worker_is_left(*folds):
    assert multiprocessing.active_children() == []
    for fold in folds:
        files.hold(fold.folder).close()


def test_an_interrupted_run_ends_its_workers_after_an_epoch(folds):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_until_two_epochs(folds, interrupt)
    assert_no_worker_is_left(folds[0], folds[1])
    assert not folds[2].folder.exists()  # not even begun


def test_a_killed_worker_is_reported(folds):
    def kill():
        os.kill(int((folds[1].folder / files.LOCK).read_text()), signal.SIGKILL)

    with pytest.raises(WorkerError, match=r"lack of memory.* --resume .*--workers 1") as error:
        run_until_two_epochs(folds, kill)
    assert "\n" not in str(error.value)
    assert_no_worker_is_left(folds[0])
