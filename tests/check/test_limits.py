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

SOLUTIONS = Path(__file__).parent / "solutions"
LINEAR = (SOLUTIONS / "linear_backward.py").read_text()
CELL = (SOLUTIONS / "lstm_cell_forward.py").read_text()
SUM = (SOLUTIONS / "cuda_block_sum.py").read_text()
HEAD = 'import numpy as np\nEXERCISE = "linear_backward"\ndef linear_backward(dy, x, W, dW, db):\n'
NJIT = "from numba import njit\n@njit\ndef loop(n):\n    while n > 0:\n        n += 1\n    return n\n"


def judged(tmp_path, text, seconds=20, megabytes=1024):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    return judge_in_process(path, seconds, megabytes)


def test_a_right_file_passes_in_a_process_of_its_own(tmp_path, capsys):
    """What it prints is shown. It imports files in its folder, but these do not hide other modules. 200 MB are fine."""
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('hidden')\n")  # the judge has not imported the real one
    (tmp_path / "mine_too.py").write_text("import os\nPID = os.getpid()\n")
    text = "import colorsys, importlib.util, sys\nimport numpy as np\nfrom mine_too import PID\nprint(PID)\n"
    text += "full = np.ones(2 * 10**8 // 8)\nassert importlib.util.find_spec('gradcheck') is None\n"
    path = tmp_path / "mine.py"
    path.write_text(text + CELL)
    assert command.main([str(path)]) == 0
    head, _, printed = capsys.readouterr().out.partition("Your file printed:\n  ")
    assert head.startswith("lstm_cell_forward   ") and "time: yours" in head
    assert int(printed.split()[0]) != os.getpid() and printed.rstrip().endswith("Passed: all 5 checks.")


