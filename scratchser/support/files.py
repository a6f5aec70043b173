"""Files that are complete or absent, the lock of a folder, JSON and .npz.

A file is written next to its place, flushed to the disk and then moved over the old file, which is one step of the file
system. So a killed process or a full disk leaves the old file unchanged.
"""

import dataclasses
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from scratchser.support.errors import ProcessingError

LOCK = ".lock"  # holds the process id of the writer; it stays in the folder, since other processes may wait for it
META = "__meta__"  # the member of an .npz that holds the JSON beside the arrays


class StorageError(ProcessingError):
    """A file or folder cannot be read or written. The message says why and what to do, in one line."""


class Held(StorageError):
    """Another process writes the folder."""


def hold(folder: Path) -> ExitStack:
    """Create `folder` and lock it for this process, until the returned stack is closed or the process ends.

    Raises Held if another process has the lock, StorageError if the folder cannot be used.
    """
    path = folder / LOCK
    lock = FileLock(path, timeout=0, thread_local=False, fallback_to_soft=False)
    held = ExitStack()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        held.callback(lock.release)
        if os.name != "nt":  # on Windows nobody can read a locked file
            path.write_text(str(os.getpid()), encoding="ascii")
    except Timeout as error:
        owner = f"process {path.read_text(encoding='ascii')}" if os.name != "nt" else "another process"
        raise Held(f"{owner} is writing {folder}: wait until it ends, or choose another folder with --out") from error
    except OSError as error:
        held.close()
        reason = f"cannot use or lock the folder {folder}: {error.strerror}"
        raise StorageError(f"{reason}. Choose another folder with --out") from error
    return held


def make_folder(path: Path) -> None:
    """Create a folder and those above it. Raises StorageError if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot create the folder {path}: {error.strerror}"
        raise StorageError(f"{reason}. Choose another folder with --out") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file `path` by `data` in one step. When this returns, the data is on the disk.

    Raises StorageError if that fails. Then `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        advice = "Free some space or fix the permissions, then repeat the command; to continue a run, add --resume"
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}. The old file is unchanged. {advice}"
        ) from error
    finally:
        with suppress(OSError):  # of a folder that cannot be used
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flush the folder's list of names to the disk, or a power cut could undo the move."""
    if os.name != "nt":  # Windows does not open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes. The caller must hold `folder`."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step. Raises as `write_bytes`.

    A file name that is not valid text, such as Latin-1 under UTF-8, is written with \\udc.., which JSON reads back.
    """
    write_bytes(path, text.encode(errors="backslashreplace"))


def plain(value: Any) -> Any:
    """Returns `value` as strict JSON allows it: tuples and arrays as lists, dataclasses as objects, NaN as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step. Raises as `write_bytes`."""
    write_text(path, layout(plain(value)) + "\n")


def layout(value: Any, newline: str = "\n") -> str:
    """Returns indented JSON. A list of numbers or words takes one line, so that a matrix looks like one."""
    inner = newline + "  "
    if isinstance(value, dict) and value:
        entries = (f"{json.dumps(key, ensure_ascii=False)}: {layout(entry, inner)}" for key, entry in value.items())
        return "{" + inner + ("," + inner).join(entries) + newline + "}"
    if isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        return "[" + inner + ("," + inner).join(layout(entry, inner) for entry in value) + newline + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Replace a file with one JSON object per line in one step. Raises as `write_bytes`."""
    write_text(path, "".join(json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def exists(path: Path) -> bool:
    """True if the file exists. Raises StorageError if that cannot be found out, for example without permission."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


def read_text(path: Path) -> str:
    """Returns what `write_text` wrote. Raises StorageError if the file is missing or unreadable."""
    return _parse(path, str)


def read_json(path: Path) -> Any:
    """Returns what `write_json` wrote. Raises StorageError if the file is missing, unreadable or not JSON."""
    return _parse(path, json.loads)


def read_json_lines(path: Path) -> list[Any]:
    """Returns what `write_json_lines` wrote. Raises as `read_json`."""
    return _parse(path, lambda text: [json.loads(line) for line in text.split("\n") if line])


def _parse(path: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> StorageError:
    reason = error.strerror if isinstance(error, OSError) else error
    return StorageError(f"cannot read {path}: {reason}. Restore it or its permissions, or start a run in a new folder")


def save_npz(path: Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write arrays and the JSON object `meta` to an .npz in one step. Equal contents give equal bytes.

    Arrays keep their bits, numbers in `meta` too, NaN included; tuples become lists. Raises as `write_bytes`.
    """
    text = json.dumps(meta, default=lambda value: value.tolist())
    buffer = io.BytesIO()
    members = {**arrays, META: np.frombuffer(text.encode(), np.uint8)}
    np.savez(buffer, **members)  # type: ignore[arg-type]  # NumPy's stub takes the arrays for allow_pickle
    write_bytes(path, buffer.getvalue())


def load_npz(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns the (arrays, meta) that `save_npz` wrote. Raises StorageError if the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            # NumPy compares a checksum only at the end of a member, and a damaged header can make it stop before
            if damaged := archive.zip.testzip():
                raise ValueError(f"checksum of {damaged}")
            arrays = dict(archive)
        return arrays, json.loads(arrays.pop(META).tobytes())
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is damaged"
        advice = f"Restore it, or remove {path.parent} and continue the run with --resume, which computes it again"
        raise StorageError(f"cannot read {path}: {reason}. {advice}") from error
