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

from scratchser.bench import ours, problem
from scratchser.bench.clock import seconds_per_call
from scratchser.bench.contest import Times, children, compare, contest
from scratchser.bench.cuda import costs
from scratchser.bench.measure import LIBRARIES, Json, Plan, installed, step_operations
from scratchser.bench.report import against, gflops, ms, table
from scratchser.kernels.machine.device import Device, launch_by_numba, launched_by
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
    device = gpu.open_device(name)
    say("answers of the CPU and of the GPU")
    here, there = ours.Step(BINS), ours.Step(BINS, name)
    difference = compare({"cpu": here.answer(), name: there.answer()})
    steps = recorded_steps(there)
    result = {
        "environment": environment.describe(gpu.describe(name)),
        "bins": BINS,
        "difference": difference,
        "kernels": [launch_times(device, launches, plan.rounds) for launches in zip(*steps, strict=True)],
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


def launch_times(device: Device, launches: Sequence[Asked], rounds: int) -> Json:
    """Of the n-th launch of every step: seconds of one, round by round, and what any implementation of it needs, the
    mean of the steps."""
    accounts = [account(device, launch) for launch in launches]
    say(accounts[0].name)
    needs = [costs.needed(account) for account in accounts]
    turn = cycle(launches)

    def run() -> None:
        launch_by_numba(*next(turn))

    seconds_per_call(run, len(launches), device)  # a warm-up
    return {
        "kernel": accounts[0].name,
        "bytes": float(np.mean([need.bytes for need in needs])),
        "operations": float(np.mean([need.operations for need in needs])),
        "times": [seconds_per_call(run, REPLAYS, device) for _ in range(rounds)],
    }


def account(device: Device, launch: Asked) -> costs.RecordedLaunch:
    """For the formulas, which read tables of whole numbers, and of other arrays the shape."""
    kernel, grid, block, shared_bytes, arguments = launch
    tables = [getattr(array, "shape", ()) != () and array.dtype.kind == "i" for array in arguments]
    read = (device.download(array) if table else array for array, table in zip(arguments, tables, strict=True))
    return costs.RecordedLaunch.of(kernel, grid, block, shared_bytes, tuple(read))


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


def text(result: Json) -> str:
    parts = [_head(result)]
    parts.append(f"### Kernels of a training step of {problem.BATCH} utterances\n\n{_kernels(result['kernels'])}")
    parts.append(f"### The training step as a whole\n\n{_steps(result['steps'])}")
    return "\n\n".join(parts) + "\n"


def _head(result: Json) -> str:
    ran_on = result["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in ran_on["libraries"].items())
    lines = [
        f"device: {ran_on['device']}",
        f"machine: {ran_on['cpu']}, {ran_on['cores']} cores, {ran_on['platform']}",
        f"versions: Python {ran_on['python']}, {versions}",
        f"commit {ran_on['commit'] or 'unknown'}, {ran_on['started']}",
        f"scores, loss and every gradient of a step at {result['bins']} bins differ from the CPU's by"
        f" {result['difference']:.1e} of their norm at most",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _kernels(launches: Sequence[Json]) -> str:
    """A row for each kernel, its launches of a step added up; the slowest first."""
    groups: dict[str, list[Json]] = {}
    for launch in launches:
        groups.setdefault(launch["kernel"], []).append(launch)
    rows = []
    for name, group in groups.items():
        seconds = sum(float(np.median(launch["times"])) for launch in group)
        needs = {what: sum(launch[what] for launch in group) for what in ("bytes", "operations")}
        rates = gflops(needs["bytes"], seconds), gflops(needs["operations"], seconds)
        rows.append((seconds, [name, str(len(group)), f"{1e6 * seconds:.1f}", *rates]))
    total = [["all", str(len(launches)), f"{1e6 * sum(seconds for seconds, _ in rows):.1f}", "", ""]]
    ordered = [row for _, row in sorted(rows, key=lambda pair: -pair[0])]
    explained = (
        "Medians; bytes and operations are those that any implementation needs (scratchser.bench.cuda.costs). Times of some ten"
        " microseconds a launch are the host's, which does not ask for kernels any faster."
    )
    return table([["kernel", "launches", "µs", "GB/s", "GFLOP/s"], *ordered, *total], left=1) + f"\n\n{explained}"


def _steps(race: Json) -> str:
    times = Times(race["times"])
    rows = [["contestant", "ms", "utterances/s", "GFLOP/s", "times ours", "spread"]]
    for name in times.rounds:
        seconds = times.median(name)
        rate = gflops(race["operations"], seconds)
        rows.append([name, ms(seconds), f"{problem.BATCH / seconds:.0f}", rate, *against(times, name)])
    alone = "" if len(times.rounds) > 1 else "\n\nPyTorch is not installed, or finds no GPU: ours alone was timed."
    return table(rows, left=1) + alone
