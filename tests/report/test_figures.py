"""The figures show the run's own numbers."""

import io

import made_up
import matplotlib.image
import numpy as np
import pytest

from scratchser.corpus.split import make_folds
from scratchser.report import figures
from scratchser.runs import result as results


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(result, rows) of folds that stop after 5, 6 and 4 epochs; the third is not done."""
    corpus = made_up.corpus("synthetic", lacking=("1F", "anger"))
    with made_up.run(tmp_path_factory.mktemp("run"), corpus, (1, 2, 3)) as opened:
        found = results.result(
            opened.settings, opened.results()[:2], baselines=made_up.baselines(make_folds(corpus)[:3])
        )
        return found, opened.metrics()


def lines(axes, colour, thick):
    return [line for line in axes.lines if line.get_color() == colour and (line.get_linewidth() > 2) is thick]


@pytest.mark.parametrize(("place", "name", "unit"), [(0, "loss", 1), (1, "ua", 100)])
@pytest.mark.parametrize("part", ["train", "validation"])
def test_learning_curves_a_line_per_fold_and_their_mean(run, place, name, unit, part):
    result, rows = run
    axes = figures.learning_curves(result, rows).axes[place]
    expected = {n: [unit * row[part][name] for row in rows if row["fold"] == n] for n in (1, 2, 3)}
    thin = lines(axes, figures.COLOURS[part], thick=False)
    assert [len(line.get_ydata()) for line in thin] == [5, 6, 4]
    for line, values in zip(thin, expected.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), values)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(values) + 1))
    (mean,) = lines(axes, figures.COLOURS[part], thick=True)
    np.testing.assert_allclose(mean.get_ydata(), np.mean([values[:4] for values in expected.values()], axis=0))
    low, high = axes.get_ylim()
    assert low == 0 and high >= max(max(values) for values in expected.values())


def test_best_epochs_are_marked_for_folds_that_are_done(run):
    result, rows = run
    axes = figures.learning_curves(result, rows).axes[1]
    marks = [(*line.get_xdata(), *line.get_ydata()) for line in axes.lines if line.get_marker() == "o"]
    at = {n: next(row for row in rows if (row["fold"], row["epoch"]) == (n, 3)) for n in (1, 2)}
    np.testing.assert_allclose(marks, [(3, 100 * at[n]["validation"]["ua"]) for n in (1, 2)])


def test_a_loss_that_is_no_number_leaves_a_gap(run):
    result, rows = run
    rows = [{**row, "train": {**row["train"], "loss": None if row["epoch"] == 2 else 1.0}} for row in rows]
    axes = figures.learning_curves(result, rows).axes[0]
    curve = lines(axes, figures.COLOURS["train"], thick=False)[0].get_ydata()
    np.testing.assert_array_equal(curve, [1.0, np.nan, 1.0, 1.0, 1.0])


def test_confusion_shows_shares_and_counts(run):
    result, _ = run
    figure = figures.confusion(result)
    axes, counts = figure.axes[0], np.array(result["pooled"]["confusion"])
    shares = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(axes.images[0].get_array(), shares)
    said = {text.get_position(): text.get_text() for text in axes.texts}
    for (i, j), count in np.ndenumerate(counts):
        assert said[j, i - 0.08] == f"{100 * shares[i, j]:.1f} %"
        assert said[j, i + 0.22] == str(count)
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"{name}\n({total})" for name, total in zip(result["corpus"]["classes"], counts.sum(axis=1), strict=True)
    ]


def test_titles_say_what_it_is(run):
    result, rows = run
    for figure in (figures.learning_curves(result, rows), figures.confusion(result)):
        assert figure.get_suptitle() == "corpus synthetic, preset best, seed 3 (synthetic data)"
    real = {**result, "synthetic": False, "corpus": {**result["corpus"], "name": "emodb"}}
    assert figures.confusion(real).get_suptitle() == "corpus emodb, preset best, seed 3"

    changed = {**result, "config": {**result["config"], "epochs": 2}}
    for figure in (figures.learning_curves(changed, rows), figures.confusion(changed)):
        assert figure.get_suptitle() == "corpus synthetic, preset best (changed), seed 3 (synthetic data)"


def test_png_is_the_figure_the_same_every_time(run):
    result, _ = run
    first, second = (figures.png(figures.confusion(result)) for _ in range(2))
    assert first == second
    image = matplotlib.image.imread(io.BytesIO(first), format="png")
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 10  # cells of many shades were drawn
