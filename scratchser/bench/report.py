"""The result of measure.measure as Markdown tables, which also line up in a terminal."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from scratchser.bench import problem

Json = dict[str, Any]


def text(result: Json) -> str:
    """For the result of cuda.gpu.measure, too, which has no sgemm."""
    environment, rate = result["environment"], None
    versions = ", ".join(f"{name} {version}" for name, version in environment["libraries"].items())
    lines = [
        f"machine: {environment['cpu']}, {environment['cores']} cores, {environment['platform']}",
        f"versions: Python {environment['python']}, {versions}",
        f"commit {environment['commit'] or 'unknown'}, {environment['started']}{', --quick' * result['quick']}",
        f"{result['threads']} threads each, unless a table says otherwise",
        "ratio: a contestant's time divided by the first one's, the median of the rounds; spread: smallest ... largest",
        "GFLOP/s count useful operations only",
        *result["notes"],
    ]
    if "sgemm" in result:
        rates = result["sgemm"]["operations"] / np.array(result["sgemm"]["times"])
        rate = float(np.median(rates))
        spread = f"{rates.min() / 1e9:.0f} ... {rates.max() / 1e9:.0f}"
        lines.append(f"sgemm of NumPy: {rate / 1e9:.0f} GFLOP/s ({spread}), before and after everything else")
    sections = [
        f"### {SECTIONS[name][0]}\n\n{SECTIONS[name][1](found, rate)}" for name, found in result["sections"].items()
    ]
    return "\n\n".join(["\n".join(f"- {line}" for line in lines), *sections]) + "\n"


def table(rows: Iterable[Mapping[str, Any]], left: int = 1) -> str:
    """A Markdown table. The keys of the rows are the head; the first `left` columns are aligned left."""
    rows = list(rows)
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)])
    aligned = ([f"{cell:{'<' if i < left else '>'}{widths[i]}}" for i, cell in enumerate(line)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in aligned)


def digits(number: float) -> str:
    """Three digits, or all digits before the point."""
    return f"{number:.0f}" if number >= 99.95 else f"{number:#.3g}"


def giga(count: float, seconds: float) -> str:
    """Operations as GFLOP/s, or bytes as GB/s."""
    return f"{count / seconds / 1e9:.1f}"


# ---- sections -----------------------------------------------------------------------------------------------------


def contest_table(contests: Sequence[Json], rate: float | None) -> str:
    """A row for each contestant of each contest. `rate` is the machine's sgemm in operations per second."""
    rows = []
    for contest in contests:
        operations, first = contest["operations"], next(iter(contest["times"].values()))
        for name, times in contest["times"].items():
            seconds = float(np.median(times))
            ratios = np.divide(times, first)  # round by round, because a disturbance slows all turns of a round
            row = {**contest["parameters"], "contestant": name, "ms": digits(1000 * seconds)}
            row["ratio"] = f"{np.median(ratios):.2f}"
            row["spread"] = f"{ratios.min():.2f} ... {ratios.max():.2f}"
            if operations:
                row["GFLOP/s"] = giga(operations, seconds)
            if operations and rate:
                row["of sgemm"] = f"{100 * operations / seconds / rate:.0f} %"
            rows.append(row)
    return table(rows, left=len(contests[0]["parameters"]) + 1)


def kernel_table(launches: Sequence[Json], rate: float | None) -> str:
    """A row for each kernel, which adds up its launches of a step; the slowest first. Times are medians."""
    groups: dict[str, list[Json]] = {"all": list(launches)}
    for launch in launches:
        groups.setdefault(launch["kernel"], []).append(launch)
    seconds = {name: sum(float(np.median(launch["times"])) for launch in group) for name, group in groups.items()}
    rows = []
    for name in sorted(groups, key=seconds.__getitem__, reverse=True):
        bytes, operations = (sum(launch[key] for launch in groups[name]) for key in ("bytes", "operations"))
        rows.append(
            {
                "kernel": name,
                "launches": len(groups[name]),
                "µs": f"{1e6 * seconds[name]:.1f}",
                "GB/s": giga(bytes, seconds[name]),
                "GFLOP/s": giga(operations, seconds[name]),
            }
        )
    return table(rows)


def plain_table(rows: Sequence[Json], rate: float | None) -> str:
    texts = [{key: f"{value:.2f}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]
    return table(texts, left=2)


SECTIONS: dict[str, tuple[str, Callable[[Sequence[Json], float | None], str]]] = {
    "kernels": (f"Kernels of a training step of {problem.BATCH} utterances", kernel_table),
    "steps": (f"Training step: forward, backward and update of {problem.BATCH} utterances", contest_table),
    "conv": (f"conv2d with bias and ReLU, {problem.BATCH} utterances of {problem.CONV_FRAMES} frames", contest_table),
    "lstm": ("Bi-LSTM, forward and backward", contest_table),
    "stft": ("Log spectrogram", contest_table),
    "batch": ("A batch (VTLP, normalisation, padding) beside the step that needs it", contest_table),
    "memory": ("Memory of a new process that runs all batches once; PyTorch's includes our imports", plain_table),
    "start": ("Import and first step, 257 bins: the first start compiles our kernels", plain_table),
    "threads": ("Training step with one thread and with two", contest_table),
}
