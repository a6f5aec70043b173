"""Judge a function of arrays: its form, its outputs, reading past the end of an utterance, its gradients, its time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from scratchser import gradcheck
from scratchser.check.exercises.exercise import NONE, Arguments, CpuExercise, Differences, Outputs, copied, filled
from scratchser.check.judge import timing
from scratchser.check.judge.compare import Trial, compare, where
from scratchser.check.judge.learner import Learner
from scratchser.check.judge.padding import past_the_end
from scratchser.check.judge.verdict import ERROR, Failed, Finding

TOLERANCE = 1e-9  # relative to the largest expected number, in float64
SINGLE = 1e-4  # the same in float32


def findings(exercise: CpuExercise, learner: Learner, notes: list[str]) -> Iterator[Finding]:
    """One finding after the other. Raises Failed where the rest would repeat the same error."""
    learner.check_bounds()
    cases = exercise.cases()
    yield _form(exercise, learner, next(iter(cases.values())))
    trials: list[Trial] = []
    for name, arguments in cases.items():
        try:
            trials.append(_trial(exercise, learner, name, arguments))
        except Failed as failed:
            yield from (finding for finding in compare(exercise, trials, learner.source) if not finding.passed)
            yield replace(failed.finding, check=f'it runs in the case "{name}"', rank=ERROR, counts=True)
            return
    if not learner.source.early:  # which leaves elements unwritten
        _refuse_other_numbers(exercise, learner, trials)
    outputs = compare(exercise, trials, learner.source)
    yield from outputs
    right = all(finding.passed for finding in outputs)
    if right:
        yield _single_precision(exercise, learner, trials[0])
    expected = {trial.name: trial.expected for trial in trials}
    yield from past_the_end(cases, trials, lambda name, a: call(exercise, learner, a, expected[name]))
    yield from _finite_differences(exercise, learner)
    if right:
        notes += timing.compared(exercise, Learner(learner.path, exercise))  # again: checked bounds take time


def call(exercise: CpuExercise, learner: Learner, arguments: Arguments, expected: Outputs) -> Outputs:
    """Copies of what the function returns and changes. It works on these arguments; the outputs' shapes are expected.

    Raises Failed if that is not what the exercise asks for.
    """
    before = copied(arguments)
    _poison_free_memory(expected, arguments)
    with learner.running(), np.errstate(all="ignore"):  # compiled by Numba it does not warn either
        result = learner.function(*arguments.values())
    names = exercise.returns
    several = isinstance(result, tuple) or (isinstance(result, list) and len(names) > 1)
    returned = () if result is None else result if several else (result,)
    problem = _problem(exercise, returned, expected)
    if not returned and names:
        problem += f"\n{learner.source.nothing}"
    if problem:
        raise Failed(Finding("it returns what it should", False, problem, parts=["return"]))
    for parameter in arguments:
        same = np.array_equal(before[parameter], arguments[parameter], equal_nan=True)
        if parameter not in exercise.changes and not same:
            text = f"{parameter} is changed, but the caller still needs it"
            hint = "Work on a copy, or write to a new array."
            raise Failed(Finding("arguments are not changed", False, text, [hint]))
    outputs = dict(zip(names, returned, strict=True)) | {name: arguments[name] for name in exercise.changes}
    return {name: np.array(value) for name, value in outputs.items()}


def _problem(exercise: CpuExercise, returned: Sequence, expected: Outputs) -> str:
    """What is wrong with the number, types and shapes of the returned arrays; empty if nothing is."""
    names = exercise.returns
    if len(returned) != len(names):
        count = f"{len(returned)} arrays" if returned else "nothing"
        if len(returned) == 1:
            count = f"one {type(returned[0]).__name__}"
        written = f"; it writes to {', '.join(exercise.changes)} in place" if exercise.changes else ""
        return f"{exercise.name} returns {count}, but must return {', '.join(names) or 'nothing'}{written}"
    for name, value in zip(names, returned, strict=True):
        if type(value) is not np.ndarray and not isinstance(value, float | np.floating):
            return f"{name} is a {type(value).__name__}, not a {'NumPy array' if expected[name].ndim else 'float'}"
        if np.shape(value) != expected[name].shape:
            return f"{name} has shape {np.shape(value)}, should be {expected[name].shape}"
        if np.asarray(value).dtype.kind != "f":
            return f"{name} is {np.asarray(value).dtype}, should have the arguments' dtype"
    return ""


def _poison_free_memory(expected: Outputs, arguments: Arguments) -> None:
    """Leave NaN in free memory of the outputs' sizes, so that np.empty does not give zeros by chance."""
    arrays = (value for value in arguments.values() if isinstance(value, np.ndarray))
    for dtype in {array.dtype for array in arrays if array.dtype.kind == "f"}:
        for value in expected.values():
            _ = [np.full(value.shape, np.nan, dtype) for _ in range(8)]  # NumPy keeps 7 freed blocks of a size


