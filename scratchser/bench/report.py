"""The result of measure.measure as Markdown tables, which also line up in a terminal."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from scratchser.bench import problem
from scratchser.bench.contest import Times

Json = dict[str, Any]


def text(result: Json) -> str:
    gemm = result["sgemm"]
    rate = gemm["operations"] / float(np.median(gemm["times"]))
    parts = [_head(result, rate)]
    for name, found in result["sections"].items():
        title, show = SECTIONS[name]
        parts.append(f"### {title}\n\n{show(found, rate)}")
    return "\n\n".join(parts) + "\n"


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


# ---- figures ------------------------------------------------------------------------------------------------------


def ms(seconds: float) -> str:
    """Milliseconds with three digits, or all digits before the point."""
    milliseconds = 1000 * seconds
    return f"{milliseconds:.0f}" if milliseconds >= 99.95 else f"{milliseconds:#.3g}"


def spread(values: Iterable[float]) -> list[str]:
    """The median, and the smallest ... the largest."""
    sample = np.array(list(values))
    return [f"{np.median(sample):.2f}", f"{sample.min():.2f} ... {sample.max():.2f}"]


def against(times: Times, name: str, ours: str = "ours") -> list[str]:
    """The ratio to our time, with its spread."""
    return ["-", "-"] if name == ours else spread(times.ratios(name, ours))


def gflops(operations: float, seconds: float) -> str:
    return f"{operations / seconds / 1e9:.1f}"


def share(operations: int, seconds: float, rate: float) -> str:
    return f"{100 * operations / seconds / rate:.0f} %"


def step_rows(contest: Json) -> list[tuple[str, list[str]]]:
    """For each contestant of a training step: its name, and milliseconds, utterances/s, ratio and spread."""
    times = Times(contest["times"])
    figures = [(name, times.median(name)) for name in times.rounds]
    return [(name, [ms(seconds), f"{problem.BATCH / seconds:.0f}", *against(times, name)]) for name, seconds in figures]


# ---- sections -----------------------------------------------------------------------------------------------------


def _head(result: Json, rate: float) -> str:
    gemm = result["sgemm"]
    rates = gemm["operations"] / np.array(gemm["times"]) / 1e9
    *lines, commit = machine(result["environment"])
    lines += [
        commit + ", --quick" * result["quick"],
        f"{result['threads']} threads each, unless a table says otherwise; 'times ours' is a contestant's time divided"
        " by ours, the median over the rounds, and the spread is the smallest ... the largest ratio",
        f"sgemm of NumPy: {rate / 1e9:.0f} GFLOP/s ({rates.min():.0f} ... {rates.max():.0f}), measured before and after"
        " everything else; shares of it count useful operations only",
        *result["notes"],
    ]
    return bullets(lines)


def _steps(contests: Sequence[Json], rate: float) -> str:
    rows = [["bins", "contestant", "ms", "utterances/s", "times ours", "spread", "of sgemm"]]
    for contest in contests:
        times = Times(contest["times"])
        for name, figures in step_rows(contest):
            of_sgemm = share(contest["operations"], times.median(name), rate)
            rows.append([str(contest["bins"]), name, *figures, of_sgemm])
    return table(rows, left=2)


def _conv(contests: Sequence[Json], rate: float) -> str:
    head = ["bins", "layer", "part", "ms", "GFLOP/s", "of sgemm", "torch ms", "expert ms", "best torch, times ours"]
    return _products([*head, "spread"], contests, ["bins", "layer", "part"], ["torch", "torch, expert"], rate)


def _lstm(contests: Sequence[Json], rate: float) -> str:
    head = ["features", "frames", "ms", "GFLOP/s", "of sgemm", "packed torch ms", "times ours", "spread"]
    return _products(head, contests, ["features", "frames"], ["torch"], rate)


def _products(head: list[str], contests: Sequence[Json], keys: Sequence[str], peers: Sequence[str], rate: float) -> str:
    """A row for each contest: our time and rate, the times of the peers, and the ratio of the fastest peer."""
    rows = [head]
    for contest in contests:
        times, operations = Times(contest["times"]), contest["operations"]
        seconds = times.median("ours")
        fastest = min((name for name in peers if name in times.rounds), key=times.median, default="ours")
        rows.append(
            [
                *(str(contest[key]) for key in keys),
                *(ms(seconds), gflops(operations, seconds), share(operations, seconds, rate)),
                *(ms(times.median(name)) if name in times.rounds else "-" for name in peers),
                *against(times, fastest),
            ]
        )
    return table(rows, left=len(keys))


def _stft(contests: Sequence[Json], rate: float) -> str:
    rows = [["minutes of audio", "contestant", "ms", "times ours", "spread"]]
    for contest in contests:
        times = Times(contest["times"])
        for name in times.rounds:
            rows.append([f"{contest['minutes']:g}", name, ms(times.median(name)), *against(times, name)])
    return table(rows, left=2)


def _batch(found: Sequence[Json], rate: float) -> str:
    rows = [["bins", "ms per batch", "ms per step", "of a step"]]
    for one in found:
        batch, step = (float(np.median(one[task]["ours"])) for task in ("batch", "step"))
        rows.append([str(one["bins"]), ms(batch), ms(step), f"{100 * batch / step:.1f} %"])
    return table(rows, left=1)


def _memory(found: Sequence[Json], rate: float) -> str:
    rows = [["bins", "contestant", "MB when imported", "MB at most", "MB in between"]]
    for one in found:
        imported, peak = one["imported"], one["peak"]
        sizes = ["-"] * 3 if peak is None else [f"{size / 1e6:.0f}" for size in (imported, peak, peak - imported)]
        rows.append([str(one["bins"]), one["contestant"], *sizes])
    note = "Resident memory of a new process that runs all batches once. PyTorch's includes our imports."
    return f"{table(rows, left=2)}\n\n{note}"


def _start(found: Sequence[Json], rate: float) -> str:
    rows = [["contestant", "start", "import s", "first step s", "together s", "spread"]]
    for one in found:
        for kind, runs in (("first", [one["cold"]]), ("later", one["warm"])):
            parts = [f"{np.median([run[part] for run in runs]):.2f}" for part in ("import", "step")]
            rows.append([one["contestant"], kind, *parts, *spread(sum(run.values()) for run in runs)])
    return table(rows, left=2) + "\n\nThe first start compiles our kernels; later ones find them in the cache."


def _threads(contests: Sequence[Json], rate: float) -> str:
    rows = [["bins", "contestant", "1 thread ms", "2 threads ms", "faster by", "spread"]]
    for contest in contests:
        times = Times(contest["times"])
        for name in dict.fromkeys(each.rpartition(", ")[0] for each in times.rounds):
            one, two = f"{name}, 1", f"{name}, 2"
            figures = [ms(times.median(one)), ms(times.median(two)), *against(times, one, two)]
            rows.append([str(contest["bins"]), name, *figures])
    return table(rows, left=2)


SECTIONS: dict[str, tuple[str, Callable[[Sequence[Json], float], str]]] = {
    "steps": (f"Training step: forward, backward and update of {problem.BATCH} utterances", _steps),
    "conv": (f"conv2d with bias and ReLU, {problem.BATCH} utterances of {problem.CONV_FRAMES} frames", _conv),
    "lstm": ("Bi-LSTM, forward and backward", _lstm),
    "stft": ("Log spectrogram", _stft),
    "batch": ("Batch building: VTLP, normalisation, padding", _batch),
    "memory": ("Memory of a training step", _memory),
    "start": ("Import and first step, 257 bins", _start),
    "threads": ("Training step with one thread and with two", _threads),
}
