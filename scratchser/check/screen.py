"""A verdict as text."""

from scratchser.check.verdict import Verdict

WIDTH = 6


def text_of(verdict: Verdict, printed: list[str] = []) -> str:  # noqa: B006, never changed
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
    passed = sum(finding.passed for finding in verdict.findings)
    if verdict.passed:
        summary = f"Passed: all {passed} checks."
    else:
        names = f" Recognised: {', '.join(verdict.mistakes)}." if verdict.mistakes else ""
        summary = f"Not yet: {passed} of {len(verdict.findings)} checks passed.{names}"
    return "\n".join([*lines, "", summary])


def _indented(text: str, width: int) -> list[str]:
    return [" " * width + line for line in text.splitlines()]
