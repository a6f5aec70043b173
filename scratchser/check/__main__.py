"""Judge a kernel file, a folder of exercises, or all files of a class."""

import argparse
import csv
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from scratchser.check.exercises import NAMES
from scratchser.check.judge.limits import MEGABYTES, SECONDS, judge_in_process
from scratchser.check.judge.source import begin
from scratchser.check.judge.verdict import COLUMNS
from scratchser.support import terminal
from scratchser.support.errors import UsageError, exit_code

EXAMPLES = f"""\
examples
  python -m scratchser.check tutorials/exercises/linear_backward.py    one file with any path and name
  python -m scratchser.check mine.py --hint 1                          and a hint: 1 is a nudge, 3 the line
  python -m scratchser.check tutorials/exercises                       how many are solved, and which is next
  python -m scratchser.check mine.py --draw mine.svg                   and a drawing of the accesses of a CUDA kernel
  python -m scratchser.check CLASS --csv grades.csv                    every .py file in a folder, one row for each

A line EXERCISE = "..." in the file says which exercise it is, one of
{fill(", ".join(NAMES), 110, initial_indent="  ", subsequent_indent="  ")}

Each file runs in a separate process, with limits on time and memory. This is not a sandbox: judge only files that you
would run yourself.

exit code  0 the file passes, or a folder is judged   1 it does not pass, or something failed   2 a wrong command
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m scratchser.check", description=__doc__, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("path", type=Path, help="a learner's file, or a folder of files")
    p.add_argument("--all", action="store_true", help="show all checks of a file, not only the most likely cause")
    p.add_argument(
        "--hint", type=int, choices=(1, 2, 3), default=0, help="1: what to look at, 2: the idea, 3: the line"
    )
    p.add_argument("--csv", type=Path, metavar="FILE", help="judge all files in the folder and write this table")
    p.add_argument(
        "--draw", type=Path, metavar="FILE",
        help="draw which thread of a CUDA kernel reads and writes which element (.svg or .png)",
    )  # fmt: skip
    p.add_argument("--seconds", type=_positive, default=SECONDS, help="time for each file (default: %(default)s)")
    p.add_argument("--megabytes", type=_positive, default=MEGABYTES, help="memory for each file (default: %(default)s)")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    p = parser()
    args = p.parse_args(arguments)
    if not os.path.exists(args.path):
        p.error(f"{args.path} does not exist, or its folder cannot be read")
    if args.path.is_dir() and (args.all or args.hint):
        p.error(f"--all and --hint need one file to judge, but {args.path} is a folder")
    if args.csv and not args.path.is_dir():
        p.error(f"--csv needs a folder, but {args.path} is a file")
    if args.draw and (args.path.is_dir() or args.draw.suffix not in (".svg", ".png")):
        p.error("--draw needs one file to judge, and a name that ends in .svg or .png")
    if args.csv:
        return exit_code(_class, args)
    return exit_code(_folder if args.path.is_dir() else _file, args)


def _file(args: argparse.Namespace) -> int:
    verdict, printed = judge_in_process(args.path, args.seconds, args.megabytes, args.draw)
    terminal.write(verdict.as_text(printed, args.all, args.hint))
    return 0 if verdict.passed else 1


def _folder(args: argparse.Namespace) -> int:
    """A line for each file, in the order of the tutorials. Of several files of one exercise, one must pass."""
    exercises = {file: begin(file).exercise for file in _files(args.path)}
    first: dict[str, str] = {}  # exercise, or a file without one -> its first file
    solved = set()
    for file in sorted(exercises, key=lambda file: NAMES.index(exercises[file]) if exercises[file] else len(NAMES)):
        verdict, _ = judge_in_process(file, args.seconds, args.megabytes)
        name = file.relative_to(args.path).as_posix()
        terminal.write(f"{name:32}{verdict.in_a_line()}")
        exercise = exercises[file] or name
        first.setdefault(exercise, name)
        solved |= {exercise} if verdict.passed else set()
    following = [name for exercise, name in first.items() if exercise not in solved]
    terminal.write(f"{len(solved)} of {len(first)} solved{f', next: {following[0]}' if following else ''}")
    return 0


def _class(args: argparse.Namespace) -> int:
    from scratchser.support.files import write_text  # imports NumPy: not for --help

    files = _files(args.path)
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, file in enumerate(files, 1):
        started = time.perf_counter()
        verdict, _ = judge_in_process(file, args.seconds, args.megabytes)
        row = verdict.as_row(args.path, time.perf_counter() - started)
        writer.writerow(row)
        write_text(args.csv, table.getvalue())  # after each file, so that an interruption loses nothing
        terminal.write(f"{number}/{len(files)}  {'passed ' if verdict.passed else 'not yet'}  {row['file']}")
    terminal.write(f"{len(files)} files, {args.csv}")
    return 0


def _files(folder: Path) -> list[Path]:
    """Python files in the folder and its subfolders, without hidden ones and caches."""

    def hidden(path: Path) -> bool:
        return any(part.startswith(".") or part == "__pycache__" for part in path.parts)

    files = [path for path in sorted(folder.rglob("*.py")) if not hidden(path.relative_to(folder))]
    if not files:
        raise UsageError(f"there is no .py file in {folder}")
    return files


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
