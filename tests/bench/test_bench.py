"""The bench: its fixed problem, equal answers first, the figures of the tables, and missing contestants."""

import json
import math
import re

import numpy as np
import pytest

from scratchser.bench import __main__ as main
from scratchser.bench import command, contest, measure, ours, problem, report
from scratchser.bench.child import Child, ChildError, tasks_of
from scratchser.bench.contest import DisagreementError, compare

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


def test_operations_of_a_mean_step():
    layers = [problem.operations(batch.lengths, 257).values() for batch in problem.batches(257, True)]
    assert measure.step_operations(257) == sum(sum(layer.values()) for batch in layers for layer in batch) // 12


# ---- equal answers first -------------------------------------------------------------------------------------------


def test_close_answers_pass_with_their_difference():
    reference = {"y": np.array([3.0, 4.0], np.float32)}
    close = {"y": np.array([3.0, 4.0002], np.float32)}
    assert compare({"ours": reference, "theirs": close}) == pytest.approx(0.0002 / 5, rel=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"y": np.array([3.0, 4.001], np.float32)},
        {"y": np.array([3.0, np.nan], np.float32)},
        {},
        {"y": np.array([3.0, 4.0], np.float32), "dx": np.zeros(1)},
        {"y": np.array([[3.0, 4.0]] * 2, np.float32)},
    ],
    ids=["different", "NaN", "missing", "more", "another shape"],
)
def test_other_answers_end_the_contest(wrong):
    reference = {"y": np.array([3.0, 4.0], np.float32)}
    with pytest.raises(DisagreementError):
        compare({"ours": reference, "theirs": wrong})


def test_nan_on_our_side_ends_the_contest():
    with pytest.raises(DisagreementError):
        compare({"ours": {"y": np.array([np.nan])}, "theirs": {"y": np.array([1.0])}})


class FixedTime:
    """A contestant with runs of a fixed time. It records the calls."""

    def __init__(self, name: str, seconds: float, calls: list, cycle: int = 1) -> None:
        self.name, self.seconds, self.calls, self.cycle = name, seconds, calls, cycle

    def make(self, task, *parameters):
        self.calls.append((self.name, "make", task, *parameters))
        return self.cycle

    def answer(self):
        self.calls.append((self.name, "answer"))
        return {"y": np.ones(1)}

    def run(self, times):
        self.calls.append((self.name, "run", times))
        return self.seconds

    def close(self):
        pass


def test_a_turn_is_long_enough_and_warmed_up():
    calls = []
    contestants = {"ours": FixedTime("ours", 0.004, calls), "torch": FixedTime("torch", 0.4, calls, cycle=12)}
    times, difference = contest.contest(contestants, 3, "step", 257)
    assert difference == 0 and times == {"ours": [0.004] * 3, "torch": [0.4] * 3}
    of = {name: [call[1:] for call in calls if call[0] == name] for name in contestants}
    before = [("make", "step", 257), ("answer",), ("run", 1), ("run", 1)]
    assert of["ours"] == before + [("run", 3), ("run", 13)] * 3  # 13 of 4 ms are 50 ms
    assert of["torch"][4:] == [("run", 3), ("run", 12)] * 3  # all twelve batches, though one takes long enough


def test_each_round_begins_with_another_contestant():
    calls = []
    contest.contest({name: FixedTime(name, 1.0, calls) for name in ("ours", "torch", "librosa")}, 2, "stft")
    assert [name for name, *_ in calls[-12::2]] == ["ours", "torch", "librosa", "torch", "librosa", "ours"]


# ---- the tables ----------------------------------------------------------------------------------------------------

STEP = {
    "parameters": {"bins": 257},
    "operations": 6_000_000_000,
    "difference": 1e-6,
    "times": {"ours": [0.030, 0.040, 0.050], "torch": [0.120, 0.120, 0.125], "torch, expert": [0.060, 0.060, 0.060]},
}


def result(**sections) -> dict:
    return {
        "environment": {
            "cpu": "Abacus", "cores": 2, "platform": "Linux", "python": "3.11", "libraries": {"numpy": "2.4"},
            "commit": "abc", "started": "2026-01-02",
        },
        "notes": [],
        "quick": False,
        "threads": 2,
        "sgemm": {"operations": 2e9, "times": [0.01] * 3},
        "sections": sections,
    }  # fmt: skip


