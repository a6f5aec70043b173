"""The judge itself: its truths, what it says of files that cannot be judged, its limits, the table of a class."""

import csv
import itertools
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scratchser import reference
from scratchser.check import __main__ as command
from scratchser.check.exercises import EXERCISES, lstm
from scratchser.check.exercises.exercise import CudaExercise, Exercise, Mistake, copied, filled
from scratchser.check.judge import compare, cpu, learner, limits
from scratchser.check.judge import verdict as grades
from scratchser.check.judge.judge import checks_of, judge
from scratchser.check.judge.verdict import text_of
from scratchser.kernels import conv2d, linear, nesterov, softmax

ROOT = Path(__file__).parents[2]
SOLUTIONS, STUBS = ROOT / "tests" / "solutions", ROOT / "tutorials" / "exercises"

ON_CPU = {name: exercise for name, exercise in EXERCISES.items() if isinstance(exercise, Exercise)}
ON_CUDA = {name: exercise for name, exercise in EXERCISES.items() if isinstance(exercise, CudaExercise)}


def arguments_of(exercise):
    """Name -> arguments as the judge gives them, and the truth of them."""
    if isinstance(exercise, Exercise):
        return {name: filled(a) for name, a in exercise.cases().items()}, exercise.truth
    name, smallest, _ = exercise.constant
    size = max(smallest, 4)
    cases = {case: filled(launch.arguments) for case, launch in exercise.cases(size).items()}
    return cases, lambda a, mistake: exercise.truth(a, mistake, **{name: size})


# ---- the truths -----------------------------------------------------------------------------------------------------


def test_the_truths_are_those_of_the_package():
    """Written apart from the kernels, they agree with them; those with a slow text in scratchser.reference use it."""
    for a in (filled(a) for a in ON_CPU["conv2d_backward"].cases().values()):
        right, given = ON_CPU["conv2d_backward"].truth(a, ""), copied(a)
        dx = conv2d.backward(*given.values())
        for ours, name in ((dx, "dx"), (given["dW"], "dW"), (given["dbias"], "dbias")):
            np.testing.assert_allclose(ours, right[name], rtol=1e-11, atol=1e-11)
    for a in ON_CPU["linear_backward"].cases().values():
        right, given = ON_CPU["linear_backward"].truth(a, ""), copied(a)
        np.testing.assert_allclose(linear.backward(*given.values()), right["dx"], rtol=1e-12)
        np.testing.assert_allclose(given["dW"], right["dW"], rtol=1e-12)
    for a in ON_CPU["softmax_loss"].cases().values():
        loss, dlogits = softmax.loss(*a.values())
        np.testing.assert_allclose(loss, ON_CPU["softmax_loss"].truth(a, "")["loss"], rtol=1e-12)
        np.testing.assert_allclose(dlogits, ON_CPU["softmax_loss"].truth(a, "")["dlogits"], rtol=1e-10, atol=1e-15)
    for a in ON_CPU["nesterov"].cases().values():
        right, given = ON_CPU["nesterov"].truth(a, ""), copied(a)
        nesterov.step(*given.values())
        for name in ("W", "V", "dW"):
            np.testing.assert_allclose(given[name], right[name], rtol=1e-13)


def test_the_walk_of_one_direction_is_the_first_half_of_the_bi_lstm():
    a = lstm.arguments((4, 2, 3), D=3, H=2)
    b = np.linspace(-1, 1, 8)
    both = {name: np.stack([a[name]] * 2, axis=axis) for name, axis in (("Wx", 1), ("Wh", 0), ("h0", 0), ("c0", 0))}
    expected = reference.lstm.forward(np.nan_to_num(a["x"]), a["lengths"], b=np.stack([b] * 2), **both)
    y, _, _ = lstm.walk(a["x"], a["lengths"], a["Wx"], a["Wh"], b, a["h0"], a["c0"])
    np.testing.assert_allclose(y, expected[:, :, :2], rtol=1e-13)


