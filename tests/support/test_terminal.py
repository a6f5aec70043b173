"""Output of the commands. A pipe that nobody reads is tested in tests/corpus/test_corpus.py."""

import math

import pytest

from scratchser.support import terminal


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when move(seconds) is called."""
    now = [1000.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def epoch(number, validation=0.5):
    return {"epoch": number, "train": {"loss": 1.0, "ua": 0.7}, "validation": {"ua": validation}}


def result():
    return {"test_speaker": "a", "wa": 0.5, "ua": 0.5}


TWO = {"fold 1": (10, 0), "fold 2": (10, 0)}


@pytest.mark.parametrize(("folds", "alike", "steps", "end"), [
    (TWO, True, [(3600, "fold 1", 1)], "validation UA 0.500"),  # may have compiled the kernels
    (TWO, True, [(3600, "fold 1", 1), (60, "fold 1", 2)], ", at most 18 min left"),
    (TWO, True, [(1, "fold 1", 1), (1, "fold 2", 1)], "validation UA 0.500"),  # each worker compiles
    ({"a fold 1": (3, 0), "b fold 1": (10, 0)}, False, [(9, "a fold 1", 1), (60, "a fold 1", 2)], "pace 11 min left"),
    ({"fold 2": (10, 6), "fold 3": (10, 0)}, True, [(9, "fold 2", 7), (60, "fold 2", 8)], "at most 12 min left"),
])  # fmt: skip
def test_the_time_left(clock, capsys, folds, alike, steps, end):
    epochs = terminal.Epochs(folds, alike)
    for seconds, fold, number in steps:
        clock(seconds)
        epochs.epoch(fold, epoch(number))
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"{fold} epoch {number}/{folds[fold][0]}: loss 1.000, ") and line.endswith(end)


def test_without_validation_the_training_is_reported(capsys):
    terminal.Epochs(TWO).epoch("fold 1", epoch(1, math.nan))
    assert capsys.readouterr().err == "fold 1 epoch 1/10: loss 1.000, train UA 0.700\n"


def test_a_terminal_gets_a_bar_that_ends_full(clock, capsys, monkeypatch):
    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: True, raising=False)
    epochs = terminal.Epochs({"fold 1": (10, 7), "fold 2": (10, 0)})
    epochs.fold("fold 0", result())  # done by an earlier start
    for number in (8, 9):
        clock(60)
        epochs.epoch("fold 1", epoch(number))
    epochs.fold("fold 1", result())
    for number in (1, 2):
        clock(60)
        epochs.epoch("fold 2", epoch(number))
    epochs.fold("fold 2", result())
    epochs.close()
    last = capsys.readouterr().err.split("\r")[-1]
    assert "fold 2 epoch 2/10" in last and "100%" in last and "4/4" in last
