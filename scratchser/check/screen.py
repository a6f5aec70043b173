"""A verdict as text."""

import textwrap
from collections.abc import Sequence

from scratchser.check.verdict import Verdict

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
