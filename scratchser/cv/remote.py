"""A fold of a run in a few words, by which another machine runs it: no array travels.

    {"corpus": {"root", "kind", "scripted", "merge_excited", "classes", "left_out", "fingerprint"},
     "run", "features": absolute folders, "fold", "config", "seed", "device", "source"}

That machine loads the corpus itself, and trains nothing where it is another one or where the program is another one
(`SOURCE`). The run's folder and the features in it lie on storage that both machines see; what the fold
leaves there is its result.
"""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba

from scratchser import corpus
from scratchser.corpus.split import make_folds
from scratchser.corpus.table import Corpus, CorpusError, read_wav
from scratchser.cv.workers import Job, Row, Task, WorkerError
from scratchser.presets import from_json
from scratchser.runs.fold_dir import FoldDir
from scratchser.support import environment, files, gpu
from scratchser.support.files import plain

SOURCE = environment.source()  # as this process has loaded it: the files may be others by the time of a fold
PATIENCE = 600.0  # seconds until a fold that another process holds is given up: it ends an epoch first, or is cut off


def describe(task: Task, device: str) -> dict[str, Any]:
    """What `run` needs, as JSON can hold it; `device` is the other machine's, in the words of --device.

    Raises ValueError for a corpus that `corpus.load` did not make.
    """
    data = task.job.corpus
    if data.origin is None:
        raise ValueError("a corpus that corpus.load did not make cannot be loaded by another machine")
    return plain(
        {
            "corpus": {**plain(data.origin), "fingerprint": data.fingerprint()},
            "run": task.folder.path.parents[1].absolute(),
            "features": task.job.features.absolute(),
            "fold": task.fold.number,
            "config": task.job.config,
            "seed": task.job.seed,
            "device": device,
            "source": SOURCE,
        }
    )


def run(
    description: dict[str, Any],
    notify: Callable[[Row], None] = lambda row: None,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run the fold, or go on with it, or only tell its result; as `train.run_fold`.

    A fold that another process still writes is waited for: that process is about to end, and does so with an epoch.
    `check` is called meanwhile, and ends the waiting by an exception. Raises WorkerError where this machine has another
    program or does not see the run, CorpusError where its corpus is another one.
    """
    here = platform.node()
    if description["source"] != SOURCE:
        raise WorkerError(
            f"{here} has another version of scratchser than the program that started the run: install the same on all"
            " machines and start the workers again"
        )
    data = _load(json.dumps(description["corpus"], sort_keys=True))
    features = Path(description["features"])
    if not features.exists():
        raise WorkerError(f"{here} does not see {features}: --out has to be on storage that all machines share")
    chosen, _ = gpu.choose(description["device"])
    conditions = {**environment.describe(gpu.describe(chosen)), "threads_per_worker": numba.get_num_threads()}
    folder = FoldDir(Path(description["run"]), description["fold"], data.synthetic, conditions)
    job = Job(data, features, from_json(description["config"]), description["seed"], chosen)
    fold = make_folds(data)[description["fold"] - 1]
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return job.run(fold, folder, notify)
        except files.Held:
            check()
            if time.monotonic() > until:
                raise
        time.sleep(1)


@lru_cache(maxsize=1)
def _load(description: str) -> Corpus:
    """The corpus of a description, kept from fold to fold."""
    wanted = json.loads(description)
    root = wanted["root"] and Path(wanted["root"])
    options = {name: wanted[name] for name in ("scripted", "merge_excited", "classes")}
    data = corpus.load(root, wanted["kind"], **options).without(set(wanted["left_out"]))
    if data.fingerprint() != wanted["fingerprint"]:
        raise CorpusError(
            f"{root or wanted['kind']} on {platform.node()} is another corpus than the run's (other utterances, labels,"
            " votes or sizes of wav files): give all machines the same one"
        )
    return replace(data, read=read_wav)
