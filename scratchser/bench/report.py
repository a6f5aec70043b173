"""The result of measure.measure as Markdown tables, which also line up in a terminal."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from scratchser.bench import problem

Json = dict[str, Any]


def text(result: Json) -> str:
    gemm = result["sgemm"]
    rates = gemm["operations"] / np.array(gemm["times"])
    rate = float(np.median(rates))
    *lines, commit = machine(result["environment"])
    lines += [
        commit + ", --quick" * result["quick"],
        f"{result['threads']} threads each, unless a table says otherwise",
        "ratio: a contestant's time divided by the first one's, the median of the rounds; spread: smallest ... largest",
        f"sgemm of NumPy: {rate / 1e9:.0f} GFLOP/s ({rates.min() / 1e9:.0f} ... {rates.max() / 1e9:.0f}), before and"
        " after everything else; GFLOP/s and shares of sgemm count useful operations only",
        *result["notes"],
    ]
    sections = [
        f"### {SECTIONS[name][0]}\n\n{SECTIONS[name][1](found, rate)}" for name, found in result["sections"].items()
    ]
    return "\n\n".join([bullets(lines), *sections]) + "\n"


def table(rows: Sequence[Sequence[str]], left: int) -> str:
    """A Markdown table. The first row is the head; the first `left` columns are aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [rows[0], rule, *rows[1:]]
    aligned = ([f"{cell:{'<' if i < left else '>'}{widths[i]}}" for i, cell in enumerate(line)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in aligned)


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def machine(environment: Json) -> list[str]:
    """Machine, versions and commit, a line each."""
    versions = ", ".join(f"{name} {version}" for name, version in environment["libraries"].items())
    return [
        f"machine: {environment['cpu']}, {environment['cores']} cores, {environment['platform']}",
        f"versions: Python {environment['python']}, {versions}",
        f"commit {environment['commit'] or 'unknown'}, {environment['started']}",
    ]


def digits(number: float) -> str:
    """Three digits, or all digits before the point."""
    return f"{number:.0f}" if number >= 99.95 else f"{number:#.3g}"


def gflops(operations: float, seconds: float) -> str:
    return f"{operations / seconds / 1e9:.1f}"


# ---- sections -----------------------------------------------------------------------------------------------------


def contest_table(contests: Sequence[Json], rate: float | None = None) -> str:
    """A row for each contestant of each contest.

    rate   operations per second of the machine's sgemm; None leaves its column out
    """
    head = [*contests[0]["parameters"], "contestant"]
    rows = [[*head, "ms", "ratio", "spread", "GFLOP/s", *["of sgemm"] * (rate is not None)]]
    for contest in contests:
        times, operations = contest["times"], contest["operations"]
        first = next(iter(times))
        for name in times:
            seconds = float(np.median(times[name]))
            # round by round, because a disturbance slows all turns of a round
            ratios = np.array(times[name]) / np.array(times[first])
            ratio = (
                ["-", "-"]
                if name == first
                else [f"{np.median(ratios):.2f}", f"{ratios.min():.2f} ... {ratios.max():.2f}"]
            )
            row = [*map(str, contest["parameters"].values()), name, digits(1000 * seconds), *ratio]
            row.append(gflops(operations, seconds) if operations else "-")
            if rate is not None:
                row.append(f"{100 * operations / seconds / rate:.0f} %" if operations else "-")
            rows.append(row)
    return table(rows, left=len(head))


def plain_table(rows: Sequence[Json], rate: float) -> str:
    """The keys as head, and a line for each row."""
    cells = [[f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    return table([list(rows[0]), *cells], left=2)


SECTIONS: dict[str, tuple[str, Callable[[Sequence[Json], float], str]]] = {
    "steps": (f"Training step: forward, backward and update of {problem.BATCH} utterances", contest_table),
    "conv": (f"conv2d with bias and ReLU, {problem.BATCH} utterances of {problem.CONV_FRAMES} frames", contest_table),
    "lstm": ("Bi-LSTM, forward and backward", contest_table),
    "stft": ("Log spectrogram", contest_table),
    "batch": ("A batch (VTLP, normalisation, padding) beside the step that needs it", contest_table),
    "memory": ("Memory of a new process that runs all batches once; PyTorch's includes our imports", plain_table),
    "start": ("Import and first step, 257 bins: the first start compiles our kernels", plain_table),
    "threads": ("Training step with one thread and with two", contest_table),
}
