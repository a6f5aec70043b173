"""The main job: cross-validation over speakers, from a folder of wav files to the paper's table 2.

python -m scratchser.cv                                   the built-in synthetic corpus, about two minutes
python -m scratchser.cv path/to/IEMOCAP_full_release      the paper's experiment
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from scratchser.cv import experiment, options
from scratchser.cv.experiment import Experiment
from scratchser.presets import named, with_settings
from scratchser.report import text
from scratchser.runs import run as rundir
from scratchser.support import environment, terminal
from scratchser.support.gpu import describe
from scratchser.support.terminal import say

EXAMPLES = f"""\
what a fold is: one speaker is tested, the other speaker of the same session chooses the best epoch, the speakers of
all other sessions train. There are as many folds as speakers, ten in the paper.

presets, the columns of the paper's table 1
  baseline    4 kHz, nothing added                 over-grdt   over, and conv layers with a rate and an L2 of their own
  over        happiness and anger twice            best-4khz   over-grdt, and every utterance warped at random (VTLP)
  over-aug    over, and VTLP                       best        best-4khz, at 8 kHz
  demo        not the paper's: small and quick, for the synthetic corpus

examples
  python -m scratchser.cv                                     the synthetic corpus of the package: no data needed
  python -m scratchser.cv emodb/wav                           EmoDB, the preset 'best'
  python -m scratchser.cv IEMOCAP_full_release --folds 1,2    two folds only
  python -m scratchser.cv DIR --preset over --set learning_rate=0.01 --set 'oversample=["sadness"]' --epochs 20
  python -m scratchser.cv DIR --from runs/fold-* --out runs/all   what jobs of a batch queue have done, as one run
  python -m scratchser.cv DIR --set conv_layers=2 --set lstm_layers=3 --set pool=half
  python -m scratchser.cv DIR --out runs/mine                 and after an interruption the same with --resume

conv_layers=N is short for lists of channels, kernels and strides: the preset's first N layers or, beyond its own, its
last one again, with the same strides in total. pool=half puts max pooling in the place of half of each even stride.

A look at the corpus before anything is trained: python -m scratchser.corpus DIR
The presets and what each setting means: scratchser/presets.py. What lies in a run's folder: docs/result-schema.md.

{options.EXIT_CODES}
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m scratchser.cv",
        description="Train and test a speech emotion recogniser, leaving one speaker out at a time.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_corpus(p)
    p.add_argument("--preset", metavar="NAME", help="settings (default: demo for the synthetic corpus, else best)")
    options.add_training(p)
    p.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same bits (default: 0)")
    p.add_argument(
        "--from",
        dest="sources",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="take the folds that these runs of the same settings have done, as jobs of a batch queue leave them, and"
        " run only the rest",
    )
    p.add_argument("--out", type=Path, metavar="RUN", help="folder of the run (default: a new one under runs/)")
    p.add_argument("--resume", action="store_true", help="go on with the run in --out")
    p.add_argument(
        "--audio",
        action="store_true",
        help="embed recordings of the worst mistakes in report.html, which must then not be passed on unless the"
        " corpus's licence allows it (synthetic speech is always embedded)",
    )
    p.add_argument("--json", action="store_true", help="print result.json instead of the report")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives the exit code that EXAMPLES tells."""
    p = parser()
    args = p.parse_args(arguments)
    if args.resume and args.out is None:
        p.error("--resume needs --out RUN, the run to go on with")
    options.at_least(p, "--seed", args.seed, 0)
    options.at_least(p, "--workers", args.workers, 1)
    return options.answered(run, args)


def run(args: argparse.Namespace) -> int:
    """The whole job of a parsed command line."""
    device, chosen = options.device(args)
    tuned = options.tuned(args)
    preset = args.preset or (tuned.preset if tuned else "demo" if options.folder(args) is None else "best")
    config = with_settings(named(preset), args.set)
    config = config if args.epochs is None else replace(config, epochs=args.epochs)
    experiment.check(config)
    data = options.load(args)
    say("\n".join([chosen, *data.notes]))
    heard = options.listen(data, config.window_ms, args.skip_broken)
    data = heard.data
    folds = options.chosen_folds(data, args.folds)
    said = (*heard.said, *experiment.oversampled(config, data.classes, asked=args.set))
    if tuned:
        tuned.check(data)
        said = (*said, tuned.sentence())

    settings = rundir.settings(
        data,
        config,
        preset=preset,
        seed=args.seed,
        folds=[fold.number for fold in folds],
        left_out=heard.left_out,
        tuned=tuned,
    )
    there = rundir.finished(args.sources, settings)
    path = args.out or Path("runs") / f"{data.name}-{preset}-{datetime.now():%Y%m%d-%H%M%S}"
    workers = options.workers(args.workers, device, len(folds))
    begin = rundir.resume if args.resume else rundir.create
    with (
        options.folds_by(args, device, workers) as by,
        begin(path, settings, environment.describe(describe(device), workers)) as opened,
    ):
        say(f"run: {path}")
        for fold in there:
            opened.take(fold)
        if args.sources:
            say(f"{len(there)} of {len(folds)} folds are done in other runs; {len(folds) - len(there)} to run")
        runs = [Experiment(opened, config, args.seed, said)]
        (result,) = experiment.train(runs, data, folds, by, device, path / "features", audio=args.audio)
    say(f"all of it in {path}")  # before the text, whose reader may be `head`
    terminal.write(json.dumps(result, indent=1) if args.json else text.render(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
