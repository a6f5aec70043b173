"""Every hyper-parameter, once. The columns of the paper's table 1 are named presets.

What the paper leaves open (figure 3's channels, kernels, strides and units, the rates, L2, the floor of the
logarithm, the number of epochs) is our choice, made by experiment on four speakers of EmoDB: docs/experiments.md;
`demo` is chosen for speed.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any


class SettingError(ValueError):
    """A setting that does not exist or cannot have this value; the message says what could be meant."""


@dataclass(frozen=True)
class Config:
    """Settings of one run."""

    # signal, section 1.2
    frequency_khz: int = 8  # upper end of the spectrogram, 4 or 8
    window_ms: int = 64
    shift_ms: int = 32
    log_floor: float = 1e-2  # least power |X|², where a full-scale sine has about 65000; less counts as this much
    normalisation: str = "fold"  # eq. (5) over the fold's training speakers, over the "whole-corpus" (a leak), or "off"
    # data, section 2
    vtlp: str = "utterance"  # one alpha per "epoch" (strategy 1) or per "utterance" and epoch (strategy 2), or "off"
    oversample: tuple[str, ...] = ("happiness", "anger")  # classes that appear twice in an epoch
    soft_labels: bool = False  # targets and weights from the annotators' votes, section 3.3
    # model, section 3 and figure 3: channels, kernel (time, frequency), stride (time, frequency) of each conv layer
    conv_channels: tuple[int, ...] = (48, 64, 96, 96)
    conv_kernels: tuple[tuple[int, int], ...] = ((9, 17), (5, 5), (5, 5), (3, 5))
    conv_strides: tuple[tuple[int, int], ...] = ((2, 8), (2, 2), (2, 2), (1, 2))
    lstm_layers: int = 1
    lstm_units: int = 128
    batchnorm: str = "off"  # of the Bi-LSTM layers, section 3.1: kernels/batchnorm.py has the kinds
    # training, section 3; the group "conv" has a rate and an L2 of its own, section 3.2
    batch_size: int = 16
    epochs: int = 30
    candidates: float = 0.25  # the last share of the epochs, among which the validation speaker chooses the best
    patience: int = 30  # epochs after the best one before a fold stops; as many as `epochs`: none stops early
    momentum: float = 0.9
    rate: float = 0.005
    l2: float = 0.03
    conv_rate: float = 0.01
    conv_l2: float = 0.06
    schedule: str = "cosine"  # how all rates go down to 0 over the epochs, or "constant"

    def __post_init__(self) -> None:
        """Raises SettingError for a value that cannot be meant."""
        for key, allowed in CHOICES.items():
            self._expect(key, getattr(self, key) in allowed, f"one of {', '.join(map(repr, allowed))}")
        for key in POSITIVE:
            self._expect(key, 0 < getattr(self, key) < math.inf, "greater than 0 and finite")
        for key in ("rate", "l2", "conv_rate", "conv_l2"):
            self._expect(key, 0 <= getattr(self, key) < math.inf, "at least 0 and finite")
        self._expect("momentum", 0 <= self.momentum < 1, "at least 0 and below 1")
        self._expect("candidates", 0 < self.candidates <= 1, "greater than 0 and at most 1")
        self._expect("log_floor", self.log_floor >= 1e-37, "at least 1e-37, float32's smallest")
        self._expect("oversample", all(isinstance(name, str) for name in self.oversample), "a list of class names")
        self._expect("conv_channels", all(map(_counts, self.conv_channels)), "a list of whole numbers from 1")
        for key in ("conv_kernels", "conv_strides"):
            self._expect(key, all(map(_pair, getattr(self, key))), "a list of pairs [time, frequency] from 1")
        depths = {len(self.conv_channels), len(self.conv_kernels), len(self.conv_strides)}
        if depths == {0} or len(depths) > 1:
            raise SettingError("conv_channels, conv_kernels and conv_strides need one entry for each conv layer")

    def _expect(self, key: str, holds: bool, what: str) -> None:
        if not holds:
            raise SettingError(f"{key} is {getattr(self, key)!r}, expected {what}")

    @property
    def first_candidate(self) -> int:
        """The first epoch, counted from 1, that can be the best."""
        return self.epochs - math.ceil(self.epochs * self.candidates) + 1

    def factor(self, epoch: int) -> float:
        """By what all rates are multiplied in this epoch, counted from 1."""
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (epoch - 1) / self.epochs))


CHOICES: dict[str, tuple[Any, ...]] = {
    "frequency_khz": (4, 8),
    "normalisation": ("fold", "whole-corpus", "off"),
    "vtlp": ("off", "epoch", "utterance"),
    "batchnorm": ("off", "frame-8", "frame-9", "sequence", "layer"),  # after the paper's equations (8) and (9)
    "schedule": ("constant", "cosine"),
}
POSITIVE = ("window_ms", "shift_ms", "log_floor", "lstm_layers", "lstm_units", "batch_size", "epochs", "patience")


def _counts(value: Any) -> bool:
    return type(value) is int and value >= 1


def _pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_counts, value))


PAPER_BEST = Config()

PRESETS: dict[str, Config] = {
    "baseline": replace(
        PAPER_BEST, frequency_khz=4, vtlp="off", oversample=(), conv_rate=PAPER_BEST.rate, conv_l2=PAPER_BEST.l2
    ),
    "over": replace(PAPER_BEST, frequency_khz=4, vtlp="off", conv_rate=PAPER_BEST.rate, conv_l2=PAPER_BEST.l2),
    "over-aug": replace(PAPER_BEST, frequency_khz=4, conv_rate=PAPER_BEST.rate, conv_l2=PAPER_BEST.l2),
    "over-grdt": replace(PAPER_BEST, frequency_khz=4, vtlp="off"),
    "best-4khz": replace(PAPER_BEST, frequency_khz=4),
    "best": PAPER_BEST,
    # not the paper's: small enough for all folds of the built-in corpus in three minutes
    "demo": replace(
        PAPER_BEST,
        frequency_khz=4,
        conv_channels=(16, 24, 32, 32),
        conv_kernels=((9, 9), (5, 5), (5, 5), (3, 5)),
        conv_strides=((2, 4), (2, 2), (2, 2), (1, 2)),
        lstm_units=32,
        rate=0.01,
        conv_rate=0.02,
        l2=0.001,
        conv_l2=0.002,
        epochs=14,
    ),
}

# By these speakers the settings were chosen: a headline is the mean over the others
TUNED_ON: dict[str, tuple[str, ...]] = {"emodb": ("03", "08", "09", "10")}


def with_settings(config: Config, settings: Sequence[str]) -> Config:
    """The config with "key=value" settings, values as in TOML (lists for tuples, words may go without quotes).

    Raises SettingError for an unknown key, with the nearest known one, and for a value of the wrong kind.
    """
    known = {field.name: getattr(config, field.name) for field in fields(Config)}
    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise SettingError(f"{setting!r} is not of the form key=value")
        if key not in known:
            near = get_close_matches(key, known, 1)
            raise SettingError(
                f"there is no setting {key!r}" + (f"; {near[0]!r}?" if near else f"; there are {', '.join(known)}")
            )
        changes[key] = _value(key, text, known[key])
    return replace(config, **changes)


def from_json(settings: Mapping[str, Any]) -> Config:
    """The config that a config.json holds. Settings that an older version did not have yet are the default ones.

    Raises SettingError for one that this version does not have.
    """
    if unknown := sorted(set(settings) - {field.name for field in fields(Config)}):
        raise SettingError(f"this version has no setting {unknown[0]!r}: use the one that made the run")
    return Config(**{key: _frozen(value) for key, value in settings.items()})


def _value(key: str, text: str, like: Any) -> Any:
    try:
        value = _frozen(tomllib.loads(f"value = {text}")["value"])
    except tomllib.TOMLDecodeError:
        value = text
    if isinstance(like, float) and type(value) is int:
        value = float(value)
    if isinstance(like, tuple) and isinstance(value, str):
        value = (value,)
    if type(value) is not type(like):
        raise SettingError(f"{key}={text} is not of the kind of {like!r}")
    return value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
