"""What the commands that train share: the options for corpus and machine, and how errors end them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scratchser import corpus
from scratchser.corpus import Corpus, CorpusError, Problem
from scratchser.corpus.check import inspect, warnings
from scratchser.corpus.split import Fold, FoldsError, make_folds
from scratchser.cv import cluster
from scratchser.cv.experiment import RunFolds
from scratchser.cv.workers import WorkerError, cores, run_folds
from scratchser.fit import DivergedError
from scratchser.kernels.machine.device import OutOfDeviceMemory
from scratchser.presets import SettingError
from scratchser.runs.run import RunError
from scratchser.runs.tuned_settings import Tuned
from scratchser.support.files import StorageError
from scratchser.support.gpu import DeviceError, choose
from scratchser.support.terminal import bar

EXIT_CODES = (
    "exit code  0 done   1 broken data, a full disk, training that went astray or was interrupted   2 a wrong command"
)
# what the user asked for cannot be
WRONG = (SettingError, DeviceError, CorpusError, FoldsError, RunError, cluster.ClusterError)


class BrokenCorpusError(ValueError):
    """Files that are broken: a line for each, and what to do."""


@dataclass(frozen=True)
class Heard:
    """A corpus that can be trained on."""

    data: Corpus
    left_out: tuple[Problem, ...]
    said: tuple[str, ...]  # about the labels and the audio, for a reader of the figures


def add_corpus(p: argparse.ArgumentParser) -> None:
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


def add_training(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting of the preset; repeatable"
    )
    p.add_argument(
        "--tuned",
        type=Path,
        metavar="FILE",
        help="settings chosen by python -m scratchser.paper tune; its speakers are told apart in the report",
    )
    p.add_argument("--epochs", type=int, metavar="N", help="short for --set epochs=N")
    p.add_argument("--folds", default="all", metavar="all|1,4,...", help="numbers of the folds to run (default: all)")
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


def at_least(p: argparse.ArgumentParser, option: str, value: int | None, least: int) -> None:
    """Ends the program where a number is too small."""
    if value is not None and value < least:
        p.error(f"{option} must be at least {least}")


def workers(asked: int | None, device: str, tasks: int) -> int:
    """How many folds at a time: a GPU is full with one."""
    return asked or (min(cores(), max(1, tasks)) if device == "cpu" else 1)


def device(args: argparse.Namespace) -> tuple[str, str]:
    """`choose` for this machine, which makes no more than the features where the folds are for other machines."""
    return choose(args.device if args.cluster in (None, cluster.LOCAL) else "cpu")


@contextmanager
def folds_by(args: argparse.Namespace, device: str, workers: int) -> Iterator[RunFolds]:
    """What runs folds: processes of this machine, or a cluster, on this machine's device where none is asked for."""
    if args.cluster is None:
        yield lambda tasks, notify: run_folds(tasks, workers, notify)
    else:
        asked = device if args.device == "auto" else args.device
        with cluster.connect(args.cluster, asked, workers) as connected:
            yield connected.run_folds


def tuned(args: argparse.Namespace) -> Tuned | None:
    """The choice of --tuned, whose settings then stand before those of --set."""
    if args.tuned is None:
        return None
    found = Tuned.read(args.tuned)
    args.set = [*found.settings, *args.set]
    return found


def load(args: argparse.Namespace) -> Corpus:
    """The corpus of the options."""
    return corpus.load(
        folder(args),
        args.corpus,
        scripted=args.scripted,
        merge_excited=args.merge_excited,
        classes=args.classes,
    )


def folder(args: argparse.Namespace) -> Path | None:
    """DIR, None for the built-in corpus."""
    return None if corpus.wants_synthetic(args.dir) else args.dir


def listen(data: Corpus, window_ms: float, skip_broken: bool) -> Heard:
    """Every file is read once; what is broken is left out where the user said so.

    Raises BrokenCorpusError where it is not to be left out.
    """
    problems, heard = inspect(data, window_ms, lambda items: bar(items, "checking audio"))
    if problems and not skip_broken:
        lines = [f"{problem.where}: {problem.what}" for problem in problems]
        mend = f"{len(problems)} broken; nothing was trained. Mend them, or leave them out with --skip-broken"
        raise BrokenCorpusError("\n".join([*lines, mend]))
    data = data.without({problem.utterance for problem in problems if problem.utterance})
    return Heard(data, problems, (*heard, *warnings(data)))


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


def answered(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """The exit code of a command, as EXIT_CODES tells; errors become a line on stderr."""
    try:
        return run(args)
    except WRONG as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (StorageError, DivergedError, WorkerError, OutOfDeviceMemory) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenCorpusError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what is done is kept, and the same command with --resume --out goes on", file=sys.stderr)
        return 1


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))
