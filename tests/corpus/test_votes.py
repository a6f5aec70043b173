"""Soft labels and agreement, against the paper's table 5 and exact fractions."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchser.corpus.table import CLASSES
from scratchser.corpus.votes import soft_label, unanimous

WORDS = ["neutral", "happiness", "sadness", "anger", "excited", "frustration", "disgust"]
NEU, HAP, SAD, ANG, FRU = ["neutral"], ["happiness"], ["sadness"], ["anger"], ["frustration"]
TABLE_5 = {  # three annotators, soft label, weight, hard label, unanimous
    "Ses01F_impro05_M020": (FRU, NEU + SAD, NEU, (3 / 4, 0, 1 / 4, 0), 2 / 3, "neutral", False),
    "Ses02M_impro08_F023": (HAP, HAP, NEU, (1 / 3, 2 / 3, 0, 0), 1, "happiness", False),
    "Ses02M_impro06_M012": (SAD + ANG, SAD, SAD, (0, 0, 5 / 6, 1 / 6), 1, "sadness", True),
    "Ses01F_impro01_M011": (ANG, ["disgust", "anger"], FRU, (0, 0, 0, 1), 1 / 2, "anger", False),
}
annotators = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True), min_size=1, max_size=5)


@pytest.mark.parametrize("name", TABLE_5)
def test_table_5_of_the_paper(name):
    *votes, soft, weight, label, agreement = TABLE_5[name]
    found, found_weight = soft_label(votes, CLASSES)
    assert found.tolist() == pytest.approx(soft, abs=1e-15)
    assert found_weight == pytest.approx(weight, abs=1e-15)
    assert unanimous(votes, label) is agreement


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
