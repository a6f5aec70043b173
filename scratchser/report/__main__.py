"""python -m scratchser.report: runs side by side."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchser.support.errors import exit_code

EPILOG = """\
examples
  python -m scratchser.report runs/over runs/best                       as text
  python -m scratchser.report runs/over runs/best --out compared.html   and as a page

The page of a single run is its report.html.

exit code  0 done   1 a damaged file, or a page that cannot be written   2 a wrong command
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code, see EPILOG."""
    p = argparse.ArgumentParser(
        prog="python -m scratchser.report",
        description="Compare runs of python -m scratchser.cv side by side.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a run; compared with the first one")
    p.add_argument("--out", type=Path, metavar="PAGE.html", help="also write the comparison as a self-contained page")
    args = p.parse_args(arguments)
    # --out must not overwrite a file of a run
    if args.out and (args.out.suffix != ".html" or args.out.name == "report.html"):
        p.error(f"--out {args.out}: choose a name that ends in .html, but not report.html")
    return exit_code(compare, args)


def compare(args: argparse.Namespace) -> int:
    from scratchser.report import comparison  # slow to import, which --help need not wait for
    from scratchser.runs import run
    from scratchser.support.files import write_text
    from scratchser.support.terminal import write

    runs = comparison.load([run.read(path) for path in args.runs])
    if args.out:
        write_text(args.out, comparison.html(runs))
    write(comparison.text(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
