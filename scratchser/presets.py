"""Every hyper-parameter, once. The columns of the paper's table 1 are named presets.

What the paper leaves open (figure 3's channels, kernels, strides and units, the rates, L2, the floor of the
logarithm, the number of epochs) is our choice, made by experiment on four speakers of EmoDB: docs/experiments.md;
`demo` is chosen for speed.
"""

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from scratchser.support import suggest
from scratchser.support.errors import UsageError
from scratchser.support.files import plain
from scratchser.support.suggest import COUNT, LAYERS, MOST, NOT_NEGATIVE, Range


class SettingError(UsageError):
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
    tta_copies: int = (
        0  # test-time augmentation: 11 VTLP copies vote, the paper's; 1, a single pass; 0: 11 if training warps
    )
    oversample: tuple[str, ...] = ("happiness", "anger")  # classes that appear twice in an epoch
    soft_labels: bool = False  # targets and weights from the annotators' votes, section 3.3
    # model, section 3 and figure 3: channels, kernel (time, frequency), stride (time, frequency) of each conv layer
    conv_channels: tuple[int, ...] = (48, 64, 96, 96)
    conv_kernels: tuple[tuple[int, int], ...] = ((9, 17), (5, 5), (5, 5), (3, 5))
    conv_strides: tuple[tuple[int, int], ...] = ((2, 8), (2, 2), (2, 2), (1, 2))
    pool: tuple[tuple[int, int], ...] = ()  # max pooling behind each conv layer, window (time, frequency); (): none
    lstm_layers: int = 1
    lstm_units: int = 128
    batchnorm: str = "off"  # of the Bi-LSTM layers, section 3.1: kernels/batchnorm.py has the kinds
    # training, section 3; the group "conv" has a rate and an L2 of its own, section 3.2
    batch_size: int = 16
    epochs: int = 30
    selection_share: float = 0.25  # the best epoch is selected by validation UA among this last share of the epochs
    patience: int = 30  # epochs after the best one before a fold stops; as many as `epochs`: none stops early
    momentum: float = 0.9
    learning_rate: float = 0.005
    l2: float = 0.03
    conv_learning_rate: float = 0.01
    conv_l2: float = 0.06
    schedule: str = "cosine"  # how all rates go down to 0 over the epochs, or "constant"

    def __post_init__(self) -> None:
        """Raises SettingError for a value that cannot be meant."""
        for key, allowed in CHOICES.items():
            self._expect(key, getattr(self, key) in allowed, _one_of(allowed))
        for key, limits in RANGES.items():
            self._expect(key, getattr(self, key) in limits, limits.words)
        for key, holds in {"oversample": _word, "conv_channels": _counts, **dict.fromkeys(PAIRS, _pair)}.items():
            self._expect(key, all(map(holds, getattr(self, key))), LISTS[key])
        depths = {len(self.conv_channels), len(self.conv_kernels), len(self.conv_strides)}
        if depths == {0} or len(depths) > 1:
            raise SettingError("conv_channels, conv_kernels and conv_strides need one entry for each conv layer")
        if len(self.pool) not in (0, *depths):
            raise SettingError(f"pool has {len(self.pool)} windows, expected one for each conv layer, or none at all")

    def _expect(self, key: str, holds: bool, what: str) -> None:
        if not holds:
            value = getattr(self, key)
            given = _typed(value) if isinstance(value, tuple) else repr(value)
            raise SettingError(f"{key} is {given}, expected {what}{_offer(key, value)}")

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """The pooling behind each conv layer; (1, 1) is none."""
        return self.pool or ((1, 1),) * len(self.conv_channels)

    @property
    def first_selectable(self) -> int:
        """The first epoch, counted from 1, that can be the best."""
        return self.epochs - math.ceil(self.epochs * self.selection_share) + 1

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
    "tta_copies": (0, 1, 11),
    "schedule": ("constant", "cosine"),
}
RANGES: dict[str, Range] = {
    **dict.fromkeys(("window_ms", "shift_ms", "lstm_units", "batch_size", "epochs", "patience"), COUNT),
    "lstm_layers": LAYERS,
    **dict.fromkeys(("learning_rate", "l2", "conv_learning_rate", "conv_l2"), NOT_NEGATIVE),
    "log_floor": Range(1e-37, MOST, "at least 1e-37, float32's smallest, and finite", 1e-37, None),
    "momentum": Range(0, math.nextafter(1, 0), "at least 0 and below 1", 0.0, 0.99),
    "selection_share": Range(math.nextafter(0, 1), 1, "greater than 0 and at most 1", 0.01, 1.0),
}
PAIRS = "conv_kernels", "conv_strides", "pool"
LISTS = {
    "oversample": "a list of class names",
    "conv_channels": "a list of whole numbers from 1",
    **dict.fromkeys(PAIRS, "a list of pairs [time, frequency] from 1"),
    "pool": "half, or a list of pairs [time, frequency] from 1",
}
SWITCHES = {"off": ("none", "no", "false", "0"), "false": ("off", "no", "none", "0"), "true": ("on", "yes", "1")}


