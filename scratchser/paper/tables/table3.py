"""Table 3: layer-wise batch normalisation of the Bi-LSTM at three sizes of a minibatch, and the same without it."""

from __future__ import annotations

from collections.abc import Callable

from scratchser.paper import scores
from scratchser.paper.output import Output, Table
from scratchser.paper.sweep import Runs, Setting
from scratchser.presets import Config, with_settings
from scratchser.runs.published import TABLE3

SIZES = tuple(TABLE3)  # of a minibatch


def _of(batchnorm: str, size: int) -> Callable[[Config], Config]:
    return lambda config: with_settings(config, [f"batchnorm={batchnorm}", f"batch_size={size}"])


SETTINGS = tuple(
    Setting(f"{batchnorm} {size}", change=_of(batchnorm, size)) for batchnorm in ("layer", "off") for size in SIZES
)


def build(runs: Runs) -> Output:
    """The paper's three columns, its figures below ours where they may stand there, and beside them those without."""
    configs = [runs.configs[made.name] for made in SETTINGS]
    names = [made.name for made in SETTINGS]
    rows = [
        ("Batch normalisation", *(made.name.partition(" ")[0] for made in SETTINGS)),
        ("Minibatch size", *(str(config.batch_size) for config in configs)),
        ("Frequency range, kHz", *(str(config.frequency_khz) for config in configs)),
        *scores.rows(runs, names, {f"layer {size}": both for size, both in TABLE3.items()}),
        *(row for size in SIZES for row in _against(runs, names, size)),
    ]
    notes = (
        "layer: one mean and one variance of all pre-activations of a layer's inputs, eqs. (12) to (14); off: none",
        "the learning rates are the same at every size, so a larger minibatch takes fewer and no longer steps",
        *scores.about_differences(runs),
        *scores.legend(runs),
    )
    title = f"Table 3: batch normalisation and the size of a minibatch, {runs.title}"
    return Output({"table3": Table(title, ("", *names), tuple(rows), notes)})


def _against(runs: Runs, names: list[str], size: int) -> list[tuple[str, ...]]:
    """What batch normalisation does at a size, in that column alone."""
    rows = scores.against(runs, [f"layer {size}"], f"off {size}")
    place = names.index(f"layer {size}")
    return [(head, *("" if n != place else value for n in range(len(names)))) for head, value in rows]
