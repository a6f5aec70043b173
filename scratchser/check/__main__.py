"""Judge a kernel file, or all files of a class."""

import argparse
import csv
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scratchser.check.exercises import EXERCISES
from scratchser.check.judge import verdict as grades
from scratchser.check.judge.limits import MEGABYTES, SECONDS, judged
from scratchser.check.judge.verdict import text_of
from scratchser.support import terminal
from scratchser.support.files import StorageError, write_bytes

EXAMPLES = f"""
python -m scratchser.check tutorials/exercises/linear_backward.py    one file, anywhere, under any name
python -m scratchser.check CLASS --csv grades.csv                    every .py file below a folder, a row for each

A file says which exercise it is by a line EXERCISE = "...", one of
  {", ".join(EXERCISES)}.

Each file runs in a process of its own, held to its time and memory. That is no cage: judge files that you would run.
Exit code: 0 when the file passes, or the table is written; 1 when the file does not pass; 2 for wrong use.
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m scratchser.check", description=__doc__, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("path", type=Path, help="a learner's file, or with --csv a folder of them")
    p.add_argument("--csv", type=Path, metavar="FILE", help="judge all files of the folder and write this table")
    p.add_argument("--seconds", type=_positive, default=SECONDS, help="for each file (default: %(default)s)")
    p.add_argument(
        "--megabytes", type=_positive, default=MEGABYTES, help="of memory for each file (default: %(default)s)"
    )
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives the exit code that EXAMPLES tells."""
    p = parser()
    args = p.parse_args(arguments)
    if not args.path.exists():
        p.error(f"there is no {args.path}")
    if args.path.is_dir() and not args.csv:
        p.error(f"{args.path} is a folder: say where the table goes, --csv grades.csv")
    if args.csv and not args.path.is_dir():
        p.error(f"--csv goes with a folder, and {args.path} is a file")
    try:
        if args.csv:
            return _class(args)
        verdict, printed = judged(args.path, args.seconds, args.megabytes)
    except (StorageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 2
    terminal.write(text_of(verdict, printed))
    return 0 if verdict.passed else 1


def _class(args: argparse.Namespace) -> int:
    files = list(grades.files_of(args.path))
    if not files:
        print(f"error: there is no .py file below {args.path}", file=sys.stderr)
        return 2
    table = io.StringIO()
    writer = csv.DictWriter(table, grades.COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, file in enumerate(files, 1):
        started = time.perf_counter()
        verdict, _ = judged(file, args.seconds, args.megabytes)
        row = grades.row(verdict, args.path, time.perf_counter() - started)
        writer.writerow(row)
        write_bytes(args.csv, table.getvalue().encode())  # row by row: what is judged is kept
        terminal.write(f"{number}/{len(files)}  {'passed ' if verdict.passed else 'not yet'}  {row['file']}")
    terminal.write(f"{len(files)} files, {args.csv}")
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
