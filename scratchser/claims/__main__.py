"""python -m scratchser.claims: all claims, on the disk, and the tables."""

import argparse
import sys
from datetime import datetime
from pathlib import Path

from scratchser import stdout
from scratchser.atomic import StorageError
from scratchser.paper.claims import CORPORA, build
from scratchser.train import DivergedError
from scratchser.workers import WorkerError, cores


def main(arguments: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m scratchser.claims", description=__doc__)
    p.add_argument("--out", type=Path, metavar="DIR", help="where the trainings and tables go (default: under runs/)")
    p.add_argument("--resume", action="store_true", help="go on with what is in --out")
    p.add_argument("--workers", type=int, default=cores(), metavar="N", help="corpora at a time (default: %(default)s)")
    p.add_argument("--corpora", type=int, default=CORPORA, metavar="N", help="of each claim (default: %(default)s)")
    args = p.parse_args(arguments)
    if args.resume and args.out is None:
        p.error("--resume needs --out DIR, what to go on with")
    out = args.out or Path("runs") / f"claims-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        made = build(out, corpora=args.corpora, workers=args.workers, resume=args.resume)
    except (StorageError, DivergedError, WorkerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what is done is kept, and the same command with --resume --out goes on", file=sys.stderr)
        return 1
    stdout.write("\n\n".join(made.tables[name].text() for name in made.tables if name != "claims_corpora"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
