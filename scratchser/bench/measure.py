"""What is measured, section by section, as plain dicts: times in seconds, memory in bytes, operations counted.

A race is one task by several contestants:
    {what it was ..., "operations": of a run or None, "difference": of the answers, "times": {contestant: [rounds]}}
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any

import numpy as np

from scratchser.bench import problem
from scratchser.bench.child import THREADS, Child, ChildError, Gemm
from scratchser.bench.contest import children, contest
from scratchser.support import environment
from scratchser.support.terminal import say

LIBRARIES = {"torch": "torch", "torch, expert": "torch", "torch, compiled": "torch", "librosa": "librosa"}
REMEDY = "{} is not installed, so nothing is compared with it: pip install 'scratchser[bench]'"

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How thoroughly."""

    quick: bool

    threads = 2  # of every contestant

    @property
    def rounds(self) -> int:
        return 3 if self.quick else 9

    @property
    def bins(self) -> tuple[int, ...]:
        return (257,) if self.quick else (257, 513)

    @property
    def starts(self) -> int:
        """With compiled kernels."""
        return 1 if self.quick else 5

    @property
    def samples(self) -> int:
        return problem.SAMPLES // 12 if self.quick else problem.SAMPLES

    @property
    def steps(self) -> list[str]:
        """Who races in a training step. Compiling takes minutes."""
        return installed(["ours", "torch", "torch, expert", *["torch, compiled"] * (not self.quick)])


def installed(contestants: Sequence[str]) -> list[str]:
    """Those whose library is there."""
    return [name for name in contestants if name not in LIBRARIES or util.find_spec(LIBRARIES[name])]


def missing() -> list[str]:
    """A sentence for each library that is not there."""
    return [REMEDY.format(name) for name in dict.fromkeys(LIBRARIES.values()) if not util.find_spec(name)]


def measure(plan: Plan, sections: Sequence[str]) -> Json:
    """The result that report.text shows: the machine, what the sections measured, and its sgemm rate around them."""
    notes, ran_on = missing(), machine()
    for note in notes:
        say(note)
    before = sgemm(plan)
    measured = {name: SECTIONS[name](plan) for name in sections}
    return {
        "environment": ran_on,
        "notes": notes,
        "quick": plan.quick,
        "threads": plan.threads,
        "sgemm": {"operations": 2 * Gemm.SIZE**3, "times": before + sgemm(plan)},
        "sections": measured,
    }


def machine() -> Json:
    said = environment.describe("cpu")
    peers = {name: metadata.version(name) for name in dict.fromkeys(LIBRARIES.values()) if util.find_spec(name)}
    kept = {key: said[key] for key in ("started", "command", "python", "commit", "platform", "cpu", "cores")}
    return {**kept, "libraries": {**said["libraries"], **peers}}


def sgemm(plan: Plan) -> list[float]:
    say("sgemm")
    with children(["blas"], plan.threads) as blas:
        return contest(blas, plan.rounds, "gemm")[0].rounds["blas"]


def race(
    contestants: dict[str, Child], plan: Plan, what: Json, operations: int | None, task: str, *parameters: Any
) -> Json:
    say(", ".join([task, *(f"{key} {value}" for key, value in what.items())]))
    times, difference = contest(contestants, plan.rounds, task, *parameters)
    return {**what, "operations": operations, "difference": difference, "times": times.rounds}


def steps(plan: Plan) -> list[Json]:
    with children(plan.steps, plan.threads) as contestants:
        return [race(contestants, plan, {"bins": bins}, step_operations(bins), "step", bins) for bins in plan.bins]


def step_operations(bins: int) -> int:
    """Useful ones of a mean step; no batch's composition changes their sum."""
    return sum(layer.total for layer in problem.work(problem.lengths(), bins).values()) // problem.BATCHES


def conv(plan: Plan) -> list[Json]:
    races = []
    with children(installed(["ours", "torch", "torch, expert"]), plan.threads) as contestants:
        for bins in plan.bins:
            for layer in range(1, len(problem.config().conv_channels) + 1):
                for part, operations in conv_operations(bins, layer).items():
                    what = {"bins": bins, "layer": layer, "part": part}
                    races.append(race(contestants, plan, what, operations, "conv", bins, layer, part))
    return races