def _word(value: Any) -> bool:
    return isinstance(value, str)


def _counts(value: Any) -> bool:
    return type(value) is int and value >= 1


def _pair(value: Any) -> bool:
    return _whole_pair(value) and min(value) >= 1


def _one_of(allowed: Sequence[Any]) -> str:
    return f"one of {', '.join(map(repr, allowed))}"


def _offer(key: str, value: Any) -> str:
    """The end of a message, to be copied: "; normalisation=fold?", or what `best` has where nothing is near."""
    near = _nearest(key, value)
    if near is None:
        best = len(PAPER_BEST.conv_channels) if key == CONV_LAYERS else getattr(PAPER_BEST, key)
        return f"; the preset best has {key}={_typed(best)}"
    return f"; {key}={_typed(near)}?"


def _typed(value: Any) -> str:
    """As --set takes it."""
    if isinstance(value, tuple | list) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _nearest(key: str, value: Any) -> Any:
    """The allowed value that comes nearest to this one, of whatever kind it is; None where none is near."""
    number = type(value) in (int, float) and abs(value) <= MOST
    if key in CHOICES:
        if number and isinstance(CHOICES[key][0], int):
            return min(CHOICES[key], key=lambda allowed: abs(allowed - value))
        return _switch(value, CHOICES[key]) or suggest.name(str(value), map(str, CHOICES[key]))
    limits = _limits(key)
    if limits and number:
        return limits.nearest(round(value) if limits in (COUNT, LAYERS) else float(value))
    if key == "soft_labels":
        return _switch(value, ("true", "false")) or suggest.name(str(value), ("true", "false"))
    if not isinstance(value, tuple):
        return None
    if key == "conv_channels" and all(type(n) is int for n in value):
        return tuple(max(1, n) for n in value)
    if key == "pool" and len(value) == 1 and isinstance(value[0], str):
        return [] if value[0].lower() in ("off", *SWITCHES["off"]) else HALF
    if key in PAIRS and all(map(_whole_pair, value)):
        return tuple(tuple(max(1, n) for n in pair) for pair in value)
    return None


def _limits(key: str) -> Range | None:
    return LAYERS if key == CONV_LAYERS else RANGES.get(key)


def _switch(value: Any, allowed: Sequence[Any]) -> str | None:
    """The one of `allowed` that this is another word for."""
    return next((word for word in allowed if str(value).lower() in SWITCHES.get(word, ())), None)


def _whole_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(type(n) is int for n in value)


PAPER_BEST = Config()

# The columns of the paper's table 1: kHz, oversampled, warped (VTLP), conv layers with a rate and an L2 of their own
COLUMNS: dict[str, tuple[int, bool, bool, bool]] = {
    "baseline": (4, False, False, False),
    "over": (4, True, False, False),
    "over-aug": (4, True, True, False),
    "over-grdt": (4, True, False, True),
    "best-4khz": (4, True, True, True),
    "best": (8, True, True, True),
}


def column(name: str, best: Config = PAPER_BEST) -> Config:
    """A column of table 1: the settings of the best model less what the column lacks."""
    khz, oversampled, warped, adjusted = COLUMNS[name]
    made = best if khz == 8 else replace(best, frequency_khz=khz)
    made = made if oversampled else replace(made, oversample=())
    made = made if warped else replace(made, vtlp="off")
    return made if adjusted else replace(made, conv_learning_rate=best.learning_rate, conv_l2=best.l2)


