"""Table 3: layer-wise batch normalisation of the Bi-LSTM at three minibatch sizes, and the same without it."""

from functools import partial

from scratchser.paper import scores
from scratchser.paper.output import Output
from scratchser.paper.sweep import Sweep, Variant
from scratchser.presets import with_settings
from scratchser.runs.published import TABLE3

KINDS, SIZES = ("layer", "off"), tuple(TABLE3)
VARIANTS = tuple(
    Variant(f"{kind} {size}", change=partial(with_settings, settings=[f"batchnorm={kind}", f"batch_size={size}"]))
    for kind in KINDS
    for size in SIZES
)
NOTES = (
    "layer: one mean and one variance of all pre-activations of a layer's inputs, eqs. (12) to (14); off: none",
    "the learning rates are the same at every size, so a larger minibatch takes fewer steps of the same length",
)


def build(sweep: Sweep) -> Output:
    """The paper's three columns, then those without batch normalisation."""
    configs = sweep.configs.values()
    rows = [
        ["Batch normalisation", *(config.batchnorm for config in configs)],
        ["Minibatch size", *(str(config.batch_size) for config in configs)],
        ["Frequency range, kHz", *(str(config.frequency_khz) for config in configs)],
        *scores.score_rows(sweep, {f"layer {size}": published for size, published in TABLE3.items()}),
    ]
    for column, size in enumerate(SIZES):
        for head, cell in scores.difference_rows(sweep, f"off {size}", names=[f"layer {size}"]):
            cells = [""] * len(VARIANTS)
            cells[column] = cell
            rows.append([head, *cells])
    title = "Table 3: batch normalisation and the size of a minibatch"
    return scores.comparison("table3", title, sweep, rows, NOTES)
