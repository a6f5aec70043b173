"""python -m scratchser.paper: the paper's tables and figures, each a command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchser.corpus.options import add_corpus
from scratchser.cv import options
from scratchser.support.errors import exit_code
from scratchser.support.plots import import_matplotlib
from scratchser.support.suggest import hint

COMMANDS = {
    "table1": "from the baseline to the best model",
    "table2": "the best model fold by fold, and the five-fold scores within the ten folds",
    "table3": "batch normalisation of the Bi-LSTM at three minibatch sizes, and the same without it",
    "table4": "numbers of utterances whose annotators agree and disagree",
    "table5": "soft labels and weights of some utterances",
    "table6": "results where annotators agree and disagree, and the effect of soft labels",
    "depth": "UA of 1 to 6 conv layers with 1 to 4 Bi-LSTM layers",
    "pooling": "max pooling instead of half of each stride",
    "normalisation": "eq. (5) at three depths",
    "figure1": "the classes of a corpus and the agreement of its annotators",
    "figure2": "a spectrogram under VTLP",
    "figure3": "the network, layer by layer",
    "figure4": "gradient norms without and with a learning rate per layer group",
    "claims": "four claims of the paper, tested on synthetic corpora of their own: docs/claims.md",
    "tune": "choose settings with the speakers of some sessions",
}
WITHOUT_TRAINING = ("table4", "table5", "figure1", "figure2", "figure3")
CORPORA = 80  # of each claim: half an hour on two cores
LISTED = "\n".join(f"  {name:<15}{purpose}" for name, purpose in COMMANDS.items())

EXAMPLES = f"""\
commands
{LISTED}

examples
  python -m scratchser.paper table2                              on the built-in corpus: no data needed
  python -m scratchser.paper table1 emodb/wav --dry-run          list the runs, and estimate the time
  python -m scratchser.paper table1 emodb/wav --out results      after an interruption the same with --resume
  python -m scratchser.paper table2 emodb/wav --out results --resume    its runs are there already
  python -m scratchser.paper table1 emodb/wav --seeds 3 --out results --resume    two more seeds

  python -m scratchser.paper claims --dry-run                    how long the four claims take here
  python -m scratchser.paper tune DIR --sessions 1,2 --try l2=0.1 --try 'l2=0.1 conv_l2=0.2' --seeds 3
  python -m scratchser.paper table1 DIR --tuned runs/.../tuned.json     with the settings that tune has chosen

docs/paper.md explains what each command needs and writes.

{options.EXIT_CODES}
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m scratchser.paper",
        description="Make a table or a figure of the paper, and train what it needs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("command", metavar="COMMAND", help="which table or figure, see below")
    add_corpus(p)
    options.add_training(p)
    p.add_argument("--seeds", type=int, default=1, metavar="N", help="run every setting with the seeds 0 ... N-1")
    p.add_argument("--out", type=Path, metavar="OUT", help="folder of runs and tables (default: a new one under runs/)")
    p.add_argument("--resume", action="store_true", help="use and continue the runs in --out")
    p.add_argument(
        "--sessions", metavar="A,B", help="tune: sessions whose speakers choose (default: the corpus's first two)"
    )
    p.add_argument(
        "--try",
        action="append",
        dest="candidates",
        metavar="'KEY=VALUE ...'",
        help="tune: a candidate, one or more settings; repeatable (default: five, in scratchser/paper/tune.py)",
    )
    p.add_argument(
        "--corpora", type=int, default=CORPORA, metavar="N", help="claims: corpora of each claim (default: %(default)s)"
    )
    p.add_argument("--dry-run", action="store_true", help="train nothing: list what would be, and estimate the time")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns one of options.EXIT_CODES."""
    p = parser()
    args = p.parse_intermixed_args(arguments)  # DIR may stand after the options
    _check(p, args)
    return exit_code(run, args)


def run(args: argparse.Namespace) -> int:
    """What the command does after its arguments are parsed."""
    import_matplotlib()
    from scratchser.paper import commands  # slow to import, which --help need not wait for

    return commands.run(args)


def _check(p: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Ends the program with exit code 2 for arguments that do not fit together."""
    if args.command not in COMMANDS:
        p.error(f"no command {args.command!r}; there are {', '.join(COMMANDS)}{hint(args.command, COMMANDS)}")
    if args.resume and args.out is None:
        p.error("--resume needs --out OUT, the folder to continue in")
    given = {name for name, value in vars(args).items() if value != p.get_default(name)}
    settings = {"set", "epochs", "tuned"} if args.command != "figure3" else set()
    if args.command in WITHOUT_TRAINING and given & {"folds", "groups", "seeds", "cluster", "skip_broken", *settings}:
        p.error(f"{args.command} trains nothing: it has no settings, folds, seeds, --cluster or --skip-broken")
    if args.command == "claims" and given - {"command", "corpora", "out", "resume", "workers", "dry_run"}:
        p.error("claims makes its own corpora: it has only --corpora, --out, --resume, --workers and --dry-run")
    if args.command != "claims" and "corpora" in given:
        p.error("--corpora is for claims")
    if args.command != "tune" and given & {"sessions", "candidates"}:
        p.error("--sessions and --try are for tune")
    if args.command == "tune" and given & {"tuned", "folds"}:
        p.error("tune uses all folds of --sessions and starts from the presets, without --tuned and --folds")
    if args.command in ("tune", "table2") and "groups" in given:
        p.error(f"{args.command} needs one fold per speaker, without --groups")
    options.check_minimum(p, "--seeds", args.seeds, 1)
    options.check_minimum(p, "--workers", args.workers, 1)
    options.check_minimum(p, "--corpora", args.corpora, 2)  # an interval needs two


if __name__ == "__main__":
    sys.exit(main())
