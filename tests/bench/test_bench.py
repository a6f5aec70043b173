"""The bench: its fixed problem, equal answers first, figures of the tables, and what happens without a contestant."""

import json
import math
import re

import numpy as np
import pytest

from scratchser.bench import __main__ as command
from scratchser.bench import contest, measure, ours, problem, report
from scratchser.bench.child import Child, ChildError, Gemm
from scratchser.bench.contest import DisagreementError, Times, compare

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
    work = problem.work(np.array([5, 2]), bins=9)
    # after layer 1: 3 + 1 frames, 5 positions; each output is 5 x 5 products and sums over 1 channel, for 16 channels
    assert work["conv1"] == problem.Work(4 * 5 * 25 * 16 * 2, 4 * 5 * 25 * 16 * 2, 0)
    # after layer 2: 2 + 1 frames, 3 positions, 16 -> 24 channels
    assert work["conv2"].dx == work["conv2"].forward == 3 * 3 * 25 * 16 * 24 * 2
    # after layers 3 and 4: 1 + 1 frames; 2 positions, then 1, of 48 channels: the LSTM's features
    assert work["conv3"].forward == 2 * 2 * 25 * 24 * 32 * 2
    assert work["conv4"].forward == 2 * 1 * 25 * 32 * 48 * 2
    # a frame: two directions, four gates, 128 units, from 48 features and 128 states
    assert work["lstm1"].total == 3 * 2 * (2 * 4 * 128 * (48 + 128) * 2)
    assert work["dense"].total == 3 * 2 * 256 * 4 * 2


def test_operations_of_a_mean_step_and_of_a_conv_layer():
    each = [sum(layer.total for layer in problem.work(b.lengths, 257).values()) for b in problem.batches(257, True)]
    assert measure.step_operations(257) == sum(each) // 12
    assert measure.conv_operations(257, 1) == dict.fromkeys(("forward", "dW"), 16 * 64 * 129 * 25 * 16 * 2)
    assert measure.conv_operations(513, 2) == dict.fromkeys(("forward", "dW", "dx"), 16 * 32 * 129 * 25 * 16 * 24 * 2)


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


def test_nan_on_our_side_does_not_pass_either():
    with pytest.raises(DisagreementError):
        compare({"ours": {"y": np.array([np.nan])}, "theirs": {"y": np.array([1.0])}})


class MadeUp:
    """A contestant whose run takes the seconds that it is told."""

    def __init__(self, seconds: float, cycle: int = 1) -> None:
        self.seconds, self.cycle, self.asked = seconds, cycle, []

    def ask(self, word, *arguments):
        self.asked.append((word, *arguments))
        return {"make": self.cycle, "answer": {"y": np.ones(1)}, "run": self.seconds}[word]


def test_a_turn_is_long_enough_and_warmed_up():
    quick, slow = MadeUp(0.004), MadeUp(0.4, cycle=12)
    times, difference = contest.contest({"ours": quick, "torch": slow}, 3, "step", 257)
    assert difference == 0 and times.rounds == {"ours": [0.004] * 3, "torch": [0.4] * 3}
    before = [("make", "step", 257), ("answer",), ("run", 1), ("run", 1)]
    assert quick.asked == before + [("run", 3), ("run", 13)] * 3  # 13 of 4 ms are 50 ms
    assert slow.asked[4:] == [("run", 3), ("run", 12)] * 3  # all twelve batches, though one fills the time


def test_whoever_begins_a_round_differs():
    said = []
    children = {name: MadeUp(1.0) for name in ("ours", "torch", "librosa")}
    for name, child in children.items():
        child.ask = lambda word, *_, name=name, ask=child.ask: (said.append(name), ask(word))[1]
    contest.contest(children, 2, "stft")
    assert said[-12::2] == ["ours", "torch", "librosa", "torch", "librosa", "ours"]


# ---- the tables ----------------------------------------------------------------------------------------------------

STEP = {
    "bins": 257,
    "operations": 6_000_000_000,
    "difference": 1e-6,
    "times": {
        "ours": [0.030, 0.040, 0.050],
        "torch": [0.120, 0.120, 0.125],
        "torch, expert": [0.060, 0.060, 0.060],
        "torch, compiled": [0.054, 0.064, 0.065],
    },
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
        "sgemm": {"operations": 2 * Gemm.SIZE**3, "times": [2 * Gemm.SIZE**3 / 200e9] * 3},
        "sections": sections,
    }  # fmt: skip


