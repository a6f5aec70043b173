"""The time of a learner's function beside ours: a few repetitions after a warm-up, one thread each."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numba
import numpy as np
from numba import config

from scratchser.check.exercises.exercise import Exercise, copied
from scratchser.check.judge import learner

REPETITIONS = 5
SECONDS = 3.0  # enough for one function; a slow one is timed once


def beside_ours(exercise: Exercise, function: Callable) -> list[str]:
    """Lines for the screen. float32, as in training."""
    assert exercise.timed
    if config.DISABLE_JIT:
        return ["time: not measured, since NUMBA_DISABLE_JIT=1 runs compiled code as plain Python"]
    arguments = copied(exercise.timed(), np.float32)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        given = copied(arguments)
        with learner.answering():
            yours = seconds(lambda: function(*given.values()))
        line = f"time: yours {_words(yours)}"
        if exercise.ours:
            ours = seconds(exercise.ours(arguments))
            factor = yours / ours
            line += f", {exercise.ours_is} {_words(ours)}: "
            line += (
                f"yours takes {factor:.3g} times as long" if factor >= 1 else f"yours is {1 / factor:.3g} times faster"
            )
    finally:
        numba.set_num_threads(before)
    shapes = ", ".join(f"{name} {value.shape}" for name, value in arguments.items() if isinstance(value, np.ndarray))
    return [
        line,
        f"      for {shapes}",
        f"      Median of up to {REPETITIONS} calls, warm, one thread each. A machine that does other things too is",
        "      noisy: a difference of less than a factor of 2 means little here.",
    ]


def seconds(call: Callable[[], Any]) -> float:
    call()  # compiles
    taken: list[float] = []
    while len(taken) < REPETITIONS and sum(taken) < SECONDS:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return median(taken)


def _words(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"
