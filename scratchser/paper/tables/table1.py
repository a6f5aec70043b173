"""Table 1: from the baseline to the best model, what each addition is worth."""

from __future__ import annotations

from scratchser.paper import scores
from scratchser.paper.output import Output, Table
from scratchser.paper.sweep import Runs, Setting
from scratchser.presets import COLUMNS
from scratchser.runs.published import TABLE1

SETTINGS = tuple(Setting(name, name) for name in COLUMNS)


def build(runs: Runs) -> Output:
    """The paper's six columns, its figures beside ours where they may stand there."""
    configs = [runs.configs[name] for name in COLUMNS]
    augmented = ["+aug" if config.vtlp != "off" else "-" for config in configs]
    oversampled = ["+over" if config.oversample else "-" for config in configs]
    own = [(config.conv_learning_rate, config.conv_l2) != (config.learning_rate, config.l2) for config in configs]
    adjusted = ["+grdt" if differs else "-" for differs in own]
    classes = " and ".join(next(config.oversample for config in configs if config.oversample))
    rows = [
        ("Augmentation during training", *augmented),
        (f"Oversampling (×2) of {classes}", *oversampled),
        ("Gradient adjustment", *adjusted),
        ("Frequency range, kHz", *(str(config.frequency_khz) for config in configs)),
        *scores.rows(runs, tuple(COLUMNS), TABLE1),
        *(row for measure in scores.MEASURES for row in scores.against(runs, tuple(COLUMNS), "baseline", measure)),
    ]
    notes = (*scores.about_differences(runs), *scores.legend(runs))
    made = Table(f"Table 1: parameter settings, {runs.title}", ("", *COLUMNS), tuple(rows), notes)
    return Output({"table1": made})
