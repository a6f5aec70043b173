"""What a command would train, and how long that takes here: measured on a few steps, then multiplied.

For each configuration the training itself runs for two epochs over a few batches of the corpus's own lengths, with
random numbers for spectrograms, and then the validation and the test of a few utterances; the second epoch is taken,
since kernels may be compiled in the first. An epoch costs by the frames that it goes through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numba
import numpy as np
import soundfile

from scratchser.corpus.audio import RATE
from scratchser.corpus.batches import Dataset, rng_of, training_order
from scratchser.corpus.features import Features, Signal
from scratchser.corpus.split import Fold
from scratchser.corpus.table import Corpus
from scratchser.cv.fold import run_fold
from scratchser.evaluate import copies
from scratchser.paper.sweep import Planned, Sweep
from scratchser.presets import Config
from scratchser.report.text import table
from scratchser.runs.fold_dir import FoldDir
from scratchser.support.environment import threads
from scratchser.support.gpu import open_device
from scratchser.support.terminal import bar, say

STEPS = 4  # of training, that are measured


@dataclass(frozen=True)
class Speed:
    """Seconds for a frame."""

    trained: float
    heard: float  # validation, and each copy of the test


def text(sweep: Sweep, workers: int, device: str) -> str:
    """Runs and folds, what is done, and the estimate."""
    rows = [["run", "folds done", "begun", "epochs to train"]]
    left = {run.path: _left(run, sweep) for run in sweep.runs}
    for run in sweep.runs:
        open_folds = left[run.path].values()
        begun = sum(0 < epochs < run.config.epochs for epochs in open_folds)
        done = len(sweep.ready.folds) - len(open_folds)
        rows.append([run.name, f"{done} of {len(sweep.ready.folds)}", str(begun), str(sum(open_folds))])
    tasks = sum(map(len, left.values()))
    lines = [table(rows, left=1), f"{len(sweep.runs)} runs, {tasks} folds to train, at most {_sum(left)} epochs"]
    if tasks:
        lines += _estimate(sweep, left, workers, device)
    return "\n".join(lines)


def _left(run: Planned, sweep: Sweep) -> dict[int, int]:
    """Epochs to come, at most, by the numbers of the folds that are not done."""
    record = run.record()
    if record is None:
        return {fold.number: run.config.epochs for fold in sweep.ready.folds}
    there = {folder.number: len(folder.metrics()) for folder in record.folds if folder.result() is None}
    return {number: run.config.epochs - epochs for number, epochs in there.items()}


def _sum(left: dict[Path, dict[int, int]]) -> int:
    return sum(epochs for folds in left.values() for epochs in folds.values())


def _estimate(sweep: Sweep, left: dict[Path, dict[int, int]], workers: int, device: str) -> list[str]:
    data, share = sweep.ready.corpus, threads(workers)
    samples = sample_counts(data)
    before = numba.get_num_threads()
    numba.set_num_threads(share)
    try:
        open_runs = [run for run in sweep.runs if left[run.path]]
        configs = list(dict.fromkeys(run.config for run in open_runs))
        say(f"measuring {_many(len(configs), 'setting')}, which takes seconds to a minute each")
        measured = {
            config: speed(data, frames(samples, config), sweep.ready.folds[0], config, device)
            for config in bar(configs, "measuring")
        }
    finally:
        numba.set_num_threads(before)
    total = sum(
        seconds(data, frames(samples, run.config), fold, run.config, left[run.path][fold.number], measured[run.config])
        for run in open_runs
        for fold in sweep.ready.folds
        if fold.number in left[run.path]
    )
    at_once = min(workers, sum(map(len, left.values())))
    return [
        f"about {duration(total / at_once)}, an estimate: {device}, {_many(at_once, 'fold')} at a time,"
        f" {_many(share, 'thread')} each",
        f"measured here and now: {STEPS} training steps, a validation and a test of {_many(len(configs), 'setting')},"
        " utterances as long as the corpus's; what else this machine does now counts as if it went on",
        "not in it: features, baselines and reports; folds at the same time slow each other by what they share",
    ]


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number > 1)}"


def duration(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def sample_counts(data: Corpus) -> np.ndarray:
    """(U,) int64, samples of each utterance at RATE."""

    def count(utterance: Any) -> int:
        if utterance.path is None:
            sound, rate = data.read(utterance)
            return math.ceil(len(sound) * RATE / rate)
        about = soundfile.info(utterance.path)
        return math.ceil(about.frames * RATE / about.samplerate)

    return np.array([count(utterance) for utterance in bar(data.utterances, "lengths")], np.int64)


def frames(samples: np.ndarray, config: Config) -> np.ndarray:
    """(U,) int64, frames of utterances of so many samples."""
    signal = Signal.of(config)
    return 1 + (samples - signal.window) // signal.hop


def speed(data: Corpus, lengths: np.ndarray, fold: Fold, config: Config, device: str) -> Speed:
    """Of training and of listening, by the training itself: `run_fold` on a part of the corpus, in a folder that goes.

    lengths   (U,) int64, frames of all utterances of the corpus
    """
    rng = np.random.default_rng(0)
    speakers = np.array([u.speaker for u in data.utterances])
    many = STEPS * config.batch_size
    parts = [np.isin(speakers, fold.train), speakers == fold.validation, speakers == fold.test]
    chosen = np.concatenate([rng.permutation(np.flatnonzero(part))[:many] for part in parts])
    heard = lengths[chosen]
    values = rng.standard_normal((int(heard.sum()), Signal.of(config).bins)).astype(np.float32)
    features = Features(values, np.cumsum(heard) - heard, heard)
    short = replace(config, epochs=2, selection_share=1.0, oversample=())
    part = Dataset.of(data.classes, tuple(data.utterances[n] for n in chosen), features, short)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        result = run_fold(part, fold, short, 0, FoldDir(Path(folder), 1, True), rows.append, open_device(device))
    trained, validated, tested = (int(lengths[chosen[mask[chosen]]].sum()) for mask in parts)
    first, second = rows
    listening = second["seconds"] - trained / second["frames_per_second"]
    listening += result["seconds"] - first["seconds"] - second["seconds"]
    return Speed(1 / second["frames_per_second"], listening / (validated + len(copies(config)) * tested))


def seconds(data: Corpus, lengths: np.ndarray, fold: Fold, config: Config, epochs: int, speed: Speed) -> float:
    """For so many epochs of a fold and its test."""
    speakers = np.array([u.speaker for u in data.utterances])
    part = Dataset.of(data.classes, data.utterances, _NO_FEATURES, config)
    order = training_order(part, np.flatnonzero(np.isin(speakers, fold.train)), config, rng_of(0, fold.number, 1))
    validated, tested = (int(lengths[speakers == who].sum()) for who in (fold.validation, fold.test))
    epoch = int(lengths[order].sum()) * speed.trained + validated * speed.heard
    return epochs * epoch + len(copies(config)) * tested * speed.heard


_NO_FEATURES = Features(np.empty((0, 0), np.float32), np.empty(0, np.int64), np.empty(0, np.int64))
