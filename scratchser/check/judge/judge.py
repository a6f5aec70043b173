"""Judge one file in this process. limits.py runs this in a process of its own."""

from collections.abc import Callable
from pathlib import Path

from scratchser.check.exercises import NAMES, load
from scratchser.check.exercises.exercise import CpuExercise, CudaExercise
from scratchser.check.judge import cpu, cuda, learner
from scratchser.check.judge.source import Refused, exercise_of
from scratchser.check.judge.verdict import Finding, Verdict


def judge(path: Path, report: Callable[[Verdict], None] = lambda verdict: None) -> Verdict:
    """A verdict, whatever the file does unless it ends the process. `report` gets it after every finding."""
    verdict = Verdict(str(path))
    try:
        verdict.exercise = exercise_of(path, NAMES)
        exercise = load(verdict.exercise)
        verdict.checks = exercise.checks
        report(verdict)
        module = learner.load(path)
        function = learner.function_of(module, exercise.name, exercise.parameters)
        if isinstance(exercise, CudaExercise):
            findings = cuda.judge(exercise, module, function, verdict.notes)
        else:
            assert isinstance(exercise, CpuExercise)
            learner.check_bounds(module)
            findings = cpu.judge(exercise, function, path, verdict.notes)
        for finding in findings:
            verdict.findings.append(finding)
            report(verdict)
    except Refused as error:
        if error.exercise:
            verdict.exercise, verdict.checks = error.exercise, load(error.exercise).checks
        verdict.findings.append(error.finding())
    except learner.Raised as error:
        assert error.__cause__
        verdict.findings.append(Finding("it runs", False, *learner.explained(error.__cause__, path), counts=False))
    verdict.finished = True
    report(verdict)
    return verdict
