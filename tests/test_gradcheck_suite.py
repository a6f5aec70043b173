"""The gradient checks of the package: markers, a line for each gradient, and the examples of docs/gradcheck.md."""

import re
from pathlib import Path

import pytest
from process import python

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "gradcheck.md").read_text(encoding="utf-8")


def test_verbose_runs_print_a_line_for_each_gradient():
    arguments = ["-v", "-p", "no:cacheprovider", "-m", "gradcheck and linear", "tests/kernels/test_linear.py"]
    lines = python("-m", "pytest", *arguments, cwd=ROOT).stdout.splitlines()
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
