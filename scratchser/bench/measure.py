"""The sections of the bench, as plain dicts: times in seconds, memory in bytes, counted operations.

A contest is one task by several contestants:
    {"parameters": of the task, "operations": of a run or None, "times": {contestant: [seconds of each round]},
     "difference": of the answers}
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any

import numpy as np

from scratchser.bench import problem
from scratchser.bench.child import Child, thread_limits
from scratchser.bench.contest import children, contest
from scratchser.support import environment
from scratchser.support.errors import ProcessingError
from scratchser.support.terminal import say

OPTIONAL = ("torch", "librosa")
THREADS = 2  # of every contestant

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How much is measured. Compiling PyTorch's step takes minutes."""

    rounds: int = 9
    bins: tuple[int, ...] = (257, 513)
    samples: int = problem.SAMPLES
    steps: tuple[str, ...] = ("ours", "torch", "torch, expert", "torch, compiled")


QUICK = Plan(3, (257,), problem.SAMPLES // 12, ("ours", "torch", "torch, expert"))


def installed(contestants: Sequence[str]) -> list[str]:
    """The contestants with an installed library."""
    return [name for name in contestants if name == "ours" or util.find_spec(name.partition(",")[0])]


def measure(plan: Plan, sections: Sequence[str]) -> Json:
    """The environment, the sections, and the machine's sgemm rate before and after them; report.text prints it."""
    missing = [name for name in OPTIONAL if name not in installed(OPTIONAL)]
    notes = [f"{name} is not installed, so nothing is compared with it: pip install -e '.[bench]'" for name in missing]
    for note in notes:
        say(note)
    here = environment.describe("cpu")
    here["libraries"] |= {name: metadata.version(name) for name in installed(OPTIONAL)}
    before = sgemm(plan)
    measured = {name: SECTIONS[name](plan) for name in sections}
    return {
        "environment": here,
        "notes": notes,
        "quick": plan == QUICK,
        "threads": THREADS,
        "sgemm": {"operations": 2 * problem.GEMM**3, "times": before + sgemm(plan)},
        "sections": measured,
    }


def sgemm(plan: Plan) -> list[float]:
    (result,) = contests(plan, ["numpy"], [({}, None, "gemm")])
    return result["times"]["numpy"]


def contests(plan: Plan, contestants: Sequence[str], tasks: Sequence[tuple[Any, ...]]) -> list[Json]:
    """The contests as dicts. A task: the parameters to print, the operations of a run, the arguments of Child.make."""
    with children(installed(contestants), THREADS) as processes:
        return [timed(processes, plan, *task) for task in tasks]


def timed(contestants: dict[str, Child], plan: Plan, parameters: Json, operations: int | None, *task: Any) -> Json:
    say(", ".join([task[0], *(f"{name} {value}" for name, value in parameters.items())]))
    return {"parameters": parameters, "operations": operations, **contest(contestants, plan.rounds, *task)}


def steps(plan: Plan) -> list[Json]:
    return contests(plan, plan.steps, [({"bins": bins}, step_operations(bins), "step", bins) for bins in plan.bins])


def step_operations(bins: int) -> int:
    """Useful operations of a mean step; the sum does not depend on how the batches are composed."""
    layers = problem.operations(problem.lengths(), bins).values()
    return sum(sum(layer.values()) for layer in layers) // problem.BATCHES


def conv(plan: Plan) -> list[Json]:
    frames = np.full(problem.BATCH, problem.CONV_FRAMES)
    tasks = [
        ({"bins": bins, "layer": layer, "part": part}, operations, "conv", bins, layer, part)
        for bins in plan.bins
        for layer in range(1, len(problem.config().conv_channels) + 1)
        for part, operations in problem.operations(frames, bins)[f"conv{layer}"].items()
    ]
    return contests(plan, ["ours", "torch", "torch, expert"], tasks)


def lstm(plan: Plan) -> list[Json]:
    tasks = []
    for features, shrink in ((1584, 4), (1584, 16), (816, 16)):
        frames = int(problem.lstm_input(features, shrink)[1].sum())
        operations = sum(problem.lstm_operations(frames, features, problem.config().lstm_units).values())
        tasks.append(({"features": features, "frames": frames}, operations, "lstm", features, shrink))
    return contests(plan, ["ours", "torch"], tasks)


def stft(plan: Plan) -> list[Json]:
    minutes = plan.samples // problem.RATE // 60
    return contests(plan, ["ours", "torch", "scipy", "librosa"], [({"minutes": minutes}, None, "stft", plan.samples)])


def batch(plan: Plan) -> list[Json]:
    tasks = [({"bins": bins, "task": task}, None, task, bins) for bins in plan.bins for task in ("batch", "step")]
    return contests(plan, ["ours"], tasks)


def memory(plan: Plan) -> list[Json]:
    """Measured in the second of two new processes: the first may compile, and a compiler needs memory too."""
    rows = []
    for bins, name in itertools.product(plan.bins, installed(plan.steps)):
        new_process(name, bins)
        rows.append({"bins": bins, "contestant": name, **new_process(name, bins)["memory"]})
    return rows


def start(plan: Plan) -> list[Json]:
    """New interpreters, the first one with an empty cache of compiled kernels."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for name in installed(["ours", "torch"]):
            for number in range(1, 2 + plan.rounds):
                found = new_process(name, 257, NUMBA_CACHE_DIR=cache)
                rows.append({"contestant": name, "start": number, **found["time"]})
    return rows


def new_process(contestant: str, bins: int, **variables: str) -> Json:
    """What scratchser.bench.start prints in a new interpreter with these environment variables."""
    say(f"start, bins {bins}, {contestant}")
    command = [sys.executable, "-m", "scratchser.bench.start", contestant, str(bins)]
    done = subprocess.run(command, env={**os.environ, **thread_limits(THREADS), **variables}, stdout=subprocess.PIPE)
    if done.returncode:
        raise ProcessingError(f"the steps of {contestant!r} ended with exit code {done.returncode}, see above")
    return json.loads(done.stdout)


def threads(plan: Plan) -> list[Json]:
    found = []
    for name in installed(["ours", "torch"]):
        with children([name], 2) as two, children([name], 1) as one:
            contestants = {"2 threads": two[name], "1 thread": one[name]}
            for bins in plan.bins:
                parameters = {"library": name, "bins": bins}
                found.append(timed(contestants, plan, parameters, step_operations(bins), "step", bins))
    return found


SECTIONS = {section.__name__: section for section in (steps, conv, lstm, stft, batch, memory, start, threads)}
