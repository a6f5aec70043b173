"""A learner's numbers beside the true ones: which output is wrong, where, by what factor, and after which mistake."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchser.check.exercises.exercise import UNTOUCHED, Arguments, CudaExercise, Exercise, Mistake, Outputs
from scratchser.check.judge.verdict import Finding


@dataclass(frozen=True)
class Trial:
    """One case: what went in, what came out, what should have."""

    name: str
    arguments: Arguments
    got: Outputs
    truth: Outputs
    tolerance: float  # of the largest true number

    def close(self, output: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Element by element; NaN is like NaN only."""
        size = np.abs(self.truth[output][np.isfinite(self.truth[output])]).max(initial=0.0)
        return np.isclose(a, b, rtol=0, atol=self.tolerance * size, equal_nan=True)

    def right(self, output: str) -> bool:
        return bool(self.close(output, self.got[output], self.truth[output]).all())


def findings_of(exercise: Exercise | CudaExercise, trials: list[Trial]) -> list[Finding]:
    """One for each output: right in every case, or what is wrong with it."""
    wrong = [output for output in exercise.outputs if not all(trial.right(output) for trial in trials)]
    named = recognised(exercise, trials, wrong)
    return [
        _finding(exercise, output, trials, named.get(output, [])) if output in wrong else
        Finding(f"{output} is right in {len(trials)} case{'s' * (len(trials) != 1)}", True)
        for output in exercise.outputs
    ]  # fmt: skip


def _finding(exercise: Exercise | CudaExercise, output: str, trials: list[Trial], named: list[str]) -> Finding:
    bad = [trial for trial in trials if not trial.right(output)]
    text = [f'"{bad[0].name}": {where(bad[0], output, exercise.axes.get(output, ()))}']
    good = [trial for trial in trials if trial.right(output)]
    if good:
        text.append(f"right in {_names(good)}; wrong in {_names(bad)}")
    by_name: dict[str, Mistake] = {}
    for key in named:
        by_name.setdefault(exercise.mistakes[key].name, exercise.mistakes[key])
    found = list(by_name.values())
    if found:
        names = [mistake.name for mistake in found]
        hints = [f"{mistake.name}: {mistake.hint}" for mistake in found]
        if len(found) > 1:
            hints.insert(0, "These numbers can come about in more than one way:")
    else:
        name, hint = structure(bad, trials, output, exercise)
        names, hints = [name] * bool(name), [hint] * bool(hint)
    return Finding(f"{output} is right", False, "\n".join(text), hints, names)


def _names(trials: list[Trial]) -> str:
    return ", ".join(f'"{trial.name}"' for trial in trials)


def recognised(exercise: Exercise | CudaExercise, trials: list[Trial], wrong: list[str]) -> Mapping[str, list[str]]:
    """Wrong output -> the mistakes whose numbers it has in every case, to rounding.

    Mistakes that explain all outputs, the right ones too, come before those that explain one output only.
    """
    if not wrong:
        return {}
    agreeing = {output: set(exercise.mistakes) for output in exercise.outputs}
    for trial in trials:
        for key in set().union(*(agreeing[output] for output in wrong)):
            numbers = exercise.truth(trial.arguments, key)
            for output in exercise.outputs:
                if key in agreeing[output] and not trial.close(output, trial.got[output], numbers[output]).all():
                    agreeing[output].remove(key)
    whole = set.intersection(*agreeing.values())
    return {output: [key for key in exercise.mistakes if key in (whole or agreeing[output])] for output in wrong}


# ---- where, and by what factor --------------------------------------------------------------------------------------


def where(trial: Trial, output: str, axes: tuple[str, ...]) -> str:
    """The worst element in words, how many are wrong, and along which index all wrong ones lie in one place."""
    got, truth = np.atleast_1d(trial.got[output]), np.atleast_1d(trial.truth[output])
    wrong = ~np.atleast_1d(trial.close(output, trial.got[output], trial.truth[output]))
    distance = np.where(wrong, np.nan_to_num(np.abs(got - truth), nan=np.inf), -1)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(distance)), distance.shape))
    place = f" at {_named(index, axes)}" if np.ndim(trial.got[output]) else ""
    here, there = got[index], truth[index]
    text = f"{output}{place} is {_number(here)}, should be {_number(there)}{_factor(here, there)}"
    if wrong.size > 1:
        text += f"; {int(wrong.sum())} of {wrong.size} numbers are wrong"
    for axis, length in enumerate(wrong.shape):
        places = np.unique(np.argwhere(wrong)[:, axis])
        if length > 2 and len(places) == 1:
            name = axes[axis] if axis < len(axes) else f"index {axis}"
            text += f", all at {name} {places[0]} of {length}"
    return text


