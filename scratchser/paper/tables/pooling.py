"""Pooling: max pooling instead of half of each stride. The paper says that it performs worse."""

from dataclasses import replace

from scratchser.paper import scores
from scratchser.paper.output import Output
from scratchser.paper.sweep import Sweep, Variant
from scratchser.presets import pooled
from scratchser.runs.published import TABLE1

VARIANTS = (
    Variant("without", change=lambda config: replace(config, pool=())),
    Variant("with pooling", change=pooled),
)
NOTE = (
    "an even stride is halved, and max pooling with a window of the other half follows, so that the shapes of all later"
    " layers stay the same; this rule is ours, the paper only says that pooling was noticeably worse"
)


def build(sweep: Sweep) -> Output:
    """Both, and their difference fold by fold."""
    configs = sweep.configs.values()
    rows = [
        ["Strides of the conv layers", *(_pairs(config.conv_strides) for config in configs)],
        ["Windows of the pooling", *(_pairs(config.pool) for config in configs)],
        *scores.score_rows(sweep, {"without": TABLE1["best"]}),
        *scores.difference_rows(sweep, "without"),
    ]
    return scores.comparison("pooling", "Pooling between the conv layers", sweep, rows, [NOTE])


def _pairs(pairs: tuple[tuple[int, int], ...]) -> str:
    return " ".join(f"{time}x{frequency}" for time, frequency in pairs) or "-"
