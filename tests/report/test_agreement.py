"""Table 6's figures on a handful of utterances counted by hand."""

import numpy as np
import pytest

from scratchser.corpus.table import Corpus, Utterance
from scratchser.report.agreement import agreement

CLASSES = ("calm", "joy")
# name, fold, label, votes, first choice, second choice
UTTERANCES = [
    ("a", "1", "calm", (("calm",), ("calm", "joy"), ("calm",)), "calm", "joy"),
    ("b", "1", "calm", (("calm",), ("joy",), ("calm",)), "joy", "calm"),
    ("c", "1", "calm", (("calm",), ("calm",), ("rage",)), "calm", "joy"),
    ("d", "1", "joy", (("joy",), ("joy",), ("joy",)), "calm", "joy"),
    ("e", "2", "joy", (("joy",), ("joy",), ("joy", "rage")), "joy", "calm"),
    ("f", "2", "joy", (("joy",), ("rage",), ("joy",)), "calm", "joy"),
    ("g", "2", "calm", (), "joy", "calm"),  # without annotators: counted nowhere
]


def corpus(utterances=UTTERANCES):
    rows = [
        Utterance(name, None, fold, "", "", CLASSES.index(truth), votes) for name, fold, truth, votes, *_ in utterances
    ]
    return Corpus("csv", CLASSES, tuple(rows))


def rows(utterances=UTTERANCES):
    return [
        {"utterance": name, "fold": fold, "truth": truth, "predicted": first, "second": second}
        for name, fold, truth, _, first, second in utterances
    ]


def test_pooled_and_fold_means_by_hand():
    found = agreement(rows(), corpus())["all", "predicted"]
    assert (found.wa, found.ua) == (pytest.approx(3 / 6), pytest.approx((2 / 3 + 1 / 3) / 2))
    assert found.wa_folds == pytest.approx((2 / 4 + 1 / 2) / 2)
    assert found.ua_folds == pytest.approx(((2 / 3 + 0) / 2 + 1 / 2) / 2)  # the second fold has joy only
    second = agreement(rows(), corpus())["ambiguous", "second"]
    assert second.wa_folds == pytest.approx((1 / 2 + 1) / 2)


def test_an_empty_subset_is_no_number():
    only = [UTTERANCES[0], UTTERANCES[3]]
    found = agreement(rows(only), corpus(only))["ambiguous", "predicted"]
    assert found.counts.tolist() == [0, 0] and np.isnan([found.wa, found.ua, found.wa_folds, *found.recalls]).all()


def test_without_annotators_there_is_no_agreement():
    assert agreement(rows(UTTERANCES[6:]), corpus(UTTERANCES[6:])) == {}
