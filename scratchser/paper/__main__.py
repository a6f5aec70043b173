"""python -m scratchser.paper: the paper's tables and figures, each a command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import ModuleType

from scratchser.corpus.table import Corpus
from scratchser.cv import options
from scratchser.cv.prepare import changes, fold_runner, prepare, read_tuned
from scratchser.paper import estimate, tune
from scratchser.paper.claims import command
from scratchser.paper.figures import figure1, figure2, figure3, figure4
from scratchser.paper.output import Output
from scratchser.paper.sweep import Base, Sweep, check
from scratchser.paper.tables import depth, normalisation, pooling, table1, table2, table3, table4, table5, table6
from scratchser.support import environment, suggest, terminal
from scratchser.support.errors import exit_code
from scratchser.support.gpu import describe
from scratchser.support.terminal import say

# What has SETTINGS is made from trained runs (tune has its candidates), the rest from the corpus alone.
# `need(corpus)`, where a file has it, refuses a corpus before anything is trained; `main(arguments)` is a command line
# of its own.
COMMANDS: dict[str, ModuleType] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "table6": table6,
    "depth": depth,
    "pooling": pooling,
    "normalisation": normalisation,
    "figure1": figure1,
    "figure2": figure2,
    "figure3": figure3,
    "figure4": figure4,
    "claims": command,
    "tune": tune,
}


def _purposes() -> str:
    return "\n".join(f"  {name:<15}{_purpose(module)}" for name, module in COMMANDS.items())


def _purpose(module: ModuleType) -> str:
    """The first line of the file, without the name that stands before it."""
    return (module.__doc__ or "").partition("\n")[0].partition(": ")[2].rstrip(".")


EXAMPLES = f"""\
commands
{_purposes()}

Every run is in OUT/runs, a folder as python -m scratchser.cv writes it; several tables with the same OUT share their
runs. A table is printed and written to OUT as CSV and Markdown, a figure as PNG. Settings are those of the presets; the
built-in corpus gets a model of the preset demo's size. The paper's figures stand beside ours where the corpus is
IEMOCAP and no setting was changed.

examples
  python -m scratchser.paper table2                              on the built-in corpus: no data needed
  python -m scratchser.paper table1 emodb/wav --dry-run          which runs, and how long they will take here
  python -m scratchser.paper table1 emodb/wav --out results      and after an interruption the same with --resume
  python -m scratchser.paper table2 emodb/wav --out results --resume    its runs are there already
  python -m scratchser.paper table1 emodb/wav --seeds 3 --out results --resume    two more seeds

  python -m scratchser.paper tune DIR --sessions 1,2 --try learning_rate=0.01 --try 'learning_rate=0.01 conv_learning_rate=0.02' --seeds 3
  python -m scratchser.paper table1 DIR --tuned runs/.../tuned.json     with what was chosen there

What each command needs and gives: docs/paper.md.

{options.EXIT_CODES}
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m scratchser.paper",
        description="Make a table or a figure of the paper, training what it needs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("command", metavar="COMMAND", help="which table or figure: see below")
    options.add_corpus(p)
    options.add_training(p)
    p.add_argument("--seeds", type=int, default=1, metavar="N", help="run every setting with the seeds 0 ... N-1")
    p.add_argument("--out", type=Path, metavar="OUT", help="folder of runs and tables (default: a new one under runs/)")
    p.add_argument("--resume", action="store_true", help="use the runs in --out, and go on with them")
    tune.add_arguments(p)
    p.add_argument("--dry-run", action="store_true", help="train nothing: say what would be, and how long it takes")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives the exit code that EXAMPLES tells."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and hasattr(COMMANDS.get(given[0]), "main"):
        return COMMANDS[given[0]].main(given[1:])
    p = parser()
    args = p.parse_intermixed_args(given)  # DIR may stand behind the options
    if args.command not in COMMANDS:
        there = ", ".join(COMMANDS)
        p.error(f"no command {args.command!r}; there are {there}{suggest.hint(args.command, COMMANDS)}")
    if args.resume and args.out is None:
        p.error("--resume needs --out OUT, the folder to go on in")
    if not _trains(COMMANDS[args.command]):
        settings = [] if args.command == "figure3" else [args.set, args.epochs, args.tuned]
        if any([*settings, args.folds != "all", args.seeds != 1, args.cluster, args.skip_broken]):
            p.error(f"{args.command} needs no training: no setting, fold, seed, cluster or --skip-broken changes it")
    if args.command != "tune" and (args.sessions or args.candidates):
        p.error("--sessions and --try are for tune")
    if args.command == "tune" and (args.tuned or args.folds != "all"):
        p.error("tune chooses by all folds of --sessions, from the presets: --tuned and --folds are not for it")
    options.check_minimum(p, "--seeds", args.seeds, 1)
    options.check_minimum(p, "--workers", args.workers, 1)
    return exit_code(run, args, options.INTERRUPTED)


def run(args: argparse.Namespace) -> int:
    """The whole job of a parsed command line."""
    command = COMMANDS[args.command]
    if _trains(command):
        return train(args, command)
    if args.dry_run:
        say(f"{args.command} needs no training")
        return 0
    corpus = options.load(args)
    if command is figure3:
        base = Base.of(options.folder(args) is None, changes(args, read_tuned(args)), None, ())
        return show(figure3.build(base.best, len(corpus.classes)), _out(args, corpus))
    return show(command.build(corpus), _out(args, corpus))


def _out(args: argparse.Namespace, corpus: Corpus) -> Path:
    return args.out or Path("runs") / f"{corpus.name}-{args.command}-{datetime.now():%Y%m%d-%H%M%S}"


def _trains(command: ModuleType) -> bool:
    return hasattr(command, "SETTINGS") or command is tune


def train(args: argparse.Namespace, command: ModuleType) -> int:
    """A command that is made from runs."""
    tuned = read_tuned(args)
    settings = tune.settings(args) if command is tune else command.SETTINGS
    base = Base.of(options.folder(args) is None, changes(args, tuned), None, settings)
    ready = prepare(args, base.best.window_ms, tuned, getattr(command, "need", lambda corpus: None))
    if command is tune:
        ready = replace(ready, folds=tune.folds(ready.corpus, args.sessions))
    out = _out(args, ready.corpus)
    check(out, args.resume)
    sweep = Sweep.plan(settings, base, ready, args.seeds, out)
    workers = min(ready.workers, len(ready.folds) * len(sweep.runs))
    if args.dry_run:
        terminal.write(estimate.text(sweep, workers, ready.device))
        return 0
    here = environment.describe(describe(ready.device), workers)
    with fold_runner(args, ready.device, workers) as by:
        runs = sweep.train(out, resume=args.resume, environment=here, run_folds=by, device=ready.device)
    return show(command.build(runs), out)


def show(made: Output, out: Path) -> int:
    written = made.write(out)
    say(f"in {out}: {', '.join(path.name for path in written)}")  # before the text, whose reader may be `head`
    terminal.write(made.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
