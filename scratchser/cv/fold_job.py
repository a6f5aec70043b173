"""A fold job: a fold serialised as JSON, which a worker of a cluster runs. No array travels.

The worker loads the corpus itself. It trains nothing if its corpus or its program (`SOURCE`) is another one. The run's
folder and the features are on storage that all machines share; the result is what the fold leaves there.
"""

import json
import platform
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from pydantic import TypeAdapter

from scratchser import corpus
from scratchser.corpus.split import Fold
from scratchser.corpus.table import Corpus, CorpusError, read_wav
from scratchser.cv.workers import Job, Row, Task, WorkerError
from scratchser.presets import from_json
from scratchser.runs.fold_dir import FoldDir
from scratchser.support import environment, files, gpu
from scratchser.support.files import plain

SOURCE = environment.source()  # computed at import: the files may change before a fold starts
PATIENCE = 600.0  # seconds to wait for a fold that another process still holds

_one_at_a_time = threading.Lock()  # folds in one process share Numba's threads


class Stopped(Exception):
    """The fold was cancelled."""


def serialise(task: Task, device: str) -> dict[str, Any]:
    """The fold job of a task; `device` is the worker's, as --device has it.

    Raises ValueError for a corpus that `corpus.load` did not make.
    """
    data = task.job.corpus
    if data.origin is None:
        raise ValueError("a corpus that corpus.load did not make cannot be loaded by another machine")
    return plain(
        {
            "corpus": {**plain(data.origin), "fingerprint": data.fingerprint()},
            "run": task.folder.run.absolute(),
            "features": task.job.features.absolute(),
            "fold": task.fold,
            "config": task.job.config,
            "seed": task.job.seed,
            "device": device,
            "source": SOURCE,
        }
    )


def run(
    job: dict[str, Any],
    notify: Callable[[Row], None] = lambda row: None,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Train the fold of a job, or continue it. Returns its result as `run_fold` does.

    Waits for a fold that another process still holds, and calls `check` meanwhile, which may raise.
    Raises WorkerError for another program or a missing folder, CorpusError for another corpus.
    """
    machine = platform.node()
    if job["source"] != SOURCE:
        raise WorkerError(
            f"{machine} has another version of scratchser than the program that started the run: install the same one"
            " on all machines and start the workers again"
        )
    data = _load(json.dumps(job["corpus"], sort_keys=True))
    features = Path(job["features"])
    if not features.exists():
        raise WorkerError(f"{machine} does not see {features}: --out has to be on storage that all machines share")
    device, _ = gpu.choose(job["device"])
    here = {**environment.describe(gpu.describe(device)), "threads_per_worker": numba.get_num_threads()}
    fold = TypeAdapter(Fold).validate_python(job["fold"])
    task = Task(
        Job(data, features, from_json(job["config"]), job["seed"], device),
        fold,
        FoldDir(Path(job["run"]), fold.number, data.synthetic, here),
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return task.run(notify)
        except files.Held:
            check()
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


def run_on_worker(job: dict[str, Any], topic: str) -> None:
    """Run a fold job in a dask worker, with the worker's number of threads; its rows are events of `topic`."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":  # also if the process that submitted it is gone
            raise Stopped

    def notify(row: Row) -> None:
        check()
        worker.log_event(topic, json.dumps([key, row]))

    with _one_at_a_time:
        check()
        numba.set_num_threads(min(worker.state.nthreads, numba.config.NUMBA_NUM_THREADS))
        run(job, notify, check)


def ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@lru_cache(maxsize=1)
def _load(description: str) -> Corpus:
    """The corpus of a job, kept for the next fold."""
    wanted = json.loads(description)
    root = wanted["root"] and Path(wanted["root"])
    options = {name: wanted[name] for name in ("scripted", "merge_excited", "classes")}
    data = corpus.load(root, wanted["kind"], **options).without(set(wanted["left_out"]))
    if data.fingerprint() != wanted["fingerprint"]:
        raise CorpusError(
            f"{root or wanted['kind']} on {platform.node()} is another corpus than the run's (other utterances, labels,"
            " votes or sizes of wav files): all machines need the same one"
        )
    return replace(data, read=read_wav)
