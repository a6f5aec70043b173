"""Begin a folder of results or continue it, and refuse whatever would mix up two results.

    FOLDER/config.json        the settings that decide the numbers; with this file, the folder holds a run
    FOLDER/environment.json   a list with an entry for the first start and one for each --resume

A lock keeps a second process out while the first one writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scratchser.presets import completed
from scratchser.support import files
from scratchser.support.errors import UsageError
from scratchser.support.files import plain, read_json, write_json

CONFIG, ENVIRONMENT = "config.json", "environment.json"


class RunError(UsageError):
    """A folder that cannot be read or continued as requested. The message says what to do instead."""


@contextmanager
def begin(
    folder: Path, settings: Mapping[str, Any], environment: Mapping[str, Any], *, resume: bool
) -> Iterator[dict[str, Any]]:
    """Begin `folder`, or continue it with `resume`, and hold its lock. Yields the settings of its first start.

    Raises the errors of `check`, and StorageError if another process writes the folder or it cannot be written.
    """
    if resume:
        check(folder, settings, resume=True)  # before `hold`, which creates a missing folder
    with files.hold(folder):
        check(folder, settings, resume=resume)
        files.remove_leftovers(folder)
        starts = read_json(folder / ENVIRONMENT) if resume else []
        write_json(folder / ENVIRONMENT, [*starts, plain(environment)])
        if not resume:
            write_json(folder / CONFIG, settings)
        yield saved_settings(folder)


def check(folder: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
    """Refuse a folder that cannot be begun, or with `resume` continued, with these settings. Writes nothing.

    Raises RunError for a new run in a folder that holds anything, for `resume` without a run, and for settings that
    differ from the saved ones; the message names every difference.
    """
    if resume:
        if not files.exists(folder / CONFIG):
            raise RunError(f"{folder} holds no run: correct the path, or start a run there without --resume")
        check_settings(folder, settings)
        return
    if files.exists(folder / CONFIG):
        raise RunError(f"{folder} holds a run already: continue it with --resume, or choose another folder with --out")
    present = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    foreign = [name for name in present if name != ENVIRONMENT and not name.startswith(".")]
    if foreign:
        raise RunError(f"{folder} holds other files ({foreign[0]}): choose another folder with --out")


def saved_settings(folder: Path) -> dict[str, Any]:
    """What config.json holds, its settings completed and by today's names.

    Raises RunError if the folder has none, StorageError if it is damaged.
    """
    if not files.exists(folder / CONFIG):
        raise RunError(f"{folder} holds no run: correct the path")
    found = read_json(folder / CONFIG)
    return found | {"config": completed(found["config"])} if "config" in found else found


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raises RunError if a run with `settings` would have other numbers than the run in `folder`."""
    found = differences(_comparable(saved_settings(folder)), _comparable(plain(settings)))
    listed = [f"{name} was {was} and is now {now}" for name, was, now in found if name != "corpus.root"]
    if listed:
        raise RunError(
            f"{folder} was started with other settings: {'; '.join(listed)}."
            " Give the same settings again, or start a new run with --out"
        )


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the names of the broken files alone: their folders may differ."""
    if "left_out" not in settings:
        return dict(settings)
    return {**settings, "left_out": sorted(problem["utterance"] for problem in settings["left_out"])}


def differences(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields (dotted name, old value, new value) of every leaf that differs between two trees of dicts."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif old != new:
        yield name, old, new
