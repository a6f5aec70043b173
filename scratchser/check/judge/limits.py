"""Judge a file in a separate process with limits, so that an endless loop or a crash becomes a finding."""

import ast
import contextlib
import linecache
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scratchser.check.exercises import load
from scratchser.check.judge.source import begin
from scratchser.check.judge.verdict import ENDED, Finding, Verdict
from scratchser.support.errors import ProcessingError

SECONDS, MEGABYTES = 60, 2048
STARTUP = 60  # seconds for the imports on a busy machine, before the file's own time starts
PRINTED_LINES = 20
# Calls in a trace, of which faulthandler writes the innermost 100, while Numba compiles
COMPILING = re.compile(r"_compile_for_args|[/\\]numba[/\\]core[/\\]|[/\\]llvmlite[/\\]")
FULL = re.compile("MemoryError|LLVM ERROR: out of memory|OpenBLAS error: Memory allocation|failed to map segment")
BARRIER = os.path.join("tracer", "blocks.py")  # where a CUDA thread waits at a barrier


def judge_in_process(
    path: Path, seconds: int = SECONDS, megabytes: int = MEGABYTES, drawing: Path | None = None
) -> tuple[Verdict, list[str]]:
    """The verdict, and the last lines that the file printed. A CUDA kernel is drawn in the file `drawing`.

    Raises ProcessingError without a temporary folder, or if the drawing cannot be written.
    """
    from scratchser.support.files import write_bytes  # imports NumPy: not for --help

    verdict = begin(path)
    if verdict.finished:
        return verdict, []
    try:
        temporary = tempfile.TemporaryDirectory(prefix="scratchser-check-")
    except OSError as error:
        raise ProcessingError(f"{error.strerror}: set TMPDIR to a folder that can be written") from error
    with temporary as name:
        folder = Path(name)
        drawn = folder / drawing.name if drawing else None
        status = _run(path, folder, seconds, megabytes, drawn)
        printed = _read(folder / "printed").splitlines()[-PRINTED_LINES:]
        if (folder / "verdict").exists():
            verdict = Verdict.load(folder / "verdict")
        else:  # it ended during its imports
            verdict.checks = load(verdict.exercise).checks
        if drawing and drawn and drawn.exists():
            write_bytes(drawing, drawn.read_bytes())
        elif drawing:
            verdict.notes.append("no drawing: only a CUDA kernel that runs to its end is drawn")
        end = Ending(path, seconds, megabytes, status, _read(folder / "trace"), printed)
    if verdict.finished:
        return verdict, printed
    if end.timed_out and verdict.checks_passed == verdict.checks > 0:
        verdict.finished = True  # everything is checked: compiling our own kernel can take long
        verdict.notes.append(f"time: not measured, because the {seconds} seconds were over")
        return verdict, printed
    verdict.findings.append(end.finding())
    return verdict, [] if end.judge_failed else printed


def _run(path: Path, folder: Path, seconds: int, megabytes: int, drawing: Path | None) -> int | None:
    """The exit status of the process; None if it was stopped from here."""
    root = str(Path(__file__).parents[3])
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",  # each thread of the library needs memory, which is limited
        "MALLOC_ARENA_MAX": "1",  # likewise: by default each thread reserves 64 MB
    }
    # -P: a file in the same folder cannot hide a module
    command = [sys.executable, "-P", "-m", "scratchser.check.judge.child", str(path.resolve())]
    command += [str(folder / "verdict"), str(folder / "trace"), str(seconds), str(megabytes)]
    command += [str(drawing)] if drawing else []
    with open(folder / "printed", "wb") as printed:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, env=environment, cwd=folder,
            start_new_session=True,
        )  # fmt: skip
        try:
            return child.wait(STARTUP + seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _kill(child)


def _kill(child: subprocess.Popen) -> None:
    """End the process and all processes that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


@dataclass
class Ending:
    """How a process ended before its verdict was complete."""

    path: Path
    seconds: int
    megabytes: int
    status: int | None  # negative for a signal; None if it was stopped from outside
    trace: str  # of faulthandler: the innermost call first, one part for each thread
    printed: list[str]  # the last lines of its output

    @property
    def timed_out(self) -> bool:
        return self.status is None or "Timeout" in self.trace

    @property
    def judge_failed(self) -> bool:
        return any(line.startswith("Traceback (most recent call last)") for line in self.printed)

    def finding(self) -> Finding:
        where = self._where()
        if self.timed_out:
            return self._endless(where)
        if self.status is not None and self.status < 0:
            return self._crash(where, self.status)
        if any(map(FULL.search, self.printed)):
            return _finding(f"it needs at most {self.megabytes} MB", f"the memory is full{where}", [], "out of memory")
        if self.judge_failed:
            return _finding("the judge works", f"the judge failed: {self.printed[-1]}", ["Please report this."])
        text = f"the file ended the process, status {self.status}{where}"
        return _finding("it does not end the process", text, ["Is there an os._exit()?"])

    def _endless(self, where: str) -> Finding:
        check = f"it ends within {self.seconds} seconds"
        more = f"Allow more time, --seconds {2 * self.seconds}"
        if COMPILING.search(self.trace):
            return _finding(check, "Numba was still compiling it", [f"{more}, or remove the decorator for now."])
        if "recognise.py" in self.trace:
            return _finding(check, "the judge was still comparing with known mistakes", [f"{more}."])
        hints = ["Is there a loop that never ends? Does the loop change what its condition depends on?"]
        if self._compiles():
            at = "If this line calls a compiled function, the loop may be there" if where else "It is in compiled code"
            show = "remove @njit, or run the judge with NUMBA_DISABLE_JIT=1, to see the line of the loop."
            hints.append(f"{at}, whose lines are unknown: {show}")
        return _finding(check, f"still running{where}", hints, "endless loop")

    def _crash(self, where: str, status: int) -> Finding:
        name = signal.Signals(-status).name
        hint = "A pointer or a library has accessed memory that it does not own."
        if self._compiles():
            hint = "Compiled code has accessed memory that it does not own. Without the decorator it runs as plain "
            hint += "Python, which shows the wrong index."
        if name == "SIGKILL":
            hint = "Probably the machine had no memory left."
        return _finding("it does not crash", f"the process was ended by {name}{where}", [hint], "crash")

    def _compiles(self) -> bool:
        """Whether Numba compiles something in the file for the CPU: @jit or @njit, but not @cuda.jit."""
        if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
            return False
        nodes = ast.walk(ast.parse(_read(self.path)))
        names = [ast.unparse(node) for node in nodes if isinstance(node, ast.Name | ast.Attribute)]
        return any(re.fullmatch(r"(?!cuda\.)(\w+\.)?n?jit", name) for name in names)

    def _where(self) -> str:
        """The line of the file that was running, or nothing if it is unknown.

        A CUDA thread that waits at a barrier is not the one with the endless loop, unless all of them wait.
        """
        parts = re.split(r"\n\s*\n", self.trace)
        threads = [re.findall(r'File "([^"]+)", line (\d+)', part) for part in parts]
        for calls in sorted(filter(None, threads), key=lambda calls: calls[0][0].endswith(BARRIER)):
            for name, number in calls:
                if Path(name) == self.path.resolve():
                    return f", in line {number}: {linecache.getline(name, int(number)).strip()}"
        return ""


def _finding(check: str, text: str, hints: list[str], *mistakes: str) -> Finding:
    return Finding(check, False, text, hints, list(mistakes), counts=False, rank=ENDED)
