"""Equal answers first, then alternating rounds: in each round every contestant has one turn."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchser.bench.child import Child

TOLERANCE = 1e-4  # of ||ours - theirs|| / ||theirs||, float32
TURN = 0.05  # seconds that a turn lasts at least, behind a warm-up: sleeping threads and cold caches cost milliseconds


class DisagreementError(RuntimeError):
    """Two contestants do not compute the same: no time of theirs means anything."""


@dataclass(frozen=True)
class Times:
    """Seconds of a task: by contestant, one number a round."""

    rounds: dict[str, list[float]]

    def median(self, name: str) -> float:
        return float(np.median(self.rounds[name]))

    def ratios(self, slow: str, fast: str) -> np.ndarray:
        """How many times as long `slow` took, round by round: what disturbs a round disturbs both."""
        return np.array(self.rounds[slow]) / np.array(self.rounds[fast])


@contextlib.contextmanager
def children(names: Sequence[str], threads: int) -> Iterator[dict[str, Child]]:
    """The contestants' processes; they end with the block, also after an error."""
    started: dict[str, Child] = {}
    try:
        for name in names:
            started[name] = Child(name, threads)
        yield started
    finally:
        for child in started.values():
            child.close()


def compare(answers: dict[str, dict[str, np.ndarray]]) -> float:
    """The largest norm-relative difference from the first contestant's answer.

    Raises DisagreementError above TOLERANCE, for NaN, and where something is missing.
    """
    (first, reference), *others = answers.items()
    worst = 0.0
    for name, answer in others:
        shapes, expected = ({key: value.shape for key, value in each.items()} for each in (answer, reference))
        if shapes != expected:
            raise DisagreementError(f"{name} answers {shapes}, {first} {expected}")
        for key, theirs in answer.items():
            mine, size = reference[key].astype(float), np.linalg.norm(theirs.astype(float))
            difference = np.linalg.norm(mine - theirs) / max(size, np.finfo(float).tiny)
            if not difference <= TOLERANCE:
                raise DisagreementError(f"{key} of {first} and of {name} differ by {difference:.1e} of its norm")
            worst = max(worst, float(difference))
    return worst


def contest(contestants: dict[str, Child], rounds: int, task: str, *parameters: Any) -> tuple[Times, float]:
    """The times of a task, and the largest difference of the answers, which `compare` accepts or the contest ends.

    A turn is as many runs as fill TURN, in whole cycles where a task's runs differ; behind a fifth of it, untimed.
    """
    cycles = {name: child.ask("make", task, *parameters) for name, child in contestants.items()}
    difference = 0.0
    if len(contestants) > 1:
        difference = compare({name: child.ask("answer") for name, child in contestants.items()})
    repeats = {}
    for name, child in contestants.items():
        child.ask("run", cycles[name])
        seconds = child.ask("run", cycles[name]) * cycles[name]
        repeats[name] = math.ceil(TURN / seconds) * cycles[name]
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds):
        names = list(contestants)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            contestants[name].ask("run", math.ceil(repeats[name] / 5))
            times[name].append(contestants[name].ask("run", repeats[name]))
    return Times(times), difference
