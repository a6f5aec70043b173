"""Table 6's figures where there is nothing to count; tests/paper/test_tables.py has them where there is."""

import numpy as np

from scratchser.corpus.table import Corpus, Utterance
from scratchser.report.agreement import agreement

CLASSES = ("calm", "joy")


def of(*votes):
    """The agreement for utterances of the class joy, all classified as calm."""
    utterances = [Utterance(str(n), None, "1", "", "", 1, given) for n, given in enumerate(votes)]
    row = {"fold": "1", "truth": "joy", "predicted": "calm", "second": "joy"}
    rows = [{"utterance": u.name, **row} for u in utterances]
    return agreement(rows, Corpus("csv", CLASSES, tuple(utterances)))


def test_an_empty_subset_is_no_number():
    found = of((("joy",), ("joy",)), ())["ambiguous", "predicted"]
    assert found.counts.tolist() == [0, 0] and np.isnan([found.wa, found.ua, found.wa_folds, *found.recalls]).all()


def test_without_annotators_there_is_no_agreement():
    assert of((), ()) == {}
