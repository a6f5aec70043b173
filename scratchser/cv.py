"""The main job: cross-validation over speakers, from a folder of wav files to the paper's table 2.

python -m scratchser.cv                                   the built-in synthetic corpus, about two minutes
python -m scratchser.cv path/to/IEMOCAP_full_release      the paper's experiment
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from scratchser import baselines, cluster, corpus, environment, report, rundir, stdout
from scratchser.atomic import StorageError
from scratchser.corpus import Corpus, CorpusError, Problem
from scratchser.corpus.check import inspect, warnings
from scratchser.corpus.table import read_wav
from scratchser.device import DeviceError, choose, describe, place
from scratchser.features import Features, Signal, extract
from scratchser.folds import Fold, FoldsError, make_folds
from scratchser.kernels._device import OutOfDeviceMemory
from scratchser.presets import PRESETS, TUNED_ON, Config, SettingError, with_settings
from scratchser.progress import Epochs, bar, say
from scratchser.report import page, screen
from scratchser.rundir import RunError
from scratchser.train import DivergedError
from scratchser.workers import Job, Notify, Task, WorkerError, cores, run_folds

RunFolds = Callable[[Sequence[Task], Notify], Iterator[tuple[Task, dict[str, Any]]]]

EXAMPLES = """\
what a fold is: one speaker is tested, the other speaker of the same session chooses the best epoch, the speakers of
all other sessions train. There are as many folds as speakers, ten in the paper.

presets, the columns of the paper's table 1
  baseline    4 kHz, nothing added                 over-grdt   over, and conv layers with a rate and an L2 of their own
  over        happiness and anger twice            best-4khz   over-grdt, and every utterance warped at random (VTLP)
  over-aug    over, and VTLP                       best        best-4khz, at 8 kHz
  demo        not the paper's: small and quick, for the synthetic corpus

examples
  python -m scratchser.cv                                     the synthetic corpus of the package: no data needed
  python -m scratchser.cv emodb/wav                           EmoDB, the preset 'best'
  python -m scratchser.cv IEMOCAP_full_release --folds 1,2    two folds only
  python -m scratchser.cv DIR --preset over --set rate=0.01 --set 'oversample=["sadness"]' --epochs 20
  python -m scratchser.cv DIR --from runs/fold-* --out runs/all   what jobs of a batch queue have done, as one run
  python -m scratchser.cv DIR --out runs/mine                 and after an interruption the same with --resume

A look at the corpus before anything is trained: python -m scratchser.corpus DIR
The presets and what each setting means: scratchser/presets.py. What lies in a run's folder: docs/result-schema.md.

