"""The sections of the bench, as plain dicts: times in seconds, memory in bytes, counted operations.

A contest is one task by several contestants:
    {"parameters": of the task, "operations": of a run or None, "difference": of the answers,
     "times": {contestant: [seconds of each round]}}
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any

import numpy as np

from scratchser.bench import problem
from scratchser.bench.child import Child, ChildError, thread_limits
from scratchser.bench.contest import children, contest
from scratchser.support import environment
from scratchser.support.terminal import say

OPTIONAL = ("torch", "librosa")
REMEDY = "{} is not installed, so nothing is compared with it: pip install -e '.[bench]'"
THREADS = 2  # of every contestant

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How much is measured. Compiling PyTorch's step takes minutes."""

    rounds: int = 9
    bins: tuple[int, ...] = (257, 513)
    warm_starts: int = 5
    samples: int = problem.SAMPLES
    steps: tuple[str, ...] = ("ours", "torch", "torch, expert", "torch, compiled")
    quick: bool = False


QUICK = Plan(3, (257,), 1, problem.SAMPLES // 12, ("ours", "torch", "torch, expert"), quick=True)


def installed(contestants: Sequence[str]) -> list[str]:
    """The contestants with an installed library."""
    return [name for name in contestants if name == "ours" or util.find_spec(name.partition(",")[0])]


def measure(plan: Plan, sections: Sequence[str]) -> Json:
    """The environment, the sections, and the machine's sgemm rate before and after them; report.text prints it."""
    notes = [REMEDY.format(name) for name in OPTIONAL if not util.find_spec(name)]
    for note in notes:
        say(note)
    here = environment.describe("cpu")
    here["libraries"] |= {name: metadata.version(name) for name in installed(OPTIONAL)}
    before = sgemm(plan)
    measured = {name: SECTIONS[name](plan) for name in sections}
    return {
        "environment": here,
        "notes": notes,
        "quick": plan.quick,
        "threads": THREADS,
        "sgemm": {"operations": 2 * problem.GEMM**3, "times": before + sgemm(plan)},
        "sections": measured,
    }


def sgemm(plan: Plan) -> list[float]:
    with children(["numpy"], THREADS) as numpy:
        return timed(numpy, plan, {}, None, "gemm")["times"]["numpy"]


def timed(
    contestants: dict[str, Child], plan: Plan, parameters: Json, operations: int | None, task: str, *arguments: Any
) -> Json:
    """The contest as a dict."""
    say(", ".join([task, *(f"{name} {value}" for name, value in parameters.items())]))
    times, difference = contest(contestants, plan.rounds, task, *arguments)
    return {"parameters": parameters, "operations": operations, "difference": difference, "times": times}


def steps(plan: Plan) -> list[Json]:
    with children(installed(plan.steps), THREADS) as contestants:
        return [timed(contestants, plan, {"bins": bins}, step_operations(bins), "step", bins) for bins in plan.bins]


def step_operations(bins: int) -> int:
    """Useful operations of a mean step; the sum does not depend on how the batches are composed."""
    layers = problem.operations(problem.lengths(), bins).values()
    return sum(sum(layer.values()) for layer in layers) // problem.BATCHES


def conv(plan: Plan) -> list[Json]:
    contests = []
    frames = np.full(problem.BATCH, problem.CONV_FRAMES)
    with children(installed(["ours", "torch", "torch, expert"]), THREADS) as contestants:
        for bins in plan.bins:
            for layer in range(1, len(problem.config().conv_channels) + 1):
                for part, operations in problem.operations(frames, bins)[f"conv{layer}"].items():
                    parameters = {"bins": bins, "layer": layer, "part": part}
                    contests.append(timed(contestants, plan, parameters, operations, "conv", bins, layer, part))
    return contests


def lstm(plan: Plan) -> list[Json]:
    contests = []
    with children(installed(["ours", "torch"]), THREADS) as contestants:
        for features, shrink in ((1584, 4), (1584, 16), (816, 16)):
            frames = int(problem.lstm_input(features, shrink)[1].sum())
            operations = sum(problem.lstm_operations(frames, features, problem.config().lstm_units).values())
            parameters = {"features": features, "frames": frames}
            contests.append(timed(contestants, plan, parameters, operations, "lstm", features, shrink))
    return contests


def stft(plan: Plan) -> list[Json]:
    with children(installed(["ours", "torch", "scipy", "librosa"]), THREADS) as contestants:
        parameters = {"minutes": plan.samples // problem.RATE // 60}
        return [timed(contestants, plan, parameters, None, "stft", plan.samples)]


def batch(plan: Plan) -> list[Json]:
    with children(["ours"], THREADS) as ours:
        tasks = [(bins, task) for bins in plan.bins for task in ("batch", "step")]
        return [timed(ours, plan, {"bins": bins, "task": task}, None, task, bins) for bins, task in tasks]


def memory(plan: Plan) -> list[Json]:
    """Measured in the second of two new processes: the first may compile, and a compiler needs memory of its own."""
    rows = []
    for bins in plan.bins:
        for name in installed(plan.steps):
            say(f"memory, bins {bins}, {name}")
            peak_of_steps(name, bins)
            rows.append({"bins": bins, "contestant": name, **peak_of_steps(name, bins)})
    return rows


def peak_of_steps(contestant: str, bins: int) -> dict[str, int]:
    with closing(Child(contestant, THREADS)) as child:
        imported = child.memory()
        child.run(child.make("step", bins))
        return {"MB when imported": imported // 10**6, "MB at most": child.memory() // 10**6}


def start(plan: Plan) -> list[Json]:
    """New interpreters, the first one with an empty cache of compiled kernels."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for name in installed(["ours", "torch"]):
            for number in range(1, 2 + plan.warm_starts):
                say(f"start, {name}, {number}")
                rows.append({"contestant": name, "start": number, **new_start(name, cache)})
    return rows


def new_start(contestant: str, cache: str) -> Json:
    """Seconds of the import and of the first step."""
    variables = {**os.environ, **thread_limits(THREADS), "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-m", "scratchser.bench.start", contestant]
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE)
    if done.returncode:
        raise ChildError(f"the first step of {contestant!r} ended with exit code {done.returncode}, see above")
    return json.loads(done.stdout)


def threads(plan: Plan) -> list[Json]:
    contests = []
    for name in installed(["ours", "torch"]):
        with children([name], 2) as two, children([name], 1) as one:
            contestants = {"2 threads": two[name], "1 thread": one[name]}
            for bins in plan.bins:
                parameters = {"library": name, "bins": bins}
                contests.append(timed(contestants, plan, parameters, step_operations(bins), "step", bins))
    return contests


SECTIONS = {section.__name__: section for section in (steps, conv, lstm, stft, batch, memory, start, threads)}
