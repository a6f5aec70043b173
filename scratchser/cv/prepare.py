"""Everything before training: device, settings, corpus, its audio, and the folds."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scratchser.corpus.check import check, describe, label_warnings
from scratchser.corpus.options import load
from scratchser.corpus.split import Fold, FoldsError, class_warnings, make_folds
from scratchser.corpus.table import Corpus, Problem
from scratchser.cv import options
from scratchser.cv.experiment import RunFolds
from scratchser.cv.workers import run_folds
from scratchser.presets import Config
from scratchser.runs import result
from scratchser.runs.tuned_settings import TunedSettings
from scratchser.support.environment import cores
from scratchser.support.errors import ProcessingError
from scratchser.support.files import plain
from scratchser.support.gpu import choose
from scratchser.support.terminal import bar, say


class BrokenCorpusError(ProcessingError):
    """Some files are broken. The message has a line for each, and how to continue."""


@dataclass(frozen=True)
class Prepared:
    """A corpus that can be trained on, and where.

    left_out   the problems of the broken utterances, which `corpus` no longer has
    notes      what a reader of the results should know about labels, audio and settings
    folds      the folds to run
    device     as `open_device` takes it
    workers    folds at a time, at most
    groups     of --groups
    """

    corpus: Corpus
    left_out: tuple[Problem, ...]
    notes: tuple[str, ...]
    folds: tuple[Fold, ...]
    device: str = "cpu"
    workers: int = 1
    tuned: TunedSettings | None = None
    groups: int | None = None


def prepare(
    args: Namespace,
    config: Config,
    tuned: TunedSettings | None,
    accept: Callable[[Corpus], None] = lambda corpus: None,
) -> Prepared:
    """Choose the device, load the corpus, read every sound file once, and choose the folds.

    config      an utterance that is silent or too short with these settings is broken
    tuned       of `read_tuned`
    accept      raises a UsageError for a corpus that the command cannot use, before its audio is read

    Raises DeviceError, CorpusError, FoldsError; RunError if the settings were tuned on another corpus;
    BrokenCorpusError if utterances are broken and --skip-broken is not given.
    """
    # on a cluster, this machine only computes the features
    device, reason = choose(args.device if args.cluster in (None, options.LOCAL) else "cpu")
    corpus = load(args)
    accept(corpus)
    say("\n".join([reason, *corpus.notes]))
    problems, notes = check(corpus, config, lambda items: bar(items, "checking audio"))
    if problems and not args.skip_broken:
        advice = "nothing was trained. Fix them, or leave them out with --skip-broken"
        raise BrokenCorpusError("\n".join([*describe(problems), advice]))
    corpus = corpus.without({problem.utterance for problem in problems if problem.utterance})
    notes = (*notes, *label_warnings(corpus))
    for note in notes:  # before the folds: the warnings can explain why there are none
        say(f"warning: {note}")
    folds = choose_folds(corpus, args.folds, args.groups)
    if config.readout_norm == "speaker" and len(corpus.utterances) == len(corpus.speakers):
        raise FoldsError("readout_norm normalises over several utterances of a speaker, but each has only one: use mel")
    for note in result.transductive(plain(config)):
        say(f"note: {note}")
    unlearned = class_warnings(corpus, folds, config)
    for note in unlearned:
        say(f"warning: {note}")
    notes = (*notes, *unlearned)
    if tuned:
        tuned.check(corpus)
        notes = (*notes, tuned.sentence())
    # one fold fills a GPU
    workers = args.workers or (cores() if device == "cpu" else 1)
    return Prepared(corpus, problems, notes, folds, device, workers, tuned, args.groups)


def choose_folds(corpus: Corpus, numbers: str, groups: int | None = None) -> tuple[Fold, ...]:
    """The folds of "all" or "1,4,...". Raises FoldsError for a number that is no fold."""
    folds = {str(fold.number): fold for fold in make_folds(corpus, groups)}
    if numbers == "all":
        return tuple(folds.values())
    unknown = [number for number in numbers.split(",") if number not in folds]
    if unknown:
        raise FoldsError(f"--folds {numbers}: there is no fold {unknown[0]!r}; this corpus has {', '.join(folds)}")
    return tuple(folds[number] for number in sorted(set(numbers.split(",")), key=int))


def read_tuned(args: Namespace) -> TunedSettings | None:
    """The file of --tuned. Raises RunError if it cannot be read."""
    return TunedSettings.read(args.tuned) if args.tuned else None


def changes(args: Namespace, tuned: TunedSettings | None) -> list[str]:
    """The changes of a preset, key=value each: those of --tuned, then --set, then --epochs."""
    epochs = [] if args.epochs is None else [f"epochs={args.epochs}"]
    return [*(tuned.settings if tuned else ()), *args.set, *epochs]


@contextmanager
def fold_runner(args: Namespace, device: str, workers: int) -> Iterator[RunFolds]:
    """What runs folds: processes of this machine, or the workers of --cluster."""
    if args.cluster is None:
        yield lambda tasks, notify: run_folds(tasks, workers, notify)
        return
    from scratchser.cv import cluster

    with cluster.connect(args.cluster, device if args.device == "auto" else args.device, workers) as connected:
        yield connected.run_folds
