"""The figures show the run's own numbers, and no line is identified by its colour alone."""

import warnings

import made_up
import numpy as np
import pytest

from scratchser.corpus.split import make_folds
from scratchser.report import figures
from scratchser.runs import result as results


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(result, rows) of folds that stop after 5, 6 and 4 epochs; the third is not finished."""
    corpus = made_up.corpus("synthetic", lacking=("1F", "anger"))
    with made_up.run(tmp_path_factory.mktemp("run"), corpus, (1, 2, 3)) as opened:
        result = results.result(
            opened.settings, opened.results()[:2], baselines=made_up.baselines(make_folds(corpus)[:3])
        )
        return result, opened.metrics()


def lines(axes, colour, thick):
    found = [line for line in axes.lines if line.get_color() == colour and len(line.get_xdata())]
    return [line for line in found if (line.get_linewidth() > 2) is thick]


@pytest.mark.parametrize(("name", "unit"), [("loss", 1), ("ua", 100)])
@pytest.mark.parametrize("part", ["train", "validation"])
def test_learning_curves_have_a_line_per_fold_and_their_mean(run, name, unit, part):
    result, rows = run
    both = dict(zip(("loss", "ua"), figures.learning_curves(result, rows).axes, strict=True))
    (alone,) = figures.learning_curves(result, rows, [name]).axes
    expected = {n: [unit * row[part][name] for row in rows if row["fold"] == n] for n in (1, 2, 3)}
    for axes in (both[name], alone):
        thin = lines(axes, figures.COLOURS[part], thick=False)
        assert [len(line.get_ydata()) for line in thin] == [5, 6, 4]
        for line, values in zip(thin, expected.values(), strict=True):
            np.testing.assert_allclose(line.get_ydata(), values)
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(values) + 1))
        (mean,) = lines(axes, figures.COLOURS[part], thick=True)
        np.testing.assert_allclose(mean.get_ydata(), np.mean([values[:4] for values in expected.values()], axis=0))
        assert mean.get_linestyle() == figures.LINE_STYLES[part] and len(set(figures.LINE_STYLES.values())) == 2
        low, high = axes.get_ylim()
        assert low == 0 and high >= max(max(values) for values in expected.values())


def test_best_epochs_are_marked_for_finished_folds(run):
    result, rows = run
    axes = figures.learning_curves(result, rows).axes[1]
    dots = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    at = {n: next(row for row in rows if (row["fold"], row["epoch"]) == (n, 3)) for n in (1, 2)}
    expected = [(3, 100 * at[n]["validation"]["ua"]) for n in (1, 2)]
    np.testing.assert_allclose([(*line.get_xdata(), *line.get_ydata()) for line in dots], expected)


def test_a_loss_that_is_not_a_number_leaves_a_gap(run):
    result, rows = run
    rows = [{**row, "train": {**row["train"], "loss": None if row["epoch"] == 2 else 1.0}} for row in rows]
    axes = figures.learning_curves(result, rows).axes[0]
    curve = lines(axes, figures.COLOURS["train"], thick=False)[0].get_ydata()
    np.testing.assert_array_equal(curve, [1.0, np.nan, 1.0, 1.0, 1.0])


def test_confusion_shows_shares_and_counts(run):
    result, _ = run
    axes, counts = figures.confusion(result).axes[0], np.array(result["pooled"]["confusion"])
    shares = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(axes.images[0].get_array(), shares)
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    for (i, j), count in np.ndenumerate(counts):
        assert texts[j, i - 0.08] == f"{100 * shares[i, j]:.1f} %"
        assert texts[j, i + 0.22] == str(count)
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"{name}\n({total})" for name, total in zip(result["corpus"]["classes"], counts.sum(axis=1), strict=True)
    ]


def test_titles_name_corpus_preset_and_seed(run):
    result, rows = run
    for figure in (figures.learning_curves(result, rows), figures.confusion(result)):
        assert figure.get_suptitle() == "corpus synthetic, preset best, seed 3 (synthetic data)"
    real = {**result, "synthetic": False, "corpus": {**result["corpus"], "name": "emodb"}}
    assert figures.title(real) == "corpus emodb, preset best, seed 3"
    changed = {**result, "config": {**result["config"], "epochs": 2}}
    assert figures.title(changed) == "corpus synthetic, preset best (changed), seed 3 (synthetic data)"


def test_names_are_drawn_as_they_are_written(run):
    """A pair of $ would begin mathematics, which these names cannot be read as."""
    result, _ = run
    names = [r"$\nothing$", "a_$b$c^", r"<b>\n{", "\N{GRINNING FACE} 怒り"]
    figure = figures.confusion({**result, "corpus": {**result["corpus"], "classes": names}})
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == names
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figures.png(figure)
