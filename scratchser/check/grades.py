"""A class's files as a table: one row for each, whatever became of it."""

from collections.abc import Iterator
from pathlib import Path

from scratchser.check.verdict import Verdict

COLUMNS = ["file", "exercise", "passed", "checks passed", "checks", "recognised", "first failure", "hint", "seconds"]


def files_of(folder: Path) -> Iterator[Path]:
    """All Python files below the folder, in order; hidden folders and caches left out."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if not any(part.startswith(".") or part == "__pycache__" for part in parts):
            yield path


def row(verdict: Verdict, folder: Path, seconds: float) -> dict[str, object]:
    """Texts begin with words, never with a sign that a spreadsheet would take for a formula."""
    first = verdict.failures[0] if verdict.failures else None
    lines = [" ".join(line.split()) for line in first.text.splitlines()] if first else []
    return {
        "file": Path(verdict.file).relative_to(folder).as_posix(),
        "exercise": verdict.exercise,
        "passed": "yes" if verdict.passed else "no",
        "checks passed": verdict.passes,
        "checks": verdict.checks or "",
        "recognised": "; ".join(verdict.mistakes),
        "first failure": f"{first.check}: {'; '.join(lines)}" if first else "",
        "hint": first.hints[0] if first and first.hints else "",
        "seconds": f"{seconds:.1f}",
    }
