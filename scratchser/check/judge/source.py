"""Which exercise a file contains, found without running it."""

import ast
import difflib
import re
from collections.abc import Collection
from pathlib import Path

from scratchser.check.judge.verdict import Finding


class Refused(Exception):
    """The file cannot be judged. The message says why, the hints what to do.

    exercise   the file's exercise, if it is known
    """

    def __init__(self, text: str, *hints: str, exercise: str = "") -> None:
        super().__init__(text)
        self.hints = list(hints)
        self.exercise = exercise

    def finding(self) -> Finding:
        return Finding("the file can be judged", False, str(self), self.hints, counts=False)


def exercise_of(path: Path, known: Collection[str]) -> str:
    """The name in the file's line `EXERCISE = "..."`.

    Raises Refused if the file is not Python, has no such line or names an unknown exercise.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        raise _syntax_error(error, path, known) from error
    except ValueError as error:  # null bytes
        raise Refused(f"the file is not Python source: {error}") from error
    names: list = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        and any(isinstance(target, ast.Name) and target.id == "EXERCISE" for target in node.targets)
    ]  # fmt: skip
    exercises = f"One of: {', '.join(sorted(known))}."
    if not names:
        raise Refused('no line EXERCISE = "...": which exercise is it?', exercises)
    if names[-1] not in known:
        near = difflib.get_close_matches(str(names[-1]), known, n=1)
        raise Refused(f"there is no exercise {names[-1]!r}", f"Did you mean {near[0]}?" if near else exercises)
    return names[-1]


def _syntax_error(error: SyntaxError, path: Path, known: Collection[str]) -> Refused:
    """Says where Python stops reading. The exercise is found by searching the text for its line."""
    text = path.read_bytes().decode(errors="replace")
    lines = re.findall(r"""^EXERCISE\s*=\s*["'](\w+)["']""", text, re.MULTILINE)
    exercise = lines[-1] if lines and lines[-1] in known else ""
    source = (error.text or "").rstrip()
    escape = "unicodeescape" in error.msg
    if not error.lineno or not source or ("codec" in error.msg and not escape):
        hint = "Python cannot read the file. Is it saved as UTF-8?"
        return Refused(f"{type(error).__name__}: {error.msg}", hint, exercise=exercise)
    column = error.offset or 1
    rest = source[column - 1 :].strip()
    position = f"line {error.lineno}, column {column}"
    hint = f"Python stops reading in {position}, {f'at `{rest}`' if rest else 'at the end of the line'}. "
    hint += "Look there and in the line before for a bracket, a quote, a colon or the indentation."
    if escape:
        hint = 'In a string, \\ begins a special character: write a path as r"..." or with /.'
    return Refused(f"{position}: {source.strip()}\n{type(error).__name__}: {error.msg}", hint, exercise=exercise)
