"""Claims: what the paper says, as experiments on synthetic corpora; scratchser/claims/ has them one by one."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numba

from scratchser.corpus.features import extract
from scratchser.corpus.table import CorpusError
from scratchser.cv.workers import WorkerError
from scratchser.fit import DivergedError
from scratchser.paper import estimate
from scratchser.paper.claims import CLAIMS, corpora, outcome, running
from scratchser.paper.output import Output
from scratchser.runs.folder import RunError
from scratchser.support import terminal
from scratchser.support.environment import cores
from scratchser.support.files import StorageError
from scratchser.support.terminal import say

CORPORA = 80  # of each claim; half an hour on two cores is the most that this may take
EXAMPLES = """\
Everything is trained on corpora that the package makes, so no data is needed and nothing is said about real speech.
docs/claims.md tells what is tried, why a null is one, and what came out.

exit code  0 done   1 a full disk, training that went astray or was interrupted   2 a wrong command
"""


def build(out: Path, *, corpora: int = CORPORA, workers: int = 1, resume: bool = False) -> Output:
    """Train what the claims need in the folder `out`, or go on with it, and write the tables and the figure there.

    Errors as in `running.run`.
    """
    made = outcome.output(CLAIMS, running.run(out, CLAIMS, corpora, workers, resume))
    made.write(out)
    return made


def forecast(out: Path, *, number: int = CORPORA, workers: int = 1, resume: bool = False) -> str:
    """What `build` would train, and how long that takes here: measured on a few steps of each arm, then multiplied.

    Raises RunError as `running.run`.
    """
    todo = [piece for piece in running.plan(out, CLAIMS, number, resume) if not piece.done]
    trainings = sum(len(names) for piece in todo for names in piece.todo().values())
    lines = [f"{len(todo)} corpora to go, {trainings} trainings; {len(CLAIMS)} claims, {number} corpora each"]
    if todo:
        say("measuring a corpus of each claim")
        most = {piece.claim: piece for piece in sorted(todo, key=lambda piece: sum(map(len, piece.todo().values())))}
        seconds = {claim: _seconds(piece) for claim, piece in most.items()}
        at_once = min(workers, len(todo))
        total = sum(seconds[piece.claim] for piece in todo) / at_once
        lines.append(f"about {estimate.duration(total)}, an estimate: {at_once} at a time, one thread each")
        lines.append("measured here and now; what else this machine does now counts as if it went on")
    return "\n".join(lines)


def _seconds(piece: running.Work) -> float:
    """Of a corpus: its sounds, and the trainings that it still needs."""
    before, total = numba.get_num_threads(), 0.0
    numba.set_num_threads(1)  # as they are trained
    try:
        for world, names in piece.todo().items():
            fold = corpora.fold(piece.number)
            extract(corpora.corpus(world, piece.seed), piece.arms[names[0]].config)  # compiles, or loads what is
            started = time.monotonic()
            heard = corpora.corpus(world, piece.seed)
            frames = extract(heard, piece.arms[names[0]].config).lengths
            total += time.monotonic() - started
            for config in (piece.arms[name].config for name in names):
                speed = estimate.speed(heard, frames, fold, config, "cpu")
                total += estimate.seconds(heard, frames, fold, config, config.epochs, speed)
    finally:
        numba.set_num_threads(before)
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives the exit code that EXAMPLES tells."""
    p = argparse.ArgumentParser(
        prog="python -m scratchser.paper claims",
        description="Try the paper's claims where the truth is known.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--out", type=Path, metavar="DIR", help="folder of trainings and tables (default: new, under runs/)")
    p.add_argument("--resume", action="store_true", help="go on with what is in --out")
    p.add_argument("--workers", type=int, default=cores(), metavar="N", help="corpora at a time (default: all cores)")
    p.add_argument("--corpora", type=int, default=CORPORA, metavar="N", help="of each claim (default: %(default)s)")
    p.add_argument("--dry-run", action="store_true", help="train nothing: say what would be, and how long it takes")
    args = p.parse_args(arguments)
    if args.resume and args.out is None:
        p.error("--resume needs --out DIR, the folder to go on in")
    if args.workers < 1:
        p.error("--workers must be at least 1")
    out = args.out or Path("runs") / f"claims-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        if args.dry_run:
            terminal.write(forecast(out, number=args.corpora, workers=args.workers, resume=args.resume))
            return 0
        made = build(out, corpora=args.corpora, workers=args.workers, resume=args.resume)
    except (RunError, CorpusError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (StorageError, DivergedError, WorkerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what is done is kept, and the same command with --resume --out goes on", file=sys.stderr)
        return 1
    say(f"all of it in {out}")  # before the text, whose reader may be `head`
    terminal.write("\n\n".join(table.text() for name, table in made.tables.items() if name != "claims_corpora"))
    return 0
