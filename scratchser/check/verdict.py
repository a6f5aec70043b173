"""What a judgement says: a finding for each thing checked, and notes that are no verdict (time, counts)."""

import json
import os
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