def conv_operations(bins: int, layer: int) -> dict[str, int]:
    """Of each part of the layer that anybody needs, for problem.conv_input."""
    frames = np.full(problem.BATCH, problem.CONV_FRAMES)
    work = problem.work(frames, bins)[f"conv{layer}"]
    return {part: count for part in ("forward", "dW", "dx") if (count := getattr(work, part))}


def lstm(plan: Plan) -> list[Json]:
    races = []
    with children(installed(["ours", "torch"]), plan.threads) as contestants:
        for features, shrink in ((1584, 4), (1584, 16), (816, 16)):
            _, lengths = problem.lstm_input(features, shrink)
            work = problem.lstm_work(int(lengths.sum()), features, problem.config().lstm_units)
            what = {"features": features, "frames": int(lengths.sum())}
            races.append(race(contestants, plan, what, work.total, "lstm", features, shrink))
    return races


def stft(plan: Plan) -> list[Json]:
    with children(installed(["ours", "torch", "scipy", "librosa"]), plan.threads) as contestants:
        what = {"minutes": plan.samples / problem.RATE / 60}
        return [race(contestants, plan, what, None, "stft", plan.samples)]


def batch(plan: Plan) -> list[Json]:
    """Two races of ours alone: the batch, and the step that waits for it."""
    with children(["ours"], plan.threads) as ours:
        return [
            {
                "bins": bins,
                **{task: race(ours, plan, {"bins": bins}, None, task, bins)["times"] for task in ("batch", "step")},
            }
            for bins in plan.bins
        ]


def memory(plan: Plan) -> list[Json]:
    """In the second of two fresh processes: in the first a compiler may be at work, whose memory is not a step's."""
    found = []
    for bins in plan.bins:
        for name in plan.steps:
            say(f"memory, bins {bins}, {name}")
            one_pass(name, plan, bins)
            found.append({"bins": bins, "contestant": name, **one_pass(name, plan, bins)})
    return found


def one_pass(contestant: str, plan: Plan, bins: int) -> Json:
    with closing(Child(contestant, plan.threads)) as child:
        imported = child.ask("memory")
        child.ask("run", child.ask("make", "step", bins))
        return {"imported": imported, "peak": child.ask("memory")}


def start(plan: Plan) -> list[Json]:
    """Import and first step in fresh interpreters: once with an empty cache of compiled kernels, then with that one."""
    found = []
    with tempfile.TemporaryDirectory() as cache:
        for name in installed(["ours", "torch"]):
            runs = []
            for number in range(1 + plan.starts):
                say(f"start, {name}, {number or 'cold'}")
                runs.append(fresh_start(name, plan, cache))
            found.append({"contestant": name, "cold": runs[0], "warm": runs[1:]})
    return found


def fresh_start(contestant: str, plan: Plan, cache: str) -> Json:
    """Seconds of "import" and "step"."""
    changes = {**dict.fromkeys(THREADS, str(plan.threads)), "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-m", "scratchser.bench.start", contestant]
    done = subprocess.run(command, env={**os.environ, **changes}, stdout=subprocess.PIPE)
    if done.returncode:
        raise ChildError(f"the first step of {contestant!r} ended with exit code {done.returncode}, see above")
    return json.loads(done.stdout)


def threads(plan: Plan) -> list[Json]:
    with children(installed(["ours", "torch"]), 1) as one, children(installed(["ours", "torch"]), 2) as two:
        contestants = {f"{name}, {n}": child for n, group in ((1, one), (2, two)) for name, child in group.items()}
        return [race(contestants, plan, {"bins": bins}, step_operations(bins), "step", bins) for bins in plan.bins]


SECTIONS: dict[str, Callable[[Plan], list[Json]]] = {
    "steps": steps,
    "conv": conv,
    "lstm": lstm,
    "stft": stft,
    "batch": batch,
    "memory": memory,
    "start": start,
    "threads": threads,
}
