"""The exercises: their reference implementations, their known mistakes, stubs and solutions."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scratchser import reference
from scratchser.check.exercises import NAMES, load, lstm_backward
from scratchser.check.exercises.exercise import CpuExercise, CudaExercise, filled, name_of
from scratchser.check.judge.compare import Trial, recognised
from scratchser.check.judge.judge import judge
from scratchser.check.judge.verdict import COLUMNS

ROOT = Path(__file__).parents[2]
SOLUTIONS, STUBS = ROOT / "tests" / "check" / "solutions", ROOT / "tutorials" / "exercises"

every_exercise = pytest.mark.parametrize("name", NAMES)


def cases_of(name):
    """Case -> arguments as the judge passes them, and the reference implementation."""
    exercise = load(name)
    if isinstance(exercise, CpuExercise):
        return {case: filled(a) for case, a in exercise.cases().items()}, exercise.reference
    constant, smallest, _ = exercise.constant
    size = max(smallest, 4)
    cases = {case: filled(launch.arguments) for case, launch in exercise.cases(size).items()}
    return cases, lambda a, mistake: exercise.reference(a, mistake, **{constant: size})


# ---- the reference implementations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "op", [reference.stft, reference.vtlp, reference.conv2d], ids=["stft", "vtlp", "conv2d_forward"]
)
def test_the_reference_agrees_with_the_package(op, request):
    cases, reference_of = cases_of(request.node.callspec.id)
    for a in cases.values():
        (expected,) = reference_of(a, "").values()
        np.testing.assert_allclose(op.forward(*a.values()), expected, rtol=1e-10, atol=1e-11)


def test_the_lstm_of_one_direction_is_half_of_the_bi_lstm():
    a = lstm_backward.arguments((4, 2, 3), D=3, H=2)
    b = np.linspace(-1, 1, 8)
    both = {name: np.stack([a[name]] * 2, axis=axis) for name, axis in (("Wx", 1), ("Wh", 0), ("h0", 0), ("c0", 0))}
    expected = reference.lstm.forward(np.nan_to_num(a["x"]), a["lengths"], b=np.stack([b] * 2), **both)
    y, _, _ = lstm_backward.forward(a["x"], a["lengths"], a["Wx"], a["Wh"], b, a["h0"], a["c0"])
    np.testing.assert_allclose(y, expected[:, :, :2], rtol=1e-13)


# ---- the known mistakes ---------------------------------------------------------------------------------------------


@every_exercise
def test_every_mistake_changes_the_numbers_and_different_names_have_different_numbers(name):
    """Otherwise the judge would name a mistake that is none, or the wrong one."""
    cases, reference_of = cases_of(name)
    numbers = {
        mistake: [np.concatenate([np.ravel(v) for v in reference_of(a, mistake).values()]) for a in cases.values()]
        for mistake in ["", *load(name).mistakes]
    }

    def same(one, other):
        return all(np.allclose(p, q, rtol=1e-6, atol=1e-9, equal_nan=True) for p, q in zip(one, other, strict=True))

    pairs = itertools.combinations(numbers, 2)
    assert [pair for pair in pairs if name_of(pair[0]) != name_of(pair[1]) and same(*map(numbers.get, pair))] == []


@every_exercise
def test_unknown_numbers_get_no_name(name):
    """One wrong element, or a small error in all of them."""
    cases, reference_of = cases_of(name)
    (case, a), *_ = cases.items()
    right = reference_of(a, "")
    for spoil in (lambda v: v * 1.001, lambda v: v + (np.arange(v.size) == 0).reshape(v.shape)):
        got = {output: np.asarray(spoil(value)) for output, value in right.items()}
        trial = Trial(case, a, got, right, 1e-9)
        wrong = [output for output in got if not trial.right(output).all()]
        mistakes = recognised(replace(load(name), reference=reference_of), [trial], wrong)
        assert wrong and mistakes == {output: [] for output in wrong}


def test_a_mistake_that_explains_every_output_comes_before_one_that_explains_a_single_output():
    def reference_of(a, mistake):
        return {"p": a["x"] + (mistake in ("one", "two")), "q": a["x"] + (mistake == "two")}

    known = {"mistakes": {"one": "", "two": ""}, "axes": {"p": (), "q": ()}}
    exercise = CpuExercise(cases=dict, timed=dict, reference=reference_of, **known)
    a = {"x": np.arange(3.0)}

    def mistakes(p, q):
        trial = Trial("", a, {"p": a["x"] + p, "q": a["x"] + q}, reference_of(a, ""), 1e-9)
        return recognised(exercise, [trial], [output for output, error in (("p", p), ("q", q)) if error])

    assert mistakes(1, 0) == {"p": ["one"]}
    assert mistakes(1, 1) == {"p": ["two"], "q": ["two"]}
    assert mistakes(1, 5) == {"p": ["one", "two"], "q": []}


# ---- stubs and solutions --------------------------------------------------------------------------------------------


def test_every_exercise_has_a_stub_a_solution_and_a_line_in_the_page():
    names = sorted(NAMES)
    assert names == sorted(file.stem for file in STUBS.glob("*.py"))
    assert names == sorted(file.stem for file in SOLUTIONS.glob("*.py"))
    page = (ROOT / "docs" / "exercises.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{name}.py`" not in page] == []
    assert [column for column in COLUMNS if f"`{column}`" not in page] == []


@every_exercise
def test_a_stub_is_reported_as_not_written(name):
    verdict = judge(STUBS / f"{name}.py")
    assert verdict.exercise == name and not verdict.passed
    (finding,) = verdict.findings
    assert "the body is not written yet" in finding.text and finding.mistakes == []
    assert f"0 of {verdict.checks} checks passed, {verdict.checks} not reached" in verdict.as_text()
    assert f"python -m scratchser.check tutorials/exercises/{name}.py" in (STUBS / f"{name}.py").read_text()


@every_exercise
def test_a_solution_passes_all_checks(name, tmp_path, monkeypatch):
    """Not compiled and not timed beside the package's kernel: both take long, and the slow test does both."""
    exercise = load(name)
    if not isinstance(exercise, CudaExercise):
        monkeypatch.setattr("scratchser.check.judge.judge.load", lambda name: replace(exercise, package=None))
    path = tmp_path / "answer.py"
    path.write_text((SOLUTIONS / f"{name}.py").read_text().replace("@njit\n", ""))
    verdict = judge(path)
    assert verdict.passed, verdict.failures
    assert exercise.checks == verdict.checks == len(verdict.findings)


@pytest.mark.slow
@every_exercise
def test_a_compiled_solution_passes_and_is_timed_beside_the_package(name):
    verdict = judge(SOLUTIONS / f"{name}.py")
    assert verdict.passed, verdict.failures
    assert verdict.notes[0].startswith(("time: yours", "accesses in"))
