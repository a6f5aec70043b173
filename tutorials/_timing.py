"""How the tutorials time: right before fast, in turns, the best time of each."""

import time

import numpy as np


def race(rungs, right, operations=None, rounds=15, tolerance=1e-5):
    """Milliseconds of each rung, a function without arguments; prints them, with the gain over the one before.

    First all of them have to give the numbers of `right`, to this share of the largest one; that also compiles them.
    Then they take turns, since a machine that is busy for a while would be unfair to one of them, and of each the best
    time counts, the one that was disturbed least.
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
