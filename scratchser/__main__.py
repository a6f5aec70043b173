"""python -m scratchser: the list of commands."""

import argparse
import sys

from scratchser import __version__

COMMANDS = """\
commands, each with --help
  python -m scratchser.cv        train and test: leave-one-speaker-out cross-validation, the main command
  python -m scratchser.predict   the emotion of sound files, by the models of a run
  python -m scratchser.report    compare runs
  python -m scratchser.corpus    look at a corpus before training
  python -m scratchser.paper     the tables and figures of the paper
  python -m scratchser.check     check your solution of an exercise
  python -m scratchser.bench     the speed of the kernels

Start with python -m scratchser.cv: it needs no data.
"""


def main() -> int:
    p = argparse.ArgumentParser(
        prog="python -m scratchser",
        description="Speech emotion recognition from scratch.",
        epilog=COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--version", action="version", version=f"scratchser {__version__}")
    p.parse_args()
    p.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
