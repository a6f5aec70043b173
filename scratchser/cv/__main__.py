"""python -m scratchser.cv: leave-one-speaker-out cross-validation of a corpus, up to the paper's table 2."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchser.corpus.options import add_corpus
from scratchser.cv import options
from scratchser.support.errors import exit_code
from scratchser.support.plots import import_matplotlib

EXAMPLES = f"""\
what a fold is: one speaker is for testing, the other speaker of the same session selects the best epoch (or trains too,
with select_epoch=false), the speakers of all other sessions are for training. There is one fold for each speaker, ten
in the paper. --groups N makes N folds that test several speakers each, for corpora without sessions; results are still
means over the test speakers.

presets, the columns of the paper's table 1
  baseline    4 kHz, nothing added                 over-grdt   over, and a learning rate and L2 of the conv layers' own
  over        happiness and anger twice            best-4khz   over-grdt, and VTLP
  over-aug    over, and a random warp (VTLP)       best        best-4khz, at 8 kHz

presets of ours
  demo          small and quick, for the synthetic corpus
  mel           mel axis, small network, mixup: the default for corpora other than IEMOCAP
  mel-speaker   mel, normalised over all recordings of a speaker, the test speaker too, without labels (transductive)

examples
  python -m scratchser.cv                                     the built-in synthetic corpus, about two minutes
  python -m scratchser.cv emodb/wav                           EmoDB, the preset 'mel'
  python -m scratchser.cv IEMOCAP_full_release --folds 1,2    only two folds
  python -m scratchser.cv DIR --preset over --set learning_rate=0.01 --set 'oversample=["sadness"]' --epochs 20
  python -m scratchser.cv DIR --from runs/fold-* --out runs/all   collect the folds of the jobs of a batch queue
  python -m scratchser.cv DIR --set conv_layers=2 --set lstm_layers=3 --set pool=half
  python -m scratchser.cv mine.csv --groups 6                 six folds instead of one for each speaker
  python -m scratchser.cv DIR --out runs/mine                 after an interruption, add --resume

conv_layers=N is short for lists of channels, kernels and strides: the first N layers of the preset; beyond these, its
last layer again, with the same total stride. pool=half replaces half of each even stride by max pooling.

To look at a corpus before training: python -m scratchser.corpus DIR
All presets and settings: scratchser/presets.py. The files of a run: docs/result-schema.md.

{options.EXIT_CODES}
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m scratchser.cv",
        description="Train and test a speech emotion recogniser by leave-one-speaker-out cross-validation.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_corpus(p)
    p.add_argument(
        "--preset", metavar="NAME", help="settings (default: demo for the synthetic corpus, best for IEMOCAP, else mel)"
    )
    options.add_training(p)
    p.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same bits (default: 0)")
    p.add_argument(
        "--from",
        dest="sources",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="copy the finished folds of these runs with the same settings, and run only the other folds",
    )
    p.add_argument("--out", type=Path, metavar="RUN", help="folder of the run (default: a new one under runs/)")
    p.add_argument("--resume", action="store_true", help="continue the run in --out")
    p.add_argument(
        "--audio",
        action="store_true",
        help="embed recordings of misclassified utterances in report.html; do not pass it on unless the licence of the"
        " corpus allows it (synthetic speech is always embedded)",
    )
    p.add_argument("--json", action="store_true", help="print result.json instead of the report")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    p = parser()
    args = p.parse_args(arguments)
    if args.resume and args.out is None:
        p.error("--resume needs --out RUN, the run to continue")
    options.check_minimum(p, "--seed", args.seed, 0)
    options.check_minimum(p, "--workers", args.workers, 1)
    return exit_code(run, args)


def run(args: argparse.Namespace) -> int:
    """What the command does after its arguments are parsed."""
    import_matplotlib()
    from scratchser.cv import command  # takes seconds to import, which --help need not wait for

    return command.main(args)


if __name__ == "__main__":
    sys.exit(main())
