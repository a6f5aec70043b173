"""How long training would take on this machine: measured on a few steps, then extrapolated.

For each configuration, `run_fold` itself runs for two epochs over a few utterances of the corpus's own lengths, with
random spectrograms. The second epoch counts, because the first one may compile kernels. The time of an epoch is
proportional to its number of frames.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numba
import numpy as np

from scratchser.corpus.audio import RATE
from scratchser.corpus.batches import Dataset
from scratchser.corpus.features import Features, Signal
from scratchser.corpus.split import Fold
from scratchser.corpus.table import Corpus
from scratchser.cv.fold import run_fold
from scratchser.evaluate import copies
from scratchser.paper.sweep import Sweep, SweepRun
from scratchser.presets import Config
from scratchser.report.text import counted, table
from scratchser.runs.fold_dir import FoldDir
from scratchser.support.environment import threads
from scratchser.support.gpu import open_device
from scratchser.support.terminal import bar, say

STEPS = 4  # training steps that are measured
Task = tuple[SweepRun, Fold, int]  # epochs that are left


@dataclass(frozen=True)
class Speed:
    """Seconds per frame of training, and of a forward pass in validation and test."""

    training: float
    forward: float


def text(sweep: Sweep, workers: int) -> str:
    """What is finished, what is left, and the estimated time."""
    folds = sweep.ready.folds
    tasks = [(run, fold, epochs) for run in sweep.runs for fold, epochs in unfinished(run, folds)]
    rows = [["run", "folds done", "begun", "epochs to train"]]
    for run in sweep.runs:
        epochs = [left for other, _, left in tasks if other is run]
        begun = sum(0 < left < run.config.epochs for left in epochs)
        rows.append([run.path.name, f"{len(folds) - len(epochs)} of {len(folds)}", str(begun), str(sum(epochs))])
    total = sum(epochs for _, _, epochs in tasks)
    runs = counted(len(sweep.runs), "run")
    lines = [table(rows, left=1), f"{runs}, {counted(len(tasks), 'fold')} to train, at most {total} epochs"]
    return "\n".join(lines + (_estimate(sweep, tasks, workers) if tasks else []))


def unfinished(run: SweepRun, folds: tuple[Fold, ...]) -> list[tuple[Fold, int]]:
    """The unfinished folds, with the largest number of epochs that each may still need."""
    epochs = run.config.epochs
    if not run.begun:
        return [(fold, epochs) for fold in folds]
    folders = zip(folds, run.record.folds, strict=True)
    return [(fold, epochs - len(folder.metrics())) for fold, folder in folders if folder.result() is None]


def _estimate(sweep: Sweep, tasks: list[Task], workers: int) -> list[str]:
    corpus, device, share = sweep.ready.corpus, sweep.ready.device, threads(workers)
    samples = sample_counts(corpus)
    configs = list(dict.fromkeys(run.config for run, _, _ in tasks))
    say(f"measuring {len(configs)} configurations, which takes up to a minute each")
    numba.set_num_threads(share)
    lengths = {config: frame_counts(samples, config) for config in configs}
    speeds = {
        config: measure(corpus, lengths[config], tasks[0][1], config, device) for config in bar(configs, "measuring")
    }
    total = sum(
        seconds(corpus, lengths[run.config], fold, run.config, epochs, speeds[run.config])
        for run, fold, epochs in tasks
    )
    at_once = min(workers, len(tasks))
    return [
        f"about {duration(total / at_once)}, an estimate: {device}, folds at a time: {at_once}, threads each: {share}",
        f"measured now: {STEPS} training steps, a validation and a test of {len(configs)} configurations; other work of"
        " this machine makes the estimate longer",
        "not included: features, baselines and reports; folds at the same time slow each other down",
    ]


def duration(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def sample_counts(corpus: Corpus) -> np.ndarray:
    """(U,) int64, samples of each utterance at RATE."""
    sounds = (corpus.read(utterance) for utterance in bar(corpus.utterances, "lengths"))
    return np.array([math.ceil(len(sound) * RATE / rate) for sound, rate in sounds], np.int64)


def frame_counts(samples: np.ndarray, config: Config) -> np.ndarray:
    """(U,) int64, frames of utterances with these numbers of samples."""
    signal = Signal.of(config)
    return 1 + (samples - signal.window) // signal.hop


def measure(corpus: Corpus, lengths: np.ndarray, fold: Fold, config: Config, device: str) -> Speed:
    """The speed of `run_fold` on a part of the corpus; `lengths` (U,) int64 are the frames of its utterances."""
    rng = np.random.default_rng(0)
    parts = _parts(corpus, fold, config)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(part))[: STEPS * config.batch_size] for part in parts])
    frames = lengths[chosen]
    values = rng.standard_normal((int(frames.sum()), Signal.of(config).size)).astype(np.float32)
    features = Features(values, np.cumsum(frames) - frames, frames)
    short = replace(config, epochs=2, selection_share=1.0, oversample=())
    data = Dataset.of(corpus.classes, tuple(corpus.utterances[n] for n in chosen), features, short)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        result = run_fold(data, fold, short, 0, FoldDir(Path(folder), 1, True), rows.append, open_device(device))
    trained, validated, tested = (int(frames[part[chosen]].sum()) for part in parts)
    first, second = rows
    validation = second["seconds"] - trained / second["frames_per_second"]
    test = result["seconds"] - first["seconds"] - second["seconds"]
    forward = (validation + test) / (validated + len(copies(config)) * tested)
    return Speed(1 / second["frames_per_second"], forward)


def _parts(corpus: Corpus, fold: Fold, config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which utterances train, validate and are tested, (U,) bool each."""
    speakers = np.array([u.speaker for u in corpus.utterances])
    validation = (speakers == fold.validation) & config.select_epoch
    return np.isin(speakers, fold.training(config)), validation, np.isin(speakers, fold.tested)


def seconds(corpus: Corpus, lengths: np.ndarray, fold: Fold, config: Config, epochs: int, speed: Speed) -> float:
    """The time of this many epochs of a fold and of its test."""
    parts = _parts(corpus, fold, config)
    twice = np.array([corpus.classes[u.label] in config.oversample for u in corpus.utterances])
    trained = int((lengths * (1 + twice))[parts[0]].sum())
    validated, tested = (int(lengths[part].sum()) for part in parts[1:])
    epoch = trained * speed.training + validated * speed.forward
    return epochs * epoch + len(copies(config)) * tested * speed.forward
