"""The models of a run as an ensemble: each votes with each VTLP copy of a file (section 2 of the paper).

Ten models with 11 copies cast 110 votes. Votes are counted as in a fold's test, by evaluate.vote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scratchser.corpus.audio import check_audio
from scratchser.corpus.check import conversions, sound_warnings
from scratchser.corpus.features import Signal, extract
from scratchser.corpus.normalisation import PER_BIN, PRIOR, Bins, Normalisation
from scratchser.corpus.table import Corpus, Utterance
from scratchser.evaluate import copies, copy_probabilities, vote
from scratchser.layers import SpeakerNorm
from scratchser.model import Model
from scratchser.presets import Config, from_json
from scratchser.report.text import counted, percent
from scratchser.runs.fold_dir import FoldDir
from scratchser.runs.folder import RunError
from scratchser.runs.run import Record
from scratchser.support.errors import UsageError
from scratchser.support.files import StorageError, plain
from scratchser.support.terminal import bar, table

SCHEMA = 1
MARK = "*"  # in the table, where votes and probabilities differ
PREDICTED = ("seconds", "predicted", "second", "probabilities", "votes")  # keys of a file; null if it has a problem


@dataclass(frozen=True)
class FoldModel:
    """The model of a fold, and the normalisation of its spectrograms: of all pixels, or of each bin."""

    fold: int
    model: Model
    normalisation: Normalisation
    bins: Bins | None


def load(record: Record, fold: int | None = None) -> list[FoldModel]:
    """The models of a run's finished folds, or of one of them.

    Raises RunError if there is none, StorageError if a file is damaged, SettingError for the run of another version.
    """
    finished = {folder.number: folder for folder in record.finished}
    if not finished:
        raise RunError(f"{record.path} has no finished fold yet: wait, or continue the run with --resume")
    if fold is not None and fold not in finished:
        raise RunError(f"--fold {fold}: the finished folds of {record.path} are {', '.join(map(str, finished))}")
    chosen = finished.values() if fold is None else [finished[fold]]
    config, classes = from_json(record.settings["config"]), len(record.settings["corpus"]["classes"])
    return [_load(folder, config, classes) for folder in chosen]


def _load(folder: FoldDir, config: Config, classes: int) -> FoldModel:
    model = Model(config, Signal.of(config).size, classes)
    result, checkpoint = folder.result(), folder.checkpoint()
    if result is None or checkpoint is None:
        advice = f"restore it, or remove {folder.path} and continue the run with --resume"
        raise StorageError(f"{folder.path} has a result but no checkpoint: {advice}")
    values, best = model.parameters.values, checkpoint[0]["best"]
    if best.shape != values.shape:
        raise StorageError(
            f"{folder.path} holds {best.size} parameters, this version's model has {values.size}: use the version"
            " that made the run"
        )
    model.device.copy(best, values)
    saved = checkpoint[0]
    bins = Bins(saved["bin_mean"], saved["bin_variance"]) if config.normalisation in PER_BIN else None
    return FoldModel(folder.number, model, Normalisation(**result["normalisation"]), bins)


def predict(record: Record, models: Sequence[FoldModel], voices: Sequence[Sequence[Path]]) -> dict[str, Any]:
    """What --json prints (docs/predict.md), for the files of each voice. Files with a problem get no prediction.

    Raises UsageError for a file of two voices.
    """
    config, trained_on = from_json(record.settings["config"]), record.settings["corpus"]
    voice_of: dict[str, int] = {}
    for number, voice in enumerate(voices, start=1):
        for file in voice:
            if voice_of.setdefault(str(file), number) != number:
                raise UsageError(f"{file} is given for two voices")
    files = [file for voice in voices for file in voice]
    utterances = tuple(Utterance(str(file), file, "", "", "", 0, source=str(file)) for file in dict.fromkeys(files))
    corpus = Corpus("files", tuple(trained_on["classes"]), utterances)
    audio = check_audio(corpus, config, lambda items: bar(items, "reading"))
    problems = {problem.utterance: problem.what for problem in audio.problems}
    corpus = corpus.without(problems)
    features = extract(corpus, config)
    alphas = copies(config)
    chosen = np.arange(len(corpus.utterances))
    entries: dict[str, dict[str, Any]] = {
        name: {"problem": what, **dict.fromkeys(PREDICTED)} for name, what in problems.items()
    }
    if len(chosen):
        speakers = np.array([voice_of[utterance.name] - 1 for utterance in corpus.utterances], np.int64)
        probabilities = []
        for m in models:
            normalised = m.bins.normalise(features, speakers, config) if m.bins else features
            probabilities.append(copy_probabilities(m.model, normalised, m.normalisation, chosen, alphas, speakers))
        prediction = vote(np.concatenate(probabilities))
        for row, utterance in enumerate(corpus.utterances):
            name = utterance.name
            entries[name] = {
                "problem": None,
                "seconds": audio.seconds[name],
                "predicted": corpus.classes[prediction.first[row]],
                "second": corpus.classes[prediction.second[row]],
                "probabilities": dict(zip(corpus.classes, prediction.mean[row], strict=True)),
                "votes": dict(zip(corpus.classes, prediction.votes[row], strict=True)),
            }
    return plain(
        {
            "schema": SCHEMA,
            "synthetic": trained_on["synthetic"],
            "run": record.path,
            "corpus": trained_on["name"],
            "preset": record.settings["preset"],
            "classes": corpus.classes,
            "folds": [each.fold for each in models],
            "alphas": alphas,
            "normalisation": config.normalisation,
            "readout_norm": config.readout_norm,
            "warnings": [*conversions(audio), *sound_warnings(audio), *_short_voices(config, voices, audio.seconds)],
            "files": [{"file": str(file), "voice": voice_of[str(file)], **entries[str(file)]} for file in files],
        }
    )


def _short_voices(config: Config, voices: Sequence[Sequence[Path]], seconds: Mapping[str, float]) -> list[str]:
    """The voices whose own statistics count less than those of the training speakers."""
    found = []
    for number, voice in enumerate(voices, start=1):
        known = [seconds[str(file)] for file in set(voice) if str(file) in seconds]
        few_seconds = config.normalisation == "speaker" and sum(known) < PRIOR["speaker"]
        if few_seconds or (config.readout_norm == "speaker" and len(known) <= SpeakerNorm.PRIOR):
            found.append(
                f"voice {number}: {counted(len(known), 'recording')}, {sum(known):.1f} s in all. The model normalises a"
                f" voice by its recordings: give at least {SpeakerNorm.PRIOR + 1:.0f}, and {PRIOR['speaker']:.0f} s"
            )
    return found


def text(answer: dict[str, Any]) -> str:
    """The answer as a table, without the files that have a problem."""
    models, alphas, classes = len(answer["folds"]), len(answer["alphas"]), answer["classes"]
    rows = [["file", "emotion", "second", "votes", *(f"{name} %" for name in classes)]]
    for entry in answer["files"]:
        if not entry["problem"]:
            mark = MARK if _outvoted(entry) else ""
            votes = f"{entry['votes'][entry['predicted']]} of {models * alphas}{mark}"
            probabilities = [percent(entry["probabilities"][name]) for name in classes]
            rows.append([entry["file"], entry["predicted"], entry["second"], votes, *probabilities])
    synthetic = "SYNTHETIC DATA, " if answer["synthetic"] else ""
    data = f"{synthetic}corpus {answer['corpus']}, preset {answer['preset']}"
    ensemble = f"{counted(models, 'model')} of {answer['run']} ({data})"
    lines = [f"{ensemble}, {alphas} {'VTLP copies' if alphas > 1 else 'copy'} of a file for each"]
    if "speaker" in (answer["normalisation"], answer["readout_norm"]):
        lines.append("Each voice is normalised by its own files without labels (transductive)")
    if any(_outvoted(entry) for entry in answer["files"]):
        lines.append(f"{MARK} the votes decide, although another class has a larger mean probability")
    return "\n".join([table(rows, left=3), "", *lines])


def _outvoted(entry: dict[str, Any]) -> bool:
    """True if the class with the most votes does not have the largest mean probability."""
    return not entry["problem"] and entry["probabilities"][entry["predicted"]] < max(entry["probabilities"].values())