def test_a_file_that_does_not_pass_or_cannot_be_judged_is_exit_code_1(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.py").write_text("x = 1\n")
    assert command.main([str(tmp_path / "mine.py")]) == 1
    assert "Not yet: 0 of 0 checks passed." in capsys.readouterr().out
    monkeypatch.setattr("tempfile.tempdir", "/dev/null/x")
    assert command.main([str(SOLUTIONS / "linear_backward.py")]) == 1
    assert capsys.readouterr().err == "error: Not a directory: set TMPDIR to a folder that can be written\n"


# ---- endless loops --------------------------------------------------------------------------------------------------


def test_a_loop_in_one_thread_of_a_kernel_is_reported_and_not_the_threads_that_wait_for_it(tmp_path):
    barrier = "    cuda.syncthreads()  # all numbers are there\n"
    text = SUM.replace(barrier, f"{barrier}    while t == 5:\n        i += 1\n{barrier}")
    verdict, _ = judged(tmp_path, text, seconds=2)
    assert verdict.findings[-1].text.endswith(("while t == 5:", "i += 1"))


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


def test_a_right_file_passes_if_only_the_time_for_timing_is_missing(tmp_path):
    """Our own kernel is compiled for the comparison, for which a slow machine has no time."""
    text = LINEAR.replace("    return dx", "    while x.shape == (32, 64):\n        pass\n    return dx")
    verdict, _ = judged(tmp_path, text, seconds=2)
    assert verdict.passed and verdict.notes == ["time: not measured, because the 2 seconds were over"]


# ---- crashes and limits ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_crash_is_reported_with_its_line(tmp_path):
    verdict, _ = judged(tmp_path, "import ctypes\nctypes.string_at(0)\n" + LINEAR)
    assert "ended by SIGSEGV, in line 2: ctypes.string_at(0)" in verdict.findings[-1].text
    assert not verdict.passed and "Traceback" not in verdict.as_text()


CALL, TIMEOUT = "If this line calls a compiled function", "Timeout (0:00:02)!"
COMPILING = ['"numba/dispatcher.py", line 9 in _compile_for_args', '"/v/numba/core/ssa.py", line 9 in run']
ENDINGS = [  # file, how the process ended, what the finding says: text, mistake, the last hint
    (NJIT, {"trace": TIMEOUT, "line": 4}, "still running, in line 4: while n > 0:", "endless loop", CALL),
    (NJIT, {"trace": TIMEOUT}, "still running", "endless loop", "It is in compiled code"),
    (f"# no @njit here\n{SUM}", {"trace": TIMEOUT}, "still running", "endless loop", "Is there a loop"),
    *((LINEAR, {"trace": f"{TIMEOUT}\n  File {call}\n"}, "Numba was still", "", "--seconds 4") for call in COMPILING),
    (LINEAR, {"status": 3}, "the file ended the process, status 3", "", "os._exit()"),
    (LINEAR, {"status": -signal.SIGKILL}, "the process was ended by SIGKILL", "crash", "no memory left"),
    (NJIT, {"status": -signal.SIGSEGV}, "the process was ended by SIGSEGV", "crash", "Compiled code has accessed"),
    (LINEAR, {"printed": ["MemoryError"], "line": 1}, "the memory is full, in line 1: ", "out of memory", ""),
    (LINEAR, {"printed": ["OpenBLAS error: Memory allocation failed"]}, "the memory is full", "out of memory", ""),
    (LINEAR, {"printed": ["Traceback (most recent call last):", "Oh: no"]}, "the judge failed: Oh: no", "", "report"),
]


@pytest.mark.parametrize(("text", "ended", "reported", "mistake", "hint"), ENDINGS, ids=[row[2] for row in ENDINGS])
def test_the_end_of_a_process_is_explained(text, ended, reported, mistake, hint, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    trace = ended.get("trace", "")
    if "line" in ended:
        trace += f'\nThread 0x1:\n  File "{path}", line {ended["line"]} in f\n'
    finding = Ending(path, 2, 1024, ended.get("status", 1), trace, ended.get("printed", [])).finding()
    assert not finding.counts and finding.text.startswith(reported) and finding.mistakes == [mistake] * bool(mistake)
    assert hint in "".join(finding.hints[-1:])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited where the system tells its use")
def test_memory_is_limited(tmp_path):
    verdict, _ = judged(tmp_path, "import numpy as np\nfull = np.ones(2 * 10**9 // 8)\n" + LINEAR, megabytes=8)
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


def test_a_class_becomes_a_table(tmp_path, capsys):
    files = {
        "anna": CELL,
        "ben": LINEAR.replace("dW[d, k] +=", "dW[d, k] ="),
        "cem": LINEAR.replace("    return dx", "    while x.shape[0] == 5:\n        pass\n    return dx"),
        "dana": "x = 1\n",
        "eric": LINEAR.replace("    return dx", "    return (dx"),
        ".hidden": CELL,
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
        ("anna/answer.py", "lstm_cell_forward", "yes", "5", "5"),
        ("ben/answer.py", "linear_backward", "no", "5", "8"),
        ("cem/answer.py", "linear_backward", "no", "1", "8"),
        ("dana/answer.py", "", "no", "0", ""),
        ("eric/answer.py", "linear_backward", "no", "0", "8"),
    ]
    assert [row["recognised"] for row in rows] == ["", "accumulation forgotten", "endless loop", "", ""]
    failure = rows[2]["first failure"]
    assert failure.startswith("it ends within 2 seconds: still running, in line 1")
    assert failure.endswith((": while x.shape[0] == 5:", ": pass"))
    assert "5 files" in capsys.readouterr().out


def test_a_folder_of_exercises_is_shown_in_the_order_of_the_tutorials(tmp_path, capsys):
    stub = 'EXERCISE = "stft"\ndef stft(x, window, hop, bins, floor):\n    raise NotImplementedError\n'
    for name, text in {"a": stub, "b": "x = 1\n", "c": CELL, "c_too": CELL + "x = 1 / 0\n", "d": SUM}.items():
        (tmp_path / f"{name}.py").write_text(text)
    assert command.main([str(tmp_path)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    shown = ["d.py solved", "a.py not", "c.py solved", "c_too.py not", "b.py not"]
    assert [" ".join(line.split()[:2]).rstrip(",") for line in lines] == shown
    assert last == "2 of 4 solved, next: a.py"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py"], "nowhere.py does not exist"),
        ([str(SOLUTIONS), "--hint", "1"], "--all and --hint need one file to judge"),
        ([str(SOLUTIONS / "stft.py"), "--csv", "g.csv"], "--csv needs a folder"),
        ([str(SOLUTIONS / "cuda_saxpy.py"), "--draw", "out.txt"], "a name that ends in .svg or .png"),
        ([str(SOLUTIONS / "stft.py"), "--seconds", "0"], "0 is not at least 1"),
    ],
)
def test_wrong_use_is_an_error(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2 and message in capsys.readouterr().err
