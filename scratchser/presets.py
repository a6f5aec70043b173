"""Every setting of a run, with its meaning and its allowed values. The columns of the paper's table 1 are presets.

The paper leaves some settings open: the channels, kernels, strides and units of figure 3, the learning rates, L2, the
floor of the logarithm and the number of epochs. We chose them by experiments on four speakers of EmoDB
(docs/experiments.md), and those of `demo` for speed.
"""

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from scratchser.support.errors import UsageError
from scratchser.support.files import plain
from scratchser.support.suggest import hint

MOST_LAYERS = 1000  # a mistyped number must not fill the memory
Count = Annotated[int, Field(ge=1)]
Layers = Annotated[int, Field(ge=1, le=MOST_LAYERS)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Pairs = tuple[tuple[Count, Count], ...]  # (time, frequency) of each conv layer


class SettingError(UsageError):
    """A setting that does not exist or has a value that is not allowed."""


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Config:
    """Settings of one run. A value that its type does not allow raises pydantic's ValidationError."""

    # signal, section 1.2
    frequency_khz: Literal[4, 8] = 8  # upper end of the spectrogram
    window_ms: Count = 64
    shift_ms: Count = 32
    # smallest power |X|²; less counts as this much. A full-scale sine has about 65000. 1e-37 is near float32's smallest
    log_floor: Annotated[float, Field(ge=1e-37, allow_inf_nan=False)] = 1e-2
    mel_bands: Annotated[int, Field(ge=0, le=256)] = 0  # a mel axis with so many bands; 0: the linear axis of the paper
    # eq. (5) over the fold's training speakers, over the whole corpus (which leaks the test speaker), or not at all;
    # each frequency bin over the training speakers, over the own speaker (transductive), or over the utterance
    normalisation: Literal["fold", "whole-corpus", "off", "bin", "speaker", "utterance"] = "fold"

    # data, section 2
    # one alpha per epoch (strategy 1), one per utterance and epoch (strategy 2), or no warping
    vtlp: Literal["off", "epoch", "utterance"] = "utterance"
    # each training utterance is mixed with another one, by shares of Beta(mixup, mixup), the larger its own; 0: off
    mixup: NotNegative = 0.0
    # standard deviation of a random offset of each training spectrogram, a factor of its power; 0: off
    gain: NotNegative = 0.0
    tta_copies: Literal[0, 1, 11] = 0  # VTLP copies that vote in the test; 0: 11 if training uses VTLP, else 1
    oversample: tuple[str, ...] = ("happiness", "anger")  # classes that appear twice in an epoch
    soft_labels: bool = False  # targets and weights from the annotators' votes, section 3.3
    class_weights: Literal["equal", "balanced"] = "equal"  # balanced: each class has the same sum of weights
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of a target that all classes get alike

    # model, section 3 and figure 3: one entry for each conv layer
    conv_channels: tuple[Count, ...] = (48, 64, 96, 96)
    conv_kernels: Pairs = ((9, 17), (5, 5), (5, 5), (3, 5))
    conv_strides: Pairs = ((2, 8), (2, 2), (2, 2), (1, 2))
    pool: Pairs = ()  # windows of max pooling after the conv layers; (): no pooling
    lstm_layers: Annotated[int, Field(ge=0, le=MOST_LAYERS)] = 1
    lstm_units: Count = 128
    # of the Bi-LSTM layers, section 3.1; frame-8 and frame-9 are the paper's equations (8) and (9)
    batchnorm: Literal["off", "frame-8", "frame-9", "sequence", "layer"] = "off"
    # one vector for each utterance: the last states of the Bi-LSTM, or mean, deviation and maximum over the frames
    readout: Literal["last", "statistics"] = "last"
    # normalises these vectors over the utterances of each speaker (transductive); a minibatch is then of one speaker
    readout_norm: Literal["off", "speaker"] = "off"

    # training, section 3; the conv layers have their own learning rate and L2, section 3.2
    batch_size: Count = 16
    epochs: Count = 30
    # the best epoch is selected by the UA of a validation speaker; false: the last epoch, and this speaker trains too
    select_epoch: bool = True
    # it is selected among this last share of the epochs
    selection_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    patience: Count = 30  # epochs after the best one before a fold stops; as many as `epochs`: no early stopping
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    clip_norm: NotNegative = 0.0  # the gradients of a step are scaled down to this norm at most; 0: never
    learning_rate: NotNegative = 0.005
    l2: NotNegative = 0.03
    conv_learning_rate: NotNegative = 0.01
    conv_l2: NotNegative = 0.06
    schedule: Literal["constant", "cosine"] = "cosine"  # of both learning rates over the epochs

    def __post_init__(self) -> None:
        depths = {len(self.conv_channels), len(self.conv_kernels), len(self.conv_strides)}
        if depths == {0} or len(depths) > 1:
            raise ValueError("conv_channels, conv_kernels and conv_strides need one entry for each conv layer")
        if self.lstm_layers == 0 and self.readout == "last":
            raise ValueError("lstm_layers=0 needs readout=statistics: without a Bi-LSTM there are no last states")
        if self.readout_norm != "off" and self.select_epoch:
            raise ValueError("readout_norm needs select_epoch=false: a validation of each epoch is not possible")
        if self.readout_norm != "off" and self.batch_size < 2:
            raise ValueError("readout_norm needs a batch_size of 2 or more: a single utterance would become 0")
        if len(self.pool) not in (0, *depths):
            raise ValueError(f"pool has {len(self.pool)} windows, expected one for each conv layer, or none at all")

    @property
    def windows(self) -> Pairs:
        """The pooling windows after the conv layers. (1, 1) means no pooling."""
        return self.pool or ((1, 1),) * len(self.conv_channels)

    @property
    def first_selectable(self) -> int:
        """The first epoch, counted from 1, that can be the best."""
        return self.epochs - math.ceil(self.epochs * self.selection_share) + 1

    def factor(self, epoch: int) -> float:
        """The factor of the learning rates in this epoch, counted from 1. The cosine goes from 1 to almost 0."""
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (epoch - 1) / self.epochs))


