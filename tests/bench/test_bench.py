"""The bench: its fixed problem, equal answers first, the figures of the tables, and missing contestants."""

import itertools
import json
import re
from unittest.mock import Mock, call

import numpy as np
import pytest

from scratchser.bench import __main__ as main
from scratchser.bench import command, contest, measure, ours, problem, report
from scratchser.bench.child import Child, tasks_of
from scratchser.bench.contest import compare
from scratchser.support.errors import ProcessingError

# ---- the problem ---------------------------------------------------------------------------------------------------


def test_the_utterances_are_those_of_iemocap_in_length():
    lengths = problem.lengths()
    assert len(lengths) == 192 and lengths.min() >= 21 and lengths.max() <= 909
    assert 100 <= np.median(lengths) <= 118
    assert lengths.sum() == 22500  # fixed for good: a time of last year is a time of the same work


def test_batches_hold_every_utterance_once_and_similar_ones_less_padding():
    random, similar = (problem.batches(9, similar) for similar in (False, True))
    for batches in (random, similar):
        assert sorted(np.concatenate([batch.lengths for batch in batches])) == sorted(problem.lengths())
        assert all(not batch.x[b, n:].any() for batch in batches for b, n in enumerate(batch.lengths))
    frames = [sum(batch.x.shape[1] for batch in batches) for batches in (random, similar)]
    assert frames[1] < 0.7 * frames[0]


def test_useful_operations_by_hand():
    layers = problem.operations(np.array([5, 2]), bins=9)
    # after layer 1: 3 + 1 frames, 5 positions; each output is 5 x 5 products and sums over 1 channel, for 16 channels
    assert layers["conv1"] == dict.fromkeys(("forward", "dW"), 4 * 5 * 25 * 16 * 2)
    # after layer 2: 2 + 1 frames, 3 positions, 16 -> 24 channels
    assert layers["conv2"] == dict.fromkeys(("forward", "dW", "dx"), 3 * 3 * 25 * 16 * 24 * 2)
    # after layers 3 and 4: 1 + 1 frames; 2 positions, then 1, of 48 channels: the LSTM's features
    assert layers["conv3"]["forward"] == 2 * 2 * 25 * 24 * 32 * 2
    assert layers["conv4"]["forward"] == 2 * 1 * 25 * 32 * 48 * 2
    # a frame: two directions, four gates, 128 units, from 48 features and 128 states
    assert layers["lstm1"] == dict.fromkeys(("forward", "dW", "dx"), 2 * (2 * 4 * 128 * (48 + 128) * 2))
    assert sum(layers["dense"].values()) == 3 * 2 * 256 * 4 * 2


# ---- equal answers first -------------------------------------------------------------------------------------------

ANSWER = {"y": np.array([3.0, 4.0], np.float32)}


def test_close_answers_pass_with_their_difference():
    close = {"y": np.array([3.0, 4.0002], np.float32)}
    assert compare({"ours": ANSWER, "theirs": close}) == pytest.approx(0.0002 / 5, rel=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"y": np.array([3.0, 4.001], np.float32)},
        {"y": np.array([3.0, np.nan], np.float32)},
        {},
        {**ANSWER, "dx": np.zeros(1)},
        {"y": np.array([[3.0, 4.0]] * 2, np.float32)},
    ],
    ids=["different", "NaN", "missing", "more", "another shape"],
)
def test_other_answers_end_the_contest(wrong):
    for answers in ({"ours": ANSWER, "theirs": wrong}, {"ours": wrong, "theirs": ANSWER}):
        with pytest.raises(ProcessingError, match="ours"):
            compare(answers)


def fixed_time(seconds: float, cycle: int = 1, answer: float = 1.0) -> Mock:
    """A contestant whose runs take a fixed time."""
    answers = {"y": np.full(1, answer)}
    return Mock(**{"make.return_value": cycle, "run.return_value": seconds, "answer.return_value": answers})


def test_a_turn_is_long_enough_and_warmed_up():
    contestants = {"ours": fixed_time(0.004), "torch": fixed_time(0.4, cycle=12)}
    found = contest.contest(contestants, 3, "step", 257)
    assert found == {"difference": 0, "times": {"ours": [0.004] * 3, "torch": [0.4] * 3}}
    before = [call.answer("step", 257), call.make("step", 257), call.run(1), call.run(1)]
    assert contestants["ours"].method_calls == before + [call.run(3), call.run(13)] * 3  # 13 of 4 ms are 50 ms
    # all twelve batches, though one takes long enough
    assert contestants["torch"].method_calls[4:] == [call.run(3), call.run(12)] * 3


# ---- the command ---------------------------------------------------------------------------------------------------


