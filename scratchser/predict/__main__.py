"""python -m scratchser.predict: the emotion of sound files, by the models of a run. docs/predict.md explains it."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchser.support import terminal
from scratchser.support.errors import exit_code
from scratchser.support.terminal import say

EPILOG = """\
examples
  python -m scratchser.predict runs/mine voice.wav                  the models of all finished folds vote
  python -m scratchser.predict runs/mine --fold 3 a.flac b.ogg      the model of one fold
  python -m scratchser.predict runs/mine *.wav --json
  python -m scratchser.predict runs/mine a1.wav a2.wav --voice b1.wav b2.wav   two voices

A file is one utterance, with any sampling rate and number of channels. The accuracies in the run's report are those of
single models on speakers that they were not trained on. They do not hold for a file of the corpus, which most of the
models were trained on.

exit code  0 done   1 a file is broken, too short or silent, or a file of the run is damaged   2 a wrong command
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    p = argparse.ArgumentParser(
        prog="python -m scratchser.predict",
        description="Predict the emotion of sound files (wav, flac, ogg) with the models of a run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("run", type=Path, metavar="RUN", help="folder of a run of python -m scratchser.cv")
    p.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a sound file, one utterance; those before --voice are one voice",
    )
    voice = "files of another voice; can be repeated. It matters for runs that normalise over speakers"
    p.add_argument("--voice", type=Path, nargs="+", action="append", default=[], metavar="FILE", help=voice)
    p.add_argument("--fold", type=int, metavar="K", help="only the model of this fold (default: of all finished folds)")
    p.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return exit_code(run, p.parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    """Predict, and print the problems and the answer. Returns 1 if there are problems."""
    from scratchser.predict import ensemble  # takes seconds to import
    from scratchser.report.text import SYNTHETIC
    from scratchser.runs.run import read

    record = read(args.run)
    answer = ensemble.predict(record, ensemble.load(record, args.fold), [args.files, *args.voice])
    problems = [f"{entry['file']}: {entry['problem']}" for entry in answer["files"] if entry["problem"]]
    if answer["synthetic"]:
        say(SYNTHETIC)
    for line in answer["warnings"] + problems:
        say(line)
    if args.json:
        terminal.write(json.dumps(answer, indent=1))
    elif len(problems) < len(answer["files"]):
        terminal.write(ensemble.text(answer))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
