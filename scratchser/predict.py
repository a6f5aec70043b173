"""A trained run on sound files of one's own: probabilities by the vote of warped copies, section 2 of the paper.

Every model of the run votes with every copy of a file, 11 copies by each of ten models; the vote is evaluate.vote, as
in a fold's test. docs/predict.md says what to make of the figures, and what --json holds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scratchser.corpus.audio import survey
from scratchser.corpus.batches import Normalisation
from scratchser.corpus.check import conversions, cut_off
from scratchser.corpus.features import Features, Signal, extract
from scratchser.corpus.table import Corpus, Utterance
from scratchser.evaluate import Prediction, copies, copy_probabilities, vote
from scratchser.model import Model
from scratchser.presets import Config, SettingError, from_json
from scratchser.report.text import SYNTHETIC, percent, table
from scratchser.runs import run
from scratchser.runs.fold_dir import FoldDir
from scratchser.runs.folder import RunError
from scratchser.runs.run import Record
from scratchser.support import terminal
from scratchser.support.files import StorageError, plain
from scratchser.support.terminal import bar, say

SCHEMA = 1
SILENT = "silent: nothing in it is louder than the floor of the spectrogram"
OFFSET_BINS = 2  # the lowest bins hold a constant offset, which is no sound

EPILOG = """\
examples
  python -m scratchser.predict runs/mine voice.wav                  all finished folds' models vote
  python -m scratchser.predict runs/mine --fold 3 a.flac b.ogg      the model of one fold
  python -m scratchser.predict runs/mine *.wav --json

A file is one utterance, of any rate and number of channels. The accuracies in the run's report are those of single
models on speakers they had never heard: they do not hold for a corpus file, which most models were trained on.

