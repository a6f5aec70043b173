"""The result of judging a file: what was checked and found, as text for the learner and as a row of a class's table."""

import json
import os
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

INDENT = 6
WRAPPER = textwrap.TextWrapper(
    110, initial_indent=" " * INDENT, subsequent_indent=" " * INDENT, break_long_words=False, break_on_hyphens=False
)
COLUMNS = ["file", "exercise", "passed", "checks passed", "checks", "recognised", "first failure", "hint", "seconds"]


@dataclass
class Finding:
    """The result of one check."""

    check: str  # in words that complete "ok" and "FAIL"
    passed: bool
    text: str = ""  # what was found
    hints: list[str] = field(default_factory=list)  # what to look at
    mistakes: list[str] = field(default_factory=list)  # names of those that were recognised
    counts: bool = True  # False if it is not a check of the exercise: the file cannot be judged, loops or crashes
    parts: list[str] = field(default_factory=list)  # of the exercise, whose hints fit
    rank: int = 0  # of failures, the one with the highest rank is shown first: it explains the others


FAULT, ERROR, RECOGNISED, ENDED = 1, 2, 3, 4  # ranks


class Failed(Exception):
    """A check fails, and no other one is possible after it."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


def refused(text: str, *hints: str) -> Failed:
    """The file cannot be judged: why, and what to do."""
    return Failed(Finding("the file can be judged", False, text, list(hints), counts=False))


@dataclass
class Verdict:
    """All findings about one file."""

    file: str
    exercise: str = ""  # empty if the file has none
    checks: int = 0  # of the exercise, reached or not
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # lines that are not a verdict: time, number of accesses
    finished: bool = False  # if not: an endless loop or a crash
    hints: list[list[str]] = field(default_factory=list)  # hint 1, 2 and 3, each of one line or more

    @property
    def passed(self) -> bool:
        return self.finished and bool(self.findings) and not self.failures

    @property
    def checks_passed(self) -> int:
        return sum(finding.passed and finding.counts for finding in self.findings)

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.passed]

    @property
    def cause(self) -> Finding | None:
        """The failure that explains the others best."""
        return max(self.failures, key=lambda finding: finding.rank, default=None)

    @property
    def mistakes(self) -> list[str]:
        """Each once, those of the cause first."""
        first = [self.cause] if self.cause else []
        return list(dict.fromkeys(name for finding in [*first, *self.findings] for name in finding.mistakes))

    def save(self, path: Path) -> None:
        """Replace the file in one step: the process may be ended at any moment."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)), encoding="utf-8")
        os.replace(new, path)

    @staticmethod
    def load(path: Path) -> "Verdict":
        content = json.loads(path.read_text(encoding="utf-8"))
        return Verdict(**{**content, "findings": [Finding(**finding) for finding in content["findings"]]})

    def as_text(self, printed: Sequence[str] = (), everything: bool = True, hint: int = 0) -> str:
        """The findings, the notes, the lines that the file printed, and a summary in one line.

        everything   show all findings of a file that does not pass, not only the cause
        hint         1, 2 or 3: show this hint
        """
        lines = [f"{self.exercise or 'no exercise'}   {self.file}", ""]
        for finding in self.findings if everything or not self.cause else [self.cause]:
            lines.append(f"{'ok' if finding.passed else 'FAIL':{INDENT}}{finding.check}")
            for line in [*finding.text.splitlines(), *(f"-> {text}" for text in finding.hints)]:
                lines += WRAPPER.wrap(line)
        others = len(self.failures) - 1
        if not everything and others > 0:
            lines += ["", f"{others} more check{'s' if others > 1 else ''} failed, shown by --all."]
        if hint and not self.passed and self.hints:
            lines += ["", *(f"hint {hint} of 3: {text}" for text in self.hints[hint - 1])]
        if self.notes:
            lines += ["", *self.notes]
        if printed:
            lines += ["", "Your file printed:", *(f"  {line}" for line in printed)]
        return "\n".join([*lines, "", self._summary()])

    def in_a_line(self) -> str:
        """Whether it passes or, if not, how far it is."""
        if self.passed or not self.checks_passed:
            return "solved" if self.passed else "not yet"
        names = f": {', '.join(self.mistakes)}" if self.mistakes else ""
        return f"not yet, {self.checks_passed} of {self.checks} checks{names}"

    def _summary(self) -> str:
        if self.passed:
            return f"Passed: all {self.checks_passed} checks."
        names = f" Recognised: {', '.join(self.mistakes)}." if self.mistakes else ""
        missing = self.checks - sum(finding.counts for finding in self.findings)
        not_reached = f", {missing} not reached" if missing > 0 else ""
        return f"Not yet: {self.checks_passed} of {self.checks} checks passed{not_reached}.{names}"

    def as_row(self, folder: Path, seconds: float) -> dict[str, object]:
        """A row of the table, by column. No text begins with =, which a spreadsheet would run as a formula."""
        first = self.cause
        lines = [" ".join(line.split()) for line in first.text.splitlines()] if first else []
        return {
            "file": Path(self.file).relative_to(folder).as_posix(),
            "exercise": self.exercise,
            "passed": "yes" if self.passed else "no",
            "checks passed": self.checks_passed,
            "checks": self.checks or "",
            "recognised": "; ".join(self.mistakes),
            "first failure": f"{first.check}: {'; '.join(lines)}" if first else "",
            "hint": first.hints[0] if first and first.hints else "",
            "seconds": f"{seconds:.1f}",
        }
