"""Which exercise a file contains, found without running it."""

import ast
import re
from pathlib import Path

from scratchser.check.exercises import NAMES, load
from scratchser.check.judge.verdict import Failed, Verdict, refused
from scratchser.support.suggest import hint

UNWRITTEN = "Replace `raise NotImplementedError` by your code; the maths is in the docstring above it."


def begin(path: Path) -> Verdict:
    """A verdict with the name in the file's line `EXERCISE = "..."`, and without findings.

    If the file is not Python, has no such line, names an unknown exercise or is still a stub, the verdict is finished
    and says so.
    """
    verdict, source = Verdict(str(path)), b""
    try:
        source = path.read_bytes()
        tree = ast.parse(source, str(path))
        verdict.exercise = _exercise(tree)
        line = _unwritten(tree, verdict.exercise)
        if not line:
            return verdict
        exercise = load(verdict.exercise)
        verdict.checks, verdict.hints = exercise.checks, exercise.hints()
        failed = refused(f"line {line}: the body is not written yet", UNWRITTEN)
    except SyntaxError as error:
        names = re.findall(r"""^EXERCISE\s*=\s*["'](\w+)["']""", source.decode(errors="replace"), re.MULTILINE)
        if names and names[-1] in NAMES:
            verdict.exercise, verdict.checks = names[-1], load(names[-1]).checks
        failed = _syntax_error(error)
    except ValueError as error:  # null bytes
        failed = refused(f"the file is not Python source: {error}")
    except OSError as error:
        failed = refused(f"the file cannot be read: {error.strerror}")
    except Failed as error:
        failed = error
    verdict.findings, verdict.finished = [failed.finding], True
    return verdict


def _exercise(tree: ast.Module) -> str:
    names: list = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        and any(isinstance(target, ast.Name) and target.id == "EXERCISE" for target in node.targets)
    ]  # fmt: skip
    exercises = f"One of: {', '.join(sorted(NAMES))}."
    if not names:
        raise refused('no line EXERCISE = "...": which exercise is it?', exercises)
    if names[-1] not in NAMES:
        raise refused(f"there is no exercise {names[-1]!r}{hint(str(names[-1]), NAMES)}", exercises)
    return names[-1]


def _unwritten(tree: ast.Module, exercise: str) -> int:
    """The line of `raise NotImplementedError` if the function has no other statement, so that it need not run."""
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name == exercise:
            body = [node for node in function.body if not isinstance(node, ast.Expr)]
            if [ast.unparse(node) for node in body] == ["raise NotImplementedError"]:
                return body[0].lineno
    return 0


def _syntax_error(error: SyntaxError) -> Failed:
    """Where Python stops reading."""
    source = (error.text or "").rstrip()
    escape = "unicodeescape" in error.msg
    if not error.lineno or not source or ("codec" in error.msg and not escape):
        return refused(f"{type(error).__name__}: {error.msg}", "Python cannot read the file. Is it saved as UTF-8?")
    column = error.offset or 1
    rest = source[column - 1 :].strip()
    position = f"line {error.lineno}, column {column}"
    hint = f"Python stops reading in {position}, {f'at `{rest}`' if rest else 'at the end of the line'}. "
    hint += "Look there and in the line before for a bracket, a quote, a colon or the indentation."
    if escape:
        hint = 'In a string, \\ begins a special character: write a path as r"..." or with /.'
    return refused(f"{position}: {source.strip()}\n{type(error).__name__}: {error.msg}", hint)
