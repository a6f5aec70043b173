"""Presets are the columns of table 1; settings are checked when they are parsed."""

import pytest

from scratchser.kernels.batchnorm import KINDS
from scratchser.presets import CHOICES, PRESETS, Config, SettingError, with_settings

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
    adjusted = p.conv_rate > p.rate and p.conv_l2 > p.l2
    equal = p.conv_rate == p.rate and p.conv_l2 == p.l2
    augmented, oversampled, gradients, khz = TABLE_1[name]
    assert p.vtlp == ("utterance" if augmented else "off")
    assert p.oversample == (("happiness", "anger") if oversampled else ())
    assert adjusted if gradients else equal
    assert p.frequency_khz == khz
    same = {"vtlp", "oversample", "conv_rate", "conv_l2", "frequency_khz"}
    assert {k: v for k, v in vars(p).items() if k not in same} == {
        k: v for k, v in vars(PRESETS["best"]).items() if k not in same
    }


def test_the_kinds_of_batch_normalisation_are_the_kernels():
    assert CHOICES["batchnorm"] == ("off", *KINDS) and all(p.batchnorm == "off" for p in PRESETS.values())
    assert with_settings(Config(), ["batchnorm=frame-9"]).batchnorm == "frame-9"


def test_settings_are_read_as_toml():
    given = ["rate=0.5", "epochs=3", "conv_channels=[4, 8]", "conv_kernels=[[3,3],[5,5]]", "conv_strides=[[1,2],[2,2]]"]
    config = with_settings(Config(), [*given, "vtlp=epoch", "oversample=anger", "soft_labels=true", "l2=1"])
    assert config.rate == 0.5 and config.epochs == 3 and config.vtlp == "epoch" and config.soft_labels is True
    assert (
        config.conv_channels == (4, 8) and config.conv_kernels == ((3, 3), (5, 5)) and config.oversample == ("anger",)
    )
    assert config.l2 == 1.0 and isinstance(config.l2, float)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("epoch=3", "'epochs'"),
        ("nonsense=3", "there are frequency_khz"),
        ("rate", "key=value"),
        ("rate=fast", "not of the kind"),
        ("epochs=2.5", "not of the kind"),
        ("epochs=0", "greater than 0"),
        ("log_floor=inf", "finite"),
        ("log_floor=1e-40", "float32"),
        ('conv_channels=[16,24,32,"a"]', "whole numbers"),
        ("conv_kernels=[3,3,3,3]", "pairs"),
        ("oversample=[3]", "class names"),
        ("vtlp=utterances", "'utterance'"),
        ("batchnorm=frame", "'frame-8', 'frame-9', 'sequence', 'layer'"),
        ("frequency_khz=16", "4, 8"),
        ("momentum=1.0", "below 1"),
        ("candidates=0", "greater than 0"),
        ("candidates=1.5", "at most 1"),
        ("rate=-0.1", "at least 0"),
        ("rate=nan", "at least 0"),
        ("conv_channels=[16]", "one entry for each"),
        ("conv_strides=[[2,2],[2,2],[2,2],[0,2]]", "from 1"),
    ],
)
def test_wrong_settings_are_answered(setting, said):
    with pytest.raises(SettingError, match=said):
        with_settings(Config(), [setting])


@pytest.mark.parametrize(("epochs", "share", "first"), [(20, 0.25, 16), (3, 0.25, 3), (3, 1.0, 1), (1, 0.01, 1)])
def test_first_epoch_that_can_be_the_best(epochs, share, first):
    assert Config(epochs=epochs, candidates=share).first_candidate == first


def test_cosine_goes_from_one_towards_zero():
    config = Config(epochs=10, patience=10)
    factors = [config.factor(epoch) for epoch in range(1, 11)]
    assert factors[0] == 1 and factors == sorted(factors, reverse=True) and 0 < factors[-1] < 0.03
    assert factors[5] == pytest.approx(0.5)
    assert {with_settings(config, ["schedule=constant"]).factor(epoch) for epoch in range(1, 11)} == {1.0}
