"""The judgement of one file, in this process; limits.py gives it a process of its own."""

from collections.abc import Callable
from pathlib import Path

from scratchser.check.exercises import EXERCISES
from scratchser.check.exercises.exercise import CudaExercise
from scratchser.check.judge import cpu, cuda, learner
from scratchser.check.judge.verdict import Finding, Verdict


def checks_of(name: str) -> int:
    """What a right file passes, and so the total of all files of this exercise, however far they come; 0 for none."""
    if not name:
        return 0
    exercise = EXERCISES[name]
    return cuda.checks_of(exercise) if isinstance(exercise, CudaExercise) else cpu.checks_of(exercise)


def judge(path: Path, heard: Callable[[Verdict], None] = lambda verdict: None) -> Verdict:
    """Whatever the file does short of ending the process: a verdict. `heard` gets it after every finding."""
    verdict = Verdict(str(path))

    def found(finding: Finding) -> None:
        verdict.findings.append(finding)
        heard(verdict)

    try:
        verdict.exercise = learner.exercise_of(path, EXERCISES)
        exercise = EXERCISES[verdict.exercise]
        verdict.checks = checks_of(exercise.name)
        module = learner.load(path)
        function = learner.function_of(module, exercise.name, exercise.parameters)
        if isinstance(exercise, CudaExercise):
            cuda.judge(exercise, module, function, found, verdict.notes)
        else:
            learner.with_bounds_checked(module)
            cpu.judge(exercise, function, path, found, verdict.notes)
    except learner.Refused as error:
        verdict.exercise = verdict.exercise or error.exercise
        verdict.checks = checks_of(verdict.exercise)
        found(Finding("the file can be judged", False, str(error), error.hints, counts=False))
    except learner.Raised as error:
        assert error.__cause__
        text, hints = learner.explained(error.__cause__, path)
        found(Finding("it runs", False, text, hints, counts=False))
    verdict.finished = True
    heard(verdict)
    return verdict
