"""Judge one file in this process. limits.py runs this in a separate process."""

from collections.abc import Callable, Iterator
from pathlib import Path

from scratchser.check.exercises import load
from scratchser.check.exercises.exercise import CpuExercise, CudaExercise, Exercise
from scratchser.check.judge import cpu, cuda
from scratchser.check.judge.learner import Learner
from scratchser.check.judge.source import begin
from scratchser.check.judge.verdict import Failed, Finding, Verdict


def judge(path: Path, report: Callable[[Verdict], None] = lambda verdict: None, drawing: Path | None = None) -> Verdict:
    """A verdict, whatever the file does unless it ends the process. `report` gets it after every finding. A CUDA kernel
    is drawn in the file `drawing`."""
    verdict = begin(path)
    if verdict.finished:
        return verdict
    exercise = load(verdict.exercise)
    verdict.checks, verdict.hints = exercise.checks, exercise.hints()
    report(verdict)
    try:
        for finding in _findings(path, exercise, verdict.notes, drawing):
            verdict.findings.append(finding)
            report(verdict)
    except Failed as failed:
        verdict.findings.append(failed.finding)
    verdict.finished = True
    verdict.hints = exercise.hints(verdict.cause.parts if verdict.cause else [])
    report(verdict)
    return verdict


def _findings(path: Path, exercise: Exercise, notes: list[str], drawing: Path | None) -> Iterator[Finding]:
    """One finding after the other. Raises Failed where the rest would repeat the same error."""
    learner = Learner(path, exercise)
    if isinstance(exercise, CudaExercise):
        yield from cuda.findings(exercise, learner, notes, drawing)
    else:
        assert isinstance(exercise, CpuExercise)
        yield from cpu.findings(exercise, learner, notes)
