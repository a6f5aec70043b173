"""A learner's file: which exercise it is, its function, and what its errors mean."""

import ast
import difflib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba.core.registry import CPUDispatcher

from scratchser.kernels.machine import no_cuda
from scratchser.kernels.machine.compile import cuda


class Refused(Exception):
    """The file cannot be judged; the message says why, and the hints what to do.

    exercise   which one it is all the same, where that can be seen
    """

    def __init__(self, text: str, *hints: str, exercise: str = "") -> None:
        super().__init__(text)
        self.hints = [hint for hint in hints if hint]
        self.exercise = exercise


class Raised(Exception):
    """The file raised an error, here or in its function; `__cause__` is that."""


@contextmanager
def answering() -> Iterator[None]:
    """Around what runs the learner's text: whatever it raises is an answer, and no fault of ours."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise Raised from error


def exercise_of(path: Path, known: Iterable[str]) -> str:
    """The value of the file's line `EXERCISE = "..."`, read without running the file.

    Raises Refused for a file that is no Python, has no such line, or names no known exercise.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        raise _unreadable(error, path, known) from error
    except ValueError as error:  # null bytes
        raise Refused(f"the file is no Python text: {error}") from error
    names = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        and any(isinstance(target, ast.Name) and target.id == "EXERCISE" for target in node.targets)
    ]  # fmt: skip
    known = sorted(known)
    there_are = f"One of: {', '.join(known)}."
    if not names:
        raise Refused('no line EXERCISE = "...": which exercise is it?', there_are)
    if names[-1] not in known:
        near = difflib.get_close_matches(str(names[-1]), known, n=1)
        raise Refused(f"there is no exercise {names[-1]!r}", f"Did you mean {near[0]}?" if near else there_are)
    return names[-1]


def _unreadable(error: SyntaxError, path: Path, known: Iterable[str]) -> Refused:
    """Where Python stops reading, and the exercise by the text of its line, which stands where it is all the same."""
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
    place = f"line {error.lineno}, column {column}"
    what = f"{place}: {source.strip()}\n{type(error).__name__}: {error.msg}"
    there = f"at `{rest}`" if rest else "at the line's end"
    hint = f"Python stops reading in {place}, {there}. "
    hint += "What is wrong stands there, or in the line before: a bracket, a quote, a colon, the indentation."
    if escape:
        hint = 'In a text \\ begins a special character: write a path as r"..." or with /.'
    return Refused(what, hint, exercise=exercise)


def load(path: Path) -> ModuleType:
    """The file, run as a module. Its own folder is searched last, so that no file there takes another module's name.

    Raises Raised where the file does.
    """
    if cuda is no_cuda:  # `from numba import cuda` is what a learner writes
        numba.cuda = sys.modules["numba.cuda"] = cuda
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location("learner", path)
    assert spec and spec.loader
    module = sys.modules["learner"] = importlib.util.module_from_spec(spec)
    with answering():
        spec.loader.exec_module(module)
    return module


def function_of(module: ModuleType, name: str, parameters: tuple[str, ...]) -> Callable[..., Any]:
    """The exercise's function. Raises Refused where it is missing or takes other parameters."""
    function: Any = getattr(module, name, None)
    asked = f"def {name}({', '.join(parameters)})"
    if not (callable(function) or hasattr(function, "py_func")):  # a kernel need not be callable
        near = difflib.get_close_matches(name, [key for key, value in vars(module).items() if callable(value)], n=1)
        there_is = f"there is no function {name}" + (f", but {near[0]}" if near else "")
        raise Refused(there_is, f"It is to be: {asked}.")
    taken = tuple(inspect.signature(getattr(function, "py_func", function)).parameters)
    if taken != parameters:
        raise Refused(f"{name} takes ({', '.join(taken)})", f"It is to be: {asked}; the order counts.")
    return function


def with_bounds_checked(module: ModuleType) -> None:
    """What the file compiles by numba raises IndexError where it would read or write other memory."""
    for value in vars(module).values():
        if isinstance(value, CPUDispatcher):
            value.targetoptions["boundscheck"] = True


# ---- errors ---------------------------------------------------------------------------------------------------------

HINTS = {
    IndexError: "An index leaves its array. Print the index and the shape there; check both ends of the range.",
    ZeroDivisionError: "Something is divided by zero.",
    NotImplementedError: "Write it in place of `raise NotImplementedError`; the maths is in the text above it.",
    MemoryError: "The memory is used up: is an array far larger than its arguments made, or a list filled without end?",
    RecursionError: "A function calls itself without end.",
    NameError: "Is it spelt as where it gets its value, and does it get one before this line?",
    ModuleNotFoundError: "The file may import NumPy, SciPy and Numba, the package itself, and files beside it.",
}


def explained(error: BaseException, path: Path) -> tuple[str, list[str]]:
    """(what happened in which line of the file, hints), without a stack trace."""
    line = _line(error, path)
    text = f"{type(error).__name__}: {_first_words(error)}"
    if isinstance(error, SystemExit):
        text = "the file ends the process by sys.exit() or exit()"
    if line:
        source = _source(path, line)
        text = f"line {line}: {source}\n{text}" if source else f"line {line}: {text}"
    hints = [hint for kind, hint in HINTS.items() if isinstance(error, kind)]
    if "not supported by the tracer" in text:
        hints = ["The exercise needs indices, barriers, shared and local arrays only."]
    elif line is None and isinstance(error, IndexError):
        hints.append("In which line, the same text says as plain Python, without its decorator.")
    if "broadcast" in str(error) or "matmul" in str(error) or "not aligned" in str(error):
        hints.append("Two shapes do not fit. Print both; an operand may have to be transposed.")
    if "Cannot cast" in str(error):
        hints.append("An array is of another dtype: make it like the arguments', np.zeros_like(x).")
    if type(error).__module__.startswith("numba"):
        hints.append("Numba cannot compile this. Without its decorator the same lines run as plain Python.")
    if isinstance(error, NotImplementedError) and not str(error):
        text = "the body is still to be written" if not line else f"line {line}: the body is still to be written"
    return text, hints + [note for note in getattr(error, "__notes__", [])]


def _line(error: BaseException, path: Path) -> int | None:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, path)]
    told = re.findall(r'File "([^"]+)", line (\d+)', str(error))  # numba says where in its message
    told_here = [int(number) for name, number in told if Path(name).name == path.name]
    if type(error).__module__.startswith("numba") and told_here:
        return told_here[-1]
    return lines[-1] if lines else None


def _same(name: str, path: Path) -> bool:
    return Path(name).name == path.name and Path(name).resolve() == path.resolve()


def _first_words(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Failed in", "During:", "File "))]
    words = lines[0] if lines else "no message"
    return words if len(words) <= 300 else words[:300] + " ..."


def _source(path: Path, line: int) -> str:
    try:
        return path.read_text(encoding="utf-8").splitlines()[line - 1].strip()
    except (OSError, UnicodeDecodeError, IndexError):
        return ""
