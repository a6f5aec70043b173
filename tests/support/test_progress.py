"""The time left that a log is told."""

import pytest

from scratchser.support import terminal


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved, in seconds."""
    now = [1000.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def epoch(number):
    return {"epoch": number, "train": {"loss": 1.0}, "validation": {"ua": 0.5}}


def result():
    return {"test_speaker": "a", "wa": 0.5, "ua": 0.5}


def said(capsys):
    return capsys.readouterr().err.splitlines()[-1]


def test_the_time_left_does_not_count_compilation(clock, capsys):
    epochs = terminal.Epochs({"fold 1": (10, 0), "fold 2": (10, 0)})
    clock(3600)
    epochs.epoch("fold 1", epoch(1))
    assert said(capsys) == "fold 1 epoch 1/10: loss 1.000, validation UA 0.500"
    clock(60)
    epochs.epoch("fold 1", epoch(2))
    assert said(capsys).endswith(", at most 18 min left")


def test_unequal_folds_are_only_said_to_go_on_at_this_pace(clock, capsys):
    epochs = terminal.Epochs({"a fold 1": (3, 0), "b fold 1": (10, 0)}, alike=False)
    epochs.epoch("a fold 1", epoch(1))
    clock(60)
    epochs.epoch("a fold 1", epoch(2))
    last = said(capsys)
    assert last.startswith("a fold 1 epoch 2/3: ") and last.endswith(", at this pace 11 min left")


def test_first_epochs_of_two_workers_say_nothing_of_the_time_left(clock, capsys):
    epochs = terminal.Epochs({"fold 1": (10, 0), "fold 2": (10, 0)})
    for fold in ("fold 1", "fold 2"):
        clock(1)
        epochs.epoch(fold, epoch(1))
        assert "left" not in said(capsys)


def test_only_what_a_resumed_run_has_to_do_counts(clock, capsys):
    epochs = terminal.Epochs({"fold 2": (10, 6), "fold 3": (10, 0)})
    epochs.fold("fold 1", result())  # done by an earlier start
    assert epochs.left == 14
    epochs.epoch("fold 2", epoch(7))
    clock(60)
    epochs.epoch("fold 2", epoch(8))
    assert said(capsys).endswith(", at most 12 min left")


def test_epochs_left_out_by_early_stopping_are_not_waited_for(clock):
    epochs = terminal.Epochs({"fold 1": (10, 0), "fold 2": (10, 0)})
    epochs.epoch("fold 1", epoch(1))
    epochs.fold("fold 1", result())
    assert epochs.left == 10


def test_a_terminal_gets_a_bar_that_ends_full(clock, capsys, monkeypatch):
    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: True, raising=False)
    epochs = terminal.Epochs({"fold 1": (10, 7), "fold 2": (10, 0)})
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
