"""Table 1: from the baseline to the best model."""

from scratchser.paper import scores
from scratchser.paper.output import Output
from scratchser.paper.sweep import Sweep, Variant
from scratchser.presets import COLUMNS
from scratchser.runs.published import TABLE1

VARIANTS = tuple(Variant(name, name) for name in COLUMNS)


def build(sweep: Sweep) -> Output:
    """The paper's six columns."""
    configs = list(sweep.configs.values())
    classes = " and ".join(next(config.oversample for config in configs if config.oversample))
    adjusted = [(config.conv_learning_rate, config.conv_l2) != (config.learning_rate, config.l2) for config in configs]
    rows = [
        ["Augmentation during training", *("+aug" if config.vtlp != "off" else "-" for config in configs)],
        [f"Oversampling (×2) of {classes}", *("+over" if config.oversample else "-" for config in configs)],
        ["Gradient adjustment", *("+grdt" if differs else "-" for differs in adjusted)],
        ["Frequency range, kHz", *(str(config.frequency_khz) for config in configs)],
        *scores.score_rows(sweep, TABLE1),
        *(row for measure in scores.MEASURES for row in scores.difference_rows(sweep, "baseline", measure)),
    ]
    return scores.comparison("table1", "Table 1: parameter settings", sweep, rows)