def _form(exercise: CpuExercise, learner: Learner, arguments: Arguments) -> Finding:
    """Checks the dtypes. Raises Failed if they are wrong."""
    arguments = filled(arguments)
    expected = _expected(exercise, arguments)
    for dtype in (np.float64, np.float32):
        outputs = call(exercise, learner, copied(arguments, dtype), expected)
        for output in exercise.returns:
            if outputs[output].ndim and outputs[output].dtype != dtype:
                text = f"{output} is {outputs[output].dtype}, but all arguments are {np.dtype(dtype)}"
                hint = "Create arrays like the arguments: np.zeros(shape, x.dtype), np.zeros_like(x)."
                raise Failed(Finding("shapes and dtypes", False, text, [hint]))
    return Finding("shapes and dtypes, float32 and float64", True)


def _single_precision(exercise: CpuExercise, learner: Learner, trial: Trial) -> Finding:
    """The first case, which is right in float64, in float32."""
    outputs = call(exercise, learner, copied(trial.arguments, np.float32), trial.expected)
    single = Trial(trial.name, trial.arguments, outputs, trial.expected, SINGLE)
    wrong = [output for output in exercise.axes if not single.right(output).all()]
    if not wrong:
        return Finding("float32 is right to its rounding", True)
    text = f'"{trial.name}": {where(single, wrong[0], exercise.axes[wrong[0]])}'
    return Finding("float32 is right to its rounding", False, text, ["In float64 it is right: what is rounded here?"])


def _expected(exercise: CpuExercise, arguments: Arguments) -> Outputs:
    return {name: np.asarray(value) for name, value in exercise.reference(arguments, NONE).items()}


def _trial(exercise: CpuExercise, learner: Learner, name: str, arguments: Arguments) -> Trial:
    arguments = filled(arguments)
    expected = _expected(exercise, arguments)
    return Trial(name, arguments, call(exercise, learner, copied(arguments), expected), expected, TOLERANCE)


def _refuse_other_numbers(exercise: CpuExercise, learner: Learner, trials: list[Trial]) -> None:
    """Raises Failed if, in a case that is wrong, the same arguments give other numbers again."""
    for trial in trials:
        if all(trial.right(output).all() for output in exercise.axes):
            continue
        again = call(exercise, learner, copied(trial.arguments), trial.expected)
        for output, first in trial.outputs.items():
            if np.isfinite(first).all() and not np.array_equal(again[output], first):
                text = f'"{trial.name}": {output} has other numbers when the function is called again'
                hint = "Is it random, does it keep an array between calls, or does it read unwritten memory (np.empty)?"
                raise Failed(Finding("the same arguments give the same numbers", False, text, [hint]))


def _finite_differences(exercise: CpuExercise, learner: Learner) -> Iterator[Finding]:
    for differences, probes in zip(exercise.gradients(), ("every coordinate", "random directions"), strict=False):
        expected = _expected(exercise, filled(differences.arguments))
        backward = partial(_gradients, exercise, learner, differences, expected)
        for report in gradcheck.check(differences.forward, backward, differences.inputs, **differences.options):
            yield Finding(f"finite differences of d{report.name}, {probes}", report.passed, str(report)[5:])


def _gradients(
    exercise: CpuExercise, learner: Learner, differences: Differences, expected: Outputs, dy: np.ndarray,
    **inputs: np.ndarray,
) -> Outputs:  # fmt: skip
    """The learner's gradients of the inputs; those that are added to an argument start with 0."""
    zeros = {name: np.zeros_like(differences.arguments[name]) for name in exercise.changes}
    given = {**differences.arguments, "dy": dy, **inputs, **differences.remembered(**inputs), **zeros}
    outputs = call(exercise, learner, copied({name: given[name] for name in exercise.parameters}), expected)
    factor = 1 if "dy" in exercise.parameters else dy  # a loss has no dy: it is a number, whose gradient is 1
    return {name: factor * outputs["d" + name] for name in inputs}
