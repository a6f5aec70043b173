"""The process in which a file is judged, its limits, and the command."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scratchser.check import __main__ as command
from scratchser.check.judge.limits import Ending, judge_in_process

ROOT = Path(__file__).parents[2]
SOLUTIONS, STUBS = ROOT / "tests" / "check" / "solutions", ROOT / "tutorials" / "exercises"
LINEAR = (SOLUTIONS / "linear_backward.py").read_text()
SUM = (SOLUTIONS / "cuda_block_sum.py").read_text()
HEAD = 'import numpy as np\nEXERCISE = "linear_backward"\ndef linear_backward(dy, x, W, dW, db):\n'
NJIT = "from numba import njit\n@njit\ndef loop(n):\n    while n > 0:\n        n += 1\n    return n\n"


def judged(tmp_path, text, seconds=20, megabytes=1024):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    return judge_in_process(path, seconds, megabytes)


def ending(tmp_path, text, trace="", status=1, printed=(), line=None):
    """The finding about a process that ended with this trace, or in this line of the file."""
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    if line:
        trace = f'{trace}\nThread 0x1:\n  File "{path}", line {line} in f\n'
    return Ending(path, 2, 1024, status, trace, list(printed)).finding()


def test_a_right_file_passes_in_a_process_of_its_own(tmp_path):
    """What it prints is shown. It imports files in its folder, but these do not hide other modules. 200 MB are fine."""
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('hidden')\n")  # the judge has not imported the real one
    (tmp_path / "mine_too.py").write_text("import os\nPID = os.getpid()\n")
    text = "import colorsys, importlib.util, sys\nimport numpy as np\nfrom mine_too import PID\nprint(PID)\n"
    text += "full = np.ones(2 * 10**8 // 8)\nassert importlib.util.find_spec('gradcheck') is None\n"
    verdict, printed = judged(tmp_path, text + LINEAR)
    assert verdict.passed, verdict.failures
    assert int(printed[0]) != os.getpid() and f"Your file printed:\n  {printed[0]}" in verdict.as_text(printed)


# ---- endless loops --------------------------------------------------------------------------------------------------


def test_a_loop_in_the_file_is_reported_with_its_line(tmp_path):
    verdict, _ = judged(tmp_path, f"# no @njit here\n{LINEAR}while True:\n    pass\n", seconds=1)
    finding = verdict.findings[-1]
    assert finding.check == "it ends within 1 seconds" and verdict.mistakes == ["endless loop"]
    assert finding.text.startswith("still running, in line ") and finding.text.endswith((": while True:", ": pass"))
    assert len(finding.hints) == 1, "nothing is compiled"
    assert not verdict.passed and verdict.checks_passed == 0 and not finding.counts


def test_findings_before_a_loop_are_kept(tmp_path):
    text = LINEAR.replace("    return dx", "    while x.shape[0] == 5:\n        pass\n    return dx")
    verdict, _ = judged(tmp_path, text, seconds=2)
    assert [finding.passed for finding in verdict.findings] == [True, False]


def test_a_loop_in_one_thread_of_a_kernel_is_reported_and_not_the_threads_that_wait_for_it(tmp_path):
    barrier = "    cuda.syncthreads()  # all numbers are there\n"
    text = SUM.replace(barrier, f"{barrier}    while t == 5:\n        i += 1\n{barrier}")
    verdict, _ = judged(tmp_path, text, seconds=2)
    assert verdict.findings[-1].text.endswith(("while t == 5:", "i += 1"))


@pytest.mark.slow
def test_threads_that_reach_a_barrier_without_end_are_reported_with_its_line(tmp_path):
    verdict, _ = judged(tmp_path, SUM.replace("        half //= 2\n", ""), seconds=3)
    assert verdict.findings[-1].text.startswith("still running, in line 18: cuda.syncthreads()")
    assert verdict.mistakes == ["endless loop"]


@pytest.mark.slow
def test_a_compiled_loop_is_reported_with_the_line_of_its_call_and_without_compilation_with_its_own(
    tmp_path, monkeypatch
):
    text, seconds = f"{NJIT}{HEAD}    return loop(len(dy))\n", 4
    while "still compiling" in (verdict := judged(tmp_path, text, seconds)[0]).findings[-1].text:
        seconds *= 2
    assert verdict.findings[-1].text.endswith("return loop(len(dy))")
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    verdict, _ = judged(tmp_path, text, seconds=2)
    assert verdict.findings[-1].text.endswith(("while n > 0:", "n += 1"))


def test_compiled_loops_get_a_hint(tmp_path, monkeypatch):
    finding = ending(tmp_path, NJIT, "Timeout (0:00:02)!", line=4)
    assert finding.text == "still running, in line 4: while n > 0:" and finding.mistakes == ["endless loop"]
    assert "If this line calls a compiled function" in finding.hints[1] and "NUMBA_DISABLE_JIT=1" in finding.hints[1]
    assert "It is in compiled code" in ending(tmp_path, NJIT, "Timeout (0:00:02)!").hints[1]
    assert len(ending(tmp_path, SUM, "Timeout (0:00:02)!").hints) == 1, "@cuda.jit compiles nothing here"
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert len(ending(tmp_path, NJIT, "Timeout (0:00:02)!").hints) == 1


@pytest.mark.parametrize(
    "call", ['"numba/dispatcher.py", line 9 in _compile_for_args', '"/v/numba/core/ssa.py", line 9 in run']
)
def test_compiling_is_not_reported_as_a_loop(tmp_path, call):
    finding = ending(tmp_path, LINEAR, f"Timeout (0:00:02)!\nThread 0x1:\n  File {call}\n")
    assert finding.text == "Numba was still compiling it" and finding.mistakes == []
    assert "--seconds 4" in finding.hints[0]


def test_a_right_file_passes_if_only_the_time_for_timing_is_missing(tmp_path):
    """Our own kernel is compiled for the comparison, for which a slow machine has no time."""
    text = LINEAR.replace("    return dx", "    while x.shape == (32, 64):\n        pass\n    return dx")
    verdict, _ = judged(tmp_path, text, seconds=3)
    assert verdict.passed and verdict.notes == ["time: not measured, because the 3 seconds were over"]


# ---- crashes and limits ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_crash_is_reported_with_its_line(tmp_path):
    verdict, _ = judged(tmp_path, "import ctypes\nctypes.string_at(0)\n" + LINEAR)
    assert "ended by SIGSEGV, in line 2: ctypes.string_at(0)" in verdict.findings[-1].text
    assert not verdict.passed and "Traceback" not in verdict.as_text()


def test_the_exit_status_of_a_process_is_explained(tmp_path):
    finding = ending(tmp_path, LINEAR, status=3)
    assert finding.text == "the file ended the process, status 3" and "os._exit()" in finding.hints[0]
    finding = ending(tmp_path, LINEAR, status=-signal.SIGKILL)
    assert "ended by SIGKILL" in finding.text and "no memory left" in finding.hints[0]
    finding = ending(tmp_path, NJIT, status=-signal.SIGSEGV)
    assert "Compiled code has accessed memory" in finding.hints[0] and finding.mistakes == ["crash"]
    finding = ending(tmp_path, LINEAR, printed=["MemoryError"], line=1)
    assert finding.text.startswith("the memory is full, in line 1: ") and finding.mistakes == ["out of memory"]
    finding = ending(tmp_path, LINEAR, printed=["Traceback (most recent call last):", "RuntimeError: oh"])
    assert finding.check == "the judge works" and "RuntimeError: oh" in finding.text


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited where the system tells its use")
def test_memory_is_limited(tmp_path):
    verdict, _ = judged(tmp_path, "import numpy as np\nfull = np.ones(2 * 10**9 // 8)\n" + LINEAR)
    assert "line 2: full" in verdict.findings[-1].text and "MemoryError" in verdict.findings[-1].text


def test_output_is_limited_and_started_processes_end(tmp_path):
    mark = tmp_path / "alive"
    child = f"import time\nwhile True:\n    open({str(mark)!r}, 'a').write('.')\n    time.sleep(0.1)\n"
    start = (
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-S', '-c', {child!r}])\ntime.sleep(0.5)\n"
    )
    flood = LINEAR.replace("    dx = np", "    print('x' * 10**6, flush=True)\n" * 30 + "    dx = np")
    verdict, printed = judged(tmp_path, start + flood)
    assert not verdict.passed and sum(map(len, printed)) < 2**25
    size = mark.stat().st_size
    subprocess.run([sys.executable, "-S", "-c", "import time; time.sleep(0.4)"], check=True)
    assert size and mark.stat().st_size == size


# ---- the command ----------------------------------------------------------------------------------------------------


def test_the_exit_code_tells_whether_the_file_passes(capsys):
    assert command.main([str(SOLUTIONS / "stft.py")]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0].startswith("stft   ") and text.rstrip().endswith("Passed: all 3 checks.")
    assert "time: yours" in text and "ours" in text and "noisy" in text
    assert command.main([str(STUBS / "stft.py")]) == 1
    assert "Not yet: 0 of 3 checks passed, 3 not reached." in capsys.readouterr().out


def test_a_class_becomes_a_table(tmp_path, capsys):
    files = {
        "anna": LINEAR,
        "ben": LINEAR.replace("dW[d, k] +=", "dW[d, k] ="),
        "cem": "while True: pass\n" + LINEAR,
        "dana": "x = 1\n",
        "eric": LINEAR.replace("    return dx", "    return (dx"),
        ".hidden": LINEAR,
    }
    for student, text in files.items():
        folder = tmp_path / "class" / student
        folder.mkdir(parents=True)
        (folder / "answer.py").write_text(text)
    table = tmp_path / "grades.csv"
    assert command.main([str(tmp_path / "class"), "--csv", str(table), "--seconds", "2"]) == 0
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["exercise"], row["passed"], row["checks passed"], row["checks"]) for row in rows] == [
        ("anna/answer.py", "linear_backward", "yes", "8", "8"),
        ("ben/answer.py", "linear_backward", "no", "5", "8"),
        ("cem/answer.py", "linear_backward", "no", "0", "8"),
        ("dana/answer.py", "", "no", "0", ""),
        ("eric/answer.py", "linear_backward", "no", "0", "8"),
    ]
    assert [row["recognised"] for row in rows] == ["", "missing accumulate", "endless loop", "", ""]
    assert rows[2]["first failure"].startswith("it ends within 2 seconds: still running, in line 1")
    assert "5 files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py"], "nowhere.py does not exist"),
        ([str(SOLUTIONS)], "is a folder: say where to write the table, --csv grades.csv"),
        ([str(SOLUTIONS / "stft.py"), "--csv", "g.csv"], "--csv needs a folder"),
        ([str(SOLUTIONS / "stft.py"), "--seconds", "0"], "0 is not at least 1"),
    ],
)
def test_wrong_use_is_an_error(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2 and message in capsys.readouterr().err
