"""A contest: first the answers must agree, then the contestants take turns, one turn each in every round."""

import collections
import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from scratchser.bench.child import Child
from scratchser.support.errors import ProcessingError

TOLERANCE = 1e-4  # of ||ours - theirs|| / ||theirs||, float32
TURN = 0.05  # seconds that a turn takes at least


@contextlib.contextmanager
def children(names: Sequence[str], threads: int) -> Iterator[dict[str, Child]]:
    """The processes of the contestants. They end with the block, also after an error."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(contextlib.closing(Child(name, threads))) for name in names}


def compare(answers: dict[str, dict[str, np.ndarray]]) -> float:
    """The largest difference from the first contestant's answer, relative to the norm.

    Raises ProcessingError for a difference above TOLERANCE, for NaN, and for missing or additional arrays: times of
    different results cannot be compared.
    """
    (first, reference), *others = answers.items()
    largest = 0.0
    for name, answer in others:
        shapes, expected = ({key: value.shape for key, value in each.items()} for each in (answer, reference))
        if shapes != expected:
            raise ProcessingError(f"{name} returns {shapes}, {first} {expected}")
        for key, theirs in answer.items():
            norm = max(np.linalg.norm(theirs.astype(float)), np.finfo(float).tiny)
            difference = float(np.linalg.norm(reference[key].astype(float) - theirs) / norm)
            if not difference <= TOLERANCE:  # true for NaN
                raise ProcessingError(f"{key} of {first} and of {name} differ by {difference:.1e} of its norm")
            largest = max(largest, difference)
    return largest


def contest(contestants: dict[str, Child], rounds: int, task: str, *parameters: Any) -> dict[str, Any]:
    """Returns "times", the seconds of a run in each round by contestant, and "difference", the largest of the answers.

    A turn is as many runs as take TURN seconds, in whole cycles if the runs of the task differ. A fifth of a turn comes
    before it untimed: sleeping threads and cold caches cost milliseconds.
    """
    difference = 0.0
    if len(contestants) > 1:
        difference = compare({name: child.answer(task, *parameters) for name, child in contestants.items()})
    repeats = {}
    for name, child in contestants.items():
        cycle = child.make(task, *parameters)
        child.run(cycle)
        repeats[name] = math.ceil(TURN / (child.run(cycle) * cycle)) * cycle
    times: dict[str, list[float]] = {name: [] for name in contestants}
    order = collections.deque(contestants)
    for _ in range(rounds):
        for name in order:
            contestants[name].run(math.ceil(repeats[name] / 5))
            times[name].append(contestants[name].run(repeats[name]))
        order.rotate(-1)  # another one begins in the next round
    return {"times": times, "difference": difference}
