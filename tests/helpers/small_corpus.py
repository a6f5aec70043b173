"""A corpus of a few seconds as wav files and a manifest: chirps and buzzes, learnable in an epoch or two."""

import csv
import json
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
SPEAKERS = {"a": "F", "b": "M", "c": "F", "d": "M", "e": "F", "f": "M"}
CONV = "conv_channels=[8]", "conv_kernels=[[3,5]]", "conv_strides=[[2,8]]"
SMALL = ["frequency_khz=4", *CONV, "lstm_units=8", "batch_size=8"]
SETTINGS = ["--preset", "best", *(part for setting in SMALL for part in ("--set", setting))]
TIMES = {"seconds": 0, "frames_per_second": 0}


def write(folder: Path, each: int = 2) -> Path:
    """`each` utterances per class and speaker, 0.2 to 0.5 s, and manifest.csv; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = []
    for number, speaker in enumerate(SPEAKERS):
        for label, emotion in enumerate(("neutral", "happiness", "sadness", "anger")):
            for take in range(each):
                time = np.arange(int(RATE * rng.uniform(0.2, 0.5))) / RATE
                slope = (0, 900, -900, 0)[label]
                phase = 2 * np.pi * ((700 + 40 * number) * time + slope * time**2)
                sound = 0.3 * np.sin(phase) + (0.2 if label == 3 else 0.01) * rng.standard_normal(len(time))
                name = f"{speaker}{label}{take}.wav"
                soundfile.write(folder / name, sound.astype(np.float32), RATE)
                rows.append([name, speaker, emotion, SPEAKERS[speaker], "neu|neu,sad|oth" if label == 0 else ""])
    with open(folder / "manifest.csv", "w", newline="") as file:
        csv.writer(file).writerows([["path", "speaker", "emotion", "gender", "votes"], *rows])
    return folder


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measured(run: Path) -> dict[str, tuple]:
    """All that the folds of a run left on the disk, without times: metrics, result, predictions, checkpoint."""
    found = {}
    for fold in sorted((run / "folds").iterdir()):
        rows = [{**json.loads(line), **TIMES} for line in (fold / "metrics.jsonl").read_text().splitlines()]
        result = {**json.loads((fold / "result.json").read_text()), **TIMES}
        with np.load(fold / "checkpoint.npz") as archive:
            arrays = {name: archive[name].tobytes() for name in archive.files}
        found[fold.name] = rows, result, (fold / "predictions.csv").read_text(), arrays
    return found
