"""The record of a run's versions, commit and machine."""

import json
import platform
import shutil
import subprocess

import numpy as np
import pytest

from scratchser.support import environment


def test_versions_and_device():
    record = environment.describe("cpu: all of it")
    assert record["device"] == "cpu: all of it"
    assert record["python"] == platform.python_version()
    assert record["libraries"]["numpy"] == np.__version__
    assert record["cpu"]
    assert json.loads(json.dumps(record)) == record


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setattr(environment, "cores", lambda: 8)
    monkeypatch.setattr(environment.config, "NUMBA_NUM_THREADS", 6)
    records = [environment.describe("cpu", workers) for workers in (1, 2, 16)]
    assert [(each["workers"], each["threads_per_worker"]) for each in records] == [(1, 6), (2, 4), (16, 1)]
    assert environment.describe("cpu")["threads_per_worker"] == 6
    monkeypatch.setattr(environment.config, "NUMBA_NUM_THREADS", 3)  # NUMBA_NUM_THREADS=3 holds for workers too
    assert environment.describe("cpu", 2)["threads_per_worker"] == 3


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_the_source(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    source, installed = tmp_path / "scratchser", tmp_path / ".venv" / "scratchser"
    for folder in (source, installed):
        folder.mkdir(parents=True)
        (folder / "environment.py").write_text("old")
    assert environment._commit(source) is None  # no repository
    git("init", "-q")
    git("add", "scratchser")
    git("commit", "-q", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert environment._commit(source) == head
    assert environment._commit(installed) is None  # within a repository, but no part of it
    (source / "environment.py").write_text("new")
    assert environment._commit(source) == f"{head}+changes"
