"""A trained run on sound files of one's own: probabilities by the vote of warped copies, section 2 of the paper.

Every model of the run votes with every copy of a file, 11 copies by each of ten models; the vote is evaluate.vote, as
in a fold's test. docs/predict.md says what to make of the figures, and what --json holds.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchser.corpus.audio import survey
from scratchser.corpus.check import conversions, cut_off
from scratchser.corpus.features import Features, extract
from scratchser.corpus.table import Corpus, Utterance
from scratchser.evaluate import Prediction, copies, copy_probabilities, vote
from scratchser.presets import SettingError, from_json
from scratchser.report.screen import SYNTHETIC, percent, table
from scratchser.runs import run
from scratchser.runs.run import Record, RunError
from scratchser.support import terminal
from scratchser.support.files import StorageError, plain
from scratchser.support.terminal import bar, say
from scratchser.trained import Trained, load

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
