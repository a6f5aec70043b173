"""Every hyper-parameter, once. The columns of the paper's table 1 are named presets.

What the paper leaves open (figure 3's channels, kernels, strides and units, the rates and L2) is our choice, made by experiment:
docs/experiments.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Settings of one run. Frequencies in kHz, times in ms, rates per update."""

    # signal, section 1.2
    frequency_khz: int = 4
    window_ms: int = 64
    shift_ms: int = 32
    log_floor: float = 1e-6
    normalisation: str = "fold"
    # data, section 2
    vtlp: str = "utterance"
    oversample: tuple[str, ...] = ("happiness", "anger")
    soft_labels: bool = False
    # model, section 3 and figure 3
    conv_channels: tuple[int, ...] = (16, 24, 32, 48)
    conv_kernels: tuple[tuple[int, int], ...] = ((5, 5), (5, 5), (5, 5), (5, 5))
    conv_strides: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (2, 2), (2, 2))
    lstm_layers: int = 1
    lstm_units: int = 128
    # training, section 3
    batch_size: int = 16
    epochs: int = 40
    patience: int = 40
    momentum: float = 0.9
    rate: float = 0.01
    l2: float = 1e-4
    conv_rate: float = 0.02
    conv_l2: float = 1e-3


PRESETS: dict[str, Config] = {"best": Config()}
