"""The options that the commands which train share. Only light imports, so that --help is quick: see prepare.py."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXIT_CODES = "exit code  0 done   1 broken data, a full disk, diverged or interrupted training   2 a wrong command"
LOCAL = "local"  # --cluster local: a scheduler and workers on this machine


def add_training(p: argparse.ArgumentParser) -> None:
    p.add_argument("--skip-broken", action="store_true", help="leave broken utterances out; the report lists them")
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting of the preset; repeatable"
    )
    p.add_argument(
        "--tuned",
        type=Path,
        metavar="FILE",
        help="settings that python -m scratchser.paper tune selected; the report separates its speakers",
    )
    p.add_argument("--epochs", type=int, metavar="N", help="short for --set epochs=N")
    p.add_argument("--folds", default="all", metavar="all|1,4,...", help="numbers of the folds to run (default: all)")
    p.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:K", help="where to compute (default: auto)")
    p.add_argument(
        "--workers", type=int, metavar="N", help="folds at a time, one process each (default: one for each core)"
    )
    p.add_argument(
        "--cluster",
        metavar=f"ADDRESS|{LOCAL}",
        help="run the folds on the workers of this dask scheduler; local: start --workers workers on this machine"
        " (docs/cluster.md)",
    )


def check_minimum(p: argparse.ArgumentParser, option: str, value: int | None, minimum: int) -> None:
    """Ends the program with exit code 2 if the value is too small."""
    if value is not None and value < minimum:
        p.error(f"{option} must be at least {minimum}")


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Context in which Ctrl-C tells how to continue in the folder `out`."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        advice = f"continue with the same command and --resume --out {out}"
        raise KeyboardInterrupt(f"interrupted; what is finished is kept: {advice}") from interrupt
