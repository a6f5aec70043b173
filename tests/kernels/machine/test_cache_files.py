"""A compile cache that is damaged, cannot be written or lies on a full disk stops no command."""

import os
import sys
from pathlib import Path

import pytest
from process import python

from scratchser.kernels.machine import cache_files

# Compiles or loads a small kernel, and prints its result and whether it was loaded
PROGRAM = """
import numpy as np
from scratchser.kernels.machine import contiguous
x = np.zeros(3)
contiguous.fill_range(2.0, x, 0, 3)
print(x.sum(), sum(contiguous.fill_range.stats.cache_hits.values()) if contiguous.fill_range._cache else 0)
"""


def run(folder, before="", **changes):
    done = python("-c", before + PROGRAM, cwd=changes.get("TMPDIR"), NUMBA_CACHE_DIR=str(folder), **changes)
    return done.stdout.split(), done.stderr


def into_a_folder(file):
    file.unlink()
    (file / "folder").mkdir(parents=True)


@pytest.mark.parametrize(
    "ending, damage",
    [
        (".nbi", lambda file: file.write_bytes(b"")),
        (".nbc", into_a_folder),
        (".nbc", lambda file: file.write_bytes(file.read_bytes()[:-99] + bytes(99))),
    ],
)
def test_damaged_files_and_folders_in_their_place_are_compiled_again(compiled, ending, damage):
    for file in compiled.rglob(f"*{ending}"):
        damage(file)
    assert run(compiled)[0] == ["6.0", "0"]
    assert run(compiled)[0] == ["6.0", "1"]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    assert run(folder)[0] == ["6.0", "0"]
    return folder


def test_a_file_instead_of_the_folder_moves_the_cache_to_a_temporary_one(tmp_path):
    file = tmp_path / "cache"
    file.write_text("", encoding="utf-8")
    out, message = run(file, TMPDIR=str(tmp_path))
    (instead,) = tmp_path.glob("scratchser-*")
    assert out[0] == "6.0"
    assert message.splitlines() == [
        f"the compile cache {file} cannot be used: File exists; using {instead}."
        " Choose another folder with NUMBA_CACHE_DIR"
    ]
    assert list(instead.rglob("*.nbc"))


def test_without_a_home_no_folder_named_tilde_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cache_files.config, "CACHE_DIR", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user id without a name
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # is set below, and put back at the end
    monkeypatch.setattr(cache_files.tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = cache_files.home.__wrapped__()
    assert Path(folder).parent == tmp_path and os.environ["NUMBA_CACHE_DIR"] == folder
    assert not (tmp_path / "~").exists()
    assert "there is no home folder" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owner here")
def test_another_users_folder_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: os.stat(tmp_path).st_uid + 1)
    assert cache_files._fault(str(tmp_path)) == "it belongs to another user"


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of the size of files")
def test_a_disk_that_is_full_while_a_kernel_is_saved_stops_nothing(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    limit += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    out, message = run(tmp_path, before=limit)
    assert out == ["6.0", "0"]
    assert "a compiled kernel is not saved in the cache" in message