exit code  0 done   1 broken data, a full disk, training that went astray or was interrupted   2 a wrong command
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m scratchser.cv",
        description="Train and test a speech emotion recogniser, leaving one speaker out at a time.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "dir", nargs="?", type=Path, metavar="DIR", help="folder of the corpus; nothing or synthetic: the built-in one"
    )
    p.add_argument(
        "--corpus", choices=corpus.KINDS, default="auto", help="kind of corpus (default: seen from the folder)"
    )
    p.add_argument("--scripted", action="store_true", help="IEMOCAP: the scripted dialogs too")
    p.add_argument("--merge-excited", action="store_true", help="IEMOCAP: count excited as happiness")
    p.add_argument("--classes", type=_words, metavar="A,B,...", help="other classes than the paper's four")
    p.add_argument("--skip-broken", action="store_true", help="leave broken utterances out, and say so in the report")
    p.add_argument("--preset", choices=PRESETS, help="settings (default: demo for the synthetic corpus, else best)")
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting of the preset; repeatable"
    )
    p.add_argument("--epochs", type=int, metavar="N", help="short for --set epochs=N")
    p.add_argument("--folds", default="all", metavar="all|1,4,...", help="numbers of the folds to run (default: all)")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same bits (default: 0)")
    p.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:K", help="where to compute (default: auto)")
    p.add_argument(
        "--workers", type=int, metavar="N", help="folds at a time, each in a process of its own (default: one per core)"
    )
    p.add_argument(
        "--cluster",
        metavar="ADDRESS|local",
        help="run the folds on the workers of the dask scheduler there; local: on a small cluster of --workers on this"
        " machine (docs/cluster.md)",
    )
    p.add_argument(
        "--from",
        dest="sources",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="take the folds that these runs of the same settings have done, as jobs of a batch queue leave them, and"
        " run only the rest",
    )
    p.add_argument("--out", type=Path, metavar="RUN", help="folder of the run (default: a new one under runs/)")
    p.add_argument("--resume", action="store_true", help="go on with the run in --out")
    p.add_argument(
        "--audio",
        action="store_true",
        help="embed recordings of the worst mistakes in report.html, which must then not be passed on unless the"
        " corpus's licence allows it (synthetic speech is always embedded)",
    )
    p.add_argument("--json", action="store_true", help="print result.json instead of the report")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives the exit code that EXAMPLES tells."""
    p = parser()
    args = p.parse_args(arguments)
    if args.resume and args.out is None:
        p.error("--resume needs --out RUN, the run to go on with")
    if args.seed < 0:
        p.error("--seed must be at least 0")
    if args.workers is not None and args.workers < 1:
        p.error("--workers must be at least 1")
    try:
        return run(args)
    except (SettingError, DeviceError, CorpusError, FoldsError, RunError, cluster.ClusterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (StorageError, DivergedError, WorkerError, OutOfDeviceMemory) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what is done is kept, and the same command with --resume --out goes on", file=sys.stderr)
        return 1


def run(args: argparse.Namespace) -> int:
    """The whole job of a parsed command line."""
    remote = args.cluster not in (None, cluster.LOCAL)
    device, chosen = choose("cpu" if remote else args.device)
    folder = None if corpus.wants_synthetic(args.dir) else args.dir
    preset = args.preset or ("demo" if folder is None else "best")
    config = with_settings(PRESETS[preset], args.set)
    config = config if args.epochs is None else replace(config, epochs=args.epochs)
    Signal.of(config)  # before a folder is made for settings that cannot be
    data = corpus.load(
        folder, args.corpus, scripted=args.scripted, merge_excited=args.merge_excited, classes=args.classes
    )
    say("\n".join([chosen, *data.notes]))

    problems, heard = inspect(data, config.window_ms, lambda items: bar(items, "checking audio"))
    if problems and not args.skip_broken:
        show(problems)
        return 1
    data = data.without({problem.utterance for problem in problems if problem.utterance})
    folds = chosen_folds(data, args.folds)
    said = (*heard, *warnings(data), *oversampled(config, data.classes, asked=args.set))

    settings = rundir.settings(
        data, config, preset=preset, seed=args.seed, folds=[fold.number for fold in folds], left_out=problems
    )
    there = rundir.finished(args.sources, settings)
    path = args.out or Path("runs") / f"{data.name}-{preset}-{datetime.now():%Y%m%d-%H%M%S}"
    workers = args.workers or (min(cores(), len(folds)) if device == "cpu" else 1)  # a GPU is full with one fold
    begin = rundir.resume if args.resume else rundir.create
    with (
        folds_by(args.cluster, device if args.device == "auto" else args.device, workers) as run_them,
        begin(path, settings, environment.describe(describe(device), workers)) as opened,
    ):
        say(f"run: {path}")
        for fold in there:
            opened.take(fold)
        if args.sources:
            say(f"{len(there)} of {len(folds)} folds are done in other runs; {len(folds) - len(there)} to run")
        result = train(opened, data, config, args.seed, folds, run_them, device, said)
        page.write(opened, data, result, audio=args.audio)
    say(f"all of it in {path}")  # before the text, whose reader may be `head`
    stdout.write(json.dumps(result, indent=1) if args.json else screen.render(result))
    return 0


@contextmanager
def folds_by(address: str | None, device: str, workers: int) -> Iterator[RunFolds]:
    """What runs folds: processes of this machine, or a cluster."""
    if address is None:
        yield lambda tasks, notify: run_folds(tasks, workers, notify)
    else:
        with cluster.connect(address, device, workers) as connected:
            yield connected.run_folds


def train(
    opened: rundir.Run,
    data: Corpus,
    config: Config,
    seed: int,
    folds: Sequence[Fold],
    run_them: RunFolds,
    device: str,
    said: Sequence[str],
) -> dict[str, Any]:
    """Run the folds that are not done yet; the run's result. `said` is what a reader of the figures should know."""
    guesses = baselines.guess(data, folds, lambda items: bar(items, "trivial baselines"))
    tuned_on = TUNED_ON.get(data.name, ())
    to_do = [(fold, folder) for fold, folder in zip(folds, opened.folds, strict=True) if folder.result() is None]
    notes = (*data.notes, *said)
    if to_do:
        cache = opened.path / "features"
        notes = (*notes, *prepared(cache, data, config, device).notes)
        table = replace(data, read=read_wav)  # a process gets the table, not the synthesiser
        job = Job(table, cache, config, seed, device)
        there = {fold.number: len(folder.metrics()) for fold, folder in to_do}
        tasks = [Task(job, fold, folder) for fold, folder in to_do]
        with closing(Epochs(config.epochs, there)) as progress:
            for _, fold_result in run_them(tasks, lambda task, row: progress.epoch(task.fold.number, row)):
                progress.fold(fold_result)
                report.write(opened, guesses=guesses, tuned_on=tuned_on, warnings=notes)
    shutil.rmtree(opened.path / "features", ignore_errors=True)  # large, and soon made again from the wav files
    return report.write(opened, guesses=guesses, tuned_on=tuned_on, warnings=notes)


def oversampled(config: Config, classes: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """A sentence where the preset repeats classes that the corpus lacks; SettingError where the user asked for them."""
    unknown = ", ".join(name for name in config.oversample if name not in classes)
    if not unknown:
        return ()
    if any(setting.startswith("oversample=") for setting in asked):
        raise SettingError(f"oversample: {unknown} is no class of this corpus, which has {', '.join(classes)}")
    return (f"the preset repeats {unknown} in each epoch, which this corpus does not have",)


def prepared(cache: Path, data: Corpus, config: Config, device: str) -> Features:
    """The features in the run's folder, computed once."""
    if not cache.exists():
        extract(data, config, lambda items: bar(items, "features"), place(device)).save(cache, data, config)
    return Features.open(cache, data, config)


def chosen_folds(data: Corpus, text: str) -> tuple[Fold, ...]:
    """The folds of "all" or "1,4,...". Raises FoldsError for others."""
    folds = make_folds(data)
    if text == "all":
        return folds
    known = {str(fold.number): fold for fold in folds}
    wrong = [number for number in text.split(",") if number not in known]
    if wrong:
        raise FoldsError(f"--folds {text}: there is no fold {wrong[0]!r}; this corpus has {', '.join(known)}")
    return tuple(known[number] for number in sorted(set(text.split(",")), key=int))


def show(problems: Sequence[Problem]) -> None:
    for problem in problems:
        print(f"{problem.where}: {problem.what}", file=sys.stderr)
    print(
        f"{len(problems)} broken; nothing was trained. Mend them, or leave them out with --skip-broken", file=sys.stderr
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
