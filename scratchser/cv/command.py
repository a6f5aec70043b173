"""What python -m scratchser.cv does once its arguments are parsed."""

import json
from argparse import Namespace
from datetime import datetime
from pathlib import Path

from scratchser.corpus import detect
from scratchser.corpus.options import folder
from scratchser.cv import options
from scratchser.cv.experiment import Experiment, check_model, oversample_notes
from scratchser.cv.prepare import changes, fold_runner, prepare, read_tuned
from scratchser.presets import named, with_settings
from scratchser.report import text
from scratchser.runs import run as run_dir
from scratchser.support import environment, terminal
from scratchser.support.gpu import describe
from scratchser.support.terminal import say


def default_preset(args: Namespace) -> str:
    """The preset for the kind of corpus. Prints which one, and why."""
    root = folder(args)
    kind = args.corpus if args.corpus != "auto" else "synthetic" if root is None else detect(root)[0]
    if kind == "synthetic":
        preset, why = "demo", "small and fast, for the built-in corpus"
    elif kind == "iemocap":
        preset, why = "best", "the paper's best settings, for the paper's corpus"
    else:
        preset, why = (
            "mel",
            "our settings for small corpora; mel-speaker is better if all recordings of a speaker may be used",
        )
    say(f"preset {preset}: {why}")
    return preset


def main(args: Namespace) -> int:
    """Train and test the folds, write the run's folder, and print the report."""
    tuned = read_tuned(args)
    preset = args.preset or (tuned.preset if tuned else default_preset(args))
    config = with_settings(named(preset), changes(args, tuned))
    check_model(config)
    ready = prepare(args, config, tuned)
    notes = (*ready.notes, *oversample_notes(config, ready.corpus.classes, args.set))
    numbers = [fold.number for fold in ready.folds]
    settings = run_dir.settings(
        ready.corpus,
        config,
        preset=preset,
        seed=args.seed,
        folds=numbers,
        groups=args.groups,
        left_out=ready.left_out,
        tuned=tuned,
    )
    finished = run_dir.finished_folds(args.sources, settings)
    path = args.out or Path("runs") / f"{ready.corpus.name}-{preset}-{datetime.now():%Y%m%d-%H%M%S}"
    workers = min(ready.workers, len(ready.folds))
    here = environment.describe(describe(ready.device), workers)
    with (
        fold_runner(args, ready.device, workers) as run_folds,
        run_dir.open_run(path, settings, here, notes, resume=args.resume) as run,
        options.resumable(path),
    ):
        say(f"run: {path}")
        for fold in finished:
            run.take(fold)
        if args.sources:
            say(f"{len(finished)} of {len(numbers)} folds are copied from other runs")
        experiment = Experiment([run], ready.corpus, ready.folds, ready.device, path / "features", audio=args.audio)
        (result,) = experiment.train(run_folds)
    say(f"results in {path}")  # before the report, which may be piped into `head`
    terminal.write(json.dumps(result, indent=1) if args.json else text.render(result))
    say(f"next: open {path / 'report.html'}, or try python -m scratchser.predict {path} FILE.wav")
    return 0