PAPER_BEST = Config()

# The columns of the paper's table 1: kHz, oversampling, VTLP, a higher learning rate and L2 for the conv layers
COLUMNS: dict[str, tuple[int, bool, bool, bool]] = {
    "baseline": (4, False, False, False),
    "over": (4, True, False, False),
    "over-aug": (4, True, True, False),
    "over-grdt": (4, True, False, True),
    "best-4khz": (4, True, True, True),
    "best": (8, True, True, True),
}


def column(name: str, best: Config = PAPER_BEST) -> Config:
    """A column of table 1: the settings of the best model without what the column lacks."""
    khz, oversampling, vtlp, adjusted = COLUMNS[name]
    return replace(
        best,
        frequency_khz=4 if khz == 4 else best.frequency_khz,
        oversample=best.oversample if oversampling else (),
        vtlp=best.vtlp if vtlp else "off",
        conv_learning_rate=best.conv_learning_rate if adjusted else best.learning_rate,
        conv_l2=best.conv_l2 if adjusted else best.l2,
    )


PRESETS: dict[str, Config] = {
    **{name: column(name) for name in COLUMNS},
    # not in the paper: small enough for all folds of the built-in corpus in about two minutes
    "demo": replace(
        PAPER_BEST,
        frequency_khz=4,
        conv_channels=(16, 24, 32, 32),
        conv_kernels=((9, 9), (5, 5), (5, 5), (3, 5)),
        conv_strides=((2, 4), (2, 2), (2, 2), (1, 2)),
        lstm_units=32,
        learning_rate=0.01,
        conv_learning_rate=0.02,
        l2=0.001,
        conv_l2=0.002,
        epochs=14,
    ),
}

# Ours, for small corpora other than IEMOCAP: a mel axis, which VTLP warps (a factor of 1.1 moves 2.8 kHz by 20 %), a
# small network, statistics over all frames instead of the last states, and the last epoch instead of a selected one.
# docs/experiments.md says how its settings were chosen. Mixup and gain help without recordings of the test speaker only
PRESETS["mel"] = replace(
    PAPER_BEST,
    log_floor=1e-7,
    mel_bands=64,
    normalisation="bin",
    mixup=0.3,
    gain=0.3,
    tta_copies=1,
    oversample=(),
    class_weights="balanced",
    label_smoothing=0.1,
    conv_channels=(24, 32, 48),
    conv_kernels=((5, 5), (3, 3), (3, 3)),
    conv_strides=((1, 2), (2, 2), (1, 2)),
    lstm_units=64,
    readout="statistics",
    epochs=25,
    select_epoch=False,
    clip_norm=5.0,
    learning_rate=0.02,
    l2=0.003,
    conv_learning_rate=0.02,
    conv_l2=0.003,
)
# the same with two normalisations over all recordings of a speaker, the test speaker too (transductive)
PRESETS["mel-speaker"] = replace(
    PRESETS["mel"], normalisation="speaker", readout_norm="speaker", mixup=0.0, gain=0.0, clip_norm=1.0
)

# The settings were chosen on these speakers, so the main result is the mean over the others
TUNED_ON: dict[str, tuple[str, ...]] = {
    "emodb": ("03", "08", "09", "10"),
    "ravdess": ("01", "02", "03", "04", "05", "06", "07", "08"),
}


def named(preset: str) -> Config:
    """The preset of this name. Raises SettingError if there is none."""
    if preset not in PRESETS:
        raise SettingError(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}{hint(preset, PRESETS)}")
    return PRESETS[preset]


