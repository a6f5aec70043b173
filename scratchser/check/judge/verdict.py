"""What a judgement says: a finding for each thing checked, and notes that are no verdict (time, counts)."""

import json
import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Finding:
    """check   what was checked, in words that complete 'ok:' and 'FAIL:'
    text       what was found; empty where there is nothing to add
    hints      what to look at, one each
    mistakes   names of the mistakes that were recognised
    counts     whether it is one of the exercise's checks; no file, a loop or a crash is none
    """

    check: str
    passed: bool
    text: str = ""
    hints: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    counts: bool = True


@dataclass
class Verdict:
    """exercise   its name; empty where the file has none
    checks        how many the exercise has, reached or not; 0 where the file has no exercise
    finished      whether everything was checked: no endless loop, no crash
    """

    file: str
    exercise: str = ""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    finished: bool = False
    checks: int = 0

    @property
    def passed(self) -> bool:
        return self.finished and bool(self.findings) and all(finding.passed for finding in self.findings)

    @property
    def passes(self) -> int:
        """How many of the exercise's checks are passed."""
        return sum(finding.passed and finding.counts for finding in self.findings)

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.passed]

    @property
    def mistakes(self) -> list[str]:
        """Each once, in the order in which they were seen."""
        return list(dict.fromkeys(name for finding in self.findings for name in finding.mistakes))

    def save(self, path: Path) -> None:
        """Whole or not at all: the process may be ended in the middle of it."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)), encoding="utf-8")
        os.replace(new, path)

    @staticmethod
    def load(path: Path) -> "Verdict":
        content = json.loads(path.read_text(encoding="utf-8"))
        return Verdict(**{**content, "findings": [Finding(**finding) for finding in content["findings"]]})


WIDTH, COLUMNS = 6, 110


def text_of(verdict: Verdict, printed: Sequence[str] = ()) -> str:
    """Findings, failed ones with what to look at; notes; what the file printed; the verdict in one line."""
    lines = [f"{verdict.exercise or 'no exercise'}   {verdict.file}", ""]
    for finding in verdict.findings:
        lines.append(f"{'ok' if finding.passed else 'FAIL':{WIDTH}}{finding.check}")
        lines += _indented(finding.text, WIDTH)
        for hint in finding.hints:
            lines += _indented(f"-> {hint}", WIDTH)
    if verdict.notes:
        lines += ["", *verdict.notes]
    if printed:
        lines += ["", "Your file printed:", *(f"  {line}" for line in printed)]
    if verdict.passed:
        summary = f"Passed: all {verdict.passes} checks."
    else:
        names = f" Recognised: {', '.join(verdict.mistakes)}." if verdict.mistakes else ""
        left = verdict.checks - sum(finding.counts for finding in verdict.findings)
        reached = f", {left} not reached" if left > 0 else ""
        summary = f"Not yet: {verdict.passes} of {verdict.checks} checks passed{reached}.{names}"
    return "\n".join([*lines, "", summary])


def _indented(text: str, width: int) -> list[str]:
    """Wrapped for a terminal; what is longer than a line stays whole."""
    space = " " * width
    return [
        part
        for line in text.splitlines()
        for part in textwrap.wrap(
            line, COLUMNS, initial_indent=space, subsequent_indent=space, break_long_words=False, break_on_hyphens=False
        )
    ]


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
