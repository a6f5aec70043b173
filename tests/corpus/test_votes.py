"""Soft labels against exact fractions; tests/paper/test_paper_labels.py has the paper's table 5."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser.corpus.table import CLASSES
from scratchser.corpus.votes import soft_label, unanimous

WORDS = ["neutral", "happiness", "sadness", "anger", "excited", "frustration", "disgust"]
annotators = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(annotators, st.randoms(use_true_random=False))
def test_masses_are_those_of_exact_fractions_in_any_order(votes, random):
    mass = {c: sum(Fraction(c in given, len(given)) for given in votes) / len(votes) for c in CLASSES}
    weight = sum(mass.values())
    random.shuffle(votes)
    soft, found = soft_label(votes, CLASSES)
    assert found == pytest.approx(float(weight), abs=1e-12)
    assert soft.tolist() == pytest.approx([float(mass[c] / weight) if weight else 0.0 for c in CLASSES], abs=1e-12)


def test_no_annotators_is_not_agreement():
    with pytest.raises(ValueError, match="no annotators"):
        unanimous([], "neutral")
    with pytest.raises(ValueError, match="no annotators"):
        soft_label([], CLASSES)
    with pytest.raises(ValueError, match="no label"):
        soft_label([["neutral"], []], CLASSES)
