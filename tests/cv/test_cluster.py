"""Folds on a cluster: the same bits as in one process, whoever dies meanwhile, and a line for whatever is wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import made_up
import pytest
import small_corpus
import trees

from scratchser import corpus
from scratchser.corpus import CorpusError
from scratchser.corpus.features import extract
from scratchser.corpus.split import make_folds
from scratchser.cv import __main__ as cv
from scratchser.cv import cluster, fold_job
from scratchser.cv.workers import Job, Task, WorkerError, run_folds
from scratchser.fit import DivergedError
from scratchser.paper import __main__ as paper
from scratchser.presets import Config, with_settings
from scratchser.runs import run as rundir
from scratchser.runs.fold_dir import FoldDir
from scratchser.support import files
from scratchser.support.files import StorageError, plain

SHORT = with_settings(Config(epochs=3, patience=3), small_corpus.SMALL)
LONG = with_settings(Config(epochs=40, patience=40), small_corpus.SMALL)  # to be cut off in the middle
ENDLESS = with_settings(Config(epochs=10**6, patience=10**6), small_corpus.SMALL)
TIMES = {"seconds": 0, "frames_per_second": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_corpus.write(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def jobs(folder, tmp_path_factory):
    """A job per config; the features are the same."""
    data = corpus.load(folder)
    cache = tmp_path_factory.mktemp("features") / "features"
    extract(data, SHORT).save(cache, data, SHORT)
    return lambda config: Job(data, cache, config, seed=0)


def tasks(job, run, *numbers):
    folds = make_folds(job.corpus)
    return [Task(job, folds[number - 1], FoldDir(run, number, False)) for number in numbers]


def measured(run):
    """All that the folds of a run left behind, without times."""
    found = {}
    for fold in sorted((run / "folds").iterdir()):
        rows = [{**json.loads(line), **TIMES} for line in (fold / "metrics.jsonl").read_text().splitlines()]
        result = {**json.loads((fold / "result.json").read_text()), **TIMES}
        found[fold.name] = rows, result, (fold / "predictions.csv").read_text()
    return found


@pytest.fixture(scope="module")
def straight(jobs, tmp_path_factory):
    """What the folds 1, 3 and 4 give in this process, by config."""
    known = {}

    def ask(config):
        if config not in known:
            run = tmp_path_factory.mktemp("straight")
            list(run_folds(tasks(jobs(config), run, 1, 3, 4), 1, lambda task, row: None))
            known[config] = measured(run)
        return known[config]

    return ask


# A fold in a few words


def test_a_described_fold_is_the_fold(jobs, straight, tmp_path):
    heard = []
    for task in tasks(jobs(SHORT), tmp_path, 1, 3, 4):
        words = json.loads(json.dumps(fold_job.serialise(task, "cpu")))
        result = fold_job.run(words, heard.append)
        assert fold_job.run(words, heard.append) == result  # done: told, not run again
    assert measured(tmp_path) == straight(SHORT) and [row["epoch"] for row in heard] == [1, 2, 3] * 3
    (start,) = FoldDir(tmp_path, 1, False).starts()
    assert {"commit", "libraries", "python", "cpu", "threads_per_worker"} <= set(start)


def test_what_was_left_out_is_left_out_there(folder, tmp_path):
    data = corpus.load(folder).without({"a00.wav"}).without({"b10.wav"})
    cache = tmp_path / "features"
    extract(data, SHORT).save(cache, data, SHORT)
    (task,) = tasks(Job(data, cache, SHORT, seed=0), tmp_path, 1)
    assert fold_job.run(fold_job.serialise(task, "cpu"))["n_test"] == 7


def test_the_synthetic_corpus_needs_no_folder():
    data = corpus.load(None)
    assert fold_job._load(json.dumps({**vars(data.origin), "fingerprint": data.fingerprint()})).speakers == data.speakers


def test_options_of_the_corpus_go_along(tmp_path):
    trees.dialog(tmp_path, "Ses01F_impro01", trees.agreed("Ses01F_impro01_F000", "Excited"))
    trees.dialog(tmp_path, "Ses01M_script01_1", trees.agreed("Ses01M_script01_1_M000", "Neutral"))
    data = corpus.load(tmp_path, scripted=True, merge_excited=True, classes=("neutral", "happiness"))
    words = json.dumps(plain({**vars(data.origin), "fingerprint": data.fingerprint()}))
    assert len(data.utterances) == 2 and fold_job._load(words).utterances == data.utterances


def test_a_corpus_that_cannot_be_loaded_again_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"corpus\.load did not make"):
        made = corpus.Corpus("csv", corpus.CLASSES, ())
        fold_job.serialise(Task(Job(made, tmp_path, SHORT, 0), None, FoldDir(tmp_path, 1, False)), "cpu")


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"source": "0"}, WorkerError, "another version of scratchser"),
        ({"features": "/nowhere/features"}, WorkerError, "does not see /nowhere/features: --out has to be on storage"),
        ({"device": "gpu"}, ValueError, "--device gpu"),
    ],
)
def test_a_machine_that_cannot_take_part_trains_nothing(jobs, tmp_path, changes, error, said):
    (task,) = tasks(jobs(SHORT), tmp_path / "run", 1)
    with pytest.raises(error, match=said) as raised:
        fold_job.run({**fold_job.serialise(task, "cpu"), **changes})
    assert "\n" not in str(raised.value) and not (tmp_path / "run").exists()


def test_another_corpus_there_trains_nothing(jobs, folder, tmp_path):
    (task,) = tasks(jobs(SHORT), tmp_path / "run", 1)
    words = fold_job.serialise(task, "cpu")
    changed = tmp_path / "corpus"
    changed.mkdir()
    small_corpus.write(changed)
    manifest = changed / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("a01.wav,a,neutral", "a01.wav,a,anger"))
    words["corpus"]["root"] = str(changed)
    with pytest.raises(CorpusError, match="is another corpus than the run's") as raised:
        fold_job.run(words)
    assert "\n" not in str(raised.value) and not (tmp_path / "run").exists()


def test_a_fold_that_is_still_held_is_waited_for(jobs, straight, tmp_path):
    (task,) = tasks(jobs(SHORT), tmp_path, 1)
    held = files.hold(task.folder.path)
    threading.Timer(1.5, held.close).start()
    checked = []
    fold_job.run(fold_job.serialise(task, "cpu"), check=lambda: checked.append(1))
    assert checked and measured(tmp_path)["01"] == straight(SHORT)["01"]


def test_a_fold_that_stays_held_is_given_up(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(fold_job, "PATIENCE", 0.1)
    (task,) = tasks(jobs(SHORT), tmp_path, 1)
    with files.hold(task.folder.path), pytest.raises(files.Held, match="is writing"):
        fold_job.run(fold_job.serialise(task, "cpu"))


def test_a_machine_unlike_the_first_is_a_warning_of_the_run(tmp_path):
    elsewhere = {**made_up.ENVIRONMENT, "libraries": {"numpy": "2.1"}, "commit": "abc", "cores": 64}
    with made_up.run(tmp_path / "run", made_up.corpus(), (1, 2)) as run:
        assert run.warnings == []
        for folder, environment in zip(run.folds, (made_up.ENVIRONMENT, elsewhere), strict=True):
            (folder.path / "result.json").unlink()
            with FoldDir(run.path, folder.number, False, environment).locked():
                pass
        assert len(run.warnings) == 2 and "commit was None at first and abc later" in run.warnings[1]
        assert "libraries.numpy was 2.0 at first and 2.1 later" in run.warnings[0]


def test_taken_folds_are_compared_with_each_other_alone(tmp_path):
    """What collects them has computed nothing."""
    made = made_up.corpus()
    for number, numpy in ((1, "2.1"), (2, "2.1"), (3, "2.2")):
        with made_up.run(tmp_path / str(number), made, (number,)) as run:
            environment = {**made_up.ENVIRONMENT, "libraries": {"numpy": numpy}}
            (run.path / "environment.json").write_text(json.dumps([environment]))
            run.folds[0].save_checkpoint({}, {})
    with rundir.open_run(tmp_path / "two", made_up.settings(made, (1, 2)), made_up.ENVIRONMENT, resume=False) as run:
        for folder in rundir.finished_folds([tmp_path / "1", tmp_path / "2"], run.settings):
            run.take(folder)
        assert run.warnings == []
    with rundir.open_run(tmp_path / "three", made_up.settings(made, (1, 2, 3)), made_up.ENVIRONMENT, resume=False) as run:
        for folder in rundir.finished_folds([tmp_path / "1", tmp_path / "3"], run.settings):
            run.take(folder)
        assert len(run.warnings) == 1 and "was 2.0 at first and 2.2 later" in run.warnings[0]


# The cluster


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """The address of a scheduler with two workers, three processes as a user starts them."""
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    place = tmp_path_factory.mktemp("dask")
    with Servers(place) as servers:
        for _ in range(2):
            servers.worker("--nthreads", "1", "--resources", "FOLD=1")
        yield servers


class Servers:
    """A scheduler and workers as processes of their own."""

    def __init__(self, place, **environment):
        self.folder, self.processes = place, []
        source = os.pathsep.join([str(Path(cv.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        self.environment = {**os.environ, **environment, "PYTHONPATH": source}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.start("scheduler", "--host", "127.0.0.1", "--port", self.port, "--no-dashboard")

    def start(self, *command):
        with open(self.folder / f"{len(self.processes)}.log", "w") as log:
            words = [sys.executable, "-m", "dask", *map(str, command)]
            self.processes.append(subprocess.Popen(words, stdout=log, stderr=log, env=self.environment))
        return self.processes[-1]

    def worker(self, *options):
        where = ("--no-dashboard", "--local-directory", self.folder)
        return self.start("worker", self.address, *where, *options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def run_until_an_epoch(connected, job, run, numbers, then):
    """Endless folds; `then` is called with the first task that has finished an epoch."""
    heard = []

    def notify(task, row):
        if not heard:
            heard.append(task)
            then(task)

    for _ in connected.run_folds(tasks(job, run, *numbers), notify):
        raise AssertionError("a fold without end gave a result")


def assert_stops(folder):
    """Its process ends it, lives on, and lets the folder go."""
    for _ in range(300):
        with suppress(files.Held):
            files.hold(folder.path).close()
            return
        time.sleep(0.2)
    raise AssertionError(f"{folder.path} is still written")


def test_a_worker_killed_in_mid_fold_changes_no_bit(dask, jobs, straight, tmp_path):
    killed, heard = [], []

    def notify(task, row):
        heard.append((task.fold.number, row["epoch"]))
        if not killed and row["epoch"] == 5:
            killed.append(task.fold.number)
            os.kill(int((task.folder.path / files.LOCK).read_text()), signal.SIGKILL)

    with cluster.connect(dask.address, "cpu", 1) as connected:
        asked = tasks(jobs(LONG), tmp_path, 1, 3, 4)
        results = {task.fold.number: result for task, result in connected.run_folds(asked, notify)}
    assert measured(tmp_path) == straight(LONG)
    for number, result in results.items():
        assert {**result, **TIMES} == straight(LONG)[f"{number:02d}"][1]
        assert len(FoldDir(tmp_path, number, False).starts()) == 1 + (number in killed)
    assert {(number, 40) for number in (1, 3, 4)} <= set(heard)


def test_an_error_in_a_fold_comes_as_its_line_and_ends_the_others(dask, jobs, tmp_path):
    wild = with_settings(ENDLESS, ["learning_rate=1e30", "conv_learning_rate=1e30"])
    asked = [*tasks(jobs(ENDLESS), tmp_path / "a", 1), *tasks(jobs(wild), tmp_path / "b", 3)]
    with cluster.connect(dask.address, "cpu", 1) as connected:
        with pytest.raises(DivergedError, match=r"fold 3, epoch \d+: the loss is .* lower the settings") as error:
            list(connected.run_folds(asked, lambda task, row: None))
        assert "\n" not in str(error.value)
        assert_stops(asked[0].folder)
        folder = tasks(jobs(ENDLESS), tmp_path / "c", 1)[0].folder
        with pytest.raises(StorageError, match=r"cannot write .*c/folds/01"):
            run_until_an_epoch(
                connected, jobs(ENDLESS), tmp_path / "c", (1,), lambda task: folder.path.rename(tmp_path / "gone")
            )


def test_an_interruption_ends_the_folds_after_an_epoch(dask, jobs, tmp_path):
    def interrupt(task):
        raise KeyboardInterrupt

    with cluster.connect(dask.address, "cpu", 1) as connected:
        with pytest.raises(KeyboardInterrupt):
            run_until_an_epoch(connected, jobs(ENDLESS), tmp_path, (1, 3), interrupt)
        for task in tasks(jobs(ENDLESS), tmp_path, 1, 3):
            if task.folder.path.exists():
                assert_stops(task.folder)
                saved = task.folder.checkpoint()
                assert saved is None or saved[1]["epoch"] == len(task.folder.metrics())


SETTINGS = [part for setting in small_corpus.SMALL for part in ("--set", setting)]


def command(folder, run, *more):
    return [str(word) for word in (folder, *SETTINGS, "--epochs", 40, "--folds", "1,3,4", "--out", run, *more)]


def test_a_killed_driver_goes_on_where_it_was(dask, folder, straight, tmp_path):
    """And what its folds have written is what the run without a cluster writes."""
    run = tmp_path / "run"
    words = command(folder, run, "--set", "patience=40", "--cluster", dask.address)
    driver = subprocess.Popen([sys.executable, "-m", "scratchser.cv", *words], stderr=subprocess.PIPE, text=True)
    said = ""
    while "epoch 9/40" not in said:
        line = driver.stderr.readline()
        assert line, said
        said += line
    driver.kill()
    driver.communicate()
    assert max(len(FoldDir(run, number, False).metrics()) for number in (1, 3, 4)) >= 9
    assert cv.main([*words, "--resume"]) == 0
    assert measured(run) == straight(LONG)
    result = json.loads((run / "result.json").read_text())
    assert result["complete"] and [fold["fold"] for fold in result["folds"]] == [1, 3, 4]


@pytest.mark.slow
def test_all_runs_of_a_table_go_to_the_cluster(dask, folder, tmp_path):
    small = [part for setting in small_corpus.SMALL[1:] for part in ("--set", setting)]
    words = ["table6", folder, *small, "--epochs", 2, "--folds", "1,3"]
    for name, where in (("here", ("--workers", 1)), ("there", ("--cluster", dask.address))):
        assert paper.main([str(word) for word in (*words, *where, "--out", tmp_path / name)]) == 0
    runs = {name: sorted((tmp_path / name / "runs").iterdir()) for name in ("here", "there")}
    here, there = ({run.name: measured(run) for run in found} for found in runs.values())
    assert here == there and len(there) == 2
    assert (tmp_path / "here" / "table6.csv").read_bytes() == (tmp_path / "there" / "table6.csv").read_bytes()
    assert all(FoldDir(run, 3, False).starts() for run in runs["there"])


@pytest.mark.slow
def test_a_cluster_of_this_machine_alone(folder, straight, tmp_path):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    words = command(folder, tmp_path / "run", "--set", "patience=40", "--cluster", "local", "--workers", 2)
    assert cv.main(words) == 0
    assert measured(tmp_path / "run") == straight(LONG)


@pytest.mark.slow
def test_a_scheduler_that_is_gone_and_workers_that_always_die(jobs, tmp_path):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

    def kill(task):
        os.kill(int((task.folder.path / files.LOCK).read_text()), signal.SIGKILL)

    with Servers(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as servers:
        servers.worker("--nthreads", "1", "--resources", "FOLD=1")
        with cluster.connect(servers.address, "cpu", 1) as connected:
            with pytest.raises(WorkerError, match=r"several workers died in the same fold.* --resume") as error:
                run_until_an_epoch(connected, jobs(ENDLESS), tmp_path / "a", (1,), kill)
            assert "\n" not in str(error.value)
            with pytest.raises(WorkerError, match=r"scheduler is gone.* --resume") as error:
                run_until_an_epoch(
                    connected, jobs(ENDLESS), tmp_path / "b", (1,), lambda task: servers.processes[0].kill()
                )
            assert "\n" not in str(error.value)
        assert_stops(FoldDir(tmp_path / "b", 1, False))


# What cannot be used


def test_a_worker_without_the_program_says_so(dask, jobs, tmp_path, monkeypatch):
    """And lives on."""

    def absent():
        def run(description, topic):
            from scratchser import no_such_file  # noqa: F401

        return run

    with cluster.connect(dask.address, "cpu", 1) as connected:
        monkeypatch.setattr(cluster, "_work", absent)
        with pytest.raises(WorkerError, match=r"cannot import this program .*no_such_file.*install the same") as error:
            list(connected.run_folds(tasks(jobs(SHORT), tmp_path, 1), lambda task, row: None))
        assert "\n" not in str(error.value) and connected.count_workers() == 2


class Known:
    """A client that knows what its scheduler's workers offer."""

    def __init__(self, *offers):
        self.info = {"workers": {f"tcp://w{number}": {"resources": offer} for number, offer in enumerate(offers)}}

    def scheduler_info(self, n_workers):
        return self.info


