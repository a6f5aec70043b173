"""Judge a function of arrays: its form, its outputs, reading past the end of an utterance, its gradients, its time."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from scratchser import gradcheck
from scratchser.check.exercises.exercise import Arguments, CpuExercise, Differences, Outputs, copied, filled, with_nan
from scratchser.check.judge import learner, timing
from scratchser.check.judge.compare import Trial, compare, where
from scratchser.check.judge.verdict import Finding

TOLERANCE = 1e-9  # relative to the largest expected number, in float64
SINGLE = 1e-4  # the same in float32


class Malformed(Exception):
    """The function's outputs do not have the right form."""


def judge(exercise: CpuExercise, function: Callable, path: Path, notes: list[str]) -> Iterator[Finding]:
    """One finding after the other. Stops where the rest would repeat the same error."""
    try:
        yield from _judge(exercise, function, path, notes)
    except Malformed as error:
        yield Finding("it returns what it should", False, str(error))


def _judge(exercise: CpuExercise, function: Callable, path: Path, notes: list[str]) -> Iterator[Finding]:
    cases = exercise.cases()
    form = _form(exercise, function, next(iter(cases.values())))
    yield form
    if not form.passed:
        return
    trials: list[Trial] = []
    for name, arguments in cases.items():
        try:
            trials.append(_trial(exercise, function, name, arguments))
        except (Malformed, learner.Raised) as error:
            yield from (finding for finding in compare(exercise, trials) if not finding.passed)
            text, hints = learner.explained(error.__cause__, path) if error.__cause__ else (str(error), [])
            yield Finding(f'it runs in the case "{name}"', False, text, hints)
            return
    findings = compare(exercise, trials)
    yield from findings
    right = all(finding.passed for finding in findings)
    if right:
        yield _single_precision(exercise, function, trials[0])
    yield from _past_the_end(exercise, function, cases, trials)
    yield from _finite_differences(exercise, function)
    if right:
        module = learner.load(path)  # again, because the functions used so far check their bounds, which takes time
        notes += timing.compared(exercise, learner.function_of(module, exercise.name, exercise.parameters))


def call(exercise: CpuExercise, function: Callable, arguments: Arguments) -> Outputs:
    """Copies of what the function returns and changes. The function may change the arguments.

    Raises Malformed if that is not what the exercise asks for, Raised if the function raises an error.
    """
    expected = _expected(exercise, filled(arguments))
    _poison_free_memory(expected, arguments)
    with learner.errors_marked(), np.errstate(all="ignore"):  # compiled by Numba it does not warn either
        result = function(*arguments.values())
    names = exercise.returns
    several = isinstance(result, tuple) or (isinstance(result, list) and len(names) > 1)
    returned = () if result is None else result if several else (result,)
    if len(returned) != len(names):
        written = f"; it writes to {', '.join(exercise.changes)} in place" if exercise.changes else ""
        required = f"must return {', '.join(names) or 'nothing'}{written}"
        raise Malformed(
            f"{exercise.name} returns {f'{len(returned)} arrays' if returned else 'nothing'}, but {required}"
        )
    for name, value in zip(names, returned, strict=True):
        if not isinstance(value, np.ndarray | float | np.floating):
            raise Malformed(f"{name} is a {type(value).__name__}, not a NumPy array")
        if np.shape(value) != expected[name].shape:
            raise Malformed(f"{name} has shape {np.shape(value)}, should be {expected[name].shape}")
        if np.asarray(value).dtype.kind != "f":
            raise Malformed(f"{name} is {np.asarray(value).dtype}, should have the arguments' dtype")
    outputs = dict(zip(names, returned, strict=True)) | {name: arguments[name] for name in exercise.changes}
    return {name: np.array(value) for name, value in outputs.items()}


def _poison_free_memory(expected: Outputs, arguments: Arguments) -> None:
    """Leave NaN in free memory of the outputs' sizes, so that np.empty does not give zeros by chance."""
    arrays = (value for value in arguments.values() if isinstance(value, np.ndarray))
    for dtype in {array.dtype for array in arrays if array.dtype.kind == "f"}:
        for value in expected.values():
            _ = [np.full(value.shape, np.nan, dtype) for _ in range(8)]  # NumPy keeps 7 freed blocks of a size


