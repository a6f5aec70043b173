"""Presets are the columns of table 1; settings are checked when they are parsed; other stacks are made by rule."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from scratchser.kernels.batchnorm import KINDS
from scratchser.kernels.machine.device import blocks
from scratchser.presets import (
    CHOICES,
    PRESETS,
    RANGES,
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
    same = {"vtlp", "oversample", "conv_learning_rate", "conv_l2", "frequency_khz"}
    assert {k: v for k, v in vars(p).items() if k not in same} == {
        k: v for k, v in vars(PRESETS["best"]).items() if k not in same
    }


def test_the_kinds_of_batch_normalisation_are_the_kernels():
    assert CHOICES["batchnorm"] == ("off", *KINDS) and all(p.batchnorm == "off" for p in PRESETS.values())
    assert with_settings(Config(), ["batchnorm=frame-9"]).batchnorm == "frame-9"


def test_settings_are_read_as_toml():
    given = [
        "learning_rate=0.5",
        "epochs=3",
        "conv_channels=[4, 8]",
        "conv_kernels=[[3,3],[5,5]]",
        "conv_strides=[[1,2],[2,2]]",
    ]
    config = with_settings(Config(), [*given, "vtlp=epoch", "oversample=anger", "soft_labels=true", "l2=1"])
    assert config.learning_rate == 0.5 and config.epochs == 3 and config.vtlp == "epoch" and config.soft_labels is True
    assert (
        config.conv_channels == (4, 8) and config.conv_kernels == ((3, 3), (5, 5)) and config.oversample == ("anger",)
    )
    assert config.l2 == 1.0 and isinstance(config.l2, float)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("epoch=3", "'epochs'"),
        ("nonsense=3", "there are frequency_khz"),
        ("learning_rate", "key=value"),
        ("learning_rate=fast", "expected at least 0 and finite"),
        ("epochs=2.5", "expected a whole number from 1; epochs=2"),
        ("soft_labels=1", "expected true or false"),
        ("epochs=0", "from 1"),
        ("log_floor=inf", "finite"),
        ("log_floor=1e-40", "float32"),
        ('conv_channels=[16,24,32,"a"]', "whole numbers"),
        ("conv_kernels=[3,3,3,3]", "pairs"),
        ("oversample=[3]", "class names"),
        ("vtlp=utterances", "'utterance'"),
        ("batchnorm=frame", "'frame-8', 'frame-9', 'sequence', 'layer'"),
        ("frequency_khz=16", "4, 8"),
        ("momentum=1.0", "below 1"),
        ("selection_share=0", "greater than 0"),
        ("selection_share=1.5", "at most 1"),
        ("learning_rate=-0.1", "at least 0"),
        ("learning_rate=nan", "at least 0"),
        ("conv_channels=[16]", "one entry for each"),
        ("conv_strides=[[2,2],[2,2],[2,2],[0,2]]", "from 1"),
        ("pool=[[2,2]]", "one for each conv layer, or none"),
        ("pool=3", "half, or a list of pairs"),
        ("conv_layers=many", "from 1 to 1000; the preset best has conv_layers=4"),
        ("learning_rate=inf", "the preset best has learning_rate=0.005"),
        ("oversample=2", re.escape('a list of class names; the preset best has oversample=["happiness", "anger"]')),
        ("conv_channels=[1979-05-27]", "whole numbers from 1"),
        ("pool=none", "^pool is none, expected half"),
        ("vtlp=warped", "the preset best has vtlp=utterance"),
    ],
)
def test_wrong_settings_are_answered(setting, said):
    with pytest.raises(SettingError, match=said):
        with_settings(Config(), [setting])


@pytest.mark.parametrize(
    ("setting", "nearest"),
    [
        ("vtlp=utterence", "vtlp=utterance"),
        ("vtlp=per-utterance", "vtlp=utterance"),
        ("normalisation=fol", "normalisation=fold"),
        ("normalisation=whole", "normalisation=whole-corpus"),
        ("normalisation=Off", "normalisation=off"),
        ("schedule=cosinus", "schedule=cosine"),
        ("frequency_khz=5", "frequency_khz=4"),
        ("frequency_khz=7.2", "frequency_khz=8"),
        ("tta_copies=10", "tta_copies=11"),
        ("tta_copies=2", "tta_copies=1"),
        ("batch_size=0", "batch_size=1"),
        ("lstm_layers=-3", "lstm_layers=1"),
        ("epochs=2.8", "epochs=3"),
        ("conv_layers=0", "conv_layers=1"),
        ("conv_layers=2.1", "conv_layers=2"),
        ("momentum=1.2", "momentum=0.99"),
        ("momentum=-1", "momentum=0.0"),
        ("selection_share=1.5", "selection_share=1.0"),
        ("selection_share=0", "selection_share=0.01"),
        ("learning_rate=-0.1", "learning_rate=0.0"),
        ("conv_l2=-1", "conv_l2=0.0"),
        ("log_floor=0", "log_floor=1e-37"),
        ("soft_labels=ture", "soft_labels=true"),
        ("soft_labels=False", "soft_labels=false"),
        ("conv_channels=[1,0,-2,3]", "conv_channels=[1, 1, 1, 3]"),
        ("conv_strides=[[2,2],[2,2],[2,2],[0,2]]", "conv_strides=[[2, 2], [2, 2], [2, 2], [1, 2]]"),
        ("pool=[[2,0],[1,1],[1,1],[1,1]]", "pool=[[2, 1], [1, 1], [1, 1], [1, 1]]"),
        ("pool=hlaf", "pool=half"),
        ("pool=max", "pool=half"),
        ("pool=OFF", "pool=[]"),
        ("conv_layers=1000000000", "conv_layers=1000"),
        ("lstm_layers=1000000000", "lstm_layers=1000"),
        ("batchnorm=9", "batchnorm=frame-9"),
        ("vtlp=none", "vtlp=off"),
        ("soft_labels=1", "soft_labels=true"),
        ("normalisation=corpus", "normalisation=whole-corpus"),
    ],
)
def test_the_nearest_valid_value_is_offered_and_can_be_taken(setting, nearest):
    with pytest.raises(SettingError, match=re.escape(f"; {nearest}?")):
        with_settings(Config(), [setting])
    with_settings(Config(), [nearest])


@pytest.mark.parametrize(
    "setting", ["vtlp=2", "vtlp=on", "learning_rate=fast", "learning_rate=nan", "epochs=true", "momentum=inf"]
)
def test_nothing_is_offered_where_nothing_is_near(setting):
    with pytest.raises(SettingError) as caught:
        with_settings(Config(), [setting])
    assert not str(caught.value).endswith("?")


def test_a_wrong_choice_names_them_all():
    for setting in ("vtlp=2", "vtlp=on"):
        with pytest.raises(SettingError, match="'off', 'epoch', 'utterance'"):
            with_settings(Config(), [setting])


def test_every_setting_is_checked():
    """By a table, or by name: a new key is not forgotten."""
    lists = {"oversample", "conv_channels", "conv_kernels", "conv_strides", "pool", "soft_labels"}
    assert {field.name for field in fields(Config)} == {*CHOICES, *RANGES, *lists}


def test_an_unknown_preset_is_answered_with_the_nearest():
    assert named("best") == PRESETS["best"]
    with pytest.raises(SettingError, match=r"no preset 'bset'; there are baseline, .*; 'best'\?"):
        named("bset")
    with pytest.raises(SettingError, match=r"best, demo$"):
        named("nonsense")
    with pytest.raises(SettingError, match=r"; 'best'\?$"):  # not best-4khz, which begins so too
        named("Best")


def test_settings_that_an_older_version_did_not_have_are_the_default_ones():
    kept = {"vtlp": "off", "conv_kernels": [[3, 3]] * 4}
    assert from_json(kept) == Config(vtlp="off", conv_kernels=((3, 3),) * 4)
    assert completed(kept) == {**completed({}), **kept}
    assert from_json(completed(kept)) == from_json(kept)
    with pytest.raises(SettingError, match="no setting 'nonsense'"):
        from_json({"nonsense": 1})


# ---- other stacks ---------------------------------------------------------------------------------------------------

EVERY = pytest.mark.parametrize("preset", ["best", "best-4khz", "demo"])


def after_each(config, axis, size):
    """Frames (axis 0) or positions (1) behind each layer, its pooling included, of `size` before the first."""
    sizes = []
    for stride, window in zip(config.conv_strides, config.windows, strict=True):
        size = blocks(blocks(size, stride[axis]), window[axis])
        sizes.append(size)
    return sizes


@EVERY
@pytest.mark.parametrize("conv", range(1, 7))
def test_at_every_depth_the_lstm_gets_as_much(preset, conv):
    own = PRESETS[preset]
    config = of_depth(own, conv, 3)
    assert len(config.conv_channels) == conv and config.lstm_layers == 3
    for axis in range(2):
        for size in (21, 109, 257, 513, 909):
            assert after_each(config, axis, size)[-1] == after_each(own, axis, size)[-1]
        for kernel, stride in zip(config.conv_kernels, config.conv_strides, strict=True):
            assert kernel[axis] > stride[axis] or kernel[axis] == 1 == stride[axis], "a number is skipped"
    shared = min(conv, 4) - (conv < 4)
    assert config.conv_kernels[:shared] == own.conv_kernels[:shared]
    assert config.conv_channels[:shared] == own.conv_channels[:shared]
    assert of_depth(own, 4, own.lstm_layers) == own


@EVERY
@pytest.mark.parametrize("conv", range(1, 7))
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


def test_depth_of_a_pooled_config_counts_its_windows():
    half = pooled(PRESETS["best"])
    for conv in (1, 3, 4, 6):
        config = of_depth(half, conv, 1)
        assert after_each(config, 0, 909)[-1] == 114 and after_each(config, 1, 513)[-1] == 9
        assert len(config.pool) == conv


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
    assert Config(epochs=epochs, candidates=share).first_selectable == first


def test_cosine_goes_from_one_towards_zero():
    config = Config(epochs=10, patience=10)
    factors = [config.factor(epoch) for epoch in range(1, 11)]
    assert factors[0] == 1 and factors == sorted(factors, reverse=True) and 0 < factors[-1] < 0.03
    assert factors[5] == pytest.approx(0.5)
    assert {with_settings(config, ["schedule=constant"]).factor(epoch) for epoch in range(1, 11)} == {1.0}
