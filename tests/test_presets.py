"""Presets are the columns of table 1. Wrong settings are refused. Other depths follow a rule."""

from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from scratchser.kernels.batchnorm import KINDS
from scratchser.kernels.machine.device import blocks
from scratchser.presets import (
    PRESETS,
    Config,
    SettingError,
    completed,
    from_json,
    named,
    of_depth,
    pooled,
    with_settings,
)

DOCS = Path(__file__).parents[1] / "docs"

# augmentation, oversampling, layer-wise adjustment, kHz: table 1 of the paper, column by column
TABLE_1 = {
    "baseline": (False, False, False, 4),
    "over": (False, True, False, 4),
    "over-aug": (True, True, False, 4),
    "over-grdt": (False, True, True, 4),
    "best-4khz": (True, True, True, 4),
    "best": (True, True, True, 8),
}


@pytest.mark.parametrize("name", TABLE_1)
def test_presets_are_the_columns_of_table_1(name):
    p = PRESETS[name]
    adjusted = p.conv_learning_rate > p.learning_rate and p.conv_l2 > p.l2
    equal = p.conv_learning_rate == p.learning_rate and p.conv_l2 == p.l2
    augmented, oversampled, gradients, khz = TABLE_1[name]
    assert p.vtlp == ("utterance" if augmented else "off")
    assert p.oversample == (("happiness", "anger") if oversampled else ())
    assert adjusted if gradients else equal
    assert p.frequency_khz == khz
    same = ("vtlp", "oversample", "conv_learning_rate", "conv_l2", "frequency_khz")
    assert replace(p, **{name: getattr(PRESETS["best"], name) for name in same}) == PRESETS["best"]


def test_the_kinds_of_batch_normalisation_are_the_kernels():
    assert get_args(Config.__annotations__["batchnorm"]) == ("off", *KINDS)
    assert all(p.batchnorm == "off" for p in PRESETS.values())


def test_settings_are_read_as_toml():
    lists = ["conv_channels=[4, 8]", "conv_kernels=[[3,3],[5,5]]", "conv_strides=[[1,2],[2,2]]"]
    words = ["vtlp=epoch", "oversample=anger", "soft_labels=true"]
    layers = {"conv_channels": (4, 8), "conv_kernels": ((3, 3), (5, 5)), "conv_strides": ((1, 2), (2, 2))}
    expected = Config(vtlp="epoch", oversample=("anger",), soft_labels=True, l2=1.0, epochs=3, **layers)
    config = with_settings(Config(), [*lists, *words, "l2=1", "epochs=3"])
    assert config == expected and isinstance(config.l2, float)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epoch=3", "no setting 'epoch'; did you mean 'epochs'"),
        ("nonsense=3", "no setting 'nonsense'; there are frequency_khz, .*, conv_layers$"),
        ("rate=0.1", "^rate is now learning_rate$"),
        ("learning_rate", "not of the form key=value"),
        ("learning_rate=fast", "^learning_rate is 'fast': should be a valid number$"),
        ("learning_rate=nan", "finite"),
        ("epochs=0", "^epochs is 0: should be greater than or equal to 1$"),
        ("epochs=true", "valid integer"),
        ("log_floor=1e-40", "greater than or equal to 0.0"),
        ("momentum=1.0", "less than 1"),
        ("batchnorm=frame", "'frame-8', 'frame-9', 'sequence' or 'layer'"),
        ("oversample=[3]", r"oversample\[0\] is 3: should be a valid string"),
        ("conv_channels=[16]", "one entry for each"),
        ("conv_strides=[[2,2],[2,2],[2,2],[0,2]]", r"conv_strides\[3\]\[0\] is 0"),
        ("pool=[[2,2]]", "one for each conv layer, or none"),
        ("lstm_layers=0", "needs readout=statistics"),
        ("readout_norm=speaker", "needs select_epoch=false"),
        ("conv_layers=1001", "from 1 to 1000"),
        ("conv_layers=many", "^conv_layers is 'many': should be a whole number from 1 to 1000$"),
    ],
)
def test_wrong_settings_are_refused(setting, message):
    with pytest.raises(SettingError, match=message) as error:
        with_settings(Config(), [setting])
    assert "\n" not in str(error.value)


def test_every_number_has_a_range():
    kinds = {field.name: field.type for field in fields(Config)}
    assert not [name for name, kind in kinds.items() if kind in (int, float, str)]


def test_an_unknown_preset_is_answered_with_the_nearest():
    assert named("best") == PRESETS["best"]
    with pytest.raises(SettingError, match=r"no preset 'Best'; there are baseline, .*; did you mean 'best'\?"):
        named("Best")
    with pytest.raises(SettingError, match=r"demo, mel, mel-speaker$"):
        named("nonsense")


