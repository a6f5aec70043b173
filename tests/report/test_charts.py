"""The pictures of report.html show the run's numbers, and no line is known by its colour alone."""

import made_up
import numpy as np

from scratchser.report import figures
from scratchser.report.figures import STYLES

ROWS = [{"fold": fold, **row} for fold, epochs in ((1, 5), (2, 3)) for row in made_up.rows(fold, epochs)]
LAYERS = [f"conv{n}" for n in range(1, 7)] + [f"lstm{n}" for n in range(1, 5)] + ["dense"]


def normed():
    """Norms that differ by fold, epoch and layer."""
    norm = {row: 10.0**-row for row in range(len(LAYERS))}
    return [
        {**row, "gradient_norms": {name: row["fold"] * row["epoch"] * norm[n] for n, name in enumerate(LAYERS)}}
        for row in ROWS
    ]


def test_means_go_over_the_epochs_that_all_folds_have():
    norms = figures.mean_norms(normed())
    assert list(norms) == LAYERS
    np.testing.assert_allclose(norms["conv2"], [0.15, 0.30, 0.45])
    curve = figures.mean_curve(ROWS, "validation", "ua")
    expected = [np.mean([made_up.rows(fold, 3)[e]["validation"]["ua"] for fold in (1, 2)]) for e in range(3)]
    np.testing.assert_allclose(curve, expected)


def test_gradient_norms_are_drawn_with_a_mark_per_layer():
    axes = figures.gradient_norms(normed()).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == LAYERS and axes.get_yscale() == "log"
    np.testing.assert_allclose(lines["lstm1"].get_ydata(), figures.mean_norms(normed())["lstm1"])
    assert len({line.get_marker() for line in lines.values()}) == len(LAYERS)


def test_training_and_validation_differ_in_their_dashes():
    result = {"folds": [{"fold": 1, "best_epoch": 3}, {"fold": 2, "best_epoch": 2}]}
    assert len(set(STYLES.values())) == 2
    for name, unit in (("loss", 1), ("ua", 100)):
        axes = figures.learning(result, ROWS, name).axes[0]
        thick = {
            line.get_linestyle(): line for line in axes.lines if line.get_linewidth() > 2 and len(line.get_xdata())
        }
        assert set(thick) == set(STYLES.values())
        for part, style in STYLES.items():
            np.testing.assert_allclose(thick[style].get_ydata(), unit * figures.mean_curve(ROWS, part, name))


def test_runs_side_by_side_have_a_mark_each():
    runs = {"A": ROWS, "B": ROWS[:5]}
    axes = figures.side_by_side(runs).axes[0]
    for line, (label, rows) in zip(axes.lines, runs.items(), strict=True):
        assert line.get_label() == label
        np.testing.assert_allclose(line.get_ydata(), 100 * figures.mean_curve(rows, "validation", "ua"))
    assert len({line.get_marker() for line in axes.lines}) == 2


def test_a_spectrogram_has_time_to_the_right_and_low_tones_below():
    picture = np.arange(6.0).reshape(3, 2)  # three frames of two bins
    image = figures.spectrogram(picture, 1.5, 8.0).axes[0].images[0]
    np.testing.assert_array_equal(image.get_array(), picture.T)
    assert image.origin == "lower" and image.get_extent() == [0, 1.5, 0, 8.0]
