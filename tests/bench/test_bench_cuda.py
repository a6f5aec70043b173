"""The bench of a GPU: its tables, and all of it in the simulator with a tiny network."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numba import config

from scratchser.bench import __main__ as main
from scratchser.bench import command, problem, report
from scratchser.bench.cuda import gpu
from scratchser.bench.measure import QUICK
from scratchser.kernels import softmax
from scratchser.kernels.machine import device


def test_a_launch_is_replayed_with_the_arguments_of_each_step(monkeypatch):
    batches = []
    monkeypatch.setattr(gpu, "launch_by_numba", lambda *launch: batches.append(launch[4][0].shape[0]))
    arrays = [device.SIMULATED.zeros((B, 3), np.float32) for B in (5, 6, 7)]
    launches = [(softmax.loss_cuda, 1, 32, 0, (z, z, z[:, 0], z[:, 0], z)) for z in arrays]
    times = gpu.launch_times(device.SIMULATED, launches, rounds=2)
    assert batches[:7] == [5, 6, 7, 5, 6, 7, 5] and len(batches) == 3 + 2 * gpu.REPLAYS
    assert times["kernel"] == "softmax.loss_cuda" and len(times["times"]) == 2
    assert times["bytes"] == (3 * 6 * 3 + 2 * 6) * 4


def test_the_table_adds_up_the_launches_of_a_kernel_and_all_is_written(monkeypatch, tmp_path, capsys):
    def launch(kernel, bytes, microseconds):
        return {"kernel": kernel, "bytes": bytes, "operations": 2 * bytes, "times": [1e-6 * us for us in microseconds]}

    names = "device", "cpu", "cores", "platform", "python", "started"
    result = {
        "environment": {**dict.fromkeys(names, "x"), "commit": None, "libraries": {"numpy": "2"}},
        "notes": ["device: a card"],
        "quick": False,
        "threads": 2,
        "sections": {
            "kernels": [launch("a.x", 1000, [9, 1, 2]), launch("b.y", 4000, [10, 8, 9]), launch("a.x", 3000, [2] * 3)],
            "steps": [{"parameters": {"bins": 257}, "operations": 3e9, "times": {"ours": [0.01, 0.02]}}],
        },
    }
    monkeypatch.setattr(command, "choose", lambda name: ("cuda:0", "chosen"))
    monkeypatch.setattr(command.gpu, "measure", lambda name, plan, save: save(result) or result)
    assert main.main(["--device", "cuda", "--out", str(tmp_path / "all.json")]) == 0
    assert json.loads((tmp_path / "all.json").read_text()) == result
    text = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[2:5] == [
        ["all", "3", "13.0", "0.6", "1.2"],
        ["b.y", "1", "9.0", "0.4", "0.9"],
        ["a.x", "2", "4.0", "1.0", "2.0"],
    ]
    assert rows[7] == ["257", "ours", "15.0", "1.00", "1.00 ... 1.00", "200.0"]
    assert "- device: a card" in text and "commit unknown" in text


@pytest.mark.skipif(not config.ENABLE_CUDASIM, reason="tests/kernels/test_simulator.py runs it, in the simulator")
def test_everything_but_pytorch_in_the_simulator(monkeypatch):
    tiny = replace(
        problem.config(), conv_channels=(2,), conv_kernels=((1, 3),), conv_strides=((2, 4),), lstm_units=2, batch_size=2
    )
    monkeypatch.setattr(problem, "config", lambda: tiny)
    monkeypatch.setattr(problem, "lengths", lambda: np.array([3, 2, 1, 2, 2, 1, 3, 1, 2, 3]))
    for name, number in (("UTTERANCES", 10), ("BATCH", 2), ("BATCHES", 5)):
        monkeypatch.setattr(problem, name, number)
    for name, number in (("BINS", 5), ("STEPS", 2), ("REPLAYS", 2)):
        monkeypatch.setattr(gpu, name, number)
    steps = [{"parameters": {"bins": 257}, "operations": 1, "times": {"ours": [0.1]}}]
    monkeypatch.setattr(gpu, "step_times", lambda name, plan: steps)
    saved = []
    result = gpu.measure("simulated", QUICK, lambda found: saved.append(list(found["sections"])))
    assert saved == [["kernels"], ["kernels", "steps"]] and result["sections"]["steps"] == steps
    launches = result["sections"]["kernels"]
    names = {launch["kernel"] for launch in launches}
    assert {"softmax.loss_cuda", "linear.backward_cuda", "nesterov.step_cuda"} <= names
    assert {name.partition(".")[0] for name in names} >= {"conv2d", "lstm"}
    assert all(len(launch["times"]) == 3 for launch in launches)
    assert "device: simulated" in report.text(result) and "### Kernels" in report.text(result)
