"""What --device cuda measures: the answers, then each kernel of a training step, then the step beside PyTorch's.

Kernels are timed by replay: the launches of a few training steps are recorded with their arguments while they run. Then
each launch runs again many times, with the arguments of one step after the other, so that the activations change; the
weights do not. If a kernel takes less time than the host needs to launch it, about ten microseconds, the time is the
host's.
"""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from scratchser.bench import ours
from scratchser.bench.clock import finish_of, seconds_per_call
from scratchser.bench.contest import compare
from scratchser.bench.cuda import costs
from scratchser.bench.measure import QUICK, THREADS, Json, Plan, contests, installed, step_operations
from scratchser.kernels.machine.device import Device, launch_by_numba, launched_by
from scratchser.support import environment, gpu
from scratchser.support.terminal import say

STEPS = 4  # training steps with recorded launches
REPLAYS = 40  # launches that are timed together
BINS = 257
Launch = tuple[Any, Any, Any, int, tuple]  # the arguments of a launcher


def measure(name: str, plan: Plan, save: Callable[[Json], None]) -> Json:
    """The result for the device `name`, "cuda:K", which report.text prints. It is also saved without PyTorch's times,
    because PyTorch can end the process.

    Raises ProcessingError if the GPU's answers differ from the CPU's, or PyTorch's from ours.
    """
    device = gpu.open_device(name)
    say("answers of the CPU and of the GPU")
    difference = compare({where: ours.TrainingStep(BINS, where).answer() for where in ("cpu", name)})
    steps = record_steps(ours.TrainingStep(BINS, name))
    sections = {"kernels": [launch_times(device, launches, plan.rounds) for launches in zip(*steps, strict=True)]}
    result = {
        "environment": environment.describe(gpu.describe(name)),
        "notes": [
            f"device: {gpu.describe(name)}; the host needs some 10 µs for a launch",
            f"scores, loss and all gradients at {BINS} bins differ from the CPU's by {difference:.1e} of their norm",
            "bytes and operations of a kernel are those that any implementation needs",
        ],
        "quick": plan == QUICK,
        "threads": THREADS,
        "sections": sections,
    }
    save(result)
    sections["steps"] = step_times(name, plan)
    save(result)
    return result


def record_steps(step: ours.TrainingStep) -> list[list[Launch]]:
    """The launches of some training steps. They run, too; the first step, which compiles, is not recorded.

    The steps differ only in their batches, so the n-th launch is the same kernel in each of them.
    """
    step.run()
    steps: list[list[Launch]] = []

    def launcher(*launch: Any) -> None:
        steps[-1].append(launch)  # type: ignore[arg-type]
        launch_by_numba(*launch)

    with launched_by(launcher):
        for _ in range(STEPS):
            steps.append([])
            step.run()
    return steps


def launch_times(device: Device, launches: Sequence[Launch], rounds: int) -> Json:
    """For the n-th launch of every step: its seconds in each round, and what it needs, as the mean of the steps."""
    recorded = [on_host(device, launch) for launch in launches]
    say(recorded[0].name)
    bytes, operations = np.mean([costs.needed(launch) for launch in recorded], axis=0).tolist()
    turns, finish = cycle(launches), finish_of(device)

    def run() -> None:
        launch_by_numba(*next(turns))

    seconds_per_call(run, len(launches), finish)  # a warm-up
    times = [seconds_per_call(run, REPLAYS, finish) for _ in range(rounds)]
    return {"kernel": recorded[0].name, "bytes": bytes, "operations": operations, "times": times}


def on_host(device: Device, launch: Launch) -> costs.RecordedLaunch:
    """The launch for the formulas. They read arrays of integers, so these are copied; of others they use the shape."""
    kernel, grid, block, shared_bytes, arguments = launch
    copied = (
        device.download(argument) if getattr(argument, "shape", ()) != () and argument.dtype.kind == "i" else argument
        for argument in arguments
    )
    return costs.RecordedLaunch.of(kernel, grid, block, shared_bytes, tuple(copied))


def step_times(name: str, plan: Plan) -> list[Json]:
    """Our training step and, if PyTorch is installed and finds the GPU, its plain one and its expert one."""
    contestants = ["ours"]
    if installed(["torch"]):
        import torch

        if torch.cuda.is_available():
            contestants += ["torch", "torch, expert"]
    if contestants == ["ours"]:
        say("PyTorch is not installed or finds no GPU, so nothing is compared with it")
    return contests(plan, contestants, [({"bins": BINS}, step_operations(BINS), "step", BINS, name)])
