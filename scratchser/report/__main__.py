"""python -m scratchser.report: runs side by side."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchser.report import comparison
from scratchser.runs import run
from scratchser.runs.run import RunError
from scratchser.support import terminal
from scratchser.support.files import StorageError, write_text

EPILOG = """\
examples
  python -m scratchser.report runs/over runs/best                       as text
  python -m scratchser.report runs/over runs/best --out compared.html   and as a page

The page of a single run is its report.html.

exit code  0 done   1 a damaged file, or a page that cannot be written   2 a wrong command
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives the exit code that EPILOG tells."""
    p = argparse.ArgumentParser(
        prog="python -m scratchser.report",
        description="Compare runs of python -m scratchser.cv side by side.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a run; the first is compared with")
    p.add_argument("--out", type=Path, metavar="PAGE.html", help="write the comparison as one self-contained page too")
    args = p.parse_args(arguments)
    if args.out and args.out.suffix != ".html":  # so that no file of a run is overwritten by mistake
        p.error(f"--out {args.out}: the page's name has to end in .html")
    if args.out and args.out.name == "report.html":
        p.error(f"--out {args.out}: report.html is the name of a single run's page; choose another")
    try:
        runs = comparison.load([run.read(path) for path in args.runs])
        if args.out:
            write_text(args.out, comparison.html(runs))
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except StorageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    terminal.write(comparison.text(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