def cells(text: str, *first: str) -> list[str]:
    """The cells of the table's line that begins with these."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    (found,) = (row for row in rows if row[: len(first)] == list(first))
    return found[len(first) :]


def test_the_table_of_a_contest():
    text = report.text(result(steps=[STEP]))
    # 6 GFLOP in 40 ms are 150 GFLOP/s, three quarters of 200
    assert cells(text, "257", "ours") == ["40.0", "-", "-", "150.0", "75 %"]
    assert cells(text, "257", "torch") == ["120", "3.00", "2.50 ... 4.00", "50.0", "25 %"]
    assert cells(text, "257", "torch, expert") == ["60.0", "1.50", "1.20 ... 2.00", "100.0", "50 %"]
    assert "sgemm of NumPy: 200 GFLOP/s (200 ... 200)" in text and "Abacus" in text and "commit abc" in text


def test_the_other_tables():
    stft = {"parameters": {"minutes": 60}, "operations": None, "times": {"ours": [0.05], "librosa": [0.1]}}
    memory = {"bins": 257, "contestant": "ours", "MB when imported": 100, "MB at most": 350}
    start = {"contestant": "ours", "start": 1, "import s": 0.2, "first step s": 20.0}
    text = report.text(result(stft=[stft], memory=[memory], start=[start]))
    assert cells(text, "60", "librosa") == ["100", "2.00", "2.00 ... 2.00", "-", "-"]
    assert cells(text, "257", "ours") == ["100", "350"]
    assert cells(text, "ours", "1") == ["0.20", "20.00"]


def test_every_contest_on_fake_contestants(monkeypatch):
    monkeypatch.setattr(contest, "Child", lambda name, threads: FixedTime(name, 0.1 / threads, []))
    plan = measure.Plan(rounds=2, bins=(33,), samples=60 * 16000)
    libraries = len(measure.installed(["ours", "torch"]))
    for name, number in {"steps": 1, "conv": 11, "lstm": 3, "stft": 1, "threads": libraries}.items():
        found = measure.SECTIONS[name](plan)
        assert len(found) == number and report.text(result(**{name: found}))
    assert found[0]["times"] == {"2 threads": [0.05] * 2, "1 thread": [0.1] * 2}


def test_columns_line_up():
    table = report.table([["a", "long head"], ["long cell", "1"]], left=1).splitlines()
    assert table == ["| a         | long head |", "| --------- | --------: |", "| long cell |         1 |"]


# ---- processes -----------------------------------------------------------------------------------------------------


def test_our_tasks_run_in_a_process_of_their_own():
    with contest.children(["ours"], 1) as children:
        times, _ = contest.contest(children, 2, "stft", 16000)
        assert all(0 < seconds < 1 for seconds in times["ours"])
        x = problem.sound(16000)
        spectrogram = children["ours"].answer()["first minute"]
        frame = np.abs(np.fft.rfft(x[512 : 512 + 1024] * np.hanning(1024))) ** 2
        assert spectrogram[1] == pytest.approx(np.log(np.maximum(frame, 1e-2)), abs=1e-3)
        peak = children["ours"].memory()
        assert peak is None or 20e6 < peak < 4e9


@pytest.mark.parametrize("task", [ours.TrainingStep(33), ours.Batches(33)], ids=["step", "batch"])
def test_a_cycle_of_ours_comes_round(task):
    for _ in range(task.cycle + 1):
        task.run()
    assert task.turn == 13


def test_parts_of_a_conv_layer_are_those_of_the_model():
    """`Conv` calls the two halves of conv2d.backward, which have no entry point each."""
    dW, dx = ours.Conv(33, 2, "dW"), ours.Conv(33, 2, "dx")
    answer = {**dW.answer(), **dx.answer()}
    sums = np.zeros_like(dW.W), np.zeros_like(dW.bias)
    expected = ours.conv2d.backward(dW.dy, dW.x, dW.y, dW.lengths, dW.W, dW.stride, *sums)
    assert np.array_equal(answer["dx"], expected)
    assert np.array_equal(answer["dW"], sums[0]) and np.array_equal(answer["db"], sums[1])


def test_a_dead_process_is_reported_and_closes():
    child = Child("numpy", 1)
    for process in child.pool._processes.values():
        process.kill()
    with pytest.raises(ChildError, match=r"process of 'numpy' failed: BrokenProcessPool"):
        child.make("gemm")
    child.close()


def test_the_command_reports_the_traceback_of_a_contestant(monkeypatch, capfd):
    def lstm(plan):
        with contest.children(["numpy"], 1) as children:
            children["numpy"].make("no such task")

    monkeypatch.setattr(measure, "sgemm", lambda plan: [0.1])
    monkeypatch.setitem(measure.SECTIONS, "lstm", lstm)
    assert main.main(["--quick", "--only", "lstm"]) == 1
    lines = capfd.readouterr().err.splitlines()
    assert "error: the process of 'numpy' failed: KeyError('no such task')" in lines
    assert any("in _make" in line for line in lines)


def test_the_command_reports_different_answers(monkeypatch, capsys):
    def lstm(plan):
        compare({"ours": {"y": np.ones(1)}, "torch": {"y": np.zeros(1)}})

    monkeypatch.setattr(measure, "sgemm", lambda plan: [0.1])
    monkeypatch.setitem(measure.SECTIONS, "lstm", lstm)
    assert main.main(["--quick", "--only", "lstm"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: y of ours and of torch differ by ")


def without_peers(monkeypatch):
    find = measure.util.find_spec
    monkeypatch.setattr(measure.util, "find_spec", lambda name: None if name in ("torch", "librosa") else find(name))


def test_without_peers_only_ours_is_measured(monkeypatch, capsys):
    without_peers(monkeypatch)
    monkeypatch.setattr(command, "QUICK", measure.Plan(rounds=2, bins=(33,), quick=True))
    assert main.main(["--quick", "--only", "batch", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["notes"] == [
        f"{name} is not installed, so nothing is compared with it: pip install -e '.[bench]'"
        for name in ("torch", "librosa")
    ]
    assert all(note in err for note in found["notes"])
    batch, step = found["sections"]["batch"]
    assert batch["parameters"] == {"bins": 33, "task": "batch"} and len(batch["times"]["ours"]) == 2
    assert 0 < np.median(batch["times"]["ours"]) < np.median(step["times"]["ours"])
    assert len(found["sgemm"]["times"]) == 4 and "torch" not in found["environment"]["libraries"]
    assert measure.installed(["ours", "torch", "scipy", "librosa"]) == ["ours", "scipy"]


@pytest.mark.parametrize("only", ["steps,nonsense", ""])
def test_an_unknown_section_is_a_wrong_command(only, capsys):
    assert main.main(["--only", only]) == 2
    assert "the sections are steps, conv, lstm, stft, batch, memory, start, threads" in capsys.readouterr().err


# ---- peers, where they are installed -------------------------------------------------------------------------------


@pytest.fixture
def torch_peers():
    pytest.importorskip("torch")
    from scratchser.bench import torch_peers

    return torch_peers


@pytest.mark.parametrize("peer", ["TrainingStep", "ExpertStep"])
def test_a_step_by_torch_agrees(torch_peers, peer):
    step = getattr(torch_peers, peer)(257)
    answer = step.answer()
    assert len(answer) == 2 + 4 * 2 + 3 + 2  # logits and loss; W and b of conv; Wx, Wh, b; W and b of dense
    assert math.isfinite(answer["loss"])
    assert compare({"ours": ours.TrainingStep(257).answer(), peer: answer}) < contest.TOLERANCE


@pytest.mark.parametrize("peer", ["TrainingStep", "ExpertStep"])
def test_an_update_by_torch_agrees(torch_peers, peer, monkeypatch):
    """After the first three random batches, so that momentum and L2 count."""
    monkeypatch.setattr(getattr(torch_peers, peer), "similar", False)
    mine, theirs = ours.TrainingStep(33), getattr(torch_peers, peer)(33)
    for _ in range(3):
        mine.run()
        theirs.run()
    before, after = problem.model(33).parameters.W, mine.model.parameters.W
    moved = {name: np.empty_like(W) for name, W in before.items()}
    for name, index, parameter, axes in theirs.network.pairs():
        moved[name][index] = parameter.detach().permute(axes).numpy() - before[name][index]
    compare({"ours": {name: after[name] - W for name, W in before.items()}, peer: moved})


@pytest.mark.parametrize("peer", ["TorchConv", "ExpertConv"])
@pytest.mark.parametrize(("layer", "part"), [(1, "forward"), (1, "dW"), (2, "forward"), (2, "dW"), (2, "dx")])
def test_conv_by_torch_agrees(torch_peers, peer, layer, part):
    theirs = getattr(torch_peers, peer)(33, layer, part)
    compare({"ours": ours.Conv(33, layer, part).answer(), peer: theirs.answer()})


def test_lstm_by_torch_agrees(torch_peers):
    compare({"ours": ours.Lstm(40, 16).answer(), "torch": torch_peers.PackedLstm(40, 16).answer()})


@pytest.mark.parametrize("peer", ["torch", "scipy", "librosa"])
def test_stft_agrees(peer):
    if peer != "scipy":
        pytest.importorskip(peer)
    compare({"ours": ours.Stft(16000).answer(), peer: tasks_of(peer)["stft"](16000).answer()})


# ---- a GPU ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cpu", "cuda:7"])
def test_a_missing_gpu_is_a_wrong_command(capsys, name):
    assert main.main(["--device", name]) == 2
    output = capsys.readouterr()
    assert output.out == "" and re.search(r"^error: .*Without --device", output.err, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments", [["--device", "cuda", "--ptx"], ["--ptx", "--launches"], ["--out", "x.json"], ["--write", "x.md"]]
)
def test_options_that_exclude_each_other(arguments):
    with pytest.raises(SystemExit, match="2"):
        main.main(arguments)


def test_everything_measured_on_a_gpu_is_written(monkeypatch, tmp_path, capsys):
    result = {
        "environment": {
            **dict.fromkeys(("device", "cpu", "cores", "platform", "python", "commit", "started"), "x"),
            "libraries": {},
        },
        "bins": 257,
        "difference": 1e-6,
        "kernels": [{"kernel": "a.b", "bytes": 8, "operations": 4, "times": [1e-6]}],
        "steps": {"parameters": {"bins": 257}, "times": {"ours": [1e-3]}, "difference": 0.0, "operations": 10},
    }
    monkeypatch.setattr(command, "choose", lambda name: ("cuda:0", "chosen"))
    monkeypatch.setattr(command.gpu, "measure", lambda name, plan, save: save(result) or result)
    assert main.main(["--device", "cuda", "--out", str(tmp_path / "all.json")]) == 0
    assert json.loads((tmp_path / "all.json").read_text()) == result
    assert "| a.b " in capsys.readouterr().out
