"""Test, validation and training speakers of each fold."""

import pytest

from scratchser.corpus.readers.emodb import GENDERS
from scratchser.corpus.split import class_warnings, make_folds, pair
from scratchser.corpus.table import CLASSES, Corpus, Utterance
from scratchser.presets import PRESETS


def corpus(*speakers: tuple[str, str, str]) -> Corpus:
    """One utterance each for (speaker, gender, session), of two classes in turn."""
    rows = (Utterance(f"u{i}", None, *speaker, label=i % 2) for i, speaker in enumerate(speakers))
    return Corpus("csv", CLASSES, tuple(rows))


IEMOCAP = corpus(*((f"{session}{gender}", gender, session) for gender in "MF" for session in "53142"))


def test_the_order_of_the_papers_table_2():
    folds = make_folds(IEMOCAP)
    assert [fold.test for fold in folds] == ["1F", "1M", "2F", "2M", "3F", "3M", "4F", "4M", "5F", "5M"]
    assert [fold.number for fold in folds] == list(range(1, 11))
    assert [fold.session + fold.gender for fold in folds] == [fold.test for fold in folds]
    for fold in folds:  # the other speaker of the session validates, and four sessions train
        assert fold.validation == fold.session + {"F": "M", "M": "F"}[fold.gender]
        assert set(fold.train) == {s for s in IEMOCAP.speakers if s[0] != fold.session}
        assert len(fold.train) == len(set(fold.train))
        assert fold.training(PRESETS["mel"]) == fold.train  # no conversation of the test speaker, selected epoch or not


def test_emodb_is_paired_as_agreed():
    pairs = {frozenset(group) for group in pair(GENDERS).values()}
    assert pairs == {frozenset(p) for p in (("03", "08"), ("09", "10"), ("11", "13"), ("12", "14"), ("15", "16"))}
    folds = make_folds(corpus(*((speaker, gender, "") for speaker, gender in GENDERS.items())))
    assert [fold.test for fold in folds] == ["08", "03", "09", "10", "13", "11", "14", "12", "16", "15"]
    assert [fold.session for fold in folds] == [str(n) for n in (1, 1, 2, 2, 3, 3, 4, 4, 5, 5)]


def test_an_odd_speaker_takes_the_first_of_the_next_pair():
    folds = {fold.test: fold for fold in make_folds(corpus(*((name, "", "") for name in "edcba")))}
    assert {test: fold.validation for test, fold in folds.items()} == {"a": "b", "b": "a", "c": "d", "d": "c", "e": "a"}
    assert folds["e"].train == ("b", "c", "d")
    assert folds["a"].train == ("c", "d", "e")
    assert [set(folds["a"].training(PRESETS[name])) for name in ("best", "mel")] == [set("cde"), set("bcde")]


def test_without_a_partner_of_the_other_gender_names_decide():
    groups = pair({"w1": "F", "w2": "F", "w3": "F", "m1": "M", "x": ""})
    assert list(groups.values()) == [("w1", "m1"), ("w2", "w3"), ("x",)]


def test_numbers_are_not_sorted_as_words():
    speakers = [(f"s{session}{gender}", gender, str(session)) for session in (10, 9, 2) for gender in "FM"]
    assert [fold.session for fold in make_folds(corpus(*speakers))] == ["2", "2", "9", "9", "10", "10"]


ACTORS = {f"{n:02d}": "FM"[n % 2] for n in range(1, 25)}  # RAVDESS's


@pytest.mark.parametrize("genders", [GENDERS, ACTORS, dict.fromkeys("abcdefg", ""), {**ACTORS, "x": "", "y": ""}])
@pytest.mark.parametrize("groups", [2, 3, 5, 6, 7])
def test_groups_are_equal_in_size_and_gender(genders, groups):
    folds = make_folds(corpus(*((speaker, gender, "") for speaker, gender in genders.items())), groups)
    tested = [speaker for fold in folds for speaker in fold.tested]
    assert len(folds) == groups and sorted(tested) == sorted(genders)
    for count in (len, *(lambda group, of=of: sum(genders[s] == of for s in group) for of in ("F", "M"))):
        counts = [count(fold.tested) for fold in folds]
        assert max(counts) - min(counts) <= 1
    for fold, following in zip(folds, (*folds[1:], folds[0]), strict=True):
        assert fold.validation in following.tested
        assert sorted((*fold.tested, fold.validation, *fold.train)) == sorted(genders)


def test_groups_follow_the_names():
    made = corpus(*((speaker, gender, "") for speaker, gender in ACTORS.items()))
    folds = make_folds(made, 6)
    assert [set(fold.tested) for fold in folds[:2]] == [{"01", "02", "03", "04"}, {"05", "06", "07", "08"}]
    assert [fold.validation for fold in folds[:4]] == ["06", "12", "13", "19"]  # women and men in turn
    assert (folds[0].session, folds[0].gender, make_folds(made, 24)[0].gender) == ("", "", "F")


@pytest.mark.parametrize(
    ("speakers", "groups", "reason"),
    [
        ([("a", "F", ""), ("b", "M", "")], 1, "should be from 2 to 2"),
        ([("a", "F", ""), ("b", "M", "")], 3, "should be from 2 to 2"),
        ([("a", "F", "1"), ("b", "M", "1")], 2, "without sessions"),
        ([("a", "F", "1"), ("b", "M", "1"), ("c", "F", "1"), ("d", "F", "2")], None, "session 1 has 3 speakers"),
        ([("a", "F", "1"), ("b", "M", "1")], None, "too few"),
        ([], None, "found: none"),
    ],
)
def test_speakers_that_do_not_fit_are_refused(speakers, groups, reason):
    with pytest.raises(ValueError, match=reason):
        make_folds(corpus(*speakers), groups)


# ---- classes


def labelled(**labels: str) -> Corpus:
    """Utterances of speaker="indices of their classes"."""
    rows = [(name, int(label)) for name, own in labels.items() for label in own]
    utterances = (Utterance(f"u{i}", None, name, "", "", label) for i, (name, label) in enumerate(rows))
    return Corpus("csv", CLASSES, tuple(utterances))


def test_one_class_is_nothing_to_learn():
    with pytest.raises(ValueError, match="found: sadness"):
        make_folds(labelled(a="22", b="2", c="2", d="2"))


@pytest.mark.parametrize(("speakers", "folds"), [
    ({"a": "01", "b": "01", "c": "01", "d": "01"}, {}),
    ({"a": "01", "b": "0", "c": "0", "d": "0"}, {"happiness": "1, 2"}),  # in fold 2, a validates
    ({"a": "013", "b": "01", "c": "03", "d": "0"}, {"happiness": "1, 2"}),
    ({"a": "01", "b": "0", "c": "01", "d": "02"}, {"sadness": "3, 4"}),
])  # fmt: skip
def test_classes_that_a_fold_cannot_learn_are_named(speakers, folds):
    data = labelled(**speakers)
    found = class_warnings(data, make_folds(data), PRESETS["best"])
    assert {warning.split()[4].strip(","): warning.rpartition(": ")[2] for warning in found} == folds
