"""One writer per folder: a lock that the system drops together with its process, however that ends."""

import os
from pathlib import Path
from typing import IO

from scratchser.atomic import StorageError

try:
    import fcntl
except ImportError:  # Windows has no such lock: a second writer is not noticed there
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"  # the file that is locked; it stays, since removing it would race with the next writer


class Held(StorageError):
    """Another process writes the folder."""


def hold(folder: Path) -> IO[str]:
    """Make `folder` and hold it alone until the returned file is closed or the process is gone.

    Raises Held where another process holds it, naming that process, StorageError where the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / NAME, "a+", encoding="utf-8")  # noqa: SIM115 - open for as long as it is held
    except OSError as error:
        raise StorageError(f"cannot use the folder {folder}: {error.strerror}. Name another with --out") from error
    if fcntl is not None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
            raise Held(
                f"process {owner or '(unknown)'} is writing {folder}: wait for its end, or name another with --out"
            ) from error
        except OSError as error:
            lock.close()
            raise StorageError(
                f"cannot lock {folder}: {error.strerror}. Its storage has no file locks (on a network, a mount option"
                "): have them switched on, or name another folder with --out"
            ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
