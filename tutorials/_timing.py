"""Timing for the tutorials: results are checked first, functions take turns, the best time of each counts."""

import time

import numpy as np


def race(rungs, right, operations=None, rounds=15, tolerance=1e-5):
    """Milliseconds of each rung, a function without arguments. Prints them, with the gain over the one before.

    First all results are compared with `right`, with this tolerance relative to the largest element; this also compiles
    the functions. Then they take turns, so that a machine that is busy for a while slows down all of them, and the best
    time of each counts.
    """
    best, before = dict.fromkeys(rungs, np.inf), None
    for name, rung in rungs.items():
        error = np.abs(rung() - right).max()
        assert error <= tolerance * np.abs(right).max(), f"{name} is wrong by {error}"
    for _ in range(rounds):
        for name, rung in rungs.items():
            started = time.perf_counter()
            rung()
            best[name] = min(best[name], time.perf_counter() - started)
    for name, seconds in best.items():
        rate = f"{operations / seconds / 1e9:9.2f} GFLOP/s" if operations else ""
        gain = f"{before / seconds:7.1f} times as fast as the one before" if before else ""
        print(f"{name:20}{1e3 * seconds:9.3f} ms{rate}{gain}")
        before = seconds
    return {name: 1e3 * seconds for name, seconds in best.items()}
