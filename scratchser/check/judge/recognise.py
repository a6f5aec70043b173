"""Which known mistakes, alone or together, give a learner's numbers."""

from collections.abc import Mapping, Sequence, Set
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from scratchser.check.exercises.exercise import Exercise, Mistakes, Outputs, name_of

if TYPE_CHECKING:
    from scratchser.check.judge.compare import Trial

Found = tuple[list[str], bool]  # mistakes, and whether they leave the right outputs right
MOST = 3  # mistakes together
FEW = 2  # cases that rule out most sets
CALLS = 2000  # of the reference implementation: they limit the time, and are the same on every machine


def recognised(exercise: Exercise, trials: Sequence["Trial"], wrong: Sequence[str]) -> Mapping[str, Found]:
    """Wrong output -> the smallest set of known mistakes that gives its numbers in every case, to rounding.

    Of several sets, those that explain most of the outputs, the right ones too, are preferred. If these have different
    names, only what they have in common is known.
    """
    search = _Search(exercise, trials, wrong)
    for size in range(1, MOST + 1):
        search.of_size(size)
        if all(search.found.values()):
            break
    result = {}
    for output, sets in search.found.items():
        best = [mistakes for mistakes in sets if len(sets[mistakes]) == max(map(len, sets.values()))]
        names = [set(map(name_of, mistakes)) for mistakes in best]
        common = set.intersection(*names) if names else set()
        made = [m for m in exercise.mistakes if best and m in best[0] and name_of(m) in common]
        result[output] = made, bool(made) and exercise.axes.keys() - wrong <= sets[best[0]]
    return result


class _Search:
    """Tries sets of mistakes in the order of their size.

    found   wrong output -> the sets of the smallest size that give its numbers in every case, and for each set the
            outputs in which it does
    """

    def __init__(self, exercise: Exercise, trials: Sequence["Trial"], wrong: Sequence[str]) -> None:
        def cost(trial: "Trial") -> tuple[bool, bool, int]:
            right = all(trial.right(output).all() for output in wrong)
            zero = not all(trial.expected[output].any() for output in wrong)  # many mistakes do not show there
            return right, zero, sum(value.size for value in trial.expected.values())

        self.exercise, self.wrong = exercise, wrong
        self.trials = sorted(trials, key=cost)  # small wrong cases first: most sets are ruled out there
        self.found: dict[str, dict[Mistakes, frozenset[str]]] = {output: {} for output in wrong}
        self.calls = 0
        self.agreeing: dict[tuple[int, Mistakes], frozenset[str]] = {}
        self.changed: dict[int, dict[str, frozenset[str]]] = {}

    def of_size(self, size: int) -> None:
        """Look for sets of this size, for outputs without a smaller one."""
        open_outputs = frozenset(output for output, sets in self.found.items() if not sets)
        for mistakes in map(frozenset, combinations(self.exercise.mistakes, size)):
            if size > 1 and not self._agreeing(mistakes, open_outputs, exact=False):
                continue
            agreeing = self._agreeing(mistakes, open_outputs, exact=True)
            for output in agreeing & open_outputs:
                self.found[output][mistakes] = agreeing

    def _agreeing(self, mistakes: Mistakes, open_outputs: Set[str], exact: bool) -> frozenset[str]:
        """Outputs in which the learner's numbers are those of the mistakes in every case; none without an open one.

        Unless it must be exact, only some cases are used, and mistakes that alone change no open output of a case are
        left out there, which saves calls.
        """
        agreeing = frozenset(self.exercise.axes)
        for number in range(len(self.trials) if exact else min(FEW, len(self.trials))):
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
