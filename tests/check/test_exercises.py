"""The exercises: their known mistakes, stubs and solutions."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scratchser.check.exercises import NAMES, load
from scratchser.check.exercises.exercise import CpuExercise, CudaExercise, filled, name_of
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
    return cases, lambda a, mistakes: exercise.reference(a, mistakes, **{constant: size})


# ---- the known mistakes ---------------------------------------------------------------------------------------------


@every_exercise
def test_every_mistake_changes_the_numbers_and_different_names_have_different_numbers(name):
    """Otherwise the judge would name a mistake that is none, or the wrong one."""
    cases, reference_of = cases_of(name)
    with np.errstate(all="ignore"):  # a forgotten ε divides by 0
        numbers = {
            mistake: [
                np.concatenate([np.ravel(v) for v in reference_of(a, {mistake}).values()]) for a in cases.values()
            ]
            for mistake in ["", *load(name).mistakes]
        }

    def same(one, other):
        return all(np.allclose(p, q, rtol=1e-6, atol=1e-9, equal_nan=True) for p, q in zip(one, other, strict=True))

    pairs = itertools.combinations(numbers, 2)
    assert [pair for pair in pairs if name_of(pair[0]) != name_of(pair[1]) and same(*map(numbers.get, pair))] == []


# ---- stubs and solutions --------------------------------------------------------------------------------------------


def test_every_exercise_has_a_stub_a_solution_and_a_line_in_the_page():
    names = sorted(NAMES)
    assert names == sorted(file.stem for file in STUBS.glob("*.py") if not file.stem.endswith("_derive"))
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
