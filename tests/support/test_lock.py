"""Two processes cannot write one folder, and a killed process holds nothing."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from scratchser.support import files
from scratchser.support.files import StorageError

HOLD = """
import sys
from pathlib import Path
from scratchser.support import files
held = files.hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path):
    folder = tmp_path / "a" / "run"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        for _ in range(2):  # the first refusal does not erase the process id
            with pytest.raises(files.Held, match=rf"process {other.pid} is writing .*run.*--out"):
                files.hold(folder)
        other.kill()
    for _ in range(2):
        files.hold(folder).close()


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(StorageError, match=r"cannot use or lock the folder .*run.*--out"):
        files.hold(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


def test_storage_without_locks(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StorageError, match=r"cannot use or lock .*Function not implemented.*--out") as error:
        files.hold(tmp_path)
    assert not isinstance(error.value, files.Held)