def test_workers_are_counted_by_what_they_offer():
    offers = {"FOLD": 1.0}, {"GPU": 1.0}, {}, {"FOLD": 1.0, "GPU": 1.0}, {"GPU": 1.0}
    assert cluster.Cluster(Known(*offers), "cpu").count_workers() == 2
    assert cluster.Cluster(Known(*offers), "cuda:0").count_workers() == 3
    assert cluster.Cluster(Known(), "cpu").count_workers() == 0


@pytest.mark.parametrize(
    ("offers", "said"),
    [
        (({"FOLD": 1.0}, {"FOLD": 8.0}), r"one fold at a time, but tcp://w1 offers 8: .*--resources FOLD=1"),
        (({}, {"GPU": 1.0}), r"none of the scheduler's 2 workers takes a fold: .*--resources FOLD=1"),
    ],
)
def test_workers_that_are_not_for_folds(offers, said):
    with pytest.raises(cluster.ClusterError, match=said):
        cluster.Cluster(Known(*offers), "cpu").count_workers()


def test_a_process_never_runs_two_folds_at_once(monkeypatch):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    inside, most = [], []

    def run(description, notify, check):
        inside.append(description)
        most.append(len(inside))
        time.sleep(0.2)
        inside.remove(description)

    class Worker:
        class state:
            nthreads, tasks = 8, {"key": type("", (), {"state": "executing"})}

        def get_current_task(self):
            return "key"

    monkeypatch.setattr("distributed.get_worker", Worker)
    monkeypatch.setattr(fold_job, "run", run)
    threads = [threading.Thread(target=fold_job.run_on_worker, args=({"fold": number}, "topic")) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]


def test_a_scheduler_that_does_not_answer(folder, tmp_path, capsys, monkeypatch):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes a connection and says nothing
        deaf = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        for address in ("tcp://127.0.0.1:9", "nonsense", "tcp://no.such.host.invalid:8786", "tls://127.0.0.1:9", deaf):
            assert cv.main(command(folder, tmp_path / "run", "--cluster", address)) == 2
            (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error"))
            assert f"--cluster {address}: no scheduler answers" in line and "dask scheduler" in line
    assert not (tmp_path / "run").exists()


def test_without_the_extra(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cv.main(command(folder, tmp_path / "run", "--cluster", "local")) == 2
    assert "pip install -e '.[cluster]'" in capsys.readouterr().err and not (tmp_path / "run").exists()
