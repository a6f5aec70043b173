"""Folds on a cluster: the same bits as in one process, whichever process dies, and one line for every problem."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import small_corpus
import trees
from small_corpus import SETTINGS, TIMES, measured

from scratchser import corpus
from scratchser.corpus import CorpusError
from scratchser.corpus.features import extract
from scratchser.corpus.split import make_folds
from scratchser.cv import __main__ as cv
from scratchser.cv import cluster, fold_job
from scratchser.cv.workers import Job, Task, WorkerError, run_folds
from scratchser.fit import DivergedError
from scratchser.presets import Config, with_settings
from scratchser.runs.fold_dir import FoldDir
from scratchser.support import environment, files
from scratchser.support.files import StorageError, plain

CONFIG = with_settings(Config(epochs=20, patience=20), small_corpus.SMALL)
ENDLESS = with_settings(Config(epochs=10**6, patience=10**6), small_corpus.SMALL)
needs_dask = pytest.mark.skipif(not find_spec("distributed"), reason="the extra `cluster` is not installed")


@pytest.fixture(scope="module")
def jobs(folder, tmp_path_factory):
    """The job of a config; the features are the same for all."""
    data = corpus.load(folder)
    cache = tmp_path_factory.mktemp("features") / "features"
    extract(data, CONFIG).save(cache, data, CONFIG)
    return lambda config: Job(data, cache, config, seed=0)


def tasks(job, run, *numbers):
    folds = make_folds(job.corpus)
    return [Task(job, folds[number - 1], FoldDir(run, number, False)) for number in numbers]


@pytest.fixture(scope="module")
def straight(jobs, tmp_path_factory):
    """What the folds 1, 3 and 4 give in this process."""
    run = tmp_path_factory.mktemp("straight")
    list(run_folds(tasks(jobs(CONFIG), run, 1, 3, 4), 1, lambda task, row: None))
    return measured(run)


# ---- fold jobs -------------------------------------------------------------------------------------------------------


def test_a_serialised_fold_is_the_fold(jobs, straight, tmp_path):
    rows = []
    for task in tasks(jobs(CONFIG), tmp_path, 1, 3, 4):
        job = json.loads(json.dumps(fold_job.serialise(task, "cpu")))
        result = fold_job.run(job, rows.append)
        assert fold_job.run(job, rows.append) == result  # finished: not run again
    assert measured(tmp_path) == straight and [row["epoch"] for row in rows] == [*range(1, 21)] * 3
    (start,) = FoldDir(tmp_path, 1, False).starts()
    assert {"commit", "libraries", "python", "cpu", "threads_per_worker"} <= set(start)


def test_the_worker_loads_the_same_corpus(tmp_path):
    trees.dialog(tmp_path, "Ses01F_impro01", trees.agreed("Ses01F_impro01_F000", "Excited"))
    trees.dialog(tmp_path, "Ses01M_script01_1", trees.agreed("Ses01M_script01_1_M000", "Neutral"))
    options = {"scripted": True, "merge_excited": True, "classes": ("neutral", "happiness")}
    for data in (corpus.load(None).without({"Ses01F_impro01_F000"}), corpus.load(tmp_path, **options)):
        description = json.dumps(plain({**vars(data.origin), "fingerprint": data.fingerprint()}))
        assert len(data.utterances) > 1 and fold_job._load(description).utterances == data.utterances
    made = corpus.Corpus("csv", corpus.CLASSES, ())
    with pytest.raises(ValueError, match=r"corpus\.load did not make"):
        fold_job.serialise(Task(Job(made, tmp_path, CONFIG, 0), None, FoldDir(tmp_path, 1, False)), "cpu")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"source": "0"}, WorkerError, "another version of scratchser"),
        ({"features": "/nowhere/features"}, WorkerError, "does not see /nowhere/features: --out has to be on storage"),
        ({"device": "gpu"}, ValueError, "--device gpu"),
        ("labels", CorpusError, "is another corpus than the run's"),
    ],
)
def test_a_machine_that_cannot_take_part_trains_nothing(jobs, tmp_path, changes, error, message):
    (task,) = tasks(jobs(CONFIG), tmp_path / "run", 1)
    job = fold_job.serialise(task, "cpu")
    if changes == "labels":
        (tmp_path / "corpus").mkdir()
        manifest = small_corpus.write(tmp_path / "corpus") / "manifest.csv"
        manifest.write_text(manifest.read_text().replace("a01.wav,a,neutral", "a01.wav,a,anger"))
        job["corpus"]["root"] = str(tmp_path / "corpus")
    else:
        job.update(changes)
    with pytest.raises(error, match=message) as raised:
        fold_job.run(job)
    assert "\n" not in str(raised.value) and not (tmp_path / "run").exists()


def test_the_version_is_that_of_all_source_files(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.scratchser, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(environment.kernels, "__file__", str(tmp_path / "kernels" / "__init__.py"))
    versions = {environment.source()}
    for name in ("fit.py", "kernels/machine/lanes.py", "cv/fold.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        for text in "12":
            (tmp_path / name).write_text(text)
            versions.add(environment.source())
    assert len(versions) == 7


def test_a_fold_that_is_still_held_is_waited_for(jobs, straight, tmp_path, monkeypatch):
    (task,) = tasks(jobs(CONFIG), tmp_path, 1)
    held, checked = files.hold(task.folder.path), []
    threading.Timer(1.5, held.close).start()
    fold_job.run(fold_job.serialise(task, "cpu"), check=lambda: checked.append(1))
    assert checked and measured(tmp_path)["01"] == straight["01"]
    monkeypatch.setattr(fold_job, "PATIENCE", 0.1)
    with files.hold(task.folder.path), pytest.raises(files.Held, match="is writing"):
        fold_job.run(fold_job.serialise(task, "cpu"))


# ---- the cluster -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address():
    """The address of a scheduler with two workers, those of --cluster local."""
    with cluster.connect("local", "cpu", 2) as connected:
        yield connected.client.scheduler.address


def run_until_an_epoch(connected, job, run, numbers, then):
    """Endless folds; `then` is called with the first task that has finished an epoch."""
    called = []

    def notify(task, row):
        if not called:
            called.append(task)
            then(task)

    for _ in connected.run_folds(tasks(job, run, *numbers), notify):
        raise AssertionError("an endless fold gave a result")


def kill_writer(task):
    os.kill(int((task.folder.path / files.LOCK).read_text()), signal.SIGKILL)


def assert_stops(folder):
    """The worker stops writing the fold and lives on."""
    for _ in range(300):
        with suppress(files.Held):
            files.hold(folder.path).close()
            return
        time.sleep(0.2)
    raise AssertionError(f"{folder.path} is still written")


@needs_dask
def test_a_worker_killed_in_a_fold_changes_no_bit(address, jobs, straight, tmp_path):
    killed, epochs = [], set()

    def notify(task, row):
        epochs.add((task.fold.number, row["epoch"]))
        if not killed:
            killed.append(task.fold.number)
            kill_writer(task)

    with cluster.connect(address, "cpu", 1) as connected:
        submitted = tasks(jobs(CONFIG), tmp_path, 1, 3, 4)
        results = {task.fold.number: result for task, result in connected.run_folds(submitted, notify)}
    assert measured(tmp_path) == straight
    for number, result in results.items():
        assert {**result, **TIMES} == straight[f"{number:02d}"][1]
    # the worker may have gone on to its next fold before it is killed
    assert sum(len(FoldDir(tmp_path, number, False).starts()) for number in results) == 4
    assert {(number, 20) for number in (1, 3, 4)} <= epochs


@needs_dask
def test_an_error_in_a_fold_comes_as_its_line_and_ends_the_others(address, jobs, tmp_path):
    diverging = with_settings(ENDLESS, ["learning_rate=1e30", "conv_learning_rate=1e30"])
    submitted = [*tasks(jobs(ENDLESS), tmp_path / "a", 1), *tasks(jobs(diverging), tmp_path / "b", 3)]
    with cluster.connect(address, "cpu", 1) as connected:
        with pytest.raises(DivergedError, match=r"fold 3, epoch \d+: .* the loss is .* lower the settings") as error:
            list(connected.run_folds(submitted, lambda task, row: None))
        assert "\n" not in str(error.value)
        assert_stops(submitted[0].folder)
        run = tmp_path / "c"
        with pytest.raises(StorageError, match=r"cannot write .*c/folds/01"):
            run_until_an_epoch(
                connected, jobs(ENDLESS), run, (1,), lambda task: task.folder.path.rename(tmp_path / "gone")
            )


def command(folder, run, *more):
    arguments = (folder, *SETTINGS, "--epochs", 20, "--set", "patience=20", "--folds", "1,3,4", "--out", run, *more)
    return [str(argument) for argument in arguments]


@needs_dask
def test_a_killed_driver_continues_where_it_was(address, folder, straight, tmp_path):
    """And what its folds have written is what the run without a cluster writes."""
    run = tmp_path / "run"
    arguments = command(folder, run, "--cluster", address)
    driver = subprocess.Popen([sys.executable, "-m", "scratchser.cv", *arguments], stderr=subprocess.PIPE, text=True)
    printed = ""
    while "epoch 9/20" not in printed:
        line = driver.stderr.readline()
        assert line, printed
        printed += line
    driver.kill()
    driver.communicate()
    assert max(len(FoldDir(run, number, False).metrics()) for number in (1, 3, 4)) >= 9
    assert cv.main([*arguments, "--resume"]) == 0
    assert measured(run) == straight
    result = json.loads((run / "result.json").read_text())
    assert result["complete"] and [fold["fold"] for fold in result["folds"]] == [1, 3, 4]


@contextmanager
def server(*arguments):
    """A process of dask, started as a user starts it."""
    command = [sys.executable, "-m", "dask", *map(str, arguments), "--no-dashboard"]
    with subprocess.Popen(command, env={**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.mark.slow
@needs_dask
def test_a_lost_scheduler_and_workers_that_always_die(jobs, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    worker = ("worker", address, "--nthreads", 1, "--resources", "FOLD=1", "--local-directory", tmp_path)
    with server("scheduler", "--host", "127.0.0.1", "--port", port) as scheduler, server(*worker):
        lost = lambda task: scheduler.kill()  # noqa: E731
        with cluster.connect(address, "cpu", 1) as connected:
            for run, then, message in (("a", kill_writer, "workers died"), ("b", lost, "scheduler is gone")):
                with pytest.raises(WorkerError, match=message + ".* --resume") as error:
                    run_until_an_epoch(connected, jobs(ENDLESS), tmp_path / run, (1,), then)
                assert "\n" not in str(error.value)
        assert_stops(FoldDir(tmp_path / "b", 1, False))


# ---- clusters that cannot be used ------------------------------------------------------------------------------------


@needs_dask
def test_a_worker_without_the_program_reports_it(address, jobs, tmp_path, monkeypatch):
    def absent():
        def run(job, topic):
            from scratchser import no_such_file  # noqa: F401

        return run

    monkeypatch.setattr(cluster, "_work", absent)
    with cluster.connect(address, "cpu", 1) as connected:
        with pytest.raises(WorkerError, match=r"cannot import this program .*no_such_file.*install the same") as error:
            list(connected.run_folds(tasks(jobs(CONFIG), tmp_path, 1), lambda task, row: None))
        assert "\n" not in str(error.value) and connected.count_workers() == 2


def counted(device, *offers):
    """The workers that can take a fold, of a scheduler whose workers offer these resources."""
    workers = {f"tcp://w{number}": {"resources": offer} for number, offer in enumerate(offers)}
    client = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": workers})
    return cluster.Cluster(client, device).count_workers()


def test_workers_are_counted_by_their_resources():
    offers = {"FOLD": 1.0}, {"GPU": 1.0}, {}, {"FOLD": 1.0, "GPU": 1.0}, {"GPU": 1.0}
    assert (counted("cpu", *offers), counted("cuda:0", *offers), counted("cpu")) == (2, 3, 0)
    with pytest.raises(cluster.ClusterError, match=r"one fold at a time, but tcp://w1 offers 8: .*--resources FOLD=1"):
        counted("cpu", {"FOLD": 1.0}, {"FOLD": 8.0})
    with pytest.raises(cluster.ClusterError, match=r"none of the scheduler's 2 workers .*--resources FOLD=1"):
        counted("cpu", {}, {"GPU": 1.0})


@needs_dask
def test_a_process_never_runs_two_folds_at_once(monkeypatch):
    inside, most = [], []

    def run(job, notify, check):
        inside.append(job)
        most.append(len(inside))
        time.sleep(0.05)
        inside.remove(job)

    state = SimpleNamespace(nthreads=8, tasks={"key": SimpleNamespace(state="executing")})
    worker = SimpleNamespace(state=state, get_current_task=lambda: "key")
    monkeypatch.setattr("distributed.get_worker", lambda: worker)
    monkeypatch.setattr(fold_job, "run", run)
    threads = [threading.Thread(target=fold_job.run_on_worker, args=({"fold": n}, "topic")) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]


@needs_dask
def test_a_scheduler_that_does_not_answer(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and never answers
        deaf = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        for address in ("tcp://127.0.0.1:9", "nonsense", "tcp://no.such.host.invalid:8786", "tls://127.0.0.1:9", deaf):
            assert cv.main(command(folder, tmp_path / "run", "--cluster", address)) == 2
            (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error"))
            assert f"--cluster {address}: no scheduler answers" in line and "dask scheduler" in line
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cv.main(command(folder, tmp_path / "run", "--cluster", "local")) == 2
    assert "pip install -e '.[cluster]'" in capsys.readouterr().err and not (tmp_path / "run").exists()