PRESETS: dict[str, Config] = {
    **{name: column(name) for name in COLUMNS},
    # not the paper's: small enough for all folds of the built-in corpus in three minutes
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

# By these speakers the settings were chosen: a headline is the mean over the others
TUNED_ON: dict[str, tuple[str, ...]] = {"emodb": ("03", "08", "09", "10")}


def named(preset: str) -> Config:
    """The preset of this name. Raises SettingError where there is none, with the nearest."""
    if preset not in PRESETS:
        raise SettingError(
            f"there is no preset {preset!r}; there are {', '.join(PRESETS)}{suggest.hint(preset, PRESETS)}"
        )
    return PRESETS[preset]


# ---- other stacks, section 3: the rules are ours, the paper only says what it tried ----------------------------------


def of_depth(config: Config, conv: int, lstm: int) -> Config:
    """The config with so many conv and Bi-LSTM layers, of which the paper tried 1-6 and 1-4.

    Fewer conv layers are the first ones of the config, the last of them with the strides and windows of those left out
    on top of its own and a kernel that still skips nothing; more are repetitions of its last one without a stride. So
    the strides in total are always the config's, and the Bi-LSTM gets as many frames and positions at any depth.
    Raises SettingError for a number that is not in LAYERS.
    """
    if conv not in LAYERS:
        raise SettingError(f"{CONV_LAYERS} is {conv!r}, expected {LAYERS.words}{_offer(CONV_LAYERS, conv)}")
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
    """The config with max pooling in place of half of each stride: an even stride is halved, and a window takes the
    other half. Odd strides stay. Behind each layer there are as many frames and positions as before."""

    def half(stride: int, window: int) -> tuple[int, int]:
        return (stride // 2, 2 * window) if stride % 2 == 0 else (stride, window)

    strides, windows = [], []
    for stride, window in zip(config.conv_strides, config.windows, strict=True):
        time, frequency = half(stride[0], window[0]), half(stride[1], window[1])
        strides.append((time[0], frequency[0]))
        windows.append((time[1], frequency[1]))
    return replace(config, conv_strides=tuple(strides), pool=tuple(windows))


# ---- settings as they are typed and kept -----------------------------------------------------------------------------

CONV_LAYERS, HALF = "conv_layers", "half"  # short for lists: --set conv_layers=2 is of_depth, --set pool=half is pooled


def with_settings(config: Config, settings: Sequence[str]) -> Config:
    """The config with "key=value" settings, values as in TOML (lists for tuples, words may go without quotes).

    Two are short for lists, whatever the order: conv_layers=N makes the layers of `of_depth`, before lists that are
    given too are put in their place; pool=half makes `pooled` of all that is set.
    Raises SettingError for an unknown key, with the nearest known one, and for a value that cannot be, with the nearest
    that can.
    """
    known: dict[str, Any] = {field.name: getattr(config, field.name) for field in fields(Config)}
    known[CONV_LAYERS] = len(config.conv_channels)
    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise SettingError(f"{setting!r} is not of the form key=value")
        if key not in known:
            near = suggest.hint(key, known)
            raise SettingError(f"there is no setting {key!r}" + (near or f"; there are {', '.join(known)}"))
        changes[key] = _value(key, text, known[key])
    half = changes.get("pool") == (HALF,)
    if half:
        del changes["pool"]
    if CONV_LAYERS in changes:
        config = of_depth(config, changes.pop(CONV_LAYERS), config.lstm_layers)
    config = replace(config, **changes)
    return pooled(config) if half else config


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json holds, with the default of what an older version did not have yet."""
    return {**plain(Config()), **settings}


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
        expected = _expected(key, like)
        raise SettingError(f"{key} is {text}, {expected}{_offer(key, value)}")
    return value


def _expected(key: str, like: Any) -> str:
    """What a setting that is like `like` can be, in words."""
    if key in CHOICES:
        return f"expected {_one_of(CHOICES[key])}"
    if limits := _limits(key):
        return f"expected {limits.words}"
    return "expected true or false" if isinstance(like, bool) else f"expected {LISTS[key]}"


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
