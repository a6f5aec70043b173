"""Pooling: max pooling in place of half of each stride, beside the best model; the paper says that it does worse."""

from __future__ import annotations

from dataclasses import replace

from scratchser.paper import scores
from scratchser.paper.output import Output, Table
from scratchser.paper.sweep import Runs, Setting
from scratchser.presets import Config, pooled
from scratchser.runs.published import TABLE1


def _without(config: Config) -> Config:
    return replace(config, pool=())


SETTINGS = (Setting("without", change=_without), Setting("with pooling", change=pooled))


def build(runs: Runs) -> Output:
    """Both, and their difference fold by fold."""
    names = list(runs.of)
    rows = [
        ("Strides of the conv layers", *(_pairs(runs.configs[name].conv_strides) for name in names)),
        ("Windows of the pooling", *(_pairs(runs.configs[name].pool) for name in names)),
        *scores.rows(runs, names, {"without": TABLE1["best"]}),
        *scores.against(runs, names, "without"),
    ]
    notes = (
        "an even stride is halved and a window of max pooling behind the layer takes the other half: everything behind"
        " has the same shape; the rule is ours, the paper says no more than that pooling noticeably lost",
        *scores.about_differences(runs),
        *scores.legend(runs),
    )
    made = Table(f"Pooling between the conv layers, {runs.title}", ("", *names), tuple(rows), notes)
    return Output({"pooling": made})


def _pairs(pairs: tuple[tuple[int, int], ...]) -> str:
    return " ".join(f"{time}x{frequency}" for time, frequency in pairs) or "-"