exit code  0 done   1 a file is broken, too short or silent, or a file of the run is damaged   2 a wrong command
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m scratchser.predict",
        description="Which emotion a run's models hear in sound files (wav, flac, ogg).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("run", type=Path, metavar="RUN", help="folder of a run of python -m scratchser.cv")
    p.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a sound file, one utterance")
    p.add_argument("--fold", type=int, metavar="K", help="only this fold's model (default: all finished folds')")
    p.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives the exit code that EPILOG tells."""
    args = parser().parse_args(arguments)
    try:
        record = run.read(args.run)
        answer = predict(record, load(record, args.fold), args.files)
    except (RunError, SettingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except StorageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    broken = [entry for entry in answer["files"] if entry["problem"]]
    said = [*answer["warnings"], *(f"{entry['file']}: {entry['problem']}" for entry in broken)]
    for line in [SYNTHETIC] * answer["synthetic"] + said:
        say(line)
    if args.json or len(broken) < len(answer["files"]):
        terminal.write(json.dumps(answer, indent=1) if args.json else text(answer))
    return 1 if broken else 0


def predict(record: Record, models: Sequence[Trained], files: Sequence[Path]) -> dict[str, Any]:
    """What --json prints: docs/predict.md."""
    config = from_json(record.settings["config"])
    corpus = record.settings["corpus"]
    asked = Corpus("files", tuple(corpus["classes"]), tuple(map(_utterance, dict.fromkeys(files))))
    heard = survey(asked, config.window_ms, lambda items: bar(items, "listening"))
    problems = {problem.utterance: problem.what for problem in heard.problems}
    asked = asked.without(problems)
    features = extract(asked, config)
    problems |= {u.name: SILENT for n, u in enumerate(asked.utterances) if silent(features.of(n))}
    alphas = copies(config)
    chosen = np.array([n for n, u in enumerate(asked.utterances) if u.name not in problems], np.int64)
    entries = {name: _problem(name, what) for name, what in problems.items()}
    if len(chosen):
        prediction = ensemble(models, features, chosen, alphas)
        for row, n in enumerate(chosen):
            name = asked.utterances[n].name
            entries[name] = _entry(name, heard.seconds[name], asked.classes, prediction, row)
    return plain(
        {
            "schema": SCHEMA,
            "synthetic": corpus["synthetic"],
            "run": record.path,
            "corpus": corpus["name"],
            "preset": record.settings["preset"],
            "classes": asked.classes,
            "folds": [trained.fold for trained in models],
            "alphas": alphas,
            "warnings": [*conversions(heard), *cut_off(heard)],
            "files": [entries[str(file)] for file in files],
        }
    )


def ensemble(models: Sequence[Trained], features: Features, utterances: np.ndarray, alphas: np.ndarray) -> Prediction:
    """The vote of all models (M) over all copies (A) of utterances (U,), indices into `features`: M A votes each."""
    heard = [copy_probabilities(m.model, features, m.normalisation, utterances, alphas) for m in models]
    return vote(np.concatenate(heard))


def silent(spectrogram: np.ndarray) -> bool:
    """True where a log spectrogram (T, F) is at its floor everywhere, but for a constant offset of the sound."""
    return bool(np.ptp(spectrogram[:, OFFSET_BINS:]) == 0)


def text(answer: dict[str, Any]) -> str:
    """The answer as a table, files with a problem left out."""
    models, alphas, classes = len(answer["folds"]), len(answer["alphas"]), answer["classes"]
    rows = [["file", "emotion", "then", "votes", *(f"{name} %" for name in classes)]]
    for entry in answer["files"]:
        if not entry["problem"]:
            won, cast = entry["votes"][entry["predicted"]], models * alphas
            probabilities = [percent(entry["probabilities"][name]) for name in classes]
            rows.append([entry["file"], entry["predicted"], entry["second"], f"{won} of {cast}", *probabilities])
    data = "SYNTHETIC DATA, " * answer["synthetic"] + f"corpus {answer['corpus']}, preset {answer['preset']}"
    who = f"{models} model{'s' * (models > 1)} of {answer['run']} ({data})"
    legend = f"{who}, {alphas} {'warped copies' if alphas > 1 else 'copy'} of a file for each"
    return f"{table(rows, left=3)}\n\n{legend}"


def _utterance(file: Path) -> Utterance:
    return Utterance(name=str(file), path=file, speaker="", gender="", session="", label=0, source=str(file))


def _entry(name: str, seconds: float, classes: Sequence[str], prediction: Prediction, row: int) -> dict[str, Any]:
    return {
        "file": name,
        "problem": None,
        "seconds": seconds,
        "predicted": classes[prediction.first[row]],
        "second": classes[prediction.second[row]],
        "probabilities": dict(zip(classes, prediction.mean[row], strict=True)),
        "votes": dict(zip(classes, prediction.votes[row], strict=True)),
    }


def _problem(name: str, what: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("seconds", "predicted", "second", "probabilities", "votes"))
    return {"file": name, "problem": what, **nothing}


if __name__ == "__main__":
    sys.exit(main())


@dataclass(frozen=True)
class Trained:
    """What a fold leaves behind to be used."""

    fold: int
    model: Model
    normalisation: Normalisation


def load(record: Record, fold: int | None = None) -> list[Trained]:
    """The models of a run's finished folds, or of one of them.

    Raises RunError where there is none, or where an older version left out what is needed; StorageError where a file
    is damaged; SettingError where another version made the run.
    """
    done = {folder.number: folder for folder in record.folds if folder.result() is not None}
    if not done:
        raise RunError(f"{record.path} has no finished fold yet: wait for one, or go on with the run by --resume")
    if fold is not None and fold not in done:
        raise RunError(f"--fold {fold}: the finished folds of {record.path} are {', '.join(map(str, done))}")
    chosen = [done[fold]] if fold is not None else list(done.values())
    if old := [folder for folder in chosen if _normalisation(folder) is None]:
        raise RunError(_remedy(record.path, old))
    config, classes = from_json(record.settings["config"]), len(record.settings["corpus"]["classes"])
    return [_load(folder, config, classes) for folder in chosen]


def _load(folder: FoldDir, config: Config, classes: int) -> Trained:
    model = Model(config, Signal.of(config).bins, classes)
    checkpoint, normalisation = folder.checkpoint(), _normalisation(folder)
    if checkpoint is None or normalisation is None:
        raise StorageError(f"{folder.path} has a result and no checkpoint: restore it, or start a new run with --out")
    values, best = model.parameters.values, checkpoint[0]["best"]
    if best.shape != values.shape:
        raise StorageError(
            f"{folder.path} holds {best.size} parameters, this version's model has {values.size}: use the version"
            " that made the run"
        )
    model.device.copy(best, values)
    return Trained(folder.number, model, normalisation)


def _normalisation(folder: FoldDir) -> Normalisation | None:
    """Of a finished fold; None where an older version finished it."""
    kept = (folder.result() or {}).get("normalisation")
    return Normalisation(**kept) if kept else None


def _remedy(run: Path, old: Iterable[FoldDir]) -> str:
    files = " ".join(str(folder.path / "result.json") for folder in old)
    return (
        f"an older version made {run} and did not keep eq. (5)'s mean and scale of its folds: remove {files} and give"
        " the run's command again with --resume; these folds are then tested again, not trained"
    )
