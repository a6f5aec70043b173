"""Which known mistakes, alone or together, give a learner's numbers."""

from collections.abc import Mapping, Sequence, Set
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
            found = {output: [s for s in search.found[output] if any(s <= t for t in together)] for output in wrong}
            return {output: _common(exercise, sets) for output, sets in found.items()}
        if all(search.found.values()):
            break
    return {output: _common(exercise, sets) for output, sets in search.found.items()}


def _common(exercise: Exercise, sets: Sequence[Mistakes]) -> list[str]:
    """Of the smallest sets: the first one, without the mistakes whose names are not in all of them."""
    smallest = [s for s in sets if len(s) == min(map(len, sets))]
    names = [set(map(name_of, s)) for s in smallest]
    return [m for m in exercise.mistakes if smallest and m in smallest[0] and name_of(m) in set.intersection(*names)]


class _Search:
    """Tries sets of mistakes in the order of their size.

    found   wrong output -> the sets of the smallest size that give its numbers in every case
    """

    def __init__(self, exercise: Exercise, trials: Sequence["Trial"], wrong: Sequence[str]) -> None:
        def cost(trial: "Trial") -> tuple[bool, int]:
            right = all(trial.right(output).all() for output in wrong)
            return right, sum(value.size for value in trial.expected.values())

        self.exercise, self.wrong = exercise, wrong
        self.trials = sorted(trials, key=cost)  # small wrong cases first: most sets are ruled out there
        self.found: dict[str, list[Mistakes]] = {output: [] for output in wrong}
        self.calls = 0
        self.agreeing: dict[tuple[int, Mistakes], frozenset[str]] = {}
        self.changed: dict[int, dict[str, frozenset[str]]] = {}

    def of_size(self, size: int) -> list[Mistakes]:
        """Look for sets of this size, for outputs without a smaller one. Return those that explain all outputs."""
        open_outputs = frozenset(output for output, sets in self.found.items() if not sets)
        together: list[Mistakes] = []
        for mistakes in map(frozenset, combinations(self.exercise.mistakes, size)):
            if size > 1 and not self._agreeing(mistakes, open_outputs, exact=False):
                continue
            agreeing = self._agreeing(mistakes, open_outputs, exact=True)
            for output in agreeing & open_outputs:
                self.found[output].append(mistakes)
            if agreeing == self.exercise.axes.keys():
                together.append(mistakes)
        return together

    def _agreeing(self, mistakes: Mistakes, open_outputs: Set[str], exact: bool) -> frozenset[str]:
        """Outputs in which the learner's numbers are those of the mistakes in every case; none without an open one.

        Unless it must be exact, mistakes that alone change no open output of a case are left out, which saves calls.
        """
        agreeing = frozenset(self.exercise.axes)
        for number in range(len(self.trials)):
            made = mistakes
            if not exact:
                changed = self._changed(number)
                made = frozenset(mistake for mistake in mistakes if changed[mistake] & open_outputs)
            agreeing &= self._in_case(number, made)
            if not agreeing & open_outputs:
                return frozenset()
        return agreeing

    def _changed(self, number: int) -> dict[str, frozenset[str]]:
        """Mistake -> the outputs that it alone changes in this case."""
        if number not in self.changed:
            trial = self.trials[number]
            self.changed[number] = {
                mistake: frozenset(trial.expected) - self._same(trial, trial.expected, frozenset({mistake}))
                for mistake in self.exercise.mistakes
            }
        return self.changed[number]

    def _in_case(self, number: int, mistakes: Mistakes) -> frozenset[str]:
        key, trial = (number, mistakes), self.trials[number]
        if key not in self.agreeing and self.calls < CALLS:
            self.agreeing[key] = self._same(trial, trial.outputs, mistakes)
        return self.agreeing.get(key, frozenset())

    def _same(self, trial: "Trial", outputs: Outputs, mistakes: Mistakes) -> frozenset[str]:
        """Outputs that are as those of a function with these mistakes."""
        self.calls += 1
        with np.errstate(all="ignore"):  # several mistakes together may overflow
            values = self.exercise.reference(trial.arguments, mistakes)
        return frozenset(name for name, value in values.items() if trial.close(name, outputs[name], value).all())
