"""A file judged in a process of its own: endless loops and crashes end in a finding, like everything else."""

import ast
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from numba import config

from scratchser.check.exercises import EXERCISES
from scratchser.check.judge.judge import checks_of
from scratchser.check.judge.learner import Refused, exercise_of
from scratchser.check.judge.verdict import Finding, Verdict

SECONDS, MEGABYTES = 60, 2048
START = 60  # seconds for imports on a busy machine, before the file's own clock starts
LINES = 20  # of what the file prints
# In a trace, whose innermost 100 calls are told: code that is compiled already leaves none of these
COMPILING = re.compile(r"_compile_for_args|[/\\]numba[/\\]core[/\\]|[/\\]llvmlite[/\\]")


def judged(path: Path, seconds: int = SECONDS, megabytes: int = MEGABYTES) -> tuple[Verdict, list[str]]:
    """The verdict, and the last lines that the file printed. A file that names no exercise needs no process."""
    try:
        exercise = exercise_of(path, EXERCISES)
    except Refused as error:
        finding = Finding("the file can be judged", False, str(error), error.hints, counts=False)
        return Verdict(str(path), error.exercise, [finding], [], True, checks_of(error.exercise)), []
    with tempfile.TemporaryDirectory(prefix="scratchser-check-") as folder:
        place = Path(folder)
        code = _run(path, place, seconds, megabytes)
        printed = (place / "printed").read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
        try:
            verdict = Verdict.load(place / "verdict")
        except FileNotFoundError:
            verdict = Verdict(str(path))
        verdict.exercise, verdict.checks = exercise, checks_of(exercise)
        if not verdict.finished:
            trace = place / "trace"
            told = trace.read_text(encoding="utf-8", errors="replace") if trace.exists() else ""
            if _late(code, told) and len(verdict.findings) == verdict.checks and not verdict.failures:
                verdict.finished = True  # all was checked: our own kernel may take long to be compiled
                verdict.notes.append(f"time: not measured, since {seconds} seconds were over")
                return verdict, printed
            verdict.findings.append(replace(_ended(code, told, path, seconds, megabytes, printed), counts=False))
            if printed and _ours(printed):
                printed = []
    return verdict, printed


def _run(path: Path, place: Path, seconds: int, megabytes: int) -> int | None:
    """The exit status; None where it was stopped from here."""
    package = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",  # each thread of a library's maps memory, and the file's is limited
    }
    # -P: no file beside the learner's takes the name of a module
    command = [sys.executable, "-P", "-m", "scratchser.check.judge.child", str(path.resolve())]
    command += [str(place / "verdict"), str(place / "trace"), str(seconds), str(megabytes)]
    with open(place / "printed", "wb") as printed:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, env=environment, cwd=place,
            start_new_session=True,
        )  # fmt: skip
        try:
            return child.wait(START + seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(child)


def _end(child: subprocess.Popen) -> None:
    """It and all that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()


def _ended(code: int | None, trace: str, path: Path, seconds: int, megabytes: int, printed: list[str]) -> Finding:
    """What ended a process before its verdict was complete."""
    line = _line(trace, path)
    where = f", in line {line[0]}: {line[1]}" if line else ""
    if _late(code, trace):
        if COMPILING.search(trace):
            more = f"Give it more time, --seconds {2 * seconds}, or take the decorator away for now."
            return Finding(f"it is done within {seconds} seconds", False, "Numba was still compiling it", [more])
        hints = ["Does a loop ever end? Is what its condition asks about changed inside it?"]
        if _compiles(path):
            place = "It is in compiled code"
            if line:
                place = "If this line calls a compiled function, the loop may be in there"
            way = "take the @njit away, or run the judge with NUMBA_DISABLE_JIT=1, and the loop's own line is told."
            hints.append(f"{place}, of which no line can be told: {way}")
        return Finding(f"it is done within {seconds} seconds", False, f"still running{where}", hints, ["endless loop"])
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        text = f"the process was ended by {name}{where}"
        hint = "Something below Python, a pointer or a library, has read or written where it has no memory."
        if _compiles(path):
            hint = "Compiled code has read or written where it has no memory. "
            hint += "Without its decorator it runs as plain Python, which says which index it was."
        if name == "SIGKILL":
            hint = "Most likely the machine had no memory left."
        return Finding("it does not crash", False, text, [hint], ["crash"])
    if any("MemoryError" in one or "LLVM ERROR: out of memory" in one for one in printed):
        return Finding(
            f"it needs at most {megabytes} MB", False, f"the memory is used up{where}", [], ["out of memory"]
        )
    if _ours(printed):
        return Finding("the checker did its part", False, f"it failed itself: {printed[-1]}", ["Please report this."])
    text = f"the file ended the process, status {code}{where}"
    return Finding("it does not end the process", False, text, ["Is there an os._exit()?"])


def _late(code: int | None, trace: str) -> bool:
    """Whether the time was over."""
    return code is None or "Timeout" in trace or code == -getattr(signal, "SIGXCPU", 0)


def _compiles(path: Path) -> bool:
    """Whether Numba compiles something in the file, for the CPU; under NUMBA_DISABLE_JIT=1 it does not."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return not config.DISABLE_JIT and any(map(_is_jit, ast.walk(ast.parse(text))))


def _is_jit(node: ast.AST) -> bool:
    """jit or njit, by itself or of a module that is not cuda."""
    if isinstance(node, ast.Attribute):
        return node.attr in ("jit", "njit") and getattr(node.value, "id", "") != "cuda"
    return isinstance(node, ast.Name) and node.id in ("jit", "njit")


def _ours(printed: list[str]) -> bool:
    return any(one.startswith("Traceback (most recent call last)") for one in printed)


def _line(trace: str, path: Path) -> tuple[int, str] | None:
    """Where in the file the process was, by faulthandler's trace: innermost call first, a part for each thread.

    A CUDA thread that waits at a barrier is not the one that goes on for ever, unless all of them do.
    """
    parts = [re.findall(r'File "([^"]+)", line (\d+) in (\S+)', part) for part in re.split(r"\n\s*\n", trace)]
    for calls in sorted(filter(None, parts), key=lambda calls: calls[0][2] == "pause"):
        for name, number, _ in calls:
            if Path(name) == path.resolve():
                source = path.read_text(encoding="utf-8", errors="replace").splitlines()
                return int(number), source[int(number) - 1].strip()
    return None
