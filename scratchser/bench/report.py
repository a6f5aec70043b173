"""The result of measure.measure as Markdown, in columns that also line up in a terminal."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from scratchser.bench import problem
from scratchser.bench.contest import Times

EXPERTS = "torch, expert", "torch, compiled"
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
    """The first row is the head; the first `left` columns begin at the left, the others end at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [rows[0], rule, *rows[1:]]
    aligned = ([f"{cell:{'<' if i < left else '>'}{widths[i]}}" for i, cell in enumerate(line)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in aligned)


# ---- figures ------------------------------------------------------------------------------------------------------


def ms(seconds: float) -> str:
    """Three digits, or all in front of the point."""
    milliseconds = 1000 * seconds
    return f"{milliseconds:.0f}" if milliseconds >= 99.95 else f"{milliseconds:#.3g}"


def spread(values: Iterable[float]) -> list[str]:
    """Median, and least ... most."""
    all_of_them = np.array(list(values))
    return [f"{np.median(all_of_them):.2f}", f"{all_of_them.min():.2f} ... {all_of_them.max():.2f}"]


def against(times: Times, name: str, ours: str = "ours") -> list[str]:
    """How many times as long as ours it takes."""
    return ["-", "-"] if name == ours else spread(times.ratios(name, ours))


def gflops(operations: float, seconds: float) -> str:
    return f"{operations / seconds / 1e9:.1f}"


def share(operations: int, seconds: float, rate: float) -> str:
    return f"{100 * operations / seconds / rate:.0f} %"


def fastest(times: Times, names: Iterable[str]) -> str | None:
    """Of those of the names that raced."""
    return min((name for name in names if name in times.rounds), key=times.median, default=None)


# ---- sections -----------------------------------------------------------------------------------------------------


def _head(result: Json, rate: float) -> str:
    machine, gemm = result["environment"], result["sgemm"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    rates = gemm["operations"] / np.array(gemm["times"]) / 1e9
    lines = [
        f"machine: {machine['cpu']}, {machine['cores']} cores, {machine['platform']}",
        f"versions: Python {machine['python']}, {versions}",
        f"commit {machine['commit'] or 'unknown'}, {machine['started']}" + ", --quick" * result["quick"],
        f"{result['threads']} threads each, where nothing else is said; 'times ours' is a contestant's time by ours,"
        " median and least ... most over the rounds",
        f"sgemm of NumPy: {rate / 1e9:.0f} GFLOP/s ({rates.min():.0f} ... {rates.max():.0f}), measured before and after"
        " all else; the shares of it count useful operations only",
        *result["notes"],
    ]
    return "\n".join(f"- {line}" for line in lines)


def _steps(races: Sequence[Json], rate: float) -> str:
    rows, remarks = [["bins", "contestant", "ms", "utterances/s", "times ours", "spread", "of sgemm"]], []
    for race in races:
        times = Times(race["times"])
        for name in times.rounds:
            seconds = times.median(name)
            rows.append(
                [
                    str(race["bins"]),
                    name,
                    ms(seconds),
                    f"{problem.BATCH / seconds:.0f}",
                    *against(times, name),
                    share(race["operations"], seconds, rate),
                ]
            )
        if best := fastest(times, EXPERTS):
            ratio, least_most = against(times, best)
            remarks.append(f"{race['bins']} bins: the faster expert is '{best}', {ratio} times ours ({least_most}).")
    return "\n\n".join([table(rows, left=2), *remarks])


def _conv(races: Sequence[Json], rate: float) -> str:
    head = ["bins", "layer", "part", "ms", "GFLOP/s", "of sgemm", "torch ms", "expert ms", "best torch, times ours"]
    rows = [[*head, "spread"]]
    for race in races:
        times, operations = Times(race["times"]), race["operations"]
        peers = ["torch", "torch, expert"]
        what = [str(race[key]) for key in ("bins", "layer", "part")]
        rows.append([*what, *_rate(times, operations, rate), *_peers(times, peers), *_best(times, peers)])
    return table(rows, left=3)


def _lstm(races: Sequence[Json], rate: float) -> str:
    rows = [["features", "frames", "ms", "GFLOP/s", "of sgemm", "packed torch ms", "times ours", "spread"]]
    for race in races:
        times = Times(race["times"])
        what = [str(race[key]) for key in ("features", "frames")]
        rows.append(
            [*what, *_rate(times, race["operations"], rate), *_peers(times, ["torch"]), *_best(times, ["torch"])]
        )
    return table(rows, left=0)


def _rate(times: Times, operations: int, rate: float) -> list[str]:
    seconds = times.median("ours")
    return [ms(seconds), gflops(operations, seconds), share(operations, seconds, rate)]


def _peers(times: Times, names: Iterable[str]) -> list[str]:
    return [ms(times.median(name)) if name in times.rounds else "-" for name in names]


def _best(times: Times, names: Iterable[str]) -> list[str]:
    best = fastest(times, names)
    return ["-", "-"] if best is None else against(times, best)


def _stft(races: Sequence[Json], rate: float) -> str:
    rows = [["minutes of audio", "contestant", "ms", "times ours", "spread"]]
    for race in races:
        times = Times(race["times"])
        for name in times.rounds:
            rows.append([f"{race['minutes']:g}", name, ms(times.median(name)), *against(times, name)])
    return table(rows, left=2)


def _batch(races: Sequence[Json], rate: float) -> str:
    rows = [["bins", "ms per batch", "ms per step", "of a step"]]
    for race in races:
        batch, step = (float(np.median(race[task]["ours"])) for task in ("batch", "step"))
        rows.append([str(race["bins"]), ms(batch), ms(step), f"{100 * batch / step:.1f} %"])
    return table(rows, left=1)


def _memory(found: Sequence[Json], rate: float) -> str:
    rows = [["bins", "contestant", "MB when imported", "MB at most", "MB in between"]]
    for one in found:
        imported, peak = one["imported"], one["peak"]
        sizes = ["-"] * 3 if peak is None else [f"{size / 1e6:.0f}" for size in (imported, peak, peak - imported)]
        rows.append([str(one["bins"]), one["contestant"], *sizes])
    return table(rows, left=2) + (
        "\n\nResident in a fresh process that passes once over the batches. PyTorch's holds our imports too."
    )


def _start(found: Sequence[Json], rate: float) -> str:
    rows = [["contestant", "start", "import s", "first step s", "together s", "spread"]]
    for one in found:
        for kind, runs in (("first", [one["cold"]]), ("later", one["warm"])):
            parts = [f"{np.median([run[part] for run in runs]):.2f}" for part in ("import", "step")]
            rows.append([one["contestant"], kind, *parts, *spread(sum(run.values()) for run in runs)])
    return table(rows, left=2) + "\n\nThe first start compiles our kernels, later ones find them in the cache."


def _threads(races: Sequence[Json], rate: float) -> str:
    rows = [["bins", "contestant", "1 thread ms", "2 threads ms", "faster by", "spread"]]
    for race in races:
        times = Times(race["times"])
        for name in dict.fromkeys(each.rpartition(", ")[0] for each in times.rounds):
            one, two = f"{name}, 1", f"{name}, 2"
            rows.append([str(race["bins"]), name, *_peers(times, [one, two]), *against(times, one, two)])
    return table(rows, left=2)


SECTIONS: dict[str, tuple[str, Callable[[Sequence[Json], float], str]]] = {
    "steps": (f"Training step: forward, backward and update of {problem.BATCH} utterances", _steps),
    "conv": (f"conv2d with bias and ReLU, {problem.BATCH} utterances of {problem.CONV_FRAMES} frames", _conv),
    "lstm": ("Bi-LSTM, forward and backward", _lstm),
    "stft": ("Log spectrogram", _stft),
    "batch": ("Batch building: VTLP, normalisation, padding", _batch),
    "memory": ("Memory of a training step", _memory),
    "start": ("Import and first step, 257 bins", _start),
    "threads": ("Training step by one thread and by two", _threads),
}
