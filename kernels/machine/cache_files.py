"""The folder of the compile cache, and its files: damaged ones are compiled again, a full disk stops no kernel."""

import contextlib
import hashlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from numba import config

DIGEST = hashlib.sha256
SIZE = DIGEST().digest_size  # bytes


@cache
def home() -> str | None:
    """The folder of the compile cache: the user's, or a temporary one if that cannot be written.

    None if no folder can be written. A message on stderr says so, once for this process and those that it starts.
    """
    user = config.CACHE_DIR or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "scratchser"
    )
    user = user if user.startswith("~") else os.path.abspath(user)
    if not (reason := _fault(user)):
        return user
    print(f"the compile cache {user} cannot be used: {reason}; ", end="", file=sys.stderr)
    try:
        temporary = os.path.join(tempfile.gettempdir(), f"scratchser-{os.getuid() if os.name == 'posix' else 'cache'}")
    except FileNotFoundError:  # no temporary folder can be written
        temporary = ""
    found = None if not temporary or _fault(temporary) else temporary
    instead = f"using {found}" if found else "kernels are compiled again in each run"
    print(f"{instead}. Choose another folder with NUMBA_CACHE_DIR", file=sys.stderr)
    if found:
        os.environ["NUMBA_CACHE_DIR"] = found  # for the processes that this one starts
    return found


def _fault(folder: str) -> str | None:
    """Why a folder cannot hold the cache, or None if it can."""
    if folder.startswith("~"):  # what is left of it without a home folder
        return "there is no home folder"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.name == "posix" and os.stat(folder).st_uid != os.getuid():
            return "it belongs to another user"  # whose compiled code would run here
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        return error.strerror or str(error)
    return None


def check(compiled: Any) -> None:
    """Let a compiled function detect damaged files of its cache, and go on if they cannot be written."""
    cache: Any = getattr(compiled, "_cache", None)
    if not hasattr(cache, "_cache_file"):  # the simulator and NUMBA_DISABLE_JIT=1 compile nothing
        return
    file, save = cache._cache_file, cache.save_overload
    numba_file: Any = type(file)
    file.__class__ = _checked(numba_file)

    def save_overload(*overload: Any) -> None:
        try:
            save(*overload)
        except OSError as error:
            cache.disable()
            _report_once(f"a compiled kernel is not saved in the cache: {error}")

    cache.save_overload = save_overload


@cache
def _report_once(message: str) -> None:
    print(message, file=sys.stderr)


@cache
def _checked(numba_file: Any) -> type:
    """Numba's class of cache files, with a digest at the end of each file. A damaged file counts as absent."""

    class Checked(numba_file):
        def _load_index(self) -> dict:
            return super()._load_index() if _intact(self._index_path) else {}

        def _load_data(self, name: str) -> Any:
            if not _intact(self._data_path(name)):
                raise OSError("damaged")  # for Numba the file is absent: it compiles again
            return super()._load_data(name)

        @contextlib.contextmanager
        def _open_for_write(self, path: str) -> Iterator[io.BytesIO]:
            if os.path.isdir(path):  # in place of the file
                shutil.rmtree(path)
            with super()._open_for_write(path) as file:
                content = io.BytesIO()
                yield content
                file.write(content.getvalue() + DIGEST(content.getvalue()).digest())

    return Checked


def _intact(path: str) -> bool:
    try:
        data = Path(path).read_bytes()
    except OSError:
        return False
    return DIGEST(data[:-SIZE]).digest() == data[-SIZE:]