# ---- other depths, section 3: the paper says which it tried, the rules are ours --------------------------------------


def of_depth(config: Config, conv: int, lstm: int) -> Config:
    """Returns the config with other numbers of conv and Bi-LSTM layers; the paper tried 1-6 and 1-4.

    With fewer conv layers, the last one also takes the strides and windows of the removed ones, and its kernel grows so
    that it skips no input. Additional conv layers repeat the last one with stride 1. So the product of all strides is
    the same at any depth, and the Bi-LSTM gets the same number of frames and positions.

    Raises SettingError if `conv` is not in 1 ... MOST_LAYERS.
    """
    if type(conv) is not int or not 1 <= conv <= MOST_LAYERS:
        raise SettingError(f"conv_layers is {conv!r}: should be a whole number from 1 to {MOST_LAYERS}")
    kernels, strides = list(config.conv_kernels[:conv]), list(config.conv_strides[:conv])
    for stride, window in zip(config.conv_strides[conv:], config.windows[conv:], strict=True):
        strides[-1] = strides[-1][0] * stride[0] * window[0], strides[-1][1] * stride[1] * window[1]
        kernels[-1] = max(kernels[-1][0], strides[-1][0] + 1), max(kernels[-1][1], strides[-1][1] + 1)
    more = conv - len(strides)
    return replace(
        config,
        conv_channels=config.conv_channels[:conv] + config.conv_channels[-1:] * more,
        conv_kernels=(*kernels, *kernels[-1:] * more),
        conv_strides=(*strides, *[(1, 1)] * more),
        pool=config.pool and config.pool[:conv] + ((1, 1),) * more,
        lstm_layers=lstm,
    )


def pooled(config: Config) -> Config:
    """Returns the config with max pooling instead of half of each stride.

    An even stride is halved and its pooling window doubled; odd strides stay. Each layer gives the same number of
    frames and positions as before.
    """
    strides, windows = np.array(config.conv_strides), np.array(config.windows)
    factor = np.where(strides % 2 == 0, 2, 1)
    return _changed(config, {"conv_strides": (strides // factor).tolist(), "pool": (windows * factor).tolist()})


# ---- settings as text and as JSON ------------------------------------------------------------------------------------


def with_settings(config: Config, settings: Sequence[str]) -> Config:
    """Returns the config with "key=value" settings in any order. Values are TOML; words may have no quotes.

    Two settings are short for lists: conv_layers=N applies `of_depth` before the other settings, and pool=half applies
    `pooled` after them. Raises SettingError for an unknown setting and for a value that is not allowed.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise SettingError(f"{setting!r} is not of the form key=value")
        value = _parse(text)
        changes[key] = [value] if key == "oversample" and isinstance(value, str) else value
    half = changes.get("pool") == "half"
    if half:
        del changes["pool"]
    if "conv_layers" in changes:
        config = of_depth(config, changes.pop("conv_layers"), config.lstm_layers)
    config = _changed(config, changes)
    return pooled(config) if half else config


# settings that runs of version 0.1 before the restructuring have under other names
RENAMED = {
    "rate": "learning_rate",
    "conv_rate": "conv_learning_rate",
    "candidates": "selection_share",
    "copies": "tta_copies",
}


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the contents of a config.json by today's names, with the defaults of settings that it does not have."""
    return {**plain(Config()), **{RENAMED.get(key, key): value for key, value in settings.items()}}


def from_json(settings: Mapping[str, Any]) -> Config:
    """Returns the config of a config.json, completed as above.

    Raises SettingError for a setting that this version does not have.
    """
    settings = completed(settings)
    if unknown := sorted(set(settings) - {field.name for field in fields(Config)}):
        raise SettingError(f"this version has no setting {unknown[0]!r}: use the one that made the run")
    return _changed(Config(), settings)


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _changed(config: Config, changes: Mapping[str, Any]) -> Config:
    """Returns the config with other values. Raises SettingError for the first one that is unknown or not allowed."""
    known = [*(field.name for field in fields(Config)), "conv_layers"]
    for key in changes:
        if key in RENAMED:
            raise SettingError(f"{key} is now {RENAMED[key]}")
        if key not in known:
            near = hint(key, known)
            raise SettingError(f"there is no setting {key!r}" + (near or f"; there are {', '.join(known)}"))
    try:  # as JSON, where a list may stand for a tuple
        return TypeAdapter(Config).validate_json(json.dumps({**plain(config), **changes}, default=str))
    except ValidationError as error:
        first = error.errors()[0]
    what = first["msg"].removeprefix("Value error, ").removeprefix("Input ").replace("array", "list")
    setting = "".join(f"[{part}]" if isinstance(part, int) else part for part in first["loc"])
    raise SettingError(f"{setting} is {first['input']!r}: {what}" if setting else what)
