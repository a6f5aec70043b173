"""The time of a learner's function beside that of the package's kernel, with one thread each."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numba
import numpy as np
from numba import config

from scratchser.check.exercises.exercise import CpuExercise, copied, filled
from scratchser.check.judge.learner import Learner

REPETITIONS = 5
SECONDS = 3.0  # enough for one function: a slow one is timed once


def compared(exercise: CpuExercise, learner: Learner) -> list[str]:
    """Lines of text with both times, in float32 as in training."""
    if config.DISABLE_JIT:
        return ["time: not measured, because NUMBA_DISABLE_JIT=1 runs compiled code as plain Python"]
    arguments = copied(filled(exercise.timed()), np.float32)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        given = copied(arguments)
        with learner.running():
            yours = seconds(lambda: learner.function(*given.values()))
        line = f"time: yours {_text(yours)}"
        if exercise.package:
            kernel, given_ours = exercise.package, list(copied(arguments).values())
            ours = seconds(lambda: kernel(*given_ours))
            slower = (
                f"takes {yours / ours:.3g} times as long" if yours >= ours else f"is {ours / yours:.3g} times faster"
            )
            line += f", ours {_text(ours)}: yours {slower}"
    finally:
        numba.set_num_threads(threads)
    shapes = ", ".join(f"{name} {value.shape}" for name, value in arguments.items() if isinstance(value, np.ndarray))
    return [
        line,
        f"      for {shapes}",
        f"      Median of up to {REPETITIONS} calls, one thread. Times are noisy: a factor below 2 means little.",
    ]


def seconds(call: Callable[[], Any]) -> float:
    call()  # compiles
    times: list[float] = []
    while len(times) < REPETITIONS and sum(times) < SECONDS:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def _text(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"
