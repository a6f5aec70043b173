"""The judgement of a function of arrays: form, truth, what lies past an utterance's end, differences, time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scratchser.check.exercises.exercise import Arguments, Exercise, Outputs, copied, filled
from scratchser.check.judge import learner, timing
from scratchser.check.judge.compare import Trial, findings_of, where
from scratchser.check.judge.verdict import Finding

TOLERANCE = 1e-9  # of the largest true number, in float64
SINGLE = 1e-4  # the same in float32

Found = Callable[[Finding], None]


def checks_of(exercise: Exercise) -> int:
    """Form, each output, float32, what lies past an end if there is anything, each gradient by differences."""
    padded = any(_has_nan(value) for arguments in exercise.cases().values() for value in arguments.values())
    return 1 + len(exercise.outputs) + 1 + padded + exercise.differences


class Malformed(Exception):
    """What the function returns is not even of the right form."""


def judge(exercise: Exercise, function: Callable, path: Path, found: Found, notes: list[str]) -> None:
    """Report each finding as it comes; stop where the rest would say the same again."""
    try:
        _judge(exercise, function, path, found, notes)
    except Malformed as error:
        found(Finding("it returns what it should", False, str(error)))


def _judge(exercise: Exercise, function: Callable, path: Path, found: Found, notes: list[str]) -> None:
    cases = exercise.cases()
    form = _form(exercise, function, next(iter(cases.values())))
    found(form)
    if not form.passed:
        return
    trials, error = _trials(exercise, function, cases)
    findings = findings_of(exercise, trials)
    if error:
        for finding in findings:  # of the cases before the one that failed
            if not finding.passed:
                found(finding)
        name, reason = error
        text, hints = learner.explained(reason.__cause__, path) if reason.__cause__ else (str(reason), [])
        found(Finding(f'it runs in the case "{name}"', False, text, hints))
        return
    for finding in findings:
        found(finding)
    right = all(finding.passed for finding in findings)
    if right:
        found(_in_single_precision(exercise, function, trials[0]))
    _past_the_end(exercise, function, cases, trials, found)
    if exercise.gradients:
        _differences(exercise, function, found)
    if right and exercise.timed:
        module = learner.load(path)  # once more: indices are checked in what has run so far, which takes time
        fresh = learner.function_of(module, exercise.name, exercise.parameters)
        notes.extend(timing.beside_ours(exercise, fresh))


def called(exercise: Exercise, function: Callable, arguments: Arguments) -> Outputs:
    """Copies of what the function returns and changes. The arguments are its own to change.

    Raises Malformed where that is not what the exercise asks for, Raised where the function raises.
    """
    truth = _truth(exercise, filled(arguments))
    _soil(truth, arguments)
    with learner.answering(), np.errstate(all="ignore"):  # a kernel in Numba does not warn
        result = function(*arguments.values())
    names = exercise.returns
    if names and result is None:
        raise Malformed(f"{exercise.name} returns nothing; it is to return {', '.join(names)}")
    if not names and result is not None:
        raise Malformed(f"{exercise.name} returns something; it is to write to its arguments and return nothing")
    if len(names) == 1 and isinstance(result, tuple):
        written = f"; it writes to {', '.join(exercise.changes)} in place" if exercise.changes else ""
        raise Malformed(f"{exercise.name} returns a tuple of {len(result)}, it is to return {names[0]} alone{written}")
    returned = result if len(names) > 1 else (result,) if names else ()
    if not (isinstance(returned, tuple | list) and len(returned) == len(names)):
        raise Malformed(f"{exercise.name} is to return a tuple of {len(names)}: {', '.join(names)}")
    for name, value in zip(names, returned, strict=True):
        if not isinstance(value, np.ndarray | float | np.floating):
            raise Malformed(f"{name} is a {type(value).__name__}, not a NumPy array")
        if np.shape(value) != truth[name].shape:
            raise Malformed(f"{name} has shape {np.shape(value)}, should be {truth[name].shape}")
        if np.asarray(value).dtype.kind != "f":
            raise Malformed(f"{name} is {np.asarray(value).dtype}, should be of the arguments' dtype")
    outputs = dict(zip(names, returned, strict=True)) | {name: arguments[name] for name in exercise.changes}
    return {name: np.array(value) for name, value in outputs.items()}


def _soil(truth: Outputs, arguments: Arguments) -> None:
    """Leave NaN in memory that is free: what np.empty gives, and nobody writes, is then seen and not 0 by luck."""
    dtypes = {value.dtype for value in arguments.values() if isinstance(value, np.ndarray) and value.dtype.kind == "f"}
    for dtype in dtypes:
        for value in truth.values():
            _ = [np.full(value.shape, np.nan, dtype) for _ in range(8)]  # NumPy keeps 7 freed ones of a size


def _form(exercise: Exercise, function: Callable, arguments: Arguments) -> Finding:
    """Dtypes, and that no argument is changed that is none of its business. Raises Malformed as `called` does."""
    for dtype in (np.float64, np.float32):
        given = copied(filled(arguments), dtype)
        kept = copied(given)
        outputs = called(exercise, function, given)
        for output in exercise.returns:
            if outputs[output].ndim and outputs[output].dtype != dtype:
                text = f"{output} is {outputs[output].dtype} where all arguments are {np.dtype(dtype)}"
                hint = "Make arrays like the arguments': np.zeros(shape, x.dtype), np.zeros_like(x)."
                return Finding("shapes and dtypes", False, text, [hint])
        for parameter, value in kept.items():
            changed = isinstance(value, np.ndarray) and not np.array_equal(value, given[parameter])
            if changed and parameter not in exercise.changes:
                text = f"{parameter} is changed: others still need it"
                return Finding("arguments are left alone", False, text, ["Work on a copy, or write to a new array."])
    return Finding("shapes and dtypes, float32 and float64", True)


def _in_single_precision(exercise: Exercise, function: Callable, trial: Trial) -> Finding:
    """The first case, which is right in float64, once more in float32."""
    got = called(exercise, function, copied(trial.arguments, np.float32))
    single = Trial(trial.name, trial.arguments, got, trial.truth, SINGLE)
    wrong = [output for output in exercise.outputs if not single.right(output)]
    if not wrong:
        return Finding("float32 is right to its rounding", True)
    text = f'"{trial.name}": {where(single, wrong[0], exercise.axes.get(wrong[0], ()))}'
    return Finding("float32 is right to its rounding", False, text, ["In float64 it is right: what is rounded here?"])


def _truth(exercise: Exercise, arguments: Arguments) -> Outputs:
    return {name: np.asarray(value) for name, value in exercise.truth(arguments, "").items()}


def _trials(
    exercise: Exercise, function: Callable, cases: dict[str, Arguments]
) -> tuple[list[Trial], tuple[str, Exception] | None]:
    """The cases up to the first that raises, and which that is and what it raised."""
    trials: list[Trial] = []
    for name, arguments in cases.items():
        arguments = filled(arguments)
        try:
            got = called(exercise, function, copied(arguments))
        except (Malformed, learner.Raised) as error:
            return trials, (name, error)
        trials.append(Trial(name, arguments, got, _truth(exercise, arguments), TOLERANCE))
    return trials, None


def _past_the_end(
    exercise: Exercise, function: Callable, cases: dict[str, Arguments], trials: list[Trial], found: Found
) -> None:
    """The cases as they are, with NaN where the function must not look: nothing may come of it."""
    check, tried = "nothing past an utterance's end is read", False
    for trial in trials:
        arguments = cases[trial.name]
        blind = [name for name, a in arguments.items() if _has_nan(a)]
        if not blind:
            continue
        tried = True
        got = called(exercise, function, copied(arguments))
        for output, value in got.items():
            leaked = np.isnan(value) & ~np.isnan(trial.got[output])
            if leaked.any():
                index = [int(i) for i in np.argwhere(leaked)[0]]
                text = f'"{trial.name}": with NaN there in {", ".join(blind)}, {output}{index if index else ""} is NaN'
                hint = "Loop up to the utterance's length. To multiply by 0 is not enough: 0 · NaN is NaN."
                found(Finding(check, False, text, [hint]))
                return
    if tried:
        found(Finding(check, True))


def _has_nan(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and bool(np.isnan(value).any())


def _differences(exercise: Exercise, function: Callable, found: Found) -> None:
    assert exercise.gradients
    reports = exercise.gradients(lambda arguments: called(exercise, function, copied(arguments)))
    seen: set[str] = set()  # a small layer comes first, coordinate by coordinate
    for report in reports:
        how = "random directions" if report.name in seen else "every coordinate"
        seen.add(report.name)
        found(Finding(f"finite differences of d{report.name}, {how}", report.passed, str(report)[5:]))