@pytest.mark.parametrize("name", sorted(ON_CPU))
def test_a_truth_with_a_mistake_left_out_is_the_right_one(name):
    """The text that can be wrong is a second one where scratchser.reference has the first: without a mistake they agree."""
    exercise = ON_CPU[name]
    for a in (filled(a) for a in exercise.cases().values()):
        for output, value in exercise.truth(a, "no such mistake").items():
            np.testing.assert_allclose(value, exercise.truth(a, "")[output], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_every_mistake_is_one_and_no_two_of_different_name_have_the_same_numbers(name):
    """Else a mistake would be named that is none, or the wrong one."""
    exercise = EXERCISES[name]
    cases, truth_of = arguments_of(exercise)
    found = {
        key: [np.concatenate([np.ravel(v) for v in truth_of(a, key).values()]) for a in cases.values()]
        for key in ["", *exercise.mistakes]
    }

    def same(one, other):
        return all(np.allclose(p, q, rtol=1e-6, atol=1e-9, equal_nan=True) for p, q in zip(one, other, strict=True))

    alike = [
        (one, other)
        for one, other in itertools.combinations(found, 2)
        if same(found[one], found[other]) and (not one or exercise.mistakes[one].name != exercise.mistakes[other].name)
    ]
    assert alike == []


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_numbers_of_no_known_mistake_get_no_name(name):
    """One element off, and everything off by a little: told by place and factor only."""
    exercise = EXERCISES[name]
    cases, truth_of = arguments_of(exercise)
    (case, a), *_ = cases.items()
    right = truth_of(a, "")
    for spoil in (lambda v: v * 1.001, lambda v: v + (np.arange(v.size) == 0).reshape(v.shape)):
        got = {output: np.asarray(spoil(value)) for output, value in right.items()}
        trials = [compare.Trial(case, a, got, right, 1e-9)]
        wrong = [output for output in got if not trials[0].right(output)]
        named = compare.recognised(replace(exercise, truth=truth_of), trials, wrong)
        assert wrong and named == {output: [] for output in wrong}


def test_a_mistake_that_explains_everything_comes_before_one_that_explains_one_output():
    """f without carry and f of the wrong step differ in one output only; the other is explained by both."""

    def truth_of(a, mistake):
        return {"p": a["x"] + (mistake in ("one", "two")), "q": a["x"] + (mistake == "two")}

    exercise = Exercise("t", ("x",), ("p", "q"), dict, truth_of, {k: Mistake(k, "") for k in ("one", "two")})
    a = {"x": np.arange(3.0)}

    def named(p, q):
        trial = compare.Trial("", a, {"p": a["x"] + p, "q": a["x"] + q}, truth_of(a, ""), 1e-9)
        return compare.recognised(exercise, [trial], [o for o, off in (("p", p), ("q", q)) if off])

    assert named(1, 0) == {"p": ["one"]}
    assert named(1, 1) == {"p": ["two"], "q": ["two"]}
    assert named(1, 5) == {"p": ["one", "two"], "q": []}


def test_the_page_lists_every_exercise():
    page = (ROOT / "docs" / "exercises.md").read_text(encoding="utf-8")
    assert [name for name in EXERCISES if f"`{name}.py`" not in page] == []
    assert all(f"`{column}`" in page for column in grades.COLUMNS)


# ---- stubs ----------------------------------------------------------------------------------------------------------


def test_every_exercise_has_a_stub_and_a_solution():
    assert (
        sorted(EXERCISES)
        == sorted(f.stem for f in STUBS.glob("*.py"))
        == sorted(f.stem for f in SOLUTIONS.glob("*.py"))
    )


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_a_stub_asks_for_its_function_and_says_that_it_is_not_written(name):
    verdict = judge(STUBS / f"{name}.py")
    assert verdict.exercise == name and not verdict.passed
    (finding,) = verdict.findings
    assert "the body is still to be written" in finding.text and finding.mistakes == []
    assert f"python -m scratchser.check tutorials/exercises/{name}.py" in (STUBS / f"{name}.py").read_text()


# ---- files that cannot be judged, and errors ------------------------------------------------------------------------

LINEAR = (SOLUTIONS / "linear_backward.py").read_text()
SAXPY = (SOLUTIONS / "cuda_saxpy.py").read_text()
SUM = (SOLUTIONS / "cuda_block_sum.py").read_text()
HEAD = 'import numpy as np\nEXERCISE = "linear_backward"\ndef linear_backward(dy, x, W, dW, db):\n'

ANSWERS = {
    "no exercise": ("x = 1\n", 'no line EXERCISE = "..."', "One of: "),
    "misspelt": ('EXERCISE = "linear_backwards"\n', "there is no exercise 'linear_backwards'", "linear_backward?"),
    "no Python": (
        HEAD + "    return (\n",
        "line 4, column 12: return (\nSyntaxError: '(' was never closed",
        "at `(`.",
    ),
    "end of a line": (
        HEAD.replace("):", ")"),
        "line 3, column 38: def linear_backward(dy, x, W, dW, db)\n",
        "line 3, column 38, at the line's end",
    ),
    "indentation": (
        HEAD + "    x = 1\n  return x\n",
        "line 5, column 11: return x\nIndentationError",
        "the indentation",
    ),
    "no UTF-8": (HEAD.encode() + b"    x = '\xe4'\n", "SyntaxError: (unicode error) 'utf-8' codec", "saved as UTF-8?"),
    "no encoding": (b"# coding: foo\n" + HEAD.encode(), "foo", "saved as UTF-8?"),
    "no function": ('EXERCISE = "vtlp"\n', "there is no function vtlp", "def vtlp(S, alpha)"),
    "other parameters": (
        LINEAR.replace("dy, x, W, dW", "x, dy, W, dW"),
        "takes (x, dy, W, dW, db)",
        "the order counts",
    ),
    "no such module": ("import nowhere\n" + LINEAR, "line 1: import nowhere\nModuleNotFoundError", "files beside it"),
    "an index": (
        LINEAR.replace("x[b, d] * dy[b, k]", "x[b, d] * dy[b, k + 1]"),
        "IndexError: index",
        "leaves its array",
    ),
    "shapes": (HEAD + "    return x @ dy\n", "line 4: return x @ dy\nValueError: matmul", "may have to be transposed"),
    "returns nothing": (LINEAR.replace("    return dx\n", ""), "returns nothing; it is to return dx", ""),
    "returns too much": (
        LINEAR.replace("return dx", "return dx, dW"),
        "returns a tuple of 2, it is to return dx alone; it writes to dW, db in place",
        "",
    ),
    "misspelt function": (
        LINEAR.replace("def linear_", "def linear"),
        "there is no function linear_backward, but linearbackward",
        "def linear_backward(dy",
    ),
    "misspelt name": (LINEAR.replace("return dx", "return dX"), "NameError: name 'dX' is not defined", "Is it spelt"),
    "cast": (
        HEAD + "    dx = np.zeros(x.shape, int)\n    dx += dy @ W.T\n    return dx\n",
        "Cannot cast",
        "of another dtype",
    ),
    "a list": (LINEAR.replace("return dx", "return dx.tolist()"), "dx is a list, not a NumPy array", ""),
    "another shape": (HEAD + "    return np.zeros((7, 7))\n", "dx has shape (7, 7), should be (4, 3)", ""),
    "another dtype": (
        LINEAR.replace("np.zeros_like(x)", "np.zeros(x.shape)"),
        "dx is float64 where all arguments are float32",
        "np.zeros_like(x)",
    ),
    "integers": (LINEAR.replace("return dx", "return dx.astype(int)"), "dx is int64, should be of the arguments'", ""),
    "another shape in a later case": (
        LINEAR.replace("return dx", "return dx if len(x) == 4 else dx.T"),
        "dx has shape (7, 5), should be (5, 7)",
        "",
    ),
    "coarse": (
        LINEAR.replace("return dx", "return dx if dx.dtype == 'd' else dx.astype(np.float16).astype(dx.dtype)"),
        "dx at [",
        "what is rounded here?",
    ),
    "changes its input": (LINEAR.replace("    dx = np", "    x *= 2\n    dx = np"), "x is changed", "Work on a copy"),
    "ends itself": ("raise SystemExit\n" + LINEAR, "the file ends the process by sys.exit()", ""),
    "recursion": (HEAD + "    return linear_backward(dy, x, W, dW, db)\n", "line 4: return linear", "without end"),
    "not compiled": (
        "from numba import njit\n" + HEAD.replace("def ", "@njit\ndef ") + "    return dy.no_such(x)\n",
        "TypingError: ",
        "run as plain Python",
    ),
    "compiled index": (
        "from numba import njit\n" + LINEAR.replace("def ", "@njit\ndef ").replace("db[k] +=", "db[k + 1] +="),
        "IndexError: index is out of bounds",
        "without its decorator",
    ),
    "no kernel": (SAXPY.replace("@cuda.jit\n", ""), "cuda_saxpy is no CUDA kernel", "@cuda.jit"),
    "compiled for the CPU": (
        "import numba\n" + SAXPY.replace("cuda.jit", "numba.njit"),
        "cuda_saxpy is no CUDA kernel",
        "@cuda.jit",
    ),
    "NumPy in a kernel": (
        "import numpy as np\n" + SUM.replace("cuda.shared.array(THREADS, float32)", "np.zeros(THREADS)"),
        "line 10: part = np.zeros(THREADS)\nnp.zeros makes an array of each thread's own",
        "cuda.shared.array(shape, dtype)",
    ),
    "too many threads": (SAXPY.replace("BLOCK = 4", "BLOCK = 4096"), "the constant BLOCK is 4096", "from 1 to 64"),
    "no constant": (SAXPY.replace("BLOCK = 4", ""), "the constant BLOCK is None", "from 1 to 64"),
    "writes its input": (SAXPY.replace("        y[i] =", "        x[i] ="), "the kernel writes to x", ""),
    "unknown to the tracer": (
        SAXPY.replace("y[i] = a * x[i] + y[i]", "cuda.atomic.add(y, i, a * x[i])"),
        "cuda.atomic is not supported by the tracer",
        "indices, barriers",
    ),
    "wasteful": (
        SAXPY.replace("a * x[i] + y[i]", "a * x[i] + y[i] + x[i] - x[i]"),
        "global reads: 56, each number once needs 28",
        "stays in a variable",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_file_that_fails_otherwise_gets_a_line_and_a_hint_and_no_stack_trace(name, tmp_path):
    text, said, hint = ANSWERS[name]
    path = tmp_path / "mine.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    verdict = judge(path)
    assert not verdict.passed and verdict.finished
    (finding,) = verdict.failures
    assert said in finding.text and "Traceback" not in finding.text
    assert hint in " ".join(finding.hints)


def test_a_file_that_python_cannot_read_keeps_its_exercise(tmp_path):
    path = tmp_path / "mine.py"
    for line, exercise in (
        ('EXERCISE = "linear_backward"', "linear_backward"), ("EXERCISE='vtlp'", "vtlp"), ('EXERCISE = "no_such"', ""),
    ):  # fmt: skip
        path.write_text(f"{line}\ndef linear_backward(:\n")
        for verdict in (judge(path), limits.judged(path)[0]):
            assert verdict.exercise == exercise and verdict.checks == {"linear_backward": 8, "vtlp": 3}.get(exercise, 0)
            assert "line 2, column 21" in verdict.findings[0].text


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_a_right_file_passes_as_many_checks_as_its_exercise_has(name):
    """The total of the screen and of the table, known before anything runs."""
    verdict = judge(SOLUTIONS / f"{name}.py")
    assert verdict.passed and checks_of(name) == verdict.checks == len(verdict.findings)


def test_a_number_is_named_by_its_place_and_factor(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(LINEAR.replace("    return dx", "    dW[0, 0] *= 1.5\n    return dx"), encoding="utf-8")
    text = " ".join(text_of(judge(path)).split())
    assert "dW at [feature 0, class 0] is" in text and "(1.5 times); 1 of 9 numbers are wrong" in text
    assert "FAIL finite differences of dW" in text and "is 1.5 times the differences'" in text
    assert "Recognised" not in text


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (3.0, "x is 3, should be 2 (1.5 times)"),
        (2.00002, "x is 2.00002, should be 2 (of the right size, but off by 1.0e-05 of it)"),
        (-2.0, "x is -2, should be 2 (of the wrong sign)"),
        (np.nan, "x is not a number (NaN), should be 2"),
        (np.inf, "x is inf, should be 2"),
        (0.0, "x is 0, should be 2"),
    ],
)
def test_a_number_is_compared_in_words_where_a_factor_says_nothing(got, said):
    trial = compare.Trial("", {}, {"x": np.array(got)}, {"x": np.array(2.0)}, 1e-9)
    assert compare.where(trial, "x", ()) == said


def test_a_common_factor_that_is_nearly_one_is_told_by_its_digits(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(LINEAR.replace("dW[d, k] +=", "dW[d, k] += 1.00003 *"), encoding="utf-8")
    hints = [hint for finding in judge(path).failures for hint in finding.hints]
    assert any("Everything is 1.00003 times what it should be" in hint for hint in hints)


def test_a_common_factor_and_an_untouched_output_are_said(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(LINEAR.replace("dW[d, k] +=", "dW[d, k] += -3 *").replace("db[k] += dy[b, k]", "pass"))
    hints = [hint for finding in judge(path).failures for hint in finding.hints]
    assert any("Everything is -3 times what it should be" in hint for hint in hints)
    assert any("db is as it was before the call" in hint for hint in hints)


def test_where_an_index_leaves_its_array_no_result_is_called_right(tmp_path):
    """Of such a case the numbers are not looked at, and a check that was not made is not passed."""
    path = tmp_path / "mine.py"
    path.write_text(SUM.replace("[cuda.blockIdx.x]", "[cuda.blockIdx.x + 1]"))
    verdict = judge(path)
    assert verdict.mistakes == ["index out of range"] and len(verdict.failures) == 1
    assert not any("sums" in finding.check or "no more than" in finding.check for finding in verdict.findings)
    assert "4 of 7 checks passed, 2 not reached" in text_of(verdict)


def test_a_kernel_that_adds_to_what_nobody_has_written_is_told_so(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SUM.replace("[cuda.blockIdx.x] =", "[cuda.blockIdx.x] +="))
    (hint,) = judge(path).failures[0].hints
    assert "sums is added to: -12345 stood there before" in hint and "= and not +=" in hint


@pytest.mark.parametrize("size", [1, 400])
def test_memory_that_nobody_has_written_is_seen(tmp_path, size):
    """np.empty often gives zeros, by luck: a file that needs them would pass."""
    exercise = ON_CPU["linear_backward"]
    ones = {"dy": (size, 1), "x": (size, 2), "W": (2, 1), "dW": (2, 1), "db": (1,)}
    a = {name: np.ones(shape) for name, shape in ones.items()}
    for dtype in (np.float64, np.float32):
        got = cpu.called(exercise, lambda dy, x, W, dW, db: np.empty_like(x), copied(a, dtype))
        assert np.isnan(got["dx"]).any()
    path = tmp_path / "mine.py"
    path.write_text((SOLUTIONS / "conv2d_backward.py").read_text().replace("np.zeros_like(x)", "np.empty_like(x)"))
    finding = judge(path).failures[0]
    assert "dx at [" in finding.text and "Memory that nobody has written" in finding.hints[0]


def test_of_hints_with_one_name_the_first_is_given(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text((SOLUTIONS / "conv2d_backward.py").read_text().replace("dW[i, j] +=", "dW[i, j] ="))
    assert "keeps the last position only" in judge(path).failures[0].hints[0]


def test_reading_past_the_end_is_seen_although_the_numbers_are_right(tmp_path):
    text = (SOLUTIONS / "conv2d_backward.py").read_text()
    path = tmp_path / "mine.py"
    path.write_text(text.replace("    return dx", "    dx += 0 * x\n    return dx"), encoding="utf-8")
    finding = judge(path).failures[0]
    assert finding.check == "nothing past an utterance's end is read" and "with NaN there in dy, x, y" in finding.text


def test_a_kernel_that_reads_past_the_end_is_seen_although_the_numbers_are_right(tmp_path):
    text = (SOLUTIONS / "cuda_conv2d_forward.py").read_text()
    path = tmp_path / "mine.py"
    path.write_text(text.replace("total = bias[d]", "total = bias[d] + 0 * x[b, x.shape[1] - 1, 0, 0]"))
    assert judge(path).failures[0].check == "nothing past an utterance's end is read"


# ---- the process and its limits -------------------------------------------------------------------------------------


def judged(tmp_path, text, seconds=20, megabytes=1024):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    return limits.judged(path, seconds, megabytes)


def judged_compiled(tmp_path, text, seconds):
    """The verdict and its seconds: twice as many, as the hint says, while they were not enough for compiling."""
    while True:
        verdict, _ = judged(tmp_path, text, seconds)
        if seconds > 100 or "still compiling" not in verdict.findings[-1].text:
            return verdict, seconds
        seconds *= 2


def test_a_file_is_judged_in_a_process_of_its_own_and_what_it_prints_is_shown(tmp_path):
    verdict, printed = judged(tmp_path, "import os\nprint(os.getpid())\n" + LINEAR)
    assert verdict.passed and int(printed[0]) != os.getpid()
    assert f"Your file printed:\n  {printed[0]}" in text_of(verdict, printed)


@pytest.mark.parametrize("where", ["in the file", "in the function", "compiled", "in the kernel"])
def test_an_endless_loop_ends_in_its_line(tmp_path, where):
    forever = "    while True:\n        pass\n"
    text, line = {
        "in the file": (LINEAR + "while True:\n    pass\n", None),
        "in the function": (HEAD + forever, None),
        "compiled": ("from numba import njit\n" + HEAD.replace("def ", "@njit\ndef ") + "    i = 0\n" + forever, "?"),
        "in the kernel": (SAXPY + forever, None),
    }[where]
    verdict, seconds = judged_compiled(tmp_path, text, 10 if where == "compiled" else 2)
    assert not verdict.passed and verdict.mistakes == ["endless loop"]
    finding = verdict.findings[-1]
    assert finding.check == f"it is done within {seconds} seconds"
    assert any("NUMBA_DISABLE_JIT=1" in hint for hint in finding.hints) == (where == "compiled")
    if line is None:
        assert finding.text.startswith("still running, in line ") and (
            "pass" in finding.text or "while" in finding.text
        )


def test_compiling_is_not_called_a_loop():
    for call in ('"numba/dispatcher.py", line 9 in _compile_for_args', '"/v/numba/core/ssa.py", line 9 in run'):
        trace = f"Timeout (0:00:02)!\nThread 0x1:\n  File {call}\n"
        finding = limits._ended(1, trace, SOLUTIONS / "stft.py", 2, 1024, [])
        assert finding.text == "Numba was still compiling it" and finding.mistakes == []
        assert "--seconds 4" in finding.hints[0]


def test_an_endless_loop_in_compiled_code_is_told_by_its_line_without_compilation(tmp_path, monkeypatch):
    """As the hint says; with it, the line is that of the call, and the hint says so."""
    loops = "from numba import njit\n@njit\ndef loops(n):\n    while n > 0:\n        n += 1\n    return n\n"
    text = loops + HEAD + "    return loops(len(dy))\n"
    verdict, _ = judged_compiled(tmp_path, text, 8)
    finding = verdict.findings[-1]
    assert finding.text.endswith("return loops(len(dy))") and "If this line calls a compiled" in finding.hints[1]
    monkeypatch.setattr(limits.config, "DISABLE_JIT", 1)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    verdict, _ = judged(tmp_path, text, seconds=2)
    finding = verdict.findings[-1]
    assert finding.text.endswith(("while n > 0:", "n += 1")) and len(finding.hints) == 1


def test_the_thread_that_goes_on_is_named_and_not_those_that_wait_for_it(tmp_path):
    text = (SOLUTIONS / "cuda_block_sum.py").read_text()
    barrier = "    cuda.syncthreads()  # all numbers are there\n"
    text = text.replace(barrier, f"{barrier}    while t == 5:\n        i += 1\n{barrier}")
    verdict, _ = judged(tmp_path, text, seconds=2)
    assert verdict.findings[-1].text.endswith(("while t == 5:", "i += 1"))


def test_threads_that_come_to_a_barrier_for_ever_are_told_by_its_line(tmp_path):
    verdict, _ = judged(tmp_path, SUM.replace("        half //= 2\n", ""), seconds=3)
    assert verdict.findings[-1].text.startswith("still running, in line 18: cuda.syncthreads()")
    assert verdict.mistakes == ["endless loop"]


def test_a_right_file_passes_although_there_was_no_time_left_to_time_it(tmp_path):
    """Our own kernel beside it is compiled at first, which a slow machine has no time for."""
    text = LINEAR.replace("    return dx", "    while x.shape == (32, 64):\n        pass\n    return dx")
    verdict, _ = judged(tmp_path, text, seconds=8)
    assert verdict.passed and verdict.notes == ["time: not measured, since 8 seconds were over"]


def test_what_was_found_before_an_endless_loop_is_kept(tmp_path):
    slow = LINEAR.replace("    return dx", "    while x.shape[0] == 5:\n        pass\n    return dx")
    verdict, _ = judged(tmp_path, slow, seconds=4)
    assert [finding.passed for finding in verdict.findings] == [True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os\nos._exit(3)\n" + LINEAR, "the file ended the process, status 3"),
        ("import ctypes\nctypes.string_at(0)\n" + LINEAR, "ended by SIGSEGV, in line 2: ctypes.string_at(0)"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n" + LINEAR, "ended by SIGKILL"),
    ],
    ids=["exit", "segmentation fault", "killed"],
)
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_crash_ends_in_a_message(tmp_path, text, said):
    verdict, _ = judged(tmp_path, text)
    assert not verdict.passed and said in verdict.findings[-1].text and "Traceback" not in text_of(verdict)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited where the system tells its use")
def test_memory_is_limited(tmp_path):
    verdict, _ = judged(tmp_path, "import numpy as np\nfull = np.ones(2 * 10**9 // 8)\n" + LINEAR)
    assert "line 2: full" in verdict.findings[-1].text and "MemoryError" in verdict.findings[-1].text
    verdict, _ = judged(tmp_path, "import numpy as np\nfull = np.ones(2 * 10**8 // 8)\n" + LINEAR)
    assert verdict.passed


def test_a_flood_of_output_is_held(tmp_path):
    flood = LINEAR.replace("    dx = np", "    print('x' * 10**6, flush=True)\n" * 30 + "    dx = np")
    verdict, printed = judged(tmp_path, flood)
    assert not verdict.passed and sum(map(len, printed)) < 2**25


def test_processes_that_a_file_has_started_end_with_it(tmp_path):
    mark = tmp_path / "alive"
    child = f"import time\nwhile True:\n    open({str(mark)!r}, 'a').write('.')\n    time.sleep(0.1)\n"
    start = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(1)\n"
    judged(tmp_path, start + LINEAR)
    size = mark.stat().st_size
    subprocess.run([sys.executable, "-c", "import time; time.sleep(0.6)"], check=True)
    assert size and mark.stat().st_size == size


def test_a_file_beside_the_learners_does_not_take_a_modules_name(tmp_path):
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('taken')\n")  # the judge has not imported the real one
    (tmp_path / "mine_too.py").write_text("TWO = 2\n")
    verdict, _ = judged(tmp_path, "import colorsys\nfrom mine_too import TWO\n" + LINEAR)
    assert verdict.passed, verdict.failures


def test_a_fault_of_the_checker_is_not_called_the_learners(tmp_path, monkeypatch):
    """Anything but the learner's errors goes on as it is."""

    def broken(*arguments):
        raise RuntimeError("the checker's own")

    monkeypatch.setattr(learner, "function_of", broken)
    path = tmp_path / "mine.py"
    path.write_text(LINEAR)
    with pytest.raises(RuntimeError, match="the checker's own"):
        judge(path)
    said = limits._ended(1, "", path, 60, 1024, ["Traceback (most recent call last):", "RuntimeError: oh"])
    assert said.check == "the checker did its part" and "RuntimeError: oh" in said.text


def test_without_compilation_there_is_no_time(tmp_path, monkeypatch):
    """NUMBA_DISABLE_JIT=1 is how a learner steps through compiled loops."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    verdict, _ = limits.judged(SOLUTIONS / "conv2d_forward.py")
    assert verdict.passed and verdict.notes[0].startswith("time: not measured")


# ---- the command ----------------------------------------------------------------------------------------------------


def test_a_kernel_whose_text_does_not_stand_alone_is_judged(tmp_path):
    head, kernel = SUM.split("@cuda.jit\n")
    indented, line = textwrap.indent(f"@cuda.jit\n{kernel}", "    "), "            half //= 2\n"
    indented = indented.replace(line, f"# a remark\n{line}")
    verdict, _ = judged(tmp_path, f"{head}if True:\n{indented}")
    assert verdict.passed


def test_a_path_with_backslashes_is_told_by_its_line(tmp_path):
    verdict, _ = judged(tmp_path, LINEAR + 'open("C:\\Users\\me")\n')
    (finding,) = verdict.findings
    assert f"line {LINEAR.count(chr(10)) + 1}," in finding.text and 'r"..."' in finding.hints[0]


def test_a_word_in_a_comment_compiles_nothing(tmp_path):
    verdict, _ = judged(tmp_path, f"# no @njit here\nwhile True: pass\n{LINEAR}", seconds=2)
    assert verdict.mistakes == ["endless loop"] and len(verdict.findings[-1].hints) == 1
    assert verdict.passes == 0 and not verdict.findings[-1].counts


def test_the_command_says_passed_or_not_yet_by_its_exit_code(capsys):
    assert command.main([str(SOLUTIONS / "stft.py")]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].startswith("stft   ") and said.rstrip().endswith("Passed: all 3 checks.")
    assert "time: yours" in said and "ours" in said and "noisy" in said
    assert command.main([str(STUBS / "stft.py")]) == 1
    assert "Not yet: 0 of 3 checks passed, 3 not reached." in capsys.readouterr().out


def test_a_class_becomes_a_table(tmp_path, capsys):
    for student, text in {
        "anna": LINEAR,
        "ben": LINEAR.replace("dW[d, k] +=", "dW[d, k] ="),
        "cem": "while True: pass\n" + LINEAR,
        "dana": "x = 1\n",
        "eric": LINEAR.replace("    return dx", "    return (dx"),
    }.items():
        folder = tmp_path / "class" / student
        folder.mkdir(parents=True)
        (folder / "answer.py").write_text(text)
    (tmp_path / "class" / ".hidden").mkdir()
    (tmp_path / "class" / ".hidden" / "answer.py").write_text(LINEAR)
    table = tmp_path / "grades.csv"
    assert command.main([str(tmp_path / "class"), "--csv", str(table), "--seconds", "6"]) == 0
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["exercise"], row["passed"]) for row in rows] == [
        ("anna/answer.py", "linear_backward", "yes"),
        ("ben/answer.py", "linear_backward", "no"),
        ("cem/answer.py", "linear_backward", "no"),
        ("dana/answer.py", "", "no"),
        ("eric/answer.py", "linear_backward", "no"),
    ]
    assert [row["recognised"] for row in rows] == ["", "missing accumulate", "endless loop", "", ""]
    assert [row["checks passed"] for row in rows] == ["8", "5", "0", "0", "0"]
    assert [row["checks"] for row in rows] == ["8", "8", "8", "", "8"], "of one exercise the total is the same"
    assert rows[2]["first failure"].startswith("it is done within 6 seconds: still running, in line 1")
    assert "5 files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.py"], "there is no nowhere.py"),
        ([str(SOLUTIONS)], "is a folder: say where the table goes, --csv grades.csv"),
        ([str(SOLUTIONS / "stft.py"), "--csv", "g.csv"], "--csv goes with a folder"),
        ([str(SOLUTIONS / "stft.py"), "--seconds", "0"], "0 is not at least 1"),
    ],
)
def test_wrong_use_is_answered(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2 and said in capsys.readouterr().err
