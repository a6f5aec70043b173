"""Figures 1 to 3 show what they are about: counts, the kernels' output, and the shapes of a forward pass."""

import math
from dataclasses import replace

import made_up
import numpy as np
import pytest
from trees import wav

from scratchser.corpus import CLASSES, CorpusError
from scratchser.corpus.features import Signal, extract
from scratchser.corpus.table import Corpus, Utterance
from scratchser.kernels import vtlp
from scratchser.layers import Spec
from scratchser.model import Model
from scratchser.paper.figures import figure1, figure2, figure3
from scratchser.presets import PAPER_BEST, PRESETS, Config

# ---- figure 1 -------------------------------------------------------------------------------------------------------


def corpus(counts):
    """So many utterances of each class: unanimous, ambiguous, without annotators."""
    votes = [lambda word: ((word,), (word, "other")), lambda word: ((word,), ("other",)), lambda word: ()]
    rows = [
        Utterance(f"{word}{part}{n:03d}", None, "1", "", "", label, votes[part](word))
        for label, word in enumerate(CLASSES)
        for part in range(3)
        for n in range(counts[part][label])
    ]
    return Corpus("csv", CLASSES, tuple(rows))


def bars(axes):
    """Label -> where each bar begins and ends."""
    return {
        group.get_label(): [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in group] for group in axes.containers
    }


def test_bars_are_the_counts_one_part_on_the_other():
    made = figure1.build(corpus(((30, 5, 1, 0), (12, 20, 0, 0), (0, 0, 2, 0))))
    axes = made.figures["figure1"].axes[0]
    assert bars(axes) == {
        "unanimous": [(0, 30), (0, 5), (0, 1), (0, 0)],
        "ambiguous": [(30, 42), (5, 25), (1, 1), (0, 0)],
        "without annotators": [(42, 42), (25, 25), (1, 3), (0, 0)],
    }
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(CLASSES)
    shown_texts = [text.get_text() for text in axes.texts if text.get_text()]
    assert shown_texts == ["30", "5", "12", "20", "2", "42  (60.0 %)", "25  (35.7 %)", "3  (4.3 %)", "0  (0.0 %)"]
    assert made.tables["figure1"].rows[1] == ("happiness", "5", "20", "0", "25", "35.7")
    assert len({group[0].get_hatch() for group in axes.containers}) == 3  # parts differ in more than colour


def test_without_annotators_the_classes_alone():
    made = figure1.build(made_up.corpus())
    axes = made.figures["figure1"].axes[0]
    assert bars(axes) == {"without annotators": [(0, 20), (0, 30), (0, 20), (0, 30)]}
    assert "no annotators" in made.tables["figure1"].notes[0]
    assert [text.get_text() for text in made.figures["figure1"].legends[0].texts] == ["without annotators"]


# ---- figure 2 -------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path):
    """Four utterances of different lengths, and one whose file is broken."""
    seconds = {"a": 0.9, "b": 0.3, "c": 0.6, "d": 0.5}
    paths = {name: wav(tmp_path / f"{name}.wav", length) for name, length in seconds.items()}
    paths["e"] = tmp_path / "e.wav"
    paths["e"].write_bytes(b"RIFF")
    return Corpus("csv", CLASSES, tuple(Utterance(name, path, "1", "", "", 2) for name, path in paths.items()))


def test_three_warps_of_the_utterance_of_median_duration(recorded):
    figure = figure2.build(recorded).figures["figure2"]
    assert figure.get_suptitle().startswith("d, sadness, corpus csv")
    spectrogram = extract(replace(recorded, utterances=recorded.utterances[3:4]), PAPER_BEST).of(0)
    T = 1 + (8000 - 1024) // 512
    assert spectrogram.shape == (T, 513)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["α = 0.9", "α = 1", "α = 1.1"]
    for axes, alpha in zip(shown, (0.9, 1.0, 1.1), strict=True):
        values = axes.images[0].get_array().T
        np.testing.assert_array_equal(values, vtlp.forward(spectrogram, alpha))
        assert axes.images[0].origin == "lower" and axes.images[0].get_extent() == [0, T * 0.032, 0, 8]
        assert axes.lines[0].get_ydata()[0] == pytest.approx(4 * alpha)
    np.testing.assert_array_equal(shown[1].images[0].get_array().T, spectrogram)
    images = [axes.images[0].get_array() for axes in shown]
    (scale,) = {axes.images[0].get_clim() for axes in shown}
    assert scale == (np.min(images), np.max(images))