def cells(text: str, *first: str) -> list[str]:
    """The cells of the table's line that begins with these."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    (found,) = (row for row in rows if row[: len(first)] == list(first))
    return found[len(first) :]


def test_ratios_are_taken_round_by_round():
    times = Times(STEP["times"])
    assert times.ratios("torch", "ours") == pytest.approx([4.0, 3.0, 2.5])
    assert times.median("ours") == 0.040


def test_the_table_of_steps():
    text = report.text(result(steps=[STEP]))
    # 6 GFLOP in 40 ms are 150 GFLOP/s, three quarters of 200
    assert cells(text, "257", "ours") == ["40.0", "400", "-", "-", "75 %"]
    assert cells(text, "257", "torch") == ["120", "133", "3.00", "2.50 ... 4.00", "25 %"]
    assert cells(text, "257", "torch, expert") == ["60.0", "267", "1.50", "1.20 ... 2.00", "50 %"]
    assert "257 bins: the faster expert is 'torch, expert', 1.50 times ours (1.20 ... 2.00)." in text
    assert "sgemm of NumPy: 200 GFLOP/s (200 ... 200)" in text and "Abacus" in text and "commit abc" in text


def test_ours_alone_has_a_table_too():
    text = report.text(result(steps=[{**STEP, "times": {"ours": [0.04]}}]))
    assert cells(text, "257", "ours") == ["40.0", "400", "-", "-", "75 %"]
    assert "expert" not in text


def test_the_table_of_conv_layers_takes_the_faster_peer():
    times = {"ours": [0.001, 0.001], "torch": [0.003, 0.003], "torch, expert": [0.002, 0.004]}
    race = {"bins": 257, "layer": 2, "part": "dW", "operations": 10**8, "difference": 0.0, "times": times}
    alone = {**race, "part": "dx", "times": {"ours": [0.001]}}
    text = report.text(result(conv=[race, alone]))
    assert cells(text, "257", "2", "dW") == ["1.00", "100.0", "50 %", "3.00", "3.00", "3.00", "3.00 ... 3.00"]
    assert cells(text, "257", "2", "dx") == ["1.00", "100.0", "50 %", "-", "-", "-", "-"]


def test_the_other_tables():
    both = {"ours": [0.05], "torch": [0.1]}
    times = {"ours, 1": [0.08], "ours, 2": [0.05], "torch, expert, 1": [0.3], "torch, expert, 2": [0.2]}
    text = report.text(
        result(
            lstm=[{"features": 1584, "frames": 441, "operations": 10**9, "times": both}],
            stft=[{"minutes": 60.0, "times": both}],
            batch=[{"bins": 513, "batch": {"ours": [0.001]}, "step": {"ours": [0.04]}}],
            memory=[{"bins": 257, "contestant": "ours", "imported": 100_000_000, "peak": 350_000_000}],
            start=[
                {
                    "contestant": "ours",
                    "cold": {"import": 0.2, "step": 20.0},
                    "warm": [{"import": 0.2, "step": 0.5}, {"import": 0.4, "step": 0.7}],
                }
            ],
            threads=[{"bins": 33, "times": times}],
        )
    )
    assert cells(text, "1584", "441") == ["50.0", "20.0", "10 %", "100", "2.00", "2.00 ... 2.00"]
    assert cells(text, "60", "torch") == ["100", "2.00", "2.00 ... 2.00"]
    assert cells(text, "513") == ["1.00", "40.0", "2.5 %"]
    assert cells(text, "257", "ours") == ["100", "350", "250"]
    assert cells(text, "ours", "first") == ["0.20", "20.00", "20.20", "20.20 ... 20.20"]
    assert cells(text, "ours", "later") == ["0.30", "0.60", "0.90", "0.70 ... 1.10"]
    assert cells(text, "33", "ours") == ["80.0", "50.0", "1.60", "1.60 ... 1.60"]
    assert cells(text, "33", "torch, expert") == ["300", "200", "1.50", "1.50 ... 1.50"]


def test_columns_line_up():
    table = report.table([["a", "long head"], ["long cell", "1"]], left=1).splitlines()
    assert table == ["| a         | long head |", "| --------- | --------: |", "| long cell |         1 |"]


# ---- processes -----------------------------------------------------------------------------------------------------


def test_our_tasks_run_in_a_process_of_their_own():
    with contest.children(["ours"], 1) as children:
        times, _ = contest.contest(children, 2, "stft", 16000)
        assert all(0 < seconds < 1 for seconds in times.rounds["ours"])
        x = problem.sound(16000)
        spectrogram = children["ours"].ask("answer")["first minute"]
        frame = np.abs(np.fft.rfft(x[512 : 512 + 1024] * np.hanning(1024))) ** 2
        assert spectrogram[1] == pytest.approx(np.log(np.maximum(frame, 1e-2)), abs=1e-3)
        peak = children["ours"].ask("memory")
        assert peak is None or 20e6 < peak < 4e9


@pytest.mark.parametrize("task", [ours.Step(33), ours.Batches(33)], ids=["step", "batch"])
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


def test_a_dead_process_is_a_sentence_and_closes_quietly():
    child = Child("blas", 1)
    child.process.kill()
    with pytest.raises(ChildError, match=r"process of 'blas' ended at 'make gemm', with exit code -9"):
        child.ask("make", "gemm")
    child.close()


def test_the_command_ends_with_a_message_when_a_contestant_dies(monkeypatch, capfd):
    def lstm(plan):
        with contest.children(["blas"], 1) as children:
            children["blas"].ask("make", "no such task")

    monkeypatch.setitem(measure.SECTIONS, "lstm", lstm)
    assert command.main(["--quick", "--only", "lstm"]) == 1
    said = capfd.readouterr().err
    assert said.splitlines()[-1] == (
        "error: the process of 'blas' ended at 'make no such task', with exit code 1; what it said stands above"
    )
    assert "KeyError: 'no such task'" in said and "EOFError" not in said and "BrokenPipe" not in said


def test_the_command_ends_with_a_message_when_answers_differ(monkeypatch, capsys):
    def lstm(plan):
        compare({"ours": {"y": np.ones(1)}, "torch": {"y": np.zeros(1)}})

    monkeypatch.setattr(measure, "sgemm", lambda plan: [0.1])
    monkeypatch.setitem(measure.SECTIONS, "lstm", lstm)
    assert command.main(["--quick", "--only", "lstm"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: y of ours and of torch differ by ")


def without_peers(monkeypatch):
    find = measure.util.find_spec
    monkeypatch.setattr(measure.util, "find_spec", lambda name: None if name in ("torch", "librosa") else find(name))


def test_without_the_extra_ours_is_measured_alone_and_the_remedy_said(monkeypatch, capsys):
    without_peers(monkeypatch)
    assert command.main(["--quick", "--only", "batch", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["notes"] == [
        f"{name} is not installed, so nothing is compared with it: pip install 'scratchser[bench]'"
        for name in ("torch", "librosa")
    ]
    assert all(note in err for note in found["notes"])
    (race,) = found["sections"]["batch"]
    assert race["bins"] == 257 and len(race["batch"]["ours"]) == len(race["step"]["ours"]) == 3
    assert 0 < np.median(race["batch"]["ours"]) < np.median(race["step"]["ours"])
    assert len(found["sgemm"]["times"]) == 6 and "torch" not in found["environment"]["libraries"]


def test_who_races(monkeypatch):
    monkeypatch.setattr(measure.util, "find_spec", lambda name: name)
    assert measure.Plan(quick=False).steps == ["ours", "torch", "torch, expert", "torch, compiled"]
    assert measure.Plan(quick=True).steps == ["ours", "torch", "torch, expert"]
    without_peers(monkeypatch)
    assert measure.installed(["ours", "torch", "scipy", "librosa"]) == ["ours", "scipy"]


@pytest.mark.parametrize("only", ["steps,nonsense", ""])
def test_an_unknown_section_is_a_wrong_command(only, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--only", only])
    assert ended.value.code == 2
    assert "there are steps, conv, lstm, stft, batch, memory, start, threads" in capsys.readouterr().err


# ---- peers, where they are installed -------------------------------------------------------------------------------


@pytest.fixture
def torch_peers():
    pytest.importorskip("torch")
    from scratchser.bench import torch_peers

    return torch_peers


@pytest.mark.parametrize("who", ["Step", "ExpertStep"])
def test_a_step_by_torch_agrees(torch_peers, who):
    step = getattr(torch_peers, who)(257)
    answer = step.answer()
    assert len(answer) == 2 + 4 * 2 + 3 + 2  # logits and loss; W and b of conv; Wx, Wh, b; W and b of dense
    assert math.isfinite(answer["loss"])
    assert compare({"ours": ours.Step(257).answer(), who: answer}) < contest.TOLERANCE


@pytest.mark.parametrize("who", ["Step", "ExpertStep"])
def test_an_update_by_torch_agrees(torch_peers, who, monkeypatch):
    """The first three random batches, so that momentum and L2 have been at work."""
    monkeypatch.setattr(getattr(torch_peers, who), "similar", False)
    mine, theirs = ours.Step(33), getattr(torch_peers, who)(33)
    for _ in range(3):
        mine.run()
        theirs.run()
    before, after = problem.model(33).parameters.W, mine.model.parameters.W
    layer = theirs.network.lstm
    weights = {
        "conv1.W": theirs.network.convs[0].weight.permute(2, 3, 1, 0),
        "conv4.b": theirs.network.convs[3].bias,
        "dense.W": theirs.network.dense.weight.T,
        "lstm1.b": torch_peers.torch.stack(
            [layer.bias_ih_l0 + layer.bias_hh_l0, layer.bias_ih_l0_reverse + layer.bias_hh_l0_reverse]
        ),
    }
    moved = {name: weight.detach().numpy() - before[name] for name, weight in weights.items()}
    compare({"ours": {name: after[name] - before[name] for name in moved}, who: moved})


@pytest.mark.parametrize("who", ["TorchConv", "ExpertConv"])
@pytest.mark.parametrize(("layer", "part"), [(1, "forward"), (1, "dW"), (2, "forward"), (2, "dW"), (2, "dx")])
def test_conv_by_torch_agrees(torch_peers, who, layer, part):
    theirs = getattr(torch_peers, who)(33, layer, part)
    compare({"ours": ours.Conv(33, layer, part).answer(), who: theirs.answer()})


def test_lstm_by_torch_agrees(torch_peers):
    compare({"ours": ours.Lstm(40, 16).answer(), "torch": torch_peers.PackedLstm(40, 16).answer()})


@pytest.mark.parametrize("who", ["torch", "scipy", "librosa"])
def test_stft_agrees(who):
    if who != "scipy":
        pytest.importorskip(who)
    from scratchser.bench.child import tasks_of

    compare({"ours": ours.Stft(16000).answer(), who: tasks_of(who)["stft"](16000).answer()})


# ---- a GPU ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cpu", "cuda:7"])
def test_a_gpu_that_is_not_there_ends_in_one_line(capsys, name):
    assert command.main(["--device", name]) == 2
    said = capsys.readouterr()
    assert said.out == "" and re.search(r"^error: .*(without it|Without --device)", said.err, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["--device", "cuda", "--ptx"], ["--out", "x.json"], ["--write", "x.md"]])
def test_options_that_do_not_go_together(arguments):
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)


def test_everything_measured_on_a_gpu_is_written(monkeypatch, tmp_path, capsys):
    result = {
        "environment": {
            **dict.fromkeys(("device", "cpu", "cores", "platform", "python", "commit", "started"), "x"),
            "libraries": {},
        },
        "bins": 257,
        "difference": 1e-6,
        "kernels": [{"kernel": "a.b", "bytes": 8, "operations": 4, "times": [1e-6]}],
        "steps": {"times": {"ours": [1e-3]}, "difference": 0.0, "operations": 10},
    }
    monkeypatch.setattr(command, "choose", lambda name: ("cuda:0", "chosen"))
    monkeypatch.setattr(command.gpu, "measure", lambda name, plan, keep: result)
    assert command.main(["--device", "cuda", "--out", str(tmp_path / "all.json")]) == 0
    assert json.loads((tmp_path / "all.json").read_text()) == result
    assert "| a.b " in capsys.readouterr().out