def test_settings_of_an_older_version_get_defaults_and_their_new_names():
    kept = {"vtlp": "off", "conv_kernels": [[3, 3]] * 4}
    assert from_json(kept) == Config(vtlp="off", conv_kernels=((3, 3),) * 4)
    assert completed(kept) == {**completed({}), **kept}
    assert from_json(completed(kept)) == from_json(kept)
    renamed = {"rate": 0.5, "conv_rate": 0.25, "candidates": 0.75, "copies": 1}
    names = ("learning_rate", "conv_learning_rate", "selection_share", "tta_copies")
    assert from_json(renamed) == Config(**dict(zip(names, renamed.values(), strict=True)))
    with pytest.raises(SettingError, match="this version has no setting 'nonsense'"):
        from_json({"nonsense": 1})


# ---- other depths ---------------------------------------------------------------------------------------------------

EVERY = pytest.mark.parametrize(("preset", "conv"), product(["best", "best-4khz", "demo"], range(1, 7)))


def after_each(config, axis, size):
    """Frames (axis 0) or positions (1) after each layer and its pooling, for an input of `size`."""
    sizes = []
    for stride, window in zip(config.conv_strides, config.windows, strict=True):
        size = blocks(blocks(size, stride[axis]), window[axis])
        sizes.append(size)
    return sizes


@EVERY
def test_at_every_depth_the_lstm_gets_as_much(preset, conv):
    own = PRESETS[preset]
    config = of_depth(own, conv, 3)
    assert len(config.conv_channels) == conv and config.lstm_layers == 3
    for axis in range(2):
        for size in (21, 109, 257, 513, 909):
            assert after_each(config, axis, size)[-1] == after_each(own, axis, size)[-1]
        for kernel, stride in zip(config.conv_kernels, config.conv_strides, strict=True):
            assert kernel[axis] > stride[axis] or kernel[axis] == 1 == stride[axis], "an input is skipped"
    shared = min(conv, 4) - (conv < 4)
    assert config.conv_kernels[:shared] == own.conv_kernels[:shared]
    assert config.conv_channels[:shared] == own.conv_channels[:shared]
    assert of_depth(own, 4, own.lstm_layers) == own


@EVERY
def test_pooling_takes_half_of_the_strides_and_keeps_all_sizes(preset, conv):
    strided = of_depth(PRESETS[preset], conv, 1)
    config = pooled(strided)
    for axis in range(2):
        for size in (21, 109, 257, 513, 909):
            assert after_each(config, axis, size) == after_each(strided, axis, size)
        for before, stride, window in zip(strided.conv_strides, config.conv_strides, config.windows, strict=True):
            even = before[axis] % 2 == 0
            assert (stride[axis], window[axis]) == ((before[axis] // 2, 2) if even else (before[axis], 1))
    assert replace(config, conv_strides=strided.conv_strides, pool=()) == strided


def test_short_forms_stand_for_the_lists():
    best = PRESETS["best"]
    assert with_settings(best, ["conv_layers=2"]) == of_depth(best, 2, 1)
    assert with_settings(best, ["pool=half"]) == pooled(best)
    expected = pooled(replace(of_depth(best, 2, 3), conv_channels=(8, 9)))
    given = ["pool=half", "conv_channels=[8,9]", "lstm_layers=3", "conv_layers=2"]
    assert with_settings(best, given) == with_settings(best, given[::-1]) == expected
    assert with_settings(best, ["conv_layers=8"]).conv_channels == (48, 64, *[96] * 6)
    with pytest.raises(SettingError, match="one entry for each"):
        with_settings(best, ["conv_layers=2", "conv_channels=[8]"])


def test_the_documented_stacks_are_those_of_the_preset():
    page = (DOCS / "experiments.md").read_text("utf-8")

    def pairs(values):
        return " ".join(f"{time}x{frequency}" for time, frequency in values)

    for conv in range(1, 7):
        config = of_depth(PRESETS["best"], conv, 1)
        half = pooled(config)
        cells = [str(conv), "-".join(map(str, config.conv_channels)), pairs(config.conv_kernels)]
        cells += [pairs(config.conv_strides), pairs(half.conv_strides), pairs(half.pool)]
        inputs = after_each(config, 1, 513)[-1] * config.conv_channels[-1]
        assert f"| {' | '.join([*cells, str(inputs)])} |\n" in page


@pytest.mark.parametrize(("epochs", "share", "first"), [(20, 0.25, 16), (3, 0.25, 3), (3, 1.0, 1), (1, 0.01, 1)])
def test_first_epoch_that_can_be_the_best(epochs, share, first):
    assert Config(epochs=epochs, selection_share=share).first_selectable == first


def test_cosine_goes_from_one_towards_zero():
    config = Config(epochs=10, patience=10)
    factors = [config.factor(epoch) for epoch in range(1, 11)]
    assert factors[0] == 1 and factors == sorted(factors, reverse=True) and 0 < factors[-1] < 0.03
    assert factors[5] == pytest.approx(0.5)
    assert {with_settings(config, ["schedule=constant"]).factor(epoch) for epoch in range(1, 11)} == {1.0}
