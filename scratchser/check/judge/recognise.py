"""Which known mistakes, alone or together, give a learner's numbers."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from scratchser.check.exercises.exercise import Exercise, Mistakes, Outputs, name_of

if TYPE_CHECKING:
    from scratchser.check.judge.compare import Trial

MOST = 3  # mistakes together
CALLS = 3000  # of the reference implementation: they limit the time, and are the same on every machine


def recognised(exercise: Exercise, trials: Sequence["Trial"], wrong: Sequence[str]) -> Mapping[str, list[str]]:
    """Wrong output -> the smallest set of known mistakes that gives its numbers in every case, to rounding.

    A set that explains all outputs together, the right ones too, is preferred. If sets with different names explain an
    output equally well, only what they have in common is known.
    """
    search = _Search(exercise, trials, wrong)
    for size in range(1, MOST + 1):
        together = search.of_size(size)
        if together:
            parts = {o: [s for s in search.found[o] if any(s <= t for t in together)] for o in wrong}
            return {output: _common(exercise, sets) for output, sets in parts.items()}
        if size > 1 and all(search.found[output] for output in wrong):
            break
    return {output: _common(exercise, search.found[output]) for output in wrong}


def _common(exercise: Exercise, sets: Sequence[Mistakes]) -> list[str]:
    """Of the smallest sets: the first one, without the mistakes whose names are not in all of them."""
    smallest = [s for s in sets if len(s) == min(map(len, sets))]
    names = [set(map(name_of, s)) for s in smallest]
    return [m for m in exercise.mistakes if smallest and m in smallest[0] and name_of(m) in set.intersection(*names)]


class _Search:
    """Tries sets of mistakes in the order of their size.

    found   wrong output -> sets that give its numbers in every case; a set with a smaller one in it is not among them
    """

    def __init__(self, exercise: Exercise, trials: Sequence["Trial"], wrong: Sequence[str]) -> None:
        def cost(trial: "Trial") -> tuple[bool, int]:
            right = all(trial.right(output).all() for output in wrong)
            return right, sum(value.size for value in trial.expected.values())

        self.exercise, self.wrong = exercise, wrong
        self.trials = sorted(trials, key=cost)  # small wrong cases first: most sets are ruled out there
        self.found: dict[str, list[Mistakes]] = {output: [] for output in wrong}
        self.calls = 0
        self.visible: list[Mistakes | None] = [None for _ in trials]
        self.known: dict[tuple[int, Mistakes], frozenset[str]] = {}

    def of_size(self, size: int) -> list[Mistakes]:
        """Add the sets of this size to `found`, and return those that explain all outputs."""
        together: list[Mistakes] = []
        smaller = {output: list(sets) for output, sets in self.found.items()}
        for mistakes in map(frozenset, combinations(self.exercise.mistakes, size)):
            agreeing = self._agreeing(mistakes, exact=size == 1)
            if size > 1 and agreeing & set(self.wrong):
                agreeing = self._agreeing(mistakes, exact=True)
            for output in self.wrong:
                if output in agreeing and not any(mistakes > other for other in smaller[output]):
                    self.found[output].append(mistakes)
            if agreeing == self.exercise.axes.keys():
                together.append(mistakes)
        return together

    def _agreeing(self, mistakes: Mistakes, exact: bool) -> frozenset[str]:
        """Outputs, right ones too, in which the learner's numbers are those of the mistakes in every case.

        Unless it must be exact, mistakes that alone change nothing in a case are left out there, which saves calls.
        """
        agreeing = frozenset(self.exercise.axes)
        for number in range(len(self.trials)):
            agreeing &= self._in_case(number, mistakes if exact else mistakes & self._visible(number))
            if not agreeing & set(self.wrong):
                return frozenset()
        return agreeing

    def _visible(self, number: int) -> Mistakes:
        """Mistakes that alone change something in this case."""
        visible = self.visible[number]
        if visible is None:
            trial = self.trials[number]
            outputs = {mistake: self._outputs(trial, {mistake}) for mistake in self.exercise.mistakes}
            visible = self.visible[number] = frozenset(
                mistake
                for mistake, values in outputs.items()
                if not all(trial.close(name, value, trial.expected[name]).all() for name, value in values.items())
            )
        return visible

    def _in_case(self, number: int, mistakes: Mistakes) -> frozenset[str]:
        key = number, mistakes
        if key not in self.known:
            if self.calls > CALLS:
                return frozenset()
            trial = self.trials[number]
            outputs = self._outputs(trial, mistakes)
            same = [name for name, value in outputs.items() if trial.close(name, trial.outputs[name], value).all()]
            self.known[key] = frozenset(same)
        return self.known[key]

    def _outputs(self, trial: "Trial", mistakes: Mistakes) -> Outputs:
        self.calls += 1
        with np.errstate(all="ignore"):  # several mistakes together may overflow
            return self.exercise.reference(trial.arguments, mistakes)