def _named(index: tuple[int, ...], axes: tuple[str, ...]) -> str:
    if len(axes) != len(index):
        return str(list(index))
    return "[" + ", ".join(f"{name} {i}" for name, i in zip(axes, index, strict=True)) + "]"


def _number(value: Any) -> str:
    if np.isnan(value):
        return "not a number (NaN)"
    return "never written" if value == UNTOUCHED else f"{value:.6g}"


def _factor(got: Any, truth: Any) -> str:
    if not (np.isfinite(got) and np.isfinite(truth) and got and truth) or UNTOUCHED in (got, truth):
        return ""
    factor = float(got) / float(truth)
    if f"{abs(factor):.4g}" != "1":
        return f" ({factor:.4g} times)"
    if factor < 0:
        return " (of the wrong sign)"
    return f" (of the right size, but off by {abs(factor - 1):.1e} of it)"


# ---- what the numbers have in common, where no mistake has them -----------------------------------------------------


def structure(bad: list[Trial], trials: list[Trial], output: str, exercise: Exercise | CudaExercise) -> tuple[str, str]:
    """A name where there is no doubt, and a statement that holds for each of the wrong numbers; or nothing."""
    changed = output in exercise.changes

    def start(trial: Trial) -> Any:
        return trial.arguments[output] if changed else 0.0

    if isinstance(exercise, CudaExercise) and all(_is_added(trial, output) for trial in bad):
        before = f"{UNTOUCHED:g} stood there before, since an output holds anything"
        return "", f"{output} is added to: {before}. It is to be written, = and not +=, by one thread each."
    if not np.isfinite(bad[0].got[output]).all():  # the case that is shown
        return "", "NaN or infinite: what is it made of? Memory that nobody has written, 0 / 0, or the logarithm of 0?"
    if all(np.array_equal(trial.got[output], np.broadcast_to(start(trial), trial.got[output].shape)) for trial in bad):
        if not changed:
            return "", f"{output} is all zero."
        same = f"{output} is as it was before the call: nothing is written to it."
        if isinstance(exercise, CudaExercise):  # whose threads may have been stopped before
            return "", same
        way = f"{output} += ... writes to the array that was given, {output} = {output} + ... makes a new one."
        return "never written", f"{same} {way}"
    factor = _common_factor(
        [(trial.got[output] - start(trial), trial.truth[output] - start(trial)) for trial in trials]
    )
    if factor is not None:
        sign = bool(np.isclose(factor, -1))
        digits = 4 if f"{factor:.4g}" != "1" else 8
        words = "The sign is wrong" if sign else f"Everything is {factor:.{digits}g} times what it should be"
        added = ", counted from what was there before" if changed else ""
        return "sign" * sign, f"{words}, in every element of every case{added}."
    if all(_is_transposed(trial, output) for trial in bad):
        return "", f"{output} is its own transpose: rows and columns are exchanged."
    return "", ""


def _is_added(trial: Trial, output: str) -> bool:
    """Whether each wrong number is what stood there and something added, which is smaller."""
    got = trial.got[output][~trial.close(output, trial.got[output], trial.truth[output])]
    added = np.abs(got - UNTOUCHED)
    return bool(((added > 0) & (added < abs(UNTOUCHED) / 2)).all())


def _common_factor(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float | None:
    got, truth = (np.concatenate([np.ravel(pair[side]) for pair in pairs]) for side in (0, 1))
    if not np.dot(truth, truth):
        return None
    factor = float(np.dot(got, truth) / np.dot(truth, truth))
    same = np.allclose(got, factor * truth, rtol=1e-6, atol=1e-6 * np.abs(truth).max()) and factor
    return factor if same and not np.isclose(factor, 1) else None


def _is_transposed(trial: Trial, output: str) -> bool:
    got, truth = trial.got[output], trial.truth[output]
    square = got.ndim == 2 and got.shape[0] == got.shape[1] > 1
    return square and bool(trial.close(output, got, truth.T).all())
