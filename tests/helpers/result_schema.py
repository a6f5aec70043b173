"""A page of docs/ as a check: the keys and types of its tables against what was written."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
RUN = "result-schema.md"
KINDS = {"integer": int, "number": (int, float), "string": str, "boolean": bool, "object": dict, "null": type(None)}


def table(heading: str, page: str = RUN) -> dict[str, str]:
    """Key -> type, from the first table below the heading that begins so."""
    section = (DOCS / page).read_text(encoding="utf-8").split(f"\n## {heading}")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", section, re.MULTILINE))


def problems(value: Any, heading: str, page: str = RUN) -> list[str]:
    """What differs between `value` and the table: missing and unknown keys, wrong types."""
    documented = table(heading, page)
    parents = {key.rpartition(".")[0] for key in documented}
    expected = (key for key in documented if _parent_is_there(value, key))
    found = [f"{key}: missing" for key in expected if not list(_at(value, key.split(".")))]
    for key, kind in documented.items():
        found += [f"{key}: {entry!r} is no {kind}" for entry in _at(value, key.split(".")) if not _fits(entry, kind)]
    for parent in parents:
        for entry in _at(value, parent.split(".")) if parent else [value]:
            known = {key.removeprefix(f"{parent}.").removesuffix("[]") for key in documented}
            if isinstance(entry, dict) and "*" not in known:
                found += [f"{parent}.{name}: not documented" for name in entry if name not in known]
    return found


def _at(value: Any, path: list[str]) -> Iterator[Any]:
    """All entries that a dotted key names; nothing below a null."""
    if not path:
        yield value
        return
    name, rest = path[0].removesuffix("[]"), path[1:]
    entries = value.values() if name == "*" and isinstance(value, dict) else [value[name]] if _has(value, name) else []
    for entry in entries:
        for inner in entry if path[0].endswith("[]") else [entry]:
            yield from _at(inner, rest)


def _has(value: Any, name: str) -> bool:
    return isinstance(value, dict) and name in value


def _parent_is_there(value: Any, key: str) -> bool:
    parent = key.rpartition(".")[0]
    return not parent or any(entry is not None for entry in _at(value, parent.split(".")))


def _fits(value: Any, kind: str) -> bool:
    if kind.startswith("list of "):
        return isinstance(value, list) and all(_fits(entry, kind.removeprefix("list of ")) for entry in value)
    if isinstance(value, bool):
        return "boolean" in kind
    return any(isinstance(value, KINDS[word]) for word in kind.strip().split(" or "))
