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
from scratchser.bench.contest import children, compare
from scratchser.bench.cuda import costs
from scratchser.bench.measure import THREADS, Json, Plan, installed, step_operations, timed
from scratchser.bench.problem import BATCH
from scratchser.bench.report import bullets, contest_table, gflops, machine, table
from scratchser.kernels.machine.device import Device, launch_by_numba, launched_by
from scratchser.support import environment, gpu
from scratchser.support.terminal import say

STEPS = 4  # training steps with recorded launches
REPLAYS = 40  # launches that are timed together
BINS = 257
Launch = tuple[Any, Any, Any, int, tuple]  # the arguments of a launcher


def measure(name: str, plan: Plan, save: Callable[[Json], None]) -> Json:
    """All results for the device `name`, "cuda:K". They are also saved without PyTorch's, which can end the process.

    Raises DisagreementError if the GPU's answers differ from the CPU's, or PyTorch's from ours.
    """
    device = gpu.open_device(name)
    say("answers of the CPU and of the GPU")
    on_gpu = ours.TrainingStep(BINS, name)
    difference = compare({"cpu": ours.TrainingStep(BINS).answer(), name: on_gpu.answer()})
    steps = record_steps(on_gpu)
    result = {
        "environment": environment.describe(gpu.describe(name)),
        "bins": BINS,
        "difference": difference,
        "kernels": [launch_times(device, launches, plan.rounds) for launches in zip(*steps, strict=True)],
    }
    save(result)
    result["steps"] = step_times(name, plan)
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
    needed = [costs.needed(launch) for launch in recorded]
    turns, finish = cycle(launches), finish_of(device)

    def run() -> None:
        launch_by_numba(*next(turns))

    seconds_per_call(run, len(launches), finish)  # a warm-up
    return {
        "kernel": recorded[0].name,
        "bytes": float(np.mean([one.bytes for one in needed])),
        "operations": float(np.mean([one.operations for one in needed])),
        "times": [seconds_per_call(run, REPLAYS, finish) for _ in range(rounds)],
    }


def on_host(device: Device, launch: Launch) -> costs.RecordedLaunch:
    """The launch for the formulas. They read arrays of integers, so these are copied; of others they use the shape."""
    kernel, grid, block, shared_bytes, arguments = launch
    copied = (
        device.download(argument) if getattr(argument, "shape", ()) != () and argument.dtype.kind == "i" else argument
        for argument in arguments
    )
    return costs.RecordedLaunch.of(kernel, grid, block, shared_bytes, tuple(copied))


def step_times(name: str, plan: Plan) -> Json:
    """Our training step and, if PyTorch is installed and finds the GPU, its plain one and its expert one."""
    contestants = ["ours"]
    if installed(["torch"]):
        import torch

        contestants += ["torch", "torch, expert"] * torch.cuda.is_available()
    with children(contestants, THREADS) as processes:
        return timed(processes, plan, {"bins": BINS}, step_operations(BINS), "step", BINS, name)


# ---- tables ---------------------------------------------------------------------------------------------------------


def text(result: Json) -> str:
    head = [
        f"device: {result['environment']['device']}",
        *machine(result["environment"]),
        f"scores, loss and every gradient of a step at {result['bins']} bins differ from the CPU's by"
        f" {result['difference']:.1e} of their norm at most",
    ]
    kernels = f"### Kernels of a training step of {BATCH} utterances\n\n{_kernels(result['kernels'])}"
    step = f"### The training step as a whole\n\n{contest_table([result['steps']])}"
    alone = "\n\nPyTorch is not installed or finds no GPU." if len(result["steps"]["times"]) == 1 else ""
    return f"{bullets(head)}\n\n{kernels}\n\n{step}{alone}\n"


def _kernels(launches: Sequence[Json]) -> str:
    """A row for each kernel, which adds up its launches of a step; the slowest first."""
    groups: dict[str, list[Json]] = {}
    for launch in launches:
        groups.setdefault(launch["kernel"], []).append(launch)
    seconds = {name: sum(float(np.median(launch["times"])) for launch in launches) for name, launches in groups.items()}
    rows = [["kernel", "launches", "µs", "GB/s", "GFLOP/s"]]
    for name in sorted(groups, key=lambda name: -seconds[name]):
        rates = [gflops(sum(launch[key] for launch in groups[name]), seconds[name]) for key in ("bytes", "operations")]
        rows.append([name, str(len(groups[name])), f"{1e6 * seconds[name]:.1f}", *rates])
    rows.append(["all", str(len(launches)), f"{1e6 * sum(seconds.values()):.1f}", "", ""])
    note = (
        "Medians. Bytes and operations are those that any implementation needs. The host needs some 10 µs for a launch."
    )
    return f"{table(rows, left=1)}\n\n{note}"
