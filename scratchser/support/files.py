"""Files that are either the old ones or the new ones, never halves.

A file is written beside its place, forced to the disk, and only then moved over the old one; the move is one step of
the file system. A process killed at any moment, or a disk that is full, leaves what was there before.
"""

import dataclasses
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

try:
    import fcntl
except ImportError:  # Windows has no such lock: a second writer is not noticed there
    fcntl = None  # type: ignore[assignment]


class StorageError(Exception):
    """What is wrong with a file or folder and what mends it, in one line for the user."""


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


META = "__meta__"  # the member of an .npz that holds the JSON beside the arrays


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file `path` by `data` in one step, on the disk when this returns.

    Raises StorageError where that fails; `path` is then as it was, and no temporary file is left.
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
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}. What was there before is kept; make room or mend the"
            " permissions, and a run goes on with --resume"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Force the folder's list of names to the disk: without it the move itself could be lost with the power."""
    if os.name == "nt":  # Windows does not open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed; only for who alone writes in `folder`."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step; the errors of `write_bytes`."""
    write_bytes(path, text.encode())


def plain(value: Any) -> Any:
    """`value` as strict JSON can hold it: tuples and arrays as lists, dataclasses as objects, NaN as null."""
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
    """Replace a JSON file in one step; the errors of `write_bytes`."""
    write_text(path, layout(plain(value)) + "\n")


def layout(value: Any, newline: str = "\n") -> str:
    """Indented JSON in which a list of numbers or words takes one line, so that a matrix looks like one."""
    inner = newline + "  "
    if isinstance(value, dict) and value:
        entries = (f"{json.dumps(key, ensure_ascii=False)}: {layout(entry, inner)}" for key, entry in value.items())
        return "{" + inner + ("," + inner).join(entries) + newline + "}"
    if isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        return "[" + inner + ("," + inner).join(layout(entry, inner) for entry in value) + newline + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Replace a file of one JSON object a line in one step; the errors of `write_bytes`."""
    write_text(path, "".join(json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def read_json(path: Path) -> Any:
    """What `write_json` wrote. Raises StorageError where the file is missing, unreadable or no JSON."""
    return _parse(path, json.loads)


def read_json_lines(path: Path) -> list[Any]:
    """What `write_json_lines` wrote; errors as in `read_json`."""
    return _parse(path, lambda text: [json.loads(line) for line in text.split("\n") if line])


def _parse(path: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {path}: {error}. Restore it, or start a new run with --out") from error


def save_npz(path: Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write arrays and a JSON-able `meta` as an .npz without pickle, in one step.

    Arrays keep shape, dtype and bits; numbers in `meta` come back as equal Python numbers, NaN and infinity included,
    tuples as lists. Raises StorageError as `write_bytes` does, ValueError for an array of Python objects or of the
    reserved name.
    """
    if META in arrays:
        raise ValueError(f"the name {META} is taken by the metadata")
    text = json.dumps(meta, default=lambda value: value.tolist())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in {**arrays, META: np.frombuffer(text.encode(), np.uint8)}.items():
            # a ZipInfo carries no time of day: equal contents are equal files
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def load_npz(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The (arrays, meta) that `save_npz` wrote. Raises StorageError where the file is missing or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:  # its checksums are compared before anything is believed
            members = {name.removesuffix(".npy"): io.BytesIO(archive.read(name)) for name in archive.namelist()}
        arrays = {name: np.lib.format.read_array(member, allow_pickle=False) for name, member in members.items()}
        return arrays, json.loads(arrays.pop(META).tobytes())
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise StorageError(
            f"{path} is missing or damaged ({error}). Remove it and go on with --resume: what it held is computed again"
        ) from error
