"""The main job: cross-validation over speakers, from a folder of wav files to the paper's table 2.

python -m scratchser.cv                                   the built-in synthetic corpus, about two minutes
python -m scratchser.cv path/to/IEMOCAP_full_release      the paper's experiment
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchser.cv import options
from scratchser.support.errors import exit_code

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
    """Returns one of options.EXIT_CODES."""
    p = parser()
    args = p.parse_args(arguments)
    if args.resume and args.out is None:
        p.error("--resume needs --out RUN, the run to continue")
    options.check_minimum(p, "--seed", args.seed, 0)
    options.check_minimum(p, "--workers", args.workers, 1)
    from scratchser.cv import command  # takes seconds to import, which --help need not wait for

    return exit_code(command.run, args, options.INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
