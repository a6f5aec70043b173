"""The gradient checks of the package: markers, a line for each gradient, and the examples of docs/gradcheck.md."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "gradcheck.md").read_text(encoding="utf-8")
OPS = [file.stem for file in (ROOT / "kernels").glob("[!_]*.py")]


def output_of_pytest(*arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_op_has_a_marker(pytestconfig):
    markers = pytestconfig.getini("markers")
    assert [op for op in OPS if not any(marker.startswith(f"{op}: ") for marker in markers)] == []


def test_slow_tests_run_only_if_requested():
    """No test of this file is one of stft, so that only the slow ones are deselected."""
    output = output_of_pytest("--collect-only", "-q", "-m", "not stft", "tests/kernels/test_precision.py")
    test = "test_float32_kernels_do_not_calculate_in_float64"
    assert f"{test}[linear]" in output and f"{test}[lstm]" not in output and " deselected" in output


def test_verbose_runs_print_a_line_for_each_gradient():
    """And the markers select the tests of their op only, here without those of stft."""
    files = [f"tests/kernels/{name}.py" for name in ("test_linear", "cuda/test_linear_cuda", "test_stft")]
    lines = output_of_pytest("-v", "-m", "gradcheck and linear", *files).splitlines()
    assert {line.partition("::")[0] for line in lines if "::" in line} == {*files[:2]}
    (index,) = (i for i, line in enumerate(lines) if "test_gradients[odd]" in line)
    found = [line for line in lines[index + 1 : index + 6] if line.startswith("    ok   d")]
    assert [line.split(":")[0].strip() for line in found] == ["ok   dx", "ok   dW", "ok   db"]
    assert all(re.search(r"error \d\.\de-\d+, limit \d\.\de-\d+ at .*, \d+ probes", line) for line in found)


# ---- the page -------------------------------------------------------------------------------------------------------

PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
OUTPUTS = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def without_rounding(text):
    """Errors are rounding errors, and differ between processors."""
    return re.sub(r"error [\d.e-]+", "error", text)


def run(program, names):
    exec(compile(program, "gradcheck.md", "exec"), names)


def test_the_programs_of_the_page_run_and_the_first_prints_its_output(capsys):
    names: dict = {}
    run(PROGRAMS[0], names)
    assert without_rounding(capsys.readouterr().out) == without_rounding(OUTPUTS[0])
    names["backward_of_the_layer"] = names["backward"]
    for program in PROGRAMS[1:]:
        run(program, names)


def test_the_wrong_program_of_the_page_prints_its_output(capsys):
    wrong = PROGRAMS[0].replace("dz = dy * (1 - np.tanh(x @ W) ** 2)", "dz = dy")
    assert wrong != PROGRAMS[0]
    with pytest.raises(AssertionError, match="backward is not the derivative"):
        run(wrong, {})
    assert without_rounding(capsys.readouterr().out) == without_rounding(OUTPUTS[1])
