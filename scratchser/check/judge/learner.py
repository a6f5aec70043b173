"""A learner's file: loading it, finding its function, and explaining its errors."""

import ast
import difflib
import importlib.util
import inspect
import linecache
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba.core.registry import CPUDispatcher

from scratchser.check.exercises.exercise import Exercise
from scratchser.check.judge.source import UNWRITTEN
from scratchser.check.judge.verdict import Failed, Finding, refused
from scratchser.kernels.machine import no_cuda
from scratchser.kernels.machine.compile import cuda


class Learner:
    """A learner's file, run as a module, and the exercise's function in it.

    Raises Failed if the file raises an error, and if the function is missing or has other parameters.
    """

    def __init__(self, path: Path, exercise: Exercise) -> None:
        self.path = path
        self.module = self._load()
        self.function = self._function(exercise)
        self.source = Source(path, exercise)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Around the learner's code: its errors become findings, and differ so from errors of the judge itself."""
        try:
            yield
        except (Exception, SystemExit) as error:
            raise Failed(Finding("it runs", False, *explained(error, self.path), counts=False)) from error

    def _load(self) -> ModuleType:
        """The file's folder is searched last, so that a file there cannot hide another module."""
        if cuda is no_cuda:  # a learner writes `from numba import cuda`
            numba.cuda = sys.modules["numba.cuda"] = cuda
        if str(self.path.parent) not in sys.path:
            sys.path.append(str(self.path.parent))
        spec = importlib.util.spec_from_file_location("learner", self.path)
        assert spec and spec.loader
        module = sys.modules["learner"] = importlib.util.module_from_spec(spec)
        with self.running():
            spec.loader.exec_module(module)
        return module

    def _function(self, exercise: Exercise) -> Any:
        name, parameters = exercise.name, exercise.parameters
        function: Any = getattr(self.module, name, None)
        required = f"Write: def {name}({', '.join(parameters)})"
        if not (callable(function) or hasattr(function, "py_func")):  # a kernel need not be callable
            functions = [key for key, value in vars(self.module).items() if callable(value)]
            near = difflib.get_close_matches(name, functions, n=1)
            raise refused(f"there is no function {name}{f', but {near[0]}' if near else ''}", f"{required}.")
        found = tuple(inspect.signature(getattr(function, "py_func", function)).parameters)
        if found != parameters:
            raise refused(f"{name} has the parameters ({', '.join(found)})", f"{required}; the order counts.")
        return function

    def check_bounds(self) -> None:
        """Make the functions that the file compiles with Numba raise IndexError for an index out of range."""
        for value in vars(self.module).values():
            if isinstance(value, CPUDispatcher):
                value.targetoptions["boundscheck"] = True


class Source:
    """The function as it is written, as far as the judge can tell; empty if it is not a `def` in the file.

    rebound   names that are assigned as a whole, x = x + 1, which changes no argument
    early     a return that ends the function before the lines after it, or in the first pass of a loop
    nothing   why a function that should return something returns nothing
    """

    def __init__(self, path: Path, exercise: Exercise) -> None:
        self.rebound: set[str] = set()
        self.early, self.nothing = "", ""
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.FunctionDef) and node.name == exercise.name:
                self._read(node)

    def _read(self, function: ast.FunctionDef) -> None:
        nodes = list(ast.walk(function))
        targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
        names = [name for target in targets for name in getattr(target, "elts", [target])]
        self.rebound = {name.id for name in names if isinstance(name, ast.Name)}
        returns = [node for node in nodes if isinstance(node, ast.Return)]
        for node in returns:
            where = f"line {node.lineno}: {ast.unparse(node)}"
            if node in function.body[:-1]:
                self.early = f"{where} ends the function here: the lines after it never run."
            if any(isinstance(loop, ast.For | ast.While) and node in loop.body for loop in nodes):
                self.early = f"{where} is inside a loop and ends the function in the first pass: indent it less."
            if node.value is None:
                self.nothing = f"{where} has no value"
        if not self.nothing:
            lines = ", ".join(str(node.lineno) for node in returns)
            self.nothing = f"the return in line {lines} is not reached" if returns else "it has no return statement"


# ---- errors ---------------------------------------------------------------------------------------------------------

HINTS = {
    IndexError: "An index is out of range. Print the index and the shape; check both ends of the range.",
    ZeroDivisionError: "Something is divided by zero.",
    NotImplementedError: UNWRITTEN,
    MemoryError: "The memory is full: is an array far larger than the arguments, or does a list grow without end?",
    RecursionError: "A function calls itself without end.",
    NameError: "Is the name spelt as where it is assigned, and is it assigned before this line?",
    ModuleNotFoundError: "The file may import NumPy, SciPy, Numba, this package, and files in the same folder.",
}


def explained(error: BaseException, path: Path) -> tuple[str, list[str]]:
    """What happened in which line of the file, and hints; without a stack trace."""
    line = _line(error, path)
    text = f"{type(error).__name__}: {_first_line(error)}"
    if isinstance(error, SystemExit):
        text = "the file ends the process with sys.exit() or exit()"
    unwritten = isinstance(error, NotImplementedError) and not str(error)
    if unwritten:
        text = "the body is not written yet"
    linecache.checkcache(str(path))
    source = linecache.getline(str(path), line).strip() if line and not unwritten else ""
    if line:
        text = f"line {line}: {source}\n{text}" if source else f"line {line}: {text}"
    return text, [*_hints(error, text, line), *getattr(error, "__notes__", [])]


def _hints(error: BaseException, text: str, line: int | None) -> list[str]:
    if "not supported by the tracer" in text:
        return ["The exercise needs indices, barriers, shared and local arrays only."]
    if "are valid indices" in text:
        return ["An index must be a whole number: 8 / 2 is 4.0, 8 // 2 is 4."]
    hints = [hint for kind, hint in HINTS.items() if isinstance(error, kind)]
    if "can't start new thread" in text:
        hints.append("The memory is full: each thread of a block needs 4 MB. Allow more, --megabytes.")
    if line is None and isinstance(error, IndexError):
        hints.append("To see the line, remove the decorator: the function then runs as plain Python.")
    if "broadcast" in str(error) or "matmul" in str(error) or "not aligned" in str(error):
        hints.append("Two shapes do not fit. Print both; perhaps an operand must be transposed.")
    if "Cannot cast" in str(error):
        hints.append("An array has another dtype: create it like the arguments, np.zeros_like(x).")
    if type(error).__module__.startswith("numba"):
        hints.append("Numba cannot compile this. Without the decorator the same lines run as plain Python.")
    return hints


def _line(error: BaseException, path: Path) -> int | None:
    """The line of the file in which the error was raised; Numba's errors have it in their message."""
    in_message = re.findall(r'File "([^"]+)", line (\d+)', str(error))
    in_file = [int(number) for name, number in in_message if Path(name).name == path.name]
    if type(error).__module__.startswith("numba") and in_file:
        return in_file[-1]
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return lines[-1] if lines else None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Failed in", "During:", "File "))]
    line = lines[0] if lines else "no message"
    return line if len(line) <= 300 else line[:300] + " ..."
