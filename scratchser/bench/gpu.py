"""What --device cuda measures: answers first, then each kernel of a step, then the step as a whole beside PyTorch's.

Kernels are timed by replay: the launches of a few training steps are recorded while they run, arguments and all, and
then asked for again one after the other, one kernel many times, from step to step in turn, so that its activations
change (the weights are the same ones in every step). Times are from event to event on the GPU's clock: where a kernel
takes less than the host needs to launch it, some ten microseconds, the time is the host's.
"""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from scratchser import costs
from scratchser.bench import ours
from scratchser.bench.contest import children, compare, contest
from scratchser.bench.measure import LIBRARIES, Json, Plan, installed, step_operations
from scratchser.kernels.machine.device import Place, launch_by_numba, launched_by
from scratchser.support import environment, gpu
from scratchser.support.terminal import say

STEPS = 4  # training steps whose launches are replayed in turn
REPLAYS = 40  # launches between two events
BINS = 257
Asked = tuple[Any, Any, Any, int, tuple]  # what a launcher gets


def measure(name: str, plan: Plan, keep: Callable[[Json], None]) -> Json:
    """All of it for the device `name`, "cuda:K". `keep` gets what there is before the race, which PyTorch can end.

    Raises DisagreementError where the GPU's answers are not the CPU's, or PyTorch's are not ours.
    """
    place = gpu.place(name)
    say("answers of the CPU and of the GPU")
    here, there = ours.Step(BINS), ours.Step(BINS, name)
    difference = compare({"cpu": here.answer(), name: there.answer()})
    steps = recorded_steps(there)
    result = {
        "environment": environment.describe(gpu.describe(name)),
        "bins": BINS,
        "difference": difference,
        "kernels": [launch_times(place, launches, plan.rounds) for launches in zip(*steps, strict=True)],
    }
    keep(result)
    return {**result, "steps": step_times(name, plan)}


def recorded_steps(step: ours.Step) -> list[list[Asked]]:
    """The launches of some training steps, which are run: the first one, which compiles, is left out.

    They differ in their batches only, so the n-th launch of one is the n-th of all.
    """
    step.run()
    steps: list[list[Asked]] = []
    for _ in range(STEPS):
        launches: list[Asked] = []
        with launched_by(_run_and_keep(launches)):
            step.run()
        steps.append(launches)
    return steps


def _run_and_keep(launches: list[Asked]) -> Callable[..., None]:
    def launcher(*asked: Any) -> None:
        launches.append(asked)  # type: ignore[arg-type]
        launch_by_numba(*asked)

    return launcher


def launch_times(place: Place, launches: Sequence[Asked], rounds: int) -> Json:
    """Of the n-th launch of every step: seconds of one, round by round, and what any implementation of it needs, the
    mean of the steps."""
    accounts = [account(place, launch) for launch in launches]
    say(accounts[0].name)
    needs = [costs.needed(account) for account in accounts]
    turn = cycle(launches)

    def run() -> None:
        launch_by_numba(*next(turn))

    place.seconds(run, len(launches))  # a warm-up
    return {
        "kernel": accounts[0].name,
        "bytes": float(np.mean([need.bytes for need in needs])),
        "operations": float(np.mean([need.operations for need in needs])),
        "times": [place.seconds(run, REPLAYS) for _ in range(rounds)],
    }


def account(place: Place, launch: Asked) -> costs.Launch:
    """For the formulas, which read tables of whole numbers, and of other arrays the shape."""
    kernel, grid, block, shared_bytes, arguments = launch
    tables = [getattr(array, "shape", ()) != () and array.dtype.kind == "i" for array in arguments]
    read = (place.download(array) if table else array for array, table in zip(arguments, tables, strict=True))
    return costs.Launch.of(kernel, grid, block, shared_bytes, tuple(read))


def step_times(name: str, plan: Plan) -> Json:
    """The training step by ours and, if it is there and finds the GPU, PyTorch: as anybody writes it, and an expert."""
    contestants = ["ours", *(["torch", "torch, expert"] if torch_has_gpu() else [])]
    say(f"training step: {', '.join(contestants)}")
    with children(contestants, plan.threads) as processes:
        times, difference = contest(processes, plan.rounds, "step", BINS, name)
    return {"times": times.rounds, "difference": difference, "operations": step_operations(BINS)}


def torch_has_gpu() -> bool:
    if not installed([name for name in LIBRARIES if LIBRARIES[name] == "torch"]):
        return False
    import torch

    return torch.cuda.is_available()
