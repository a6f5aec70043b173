"""What a command of python -m scratchser.paper does after its arguments are parsed."""

from argparse import Namespace
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType

from scratchser.corpus.options import folder, load
from scratchser.corpus.table import Corpus
from scratchser.cv import options
from scratchser.cv.prepare import changes, fold_runner, prepare, read_tuned
from scratchser.paper import estimate, tune
from scratchser.paper.claims import experiment
from scratchser.paper.figures import figure3
from scratchser.paper.output import Output
from scratchser.paper.sweep import Sweep, base_for, check_out
from scratchser.support import environment, terminal
from scratchser.support.gpu import describe
from scratchser.support.terminal import say


def run(args: Namespace) -> int:
    """Make a table or a figure, print its tables and write its files."""
    if args.command == "claims":
        return experiment.run(args)
    module = _module(args.command)
    if module is tune or hasattr(module, "VARIANTS"):
        return _train(args, module)
    if args.dry_run:
        say(f"{args.command} trains nothing")
        return 0
    corpus = load(args)
    if module is figure3:
        base = base_for((), changes(args, read_tuned(args)), built_in=folder(args) is None)
        return _show(figure3.build(base.config, len(corpus.classes)), _out(args, corpus))
    return _show(module.build(corpus), _out(args, corpus))


def _module(command: str) -> ModuleType:
    if command == "tune":
        return tune
    return import_module(f"scratchser.paper.{'figures' if command.startswith('figure') else 'tables'}.{command}")


def _train(args: Namespace, module: ModuleType) -> int:
    """A command that needs trained models."""
    tuned = read_tuned(args)
    variants = tune.variants(args.candidates) if module is tune else module.VARIANTS
    base = base_for(variants, changes(args, tuned), built_in=folder(args) is None)
    if args.out:
        check_out(args.out, args.resume)
    check_corpus = getattr(module, "check_corpus", lambda corpus: None)
    ready = prepare(args, base.config, tuned, check_corpus)
    if module is tune:
        ready = replace(ready, folds=tune.folds(ready.corpus, args.sessions))
    out = _out(args, ready.corpus)
    sweep = Sweep.plan(variants, base, ready, args.seeds, out)
    workers = min(ready.workers, len(ready.folds) * len(sweep.runs))
    if args.dry_run:
        terminal.write(estimate.text(sweep, workers))
        return 0
    with fold_runner(args, ready.device, workers) as run_folds, options.resumable(out):
        sweep.train(out, environment.describe(describe(ready.device), workers), run_folds)
    return _show(module.build(sweep), out)


def _out(args: Namespace, corpus: Corpus) -> Path:
    return args.out or Path("runs") / f"{corpus.name}-{args.command}-{datetime.now():%Y%m%d-%H%M%S}"


def _show(result: Output, out: Path) -> int:
    written = result.write(out)
    say(f"in {out}: {', '.join(path.name for path in written)}")  # before the text, which may be piped into `head`
    terminal.write(result.text())
    return 0