def cells(text: str, *first: str) -> list[str]:
    """The cells of the table's line that begins with these."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    (found,) = (row for row in rows if row[: len(first)] == list(first))
    return found[len(first) :]


def test_the_table_of_a_contest():
    times = {"ours": [0.030, 0.040, 0.050], "torch": [0.120, 0.120, 0.125]}
    text = report.contest_table([{"parameters": {"bins": 257}, "operations": 6e9, "times": times}], rate=2e11)
    # 6 GFLOP in 40 ms are 150 GFLOP/s, three quarters of 200
    assert cells(text, "257", "ours") == ["40.0", "1.00", "1.00 ... 1.00", "150.0", "75 %"]
    assert cells(text, "257", "torch") == ["120", "3.00", "2.50 ... 4.00", "50.0", "25 %"]


@pytest.fixture
def invented(monkeypatch):
    """Contestants that measure nothing: torch and librosa are not installed, ours returns 1 and SciPy `theirs`."""

    def invent(theirs: float) -> None:
        find = measure.util.find_spec
        monkeypatch.setattr(
            measure.util, "find_spec", lambda name: None if name in ("torch", "librosa") else find(name)
        )
        answers = {"ours": 1.0, "scipy": theirs, "numpy": 1.0}
        monkeypatch.setattr(contest, "Child", lambda name, threads: fixed_time(0.1 / threads, answer=answers[name]))
        started = {"time": {"import s": 0.5, "first step s": 20.0}, "memory": {"MB when imported": 1, "MB at most": 2}}
        monkeypatch.setattr(measure, "new_process", lambda *arguments, **variables: started)
        monkeypatch.setattr(command, "QUICK", measure.Plan(2, (33,), 60 * 16000))

    return invent


def test_all_sections_without_peers(invented, capsys):
    invented(theirs=1.0)
    assert main.main(["--quick", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["notes"] == [
        f"{name} is not installed, so nothing is compared with it: pip install -e '.[bench]'"
        for name in ("torch", "librosa")
    ]
    assert all(note in err for note in found["notes"]) and "torch" not in found["environment"]["libraries"]
    assert found["sgemm"]["times"] == [0.05] * 4
    sections = {"steps": 1, "conv": 11, "lstm": 3, "stft": 1, "batch": 2, "memory": 1, "start": 3, "threads": 1}
    assert {name: len(rows) for name, rows in found["sections"].items()} == sections
    assert list(found["sections"]["stft"][0]["times"]) == ["ours", "scipy"]
    assert found["sections"]["threads"][0]["times"] == {"2 threads": [0.05] * 2, "1 thread": [0.1] * 2}
    text = report.text(found)
    assert cells(text, "33", "ours", "1") == ["2"] and cells(text, "ours", "3") == ["0.50", "20.00"]
    assert text.count("### ") == 8 and "sgemm of NumPy: 344 GFLOP/s (344 ... 344)" in text


def test_different_answers_stop_the_bench(invented, capsys):
    invented(theirs=1.001)
    assert main.main(["--quick", "--only", "stft"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1] == "error: y of ours and of scipy differ by 1.0e-03 of its norm"


@pytest.mark.parametrize("only", ["steps,nonsense", ""])
def test_an_unknown_section_is_a_wrong_command(only, capsys):
    assert main.main(["--only", only]) == 2
    assert "the sections are steps, conv, lstm, stft, batch, memory, start, threads" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cpu", "cuda:7"])
def test_a_missing_gpu_is_a_wrong_command(capsys, name):
    assert main.main(["--device", name]) == 2
    output = capsys.readouterr()
    assert output.out == "" and re.search(r"^error: .*Without --device", output.err, re.MULTILINE)


# ---- processes -----------------------------------------------------------------------------------------------------


def test_a_process_answers_and_is_timed_and_its_errors_are_reported():
    with contest.children(["ours"], 1) as children:
        child: Child = children["ours"]
        x = problem.sound(16000)
        frame = np.abs(np.fft.rfft(x[512 : 512 + 1024] * np.hanning(1024))) ** 2
        answer = child.answer("stft", 16000)["first minute"]
        assert answer[1] == pytest.approx(np.log(np.maximum(frame, 1e-2)), abs=1e-3)
        assert child.make("stft", 16000) == 1 and 0 < child.run(2) < 1
        with pytest.raises(ProcessingError, match=r"(?s)process of 'ours' failed: KeyError\('no task'\).* in _make"):
            child.make("no task")
        for process in child.pool._processes.values():
            process.kill()
        with pytest.raises(ProcessingError, match=r"process of 'ours' failed: BrokenProcessPool"):
            child.run(1)


def test_parts_of_a_conv_layer_are_those_of_the_model():
    """`Conv` calls the two halves of conv2d.backward, which have no entry point each."""
    dW, dx = ours.Conv(33, 2, "dW"), ours.Conv(33, 2, "dx")
    answer = {**dW.answer(), **dx.answer()}
    sums = np.zeros_like(dW.W), np.zeros_like(dW.bias)
    expected = ours.conv2d.backward(dW.dy, dW.x, dW.y, dW.lengths, dW.W, dW.stride, *sums)
    assert np.array_equal(answer["dx"], expected)
    assert np.array_equal(answer["dW"], sums[0]) and np.array_equal(answer["db"], sums[1])


# ---- peers, where they are installed; the bench itself compares their other answers ---------------------------------


@pytest.mark.parametrize("peer", ["torch", "torch, expert"])
def test_an_update_by_torch_agrees(peer):
    """After the first three random batches, so that momentum and L2 count."""
    pytest.importorskip("torch")
    mine, theirs = ours.TrainingStep(33), tasks_of(peer)["step"](33)
    theirs.turns = itertools.cycle([theirs._tensors(batch) for batch in problem.batches(33, similar=False)])
    for _ in range(3):
        mine.run()
        theirs.run()
    before, after = problem.model(33).parameters.W, mine.model.parameters.W
    moved = {name: np.empty_like(W) for name, W in before.items()}
    for name, index, parameter, axes in theirs.network.pairs():
        moved[name][index] = parameter.detach().permute(axes).numpy() - before[name][index]
    compare({"ours": {name: after[name] - W for name, W in before.items()}, peer: moved})


def test_the_spectrogram_by_scipy_agrees():
    compare({name: tasks_of(name)["stft"](16000).answer() for name in ("ours", "scipy")})
