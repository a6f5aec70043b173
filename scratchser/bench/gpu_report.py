"""The result of gpu.measure as Markdown."""

from collections.abc import Sequence

import numpy as np

from scratchser.bench import problem
from scratchser.bench.contest import Times
from scratchser.bench.measure import Json
from scratchser.bench.report import against, gflops, ms, table


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
        "Medians; bytes and operations are those that any implementation needs (scratchser.costs). Times of some ten"
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
