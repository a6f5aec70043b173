"""Accuracies against counts of single utterances."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser import metrics

K = 4
pairs = st.lists(st.tuples(st.integers(0, K - 1), st.integers(0, K - 1)), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_counts_one_by_one(pairs):
    labels, predicted = zip(*pairs, strict=True)
    matrix = metrics.confusion(labels, predicted, K)
    assert [[sum(pair == (i, j) for pair in pairs) for j in range(K)] for i in range(K)] == matrix.tolist()
    assert metrics.wa(matrix) == pytest.approx(sum(t == p for t, p in pairs) / len(pairs))
    each = [[p == k for t, p in pairs if t == k] for k in range(K)]
    assert metrics.recalls(matrix).tolist() == pytest.approx(
        [sum(hits) / len(hits) if hits else math.nan for hits in each], nan_ok=True
    )
    present = [sum(hits) / len(hits) for hits in each if hits]
    assert metrics.ua(matrix) == pytest.approx(sum(present) / len(present))


def test_no_utterances_give_nan():
    empty = np.zeros((K, K), dtype=np.int64)
    assert math.isnan(metrics.wa(empty)) and math.isnan(metrics.ua(empty))


@pytest.mark.parametrize(("labels", "predicted"), [([0, 1], [0]), ([0, 4], [0, 0]), ([0, 0], [0, -1])])
def test_sequences_that_do_not_fit_are_refused(labels, predicted):
    with pytest.raises(ValueError):
        metrics.confusion(labels, predicted, K)