def _form(exercise: CpuExercise, function: Callable, arguments: Arguments) -> Finding:
    """Checks the dtypes, and that no other arguments are changed. Raises Malformed as `call` does."""
    for dtype in (np.float64, np.float32):
        given = copied(filled(arguments), dtype)
        before = copied(given)
        outputs = call(exercise, function, given)
        for output in exercise.returns:
            if outputs[output].ndim and outputs[output].dtype != dtype:
                text = f"{output} is {outputs[output].dtype}, but all arguments are {np.dtype(dtype)}"
                hint = "Create arrays like the arguments: np.zeros(shape, x.dtype), np.zeros_like(x)."
                return Finding("shapes and dtypes", False, text, [hint])
        for parameter, value in before.items():
            changed = isinstance(value, np.ndarray) and not np.array_equal(value, given[parameter])
            if changed and parameter not in exercise.changes:
                text = f"{parameter} is changed, but the caller still needs it"
                return Finding("arguments are not changed", False, text, ["Work on a copy, or write to a new array."])
    return Finding("shapes and dtypes, float32 and float64", True)


def _single_precision(exercise: CpuExercise, function: Callable, trial: Trial) -> Finding:
    """The first case, which is right in float64, in float32."""
    outputs = call(exercise, function, copied(trial.arguments, np.float32))
    single = Trial(trial.name, trial.arguments, outputs, trial.expected, SINGLE)
    wrong = [output for output in exercise.axes if not single.right(output).all()]
    if not wrong:
        return Finding("float32 is right to its rounding", True)
    text = f'"{trial.name}": {where(single, wrong[0], exercise.axes[wrong[0]])}'
    return Finding("float32 is right to its rounding", False, text, ["In float64 it is right: what is rounded here?"])


def _expected(exercise: CpuExercise, arguments: Arguments) -> Outputs:
    return {name: np.asarray(value) for name, value in exercise.reference(arguments, "").items()}


def _trial(exercise: CpuExercise, function: Callable, name: str, arguments: Arguments) -> Trial:
    arguments = filled(arguments)
    outputs = call(exercise, function, copied(arguments))
    return Trial(name, arguments, outputs, _expected(exercise, arguments), TOLERANCE)


def _past_the_end(
    exercise: CpuExercise, function: Callable, cases: dict[str, Arguments], trials: list[Trial]
) -> Iterator[Finding]:
    """The cases with NaN where the function must not read: no output may become NaN. Nothing for cases without NaN."""
    check = "nothing past the end of an utterance is read"
    padded = [trial for trial in trials if with_nan(cases[trial.name])]
    for trial in padded:
        arguments = cases[trial.name]
        for output, value in call(exercise, function, copied(arguments)).items():
            leaked = np.argwhere(np.isnan(value) & ~np.isnan(trial.outputs[output]))
            if len(leaked):
                index = leaked[0].tolist() or ""
                text = f'"{trial.name}": with NaN there in {", ".join(with_nan(arguments))}, {output}{index} is NaN'
                hint = "Stop loops at the utterance's length. Multiplying by 0 is not enough: 0 · NaN is NaN."
                yield Finding(check, False, text, [hint])
                return
    if padded:
        yield Finding(check, True)


def _finite_differences(exercise: CpuExercise, function: Callable) -> Iterator[Finding]:
    for differences, probes in zip(exercise.gradients(), ("every coordinate", "random directions"), strict=False):
        backward = partial(_gradients, exercise, function, differences)
        for report in gradcheck.check(differences.forward, backward, differences.inputs, **differences.options):
            yield Finding(f"finite differences of d{report.name}, {probes}", report.passed, str(report)[5:])


def _gradients(
    exercise: CpuExercise, function: Callable, differences: Differences, dy: np.ndarray, **inputs: np.ndarray
) -> Outputs:
    """The learner's gradients of the inputs; those that are added to an argument start with 0."""
    zeros = {name: np.zeros_like(differences.arguments[name]) for name in exercise.changes}
    given = {**differences.arguments, "dy": dy, **inputs, **differences.remembered(**inputs), **zeros}
    outputs = call(exercise, function, copied({name: given[name] for name in exercise.parameters}))
    factor = 1 if "dy" in exercise.parameters else dy  # a loss has no dy: it is a number, whose gradient is 1
    return {name: factor * outputs["d" + name] for name in inputs}
