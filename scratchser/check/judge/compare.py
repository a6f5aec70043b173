"""A learner's outputs beside those of the reference: which element is wrong, by what factor, and by which mistake."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scratchser.check.exercises.exercise import UNWRITTEN, Arguments, CudaExercise, Exercise, Outputs, name_of
from scratchser.check.judge.learner import Source
from scratchser.check.judge.recognise import Found, recognised
from scratchser.check.judge.verdict import RECOGNISED, Finding

UNKNOWN = "The cause is not recognised: --hint 1 says where to look."


@dataclass(frozen=True)
class Trial:
    """One case: the arguments, the learner's outputs and the expected ones."""

    name: str
    arguments: Arguments
    outputs: Outputs
    expected: Outputs
    tolerance: float  # relative to the largest expected number

    def close(self, output: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Element by element, relative to the largest number expected or in b; NaN equals only NaN."""
        pair = np.stack([self.expected[output], b])
        largest = np.abs(pair).max(initial=0.0, where=np.isfinite(pair))
        return np.isclose(a, b, rtol=0, atol=self.tolerance * largest, equal_nan=True)

    def right(self, output: str) -> np.ndarray:
        """Which elements are right."""
        return self.close(output, self.outputs[output], self.expected[output])


def compare(exercise: Exercise, trials: list[Trial], source: Source) -> list[Finding]:
    """A finding for each output: right in every case, or what is wrong with it."""
    wrong = _wrong_outputs(exercise, trials)
    found = {} if source.early else recognised(exercise, trials, wrong)
    cases = f"{len(trials)} case{'s' * (len(trials) != 1)}"
    return [
        _wrong(exercise, output, trials, found.get(output, ([], False)), source) if output in wrong
        else Finding(f"{output} is right in {cases}", True)
        for output in exercise.axes
    ]  # fmt: skip


def _wrong_outputs(exercise: Exercise, trials: list[Trial]) -> list[str]:
    return [output for output in exercise.axes if not all(trial.right(output).all() for trial in trials)]


def _wrong(exercise: Exercise, output: str, trials: list[Trial], found: Found, source: Source) -> Finding:
    mistakes, consistent = found
    bad = [trial for trial in trials if not trial.right(output).all()]
    good = [f'"{trial.name}"' for trial in trials if trial.right(output).all()]
    text = f'"{bad[0].name}": {where(bad[0], output, exercise.axes[output])}'
    if good:
        few = good if len(good) < len(bad) else [f'"{trial.name}"' for trial in bad]
        text += f"\n{'right' if few is good else 'wrong'} only in {', '.join(few)}"
    name, hint = ("", "") if consistent else pattern(exercise, output, trials, bad, output in source.rebound)
    if source.early:
        names, hints = ["early return"], [source.early]
    elif (hint and name not in map(name_of, mistakes)) or not mistakes:  # which leaves the right outputs right
        names, hints, mistakes = [name] if name else [], [hint or UNKNOWN], []
    else:
        names = list(dict.fromkeys(map(name_of, mistakes)))
        hints = [f"{name_of(mistake)}: {exercise.mistakes[mistake]}" for mistake in mistakes]
    if len(mistakes) > 1:
        text += f"\n{len(mistakes)} mistakes together give these numbers:"
    parts = [name for name, part in exercise.parts.items() if any(mistake in part.mistakes for mistake in mistakes)]
    of_parts, wrong = set(", ".join(parts).split(", ")) & exercise.axes.keys(), _wrong_outputs(exercise, trials)
    if not parts or (of_parts and not of_parts & set(wrong)):  # unknown, or known from an output that is right
        parts = [exercise.suspect(bad[0], wrong) if output == wrong[0] else output]
    rank = RECOGNISED if names else 0
    return Finding(f"{output} is right", False, text, hints, names, parts=parts, rank=rank)


# ---- the worst element ----------------------------------------------------------------------------------------------


def where(trial: Trial, output: str, axes: tuple[str, ...]) -> str:
    """The worst element, how many are wrong, and the index that all wrong ones have in common."""
    got, expected = np.atleast_1d(trial.outputs[output]), np.atleast_1d(trial.expected[output])
    wrong = ~np.atleast_1d(trial.right(output))
    distance = np.where(wrong, np.nan_to_num(np.abs(got - expected), nan=np.inf), -1)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(distance)), distance.shape))
    names = ", ".join(f"{name} {i}" for name, i in zip(axes, index, strict=False))
    position = f"{output} at [{names}]" if axes else output
    text = f"{position} is {_number(got[index])}, should be {_number(expected[index])}"
    text += _factor(got[index], expected[index])
    if wrong.size > 1:
        text += f"; {int(wrong.sum())} of {wrong.size} elements are wrong"
    for axis, length in enumerate(wrong.shape):
        positions = np.unique(np.argwhere(wrong)[:, axis])
        if length > 2 and len(positions) == 1:
            text += f", all at {axes[axis]} {positions[0]} of {length}"
    return text


def _number(value: Any) -> str:
    if np.isnan(value):
        return "not a number (NaN)"
    return "never written" if value == UNWRITTEN else f"{value:.6g}"


def _factor(got: Any, expected: Any) -> str:
    if not (np.isfinite(got) and np.isfinite(expected) and got and expected) or UNWRITTEN in (got, expected):
        return ""
    factor = float(got) / float(expected)
    if f"{abs(factor):.4g}" != "1":
        return f" ({factor:.4g} times)"
    return " (wrong sign)" if factor < 0 else f" (relative error {abs(factor - 1):.1e})"


# ---- what the wrong numbers have in common, if no known mistake gives them ------------------------------------------


def pattern(exercise: Exercise, output: str, trials: list[Trial], bad: list[Trial], rebound: bool) -> tuple[str, str]:
    """The name of a mistake, if there is no doubt, and a hint that holds for every wrong element; or empty texts."""
    changed, on_gpu = output in exercise.changes, isinstance(exercise, CudaExercise)

    def before(trial: Trial) -> Any:
        return trial.arguments[output] if changed else 0.0

    if (bad[0].outputs[output][~bad[0].right(output)] == UNWRITTEN).any():
        return "", f"Some elements of {output} are never written: does a loop or an if leave them out?"
    if on_gpu and _is_added(bad, output):
        hint = f"{output} is added to, but an output contains arbitrary numbers before the launch, here {UNWRITTEN:g}. "
        return "", f"{hint}Write each element with =, not +=, in one thread."
    if not on_gpu and all(replace(trial, tolerance=1e-6).right(output).all() for trial in trials):
        return "", "The arguments are float64, but the error is as small as float32's: is an array or a number float32?"
    if not np.isfinite(bad[0].outputs[output]).all():  # the case that is shown
        return "", "NaN or infinite: is it computed from unwritten memory, 0 / 0, log 0, or exp of a large number?"
    if all(np.all(trial.outputs[output] == before(trial)) for trial in bad):
        if not changed:
            return "", f"{output} is all zero: is it computed in every step, and written to what is returned?"
        hint = f"{output} is as it was before the call: nothing is written to it."
        if not rebound:  # in a kernel, perhaps the tracer has stopped its threads
            return "", hint
        return "never written", f"{hint} {output} += ... changes the argument, {output} = ... makes a new array."
    factor = _common_factor(
        [(trial.outputs[output] - before(trial), trial.expected[output] - before(trial)) for trial in trials]
    )
    if factor is not None:
        part = ", not counting what was there before" if changed else ""
        if np.isclose(factor, -1):
            return "sign", f"Every element of every case has the wrong sign{part}."
        digits = 4 if f"{factor:.4g}" != "1" else 8
        return "", f"Every element of every case is {factor:.{digits}g} times what it should be{part}."
    return "", ""


def _is_added(bad: list[Trial], output: str) -> bool:
    """Whether the wrong elements are the number before the launch plus smaller ones."""
    added = np.concatenate([np.abs(trial.outputs[output][~trial.right(output)] - UNWRITTEN) for trial in bad])
    return bool((added > 0).any() and (added < abs(UNWRITTEN) / 2).all())


def _common_factor(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float | None:
    got, expected = (np.concatenate([np.ravel(pair[side]) for pair in pairs]) for side in (0, 1))
    if not (np.isfinite(got).all() and np.dot(expected, expected)):
        return None
    factor = float(np.dot(got, expected) / np.dot(expected, expected))
    same = np.allclose(got, factor * expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max()) and factor
    return factor if same and not np.isclose(factor, 1) else None
