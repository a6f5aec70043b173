"""A corpus of a few seconds as wav files and a manifest: chirps and buzzes, learnable in an epoch or two."""

import csv
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
SPEAKERS = {"a": "F", "b": "M", "c": "F", "d": "M", "e": "F", "f": "M"}
SMALL = [
    "frequency_khz=4",
    "conv_channels=[8]",
    "conv_kernels=[[3,5]]",
    "conv_strides=[[2,8]]",
    "lstm_units=8",
    "batch_size=8",
]


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
