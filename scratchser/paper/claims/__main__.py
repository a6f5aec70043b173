"""The command line of python -m scratchser.paper claims."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchser.cv import options
from scratchser.support.errors import exit_code

CORPORA = 80  # takes half an hour on two cores
EXAMPLES = f"""\
Everything is trained on corpora that the package makes: no data is needed, and nothing is said about real speech.
docs/claims.md describes the design, the nulls and the results.

{options.EXIT_CODES}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns one of options.EXIT_CODES."""
    p = argparse.ArgumentParser(
        prog="python -m scratchser.paper claims",
        description="Test the paper's claims on synthetic corpora, where the true effect is known.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--out", type=Path, metavar="DIR", help="folder of trainings and tables (default: new, under runs/)")
    p.add_argument("--resume", action="store_true", help="continue with what is in --out")
    p.add_argument("--workers", type=int, metavar="N", help="corpora at a time (default: all cores)")
    p.add_argument("--corpora", type=int, default=CORPORA, metavar="N", help="of each claim (default: %(default)s)")
    p.add_argument("--dry-run", action="store_true", help="train nothing: list what would be, and estimate the time")
    args = p.parse_args(arguments)
    if args.resume and args.out is None:
        p.error("--resume needs --out DIR, the folder to continue in")
    options.check_minimum(p, "--workers", args.workers, 1)
    options.check_minimum(p, "--corpora", args.corpora, 2)  # an interval needs two
    from scratchser.paper.claims import experiment  # slow to import, which --help need not wait for

    return exit_code(experiment.run, args, options.INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
