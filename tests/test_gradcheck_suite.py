"""The gradient checks as a product: parts by marker, a line for each gradient, and docs/gradcheck.md true."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scratchser.gradcheck import check, complex_step, heard_by, require

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "gradcheck.md").read_text(encoding="utf-8")


def pytest_says(*arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def collected(expression):
    """Among some files, since to collect all of them takes seconds."""
    files = [f"tests/kernels/test_{name}.py" for name in ("linear", "linear_cuda", "lstm", "precision", "stft")]
    lines = pytest_says("--collect-only", "-q", "-m", expression, *files).splitlines()
    return [line for line in lines if "::" in line]


def test_a_marker_runs_the_tests_of_its_op_only_and_no_slow_ones():
    names = collected("linear")
    assert {name.partition("::")[0] for name in names} == {
        "tests/kernels/test_linear.py",
        "tests/kernels/test_linear_cuda.py",
    }
    both = collected("gradcheck and linear")
    assert both and set(both) < set(names) and all("gradient" in name for name in both)
    slow = collected("slow")
    assert "tests/kernels/test_precision.py::test_float32_kernels_do_not_calculate_in_float64[lstm]" in slow
    assert not set(slow) & set(collected("lstm or not linear"))


def test_every_op_has_a_marker_and_a_test_for_it():
    names = pytest_says("--markers")
    for op in (file.stem for file in (ROOT / "kernels").glob("[!_]*.py")):
        assert f"@pytest.mark.{op}: " in names


def test_verbose_runs_print_a_line_for_each_gradient():
    lines = pytest_says("-v", "-m", "gradcheck and linear", "tests/kernels/test_linear.py").splitlines()
    (at,) = (i for i, line in enumerate(lines) if "test_gradients[odd]" in line)
    found = [line for line in lines[at + 1 : at + 6] if line.startswith("    ok   d")]
    assert [line.split(":")[0].strip() for line in found] == ["ok   dx", "ok   dW", "ok   db"]
    assert all(re.search(r"error \d\.\de-\d+, limit \d\.\de-\d+ at .*, \d+ probes", line) for line in found)
    assert "probes" not in pytest_says("-q", "-m", "gradcheck and linear", "tests/kernels/test_linear.py")


# ---- the page -------------------------------------------------------------------------------------------------------

PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
OUTPUTS = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def without_rounding(text):
    """Errors are rounding, and another processor's is another."""
    return re.sub(r"error [\d.e-]+", "error", text)


def output_of(program, capsys):
    names: dict = {}
    exec(compile(program, "gradcheck.md", "exec"), names)
    return capsys.readouterr().out, names


def test_the_example_prints_what_the_page_says(capsys):
    printed, _ = output_of(PROGRAMS[0], capsys)
    assert without_rounding(printed) == without_rounding(OUTPUTS[0])


def test_the_wrong_example_prints_what_the_page_says(capsys):
    wrong = PROGRAMS[0].replace("dz = dy * (1 - np.tanh(x @ W) ** 2)", "dz = dy")
    assert wrong != PROGRAMS[0]
    with pytest.raises(AssertionError, match="backward is not the derivative"):
        output_of(wrong, capsys)
    assert without_rounding(capsys.readouterr().out) == without_rounding(OUTPUTS[1])


def test_the_other_programs_of_the_page_run(capsys):
    _, names = output_of(PROGRAMS[0], capsys)
    names["backward_of_the_layer"] = names["backward"]
    for program in PROGRAMS[1:]:
        exec(compile(program, "gradcheck.md", "exec"), names)


# ---- what the product added to the tester ---------------------------------------------------------------------------


def two_outputs(x, W):
    return x @ W, (x**2).sum(axis=0)


def backward_of_two(dy, x, W, of_square=2.0):
    return {"x": dy[0] @ W.T + of_square * x * dy[1], "W": x.T @ dy[0]}


INPUTS = {"x": np.linspace(-1, 2, 6).reshape(2, 3), "W": np.linspace(1, 3, 12).reshape(3, 4)}


@pytest.mark.parametrize("examine", [check, complex_step])
def test_a_forward_of_several_outputs_is_checked_through_all_of_them(examine):
    require(examine(two_outputs, backward_of_two, INPUTS))
    reports = examine(two_outputs, lambda dy, x, W: backward_of_two(dy, x, W, 2.1), INPUTS)
    assert [report.passed for report in reports] == [False, True]


def test_a_forward_may_be_a_number():
    require(check(lambda x: float((x**2).sum()), lambda dy, x: {"x": 2 * x * dy}, {"x": np.arange(1.0, 4)}))
    assert not check(lambda x: float((x**2).sum()), lambda dy, x: {"x": x * dy}, {"x": np.arange(1.0, 4)})[0].passed


def test_a_failure_says_both_numbers_and_their_factor():
    (report,) = check(lambda x: x**2, lambda dy, x: {"x": -6 * x * dy}, {"x": np.array([2.0])})
    assert report.backward == pytest.approx(-3 * report.numerical) and "is -3 times the differences' " in str(report)
    (report,) = check(lambda x: 0 * x, lambda dy, x: {"x": dy}, {"x": np.array([2.0])})
    assert " times " not in str(report) and str(report).endswith("backward's 0.12573 should be the differences' 0")


def test_reports_are_heard_while_somebody_listens():
    heard = []
    with heard_by(heard.append):
        reports = check(two_outputs, backward_of_two, INPUTS)
        reports += complex_step(two_outputs, backward_of_two, INPUTS)
    check(two_outputs, backward_of_two, INPUTS)
    assert heard == reports