def test_without_sound_there_is_no_spectrogram_and_without_utterances_no_distribution(recorded):
    with pytest.raises(CorpusError, match="none of the corpus's wav files can be read"):
        figure2.build(replace(recorded, utterances=recorded.utterances[4:]))
    with pytest.raises(CorpusError, match="all entries are broken"):
        figure1.build(replace(recorded, utterances=()))


# ---- figure 3 -------------------------------------------------------------------------------------------------------

SMALL = {
    "1 conv": ((5,), ((3, 4),), ((1, 8),), 1),
    "3 conv, 2 lstm": ((2, 3, 4), ((3, 5), (2, 2), (5, 1)), ((3, 2), (1, 4), (2, 3)), 2),
    "6 conv, 4 lstm": ((3, 2, 4, 2, 3, 5), ((3, 3),) * 6, ((2, 2), (2, 2), (2, 2), (3, 1), (1, 2), (1, 2)), 4),
}


def config(name):
    channels, kernels, strides, layers = SMALL[name]
    conv = {"conv_channels": channels, "conv_kernels": kernels, "conv_strides": strides}
    return Config(**conv, frequency_khz=4, lstm_layers=layers, lstm_units=4)


def shape(step, T):
    """What the step says of an utterance of T frames."""
    return tuple(eval(size, {"ceil": math.ceil, "T": T}) for size in step.output.split(" x "))


@pytest.mark.parametrize("name", SMALL)
def test_shapes_are_those_of_a_forward_pass(name):
    settings = config(name)
    bins = Signal.of(settings).bins
    model = Model(settings, bins, classes=3)
    made = {step.layer: step for step in figure3.steps(model, bins)}
    layers = [*(c.name for c in model.convs), "flatten", *(m.name for m in model.lstms), "readout", "dense", "softmax"]
    assert list(made) == ["input", *layers]
    for T in np.random.default_rng(5).integers(1, 150, 6).tolist():
        x, lengths = np.zeros((1, T, bins, 1), np.float32), np.array([T])
        assert shape(made["input"], T) == x.shape[1:]
        for layer in (*model.convs, *model.lstms):
            if layer is model.lstms[0]:
                x = x.reshape(1, x.shape[1], -1)
                assert shape(made["flatten"], T) == x.shape[1:]
            x, lengths = layer.forward(x, lengths)
            assert shape(made[layer.name], T) == x.shape[1:] and lengths[0] == x.shape[1]
        assert shape(made["readout"], T) == (model.dense.W.shape[0],) == x.shape[2:]
        assert shape(made["dense"], T) == shape(made["softmax"], T) == (3,)
        assert model.forward(np.zeros((1, T, bins, 1), np.float32), np.array([T])).shape == (1, 3)


def test_kernels_strides_and_parameters_are_the_configs():
    settings = PRESETS["best"]
    made = figure3.build(settings, 4)
    rows = {cells[0]: cells[1:] for cells in made.tables["figure3"].rows}
    sizes = zip(settings.conv_kernels, settings.conv_strides, settings.conv_channels, strict=True)
    for n, ((kt, kf), (st, sf), channels) in enumerate(sizes, 1):
        kernel, stride, width = rows[f"conv{n}"][1:4]
        assert (kernel, stride, width) == (f"{kt} x {kf}", f"{st} x {sf}", f"{channels} channels")
    W = Model(settings, 513, 4).parameters.W
    for layer in ("conv1", "conv4", "lstm1", "dense"):
        assert int(rows[layer][-1]) == sum(array.size for name, array in W.items() if name.startswith(layer))
    total = sum(array.size for array in W.values())
    assert rows["total"][-1] == str(total) and sum(int(cells[-1]) for cells in rows.values()) == 2 * total
    assert f"{total:,} in all" in {text.get_text() for text in made.figures["figure3"].axes[0].texts}


def test_what_is_not_learned_is_no_parameter():
    model = Model(config("1 conv"), 257, 4)
    (dense,) = (spec for spec in model.parameters.specs if spec.name == "dense.W")
    model.parameters.specs += (Spec("dense.mean", (1000,), "statistics", False),)
    found = next(step for step in figure3.steps(model, 257) if step.layer == "dense")
    assert found.tensors == "W 8 x 4, b 4" and found.parameters == dense.size + 4
