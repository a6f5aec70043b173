"""The main job on the CUDA side, in Numba's simulator: an epoch of a corpus of ten tiny utterances, as on the CPU."""

import csv
import json

import pytest
from numba import config
from trees import wav

from scratchser.cv import __main__ as cv

pytestmark = pytest.mark.skipif(
    not config.ENABLE_CUDASIM, reason="tests/kernels/test_simulator.py runs it, in the simulator"
)

SECONDS = (32 + 7 * 16) / 16000  # 8 frames of 17 bins
CONV = "conv_channels=[3,2]", "conv_kernels=[[3,5],[2,3]]", "conv_strides=[[2,2],[1,2]]"
SETTINGS = ["window_ms=2", "shift_ms=1", *CONV, "lstm_units=3", "batch_size=4", "selection_share=1.0"]


@pytest.fixture
def folder(tmp_path):
    rows = [["path", "speaker", "emotion", "gender"]]
    for number in range(10):
        speaker, emotion = "abcd"[number % 4], ("neutral", "sadness")[number // 4 % 2]
        wav(tmp_path / f"{number}.wav", SECONDS)
        rows.append([f"{number}.wav", speaker, emotion, "FM"["bd".count(speaker)]])
    with open(tmp_path / "manifest.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path


def test_an_epoch_has_the_metrics_of_the_cpu(folder):
    settings = ["--preset", "best", *(part for setting in SETTINGS for part in ("--set", setting))]
    results = {}
    for device in ("cpu", "cuda"):
        out = folder / device
        arguments = [str(folder), *settings, "--epochs", "1", "--folds", "1", "--device", device, "--out", str(out)]
        assert cv.main(arguments) == 0
        (row,) = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
        predictions = list(csv.DictReader((out / "predictions.csv").read_text().splitlines()))
        results[device] = row, predictions, json.loads((out / "environment.json").read_text())
    (row, predictions, _), (other, other_predictions, environment) = results["cpu"], results["cuda"]
    for part in ("train", "validation", "gradient_norms"):
        assert row[part] == pytest.approx(other[part], rel=1e-4)
    for one, two in zip(predictions, other_predictions, strict=True):
        assert one["predicted"] == two["predicted"]
        assert float(one["p_neutral"]) == pytest.approx(float(two["p_neutral"]), rel=1e-4)
    assert "simulated" in json.dumps(environment)
