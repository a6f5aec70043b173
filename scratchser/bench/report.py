"""The result of measure.measure as Markdown tables, which also line up in a terminal."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from scratchser.bench import problem
from scratchser.bench.contest import Times

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


def ms(seconds: float) -> str:
    """Milliseconds with three digits, or all digits before the point."""
    milliseconds = 1000 * seconds
    return f"{milliseconds:.0f}" if milliseconds >= 99.95 else f"{milliseconds:#.3g}"


def spread(values: Iterable[float]) -> list[str]:
    """The median, and the smallest ... the largest."""
    sample = np.array(list(values))
    return [f"{np.median(sample):.2f}", f"{sample.min():.2f} ... {sample.max():.2f}"]


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
        times, operations = Times(contest["times"]), contest["operations"]
        first = next(iter(times.rounds))
        for name in times.rounds:
            seconds = times.median(name)
            ratio = ["-", "-"] if name == first else spread(times.ratios(name, first))
            row = [*map(str, contest["parameters"].values()), name, ms(seconds), *ratio]
            row.append(gflops(operations, seconds) if operations else "-")
            if rate is not None:
                row.append(f"{100 * operations / seconds / rate:.0f} %" if operations else "-")
            rows.append(row)
    return table(rows, left=len(head))


def batch_table(found: Sequence[Json], rate: float) -> str:
    rows = [["bins", "ms per batch", "ms per step", "of a step"]]
    for one in found:
        batch, step = (float(np.median(one[task]["ours"])) for task in ("batch", "step"))
        rows.append([str(one["bins"]), ms(batch), ms(step), f"{100 * batch / step:.1f} %"])
    return table(rows, left=1)


def memory_table(found: Sequence[Json], rate: float) -> str:
    rows = [["bins", "contestant", "MB when imported", "MB at most", "MB in between"]]
    for one in found:
        imported, peak = one["imported"], one["peak"]
        sizes = ["-"] * 3 if peak is None else [f"{size / 1e6:.0f}" for size in (imported, peak, peak - imported)]
        rows.append([str(one["bins"]), one["contestant"], *sizes])
    note = "Resident memory of a new process that runs all batches once. PyTorch's includes our imports."
    return f"{table(rows, left=2)}\n\n{note}"


def start_table(found: Sequence[Json], rate: float) -> str:
    rows = [["contestant", "start", "import s", "first step s", "together s", "spread"]]
    for one in found:
        for kind, runs in (("first", [one["cold"]]), ("later", one["warm"])):
            parts = [f"{np.median([run[part] for run in runs]):.2f}" for part in ("import", "step")]
            rows.append([one["contestant"], kind, *parts, *spread(sum(run.values()) for run in runs)])
    return table(rows, left=2) + "\n\nThe first start compiles our kernels; later ones find them in the cache."


SECTIONS: dict[str, tuple[str, Callable[[Sequence[Json], float], str]]] = {
    "steps": (f"Training step: forward, backward and update of {problem.BATCH} utterances", contest_table),
    "conv": (f"conv2d with bias and ReLU, {problem.BATCH} utterances of {problem.CONV_FRAMES} frames", contest_table),
    "lstm": ("Bi-LSTM, forward and backward", contest_table),
    "stft": ("Log spectrogram", contest_table),
    "batch": ("Batch building: VTLP, normalisation, padding", batch_table),
    "memory": ("Memory of a training step", memory_table),
    "start": ("Import and first step, 257 bins", start_table),
    "threads": ("Training step with one thread and with two", contest_table),
}
