"""The IEMOCAP reader: unusual forms, broken lines, and the counts of a complete release."""

import os
from dataclasses import replace

import made_up
import numpy as np
import pytest
from trees import agreed, block, dialog, wav

from scratchser.corpus import CorpusError, load
from scratchser.corpus.readers import expected_counts, iemocap
from scratchser.corpus.table import Utterance


@pytest.fixture
def odd(tmp_path):
    """Two sessions with every known unusual form of the release."""
    dialog(
        tmp_path,
        "Ses01F_impro01",
        block("Ses01F_impro01_F000", "neu", "Neutral", "Neutral; Sadness", "Neutral").replace(
            "Sadness;\t()", "Sadness;\t(bored; C-E9: Anger; [tired] \u00e9)"
        ),
        block("Ses01F_impro01_M000", "xxx", "Neutral", "Sadness", "Anger"),
        block("Ses01F_impro01_M001", "exc", "Excited", "Excited; Happiness", "Neutral"),
        block("Ses01F_impro01_F001", "fru", "Frustration", "Frustration", "Other"),
        newline="\r\n",
    )
    angry, sad = agreed("Ses03M_impro05a_F000", "Anger"), agreed("Ses03M_impro05a_M000", "Sadness")
    dialog(tmp_path, "Ses03M_impro05a", angry, sad)
    dialog(tmp_path, "Ses03M_impro05b", agreed("Ses03M_impro05b_M000", "Happiness"))
    dialog(tmp_path, "Ses05M_script01_1b", agreed("Ses05M_script01_1b_F000", "Sadness"))
    folder = dialog(tmp_path, "Ses05M_script01_1", agreed("Ses05M_script01_1_M000", "Neutral")).parent
    (folder / "._Ses05M_script01_1.txt").write_bytes(b"\x00\x05\x16\x07 Mac OS X")
    (folder / "Categorical").mkdir()
    (folder / "Categorical" / "Ses05M_script01_1_e2_cat.txt").write_text("Ses05M_script01_1_M000 :Neutral state; ()\n")
    return tmp_path


def test_improvised_dialogs_and_four_classes_by_default(odd):
    corpus = load(odd)
    assert corpus.name == "iemocap" and not corpus.problems
    rows = {u.name: (u.speaker, u.gender, u.session, corpus.classes[u.label]) for u in corpus.utterances}
    assert rows == {
        "Ses01F_impro01_F000": ("1F", "F", "1", "neutral"),
        "Ses03M_impro05a_F000": ("3F", "F", "3", "anger"),  # the last part's letter, not that after Ses03
        "Ses03M_impro05a_M000": ("3M", "M", "3", "sadness"),
        "Ses03M_impro05b_M000": ("3M", "M", "3", "happiness"),
    }
    assert list(rows) == sorted(rows)
    assert dict(corpus.other_labels) == {"undecided": 1, "excited": 1, "frustration": 1}
    assert any("5 of 151" in note for note in corpus.notes) and not corpus.expected_counts


def test_votes_are_those_of_the_external_annotators(odd):
    first = load(odd).utterances[0]
    assert first.votes == (("neutral",), ("neutral", "sadness"), ("neutral",))
    assert first.source.endswith("Ses01F_impro01.txt:3")
    assert first.path == odd / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    other = wav(first.path).rename(first.path.with_suffix(".FLAC"))
    assert load(odd).utterances[0].path == other


def test_scripted_dialogs_and_merging(odd):
    assert len(load(odd, scripted=True).utterances) == 6
    merged = load(odd, scripted=True, merge_excited=True)
    excited = next(u for u in merged.utterances if u.name == "Ses01F_impro01_M001")
    assert merged.classes[excited.label] == "happiness"
    assert excited.votes == (("happiness",), ("happiness",), ("neutral",))  # excited and happiness merged to one label
    assert dict(merged.other_labels) == {"undecided": 1, "frustration": 1}


def test_your_own_classes(odd):
    corpus = load(odd, classes=["fru", "excited"])
    assert [corpus.classes[u.label] for u in corpus.utterances] == ["frustration", "excited"]
    with pytest.raises(CorpusError, match="boredom"):
        load(odd, classes=["neutral", "boredom"])
    with pytest.raises(CorpusError, match="excited"):
        load(odd, classes=["neutral", "excited"], merge_excited=True)
    with pytest.raises(CorpusError, match="at least two"):
        load(odd, classes=["neutral", "neu"])


def test_nothing_to_train_on(tmp_path):
    dialog(tmp_path, "Ses05M_script01_1", agreed("Ses05M_script01_1_M000", "Neutral"))
    with pytest.raises(CorpusError, match="--scripted"):
        load(tmp_path)
    with pytest.raises(CorpusError, match="Session1"):
        iemocap.load(tmp_path / "Session5")


def test_missing_and_additional_label_files_are_named(tmp_path):
    assert len(expected_counts.DIALOGS) == 151 and sum("_impro" in name for name in expected_counts.DIALOGS) == 80
    for name in expected_counts.DIALOGS - {"Ses03M_impro05b"}:
        dialog(tmp_path, name, agreed(f"{name}_F000", "Anger"))
    corpus = load(tmp_path)
    assert "150 of 151" in corpus.notes[-1] and corpus.notes[-1].endswith("missing: Ses03M_impro05b")
    assert not corpus.problems and not corpus.expected_counts
    dialog(tmp_path, "Ses03M_impro05b", agreed("Ses03M_impro05b_F000", "Anger"))
    extra = dialog(tmp_path, "Ses03F_impro09", agreed("Ses03F_impro09_F000", "Anger"))
    corpus = load(tmp_path)
    assert len(corpus.notes) == 1 and len(corpus.expected_counts) == 60
    assert [(p.where, p.kind) for p in corpus.problems] == [(str(extra), "not a label file of the release")]


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
@pytest.mark.parametrize(
    ("make", "reason"),
    [(lambda file: file.symlink_to("nowhere.txt"), "a dangling link"), (os.mkfifo, "not a file")],
)
def test_label_files_that_cannot_be_read(tmp_path, make, reason):
    file = dialog(tmp_path, "Ses01F_impro01", agreed("Ses01F_impro01_F000", "Anger"))
    other = file.with_name("Ses01F_impro02.txt")
    make(other)
    problems = load(tmp_path).problems
    assert [(p.where, p.what) for p in problems] == [(str(other), f"label file that cannot be read: {reason}")]
    file.rename(tmp_path / "elsewhere.txt")
    file.symlink_to(tmp_path / "elsewhere.txt")
    assert len(load(tmp_path).utterances) == 1
    other.rename(tmp_path / "Session2")
    with pytest.raises(CorpusError, match=r"/Session2: .* instead of a folder"):
        load(tmp_path)


GOOD = agreed("Ses04F_impro02_F000", "Neutral")
BROKEN = {
    "unknown label": (GOOD.replace("\tneu\t", "\tmad\t"), 3, "unknown label: 'mad'", ""),
    "unknown vote": (GOOD.replace("C-E3:\tNeutral", "C-E3:\tMelancholy"), 5, "in the votes: 'Melancholy'", "F000"),
    "empty vote": (GOOD.replace("C-E4:\tNeutral;", "C-E4:\t;"), 6, "without a label", "F000"),
    "annotator lost": (GOOD.replace("C-E4:\tNeutral;\t()\n", ""), 3, "2 external annotators", "F000"),
    "annotator too many": (GOOD.replace("C-F1:\t;", "C-E5:\tNeutral;"), 3, "4 external annotators", "F000"),
    "header cut": (GOOD.replace("[6.2901 - 8.2357]", "[6.2901 -"), 3, "not a readable header", ""),
    "no bracket": (GOOD.replace("[6.2901", "6.2901"), 4, "without a readable header", ""),
    "another dialog": (GOOD.replace("impro02_F", "impro03_F"), 3, "not the name of an utterance of this dialog", ""),
    "duplicate": (GOOD + "\n" + GOOD, 11, "duplicate utterance: Ses04F_impro02_F000, first at", "F000"),
    "empty file": ("", 0, "no utterance in it, empty or cut off", ""),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_lines_are_reported(tmp_path, case):
    text, line, what, utterance = BROKEN[case]
    dialog(tmp_path, "Ses04F_impro01", agreed("Ses04F_impro01_M000", "Anger"))
    file = dialog(tmp_path, "Ses04F_impro02", text)
    problems = load(tmp_path).problems
    assert len(problems) == 1 and what in problems[0].what
    assert problems[0].where == (f"{file}:{line}" if line else str(file))
    assert problems[0].utterance == (f"Ses04F_impro02_{utterance}" if utterance else "")
    remaining = load(tmp_path).without({p.utterance for p in problems})
    assert [u.name for u in remaining.utterances] == ["Ses04F_impro01_M000"]
    assert remaining.problems == () and remaining.other_labels == ()


def test_a_label_file_in_the_wrong_folder_is_reported(tmp_path):
    dialog(tmp_path, "Ses01F_impro01", agreed("Ses01F_impro01_F000", "Neutral"))
    moved = tmp_path / "Session1/dialog/EmoEvaluation/Ses02F_impro01.txt"
    moved.write_text(agreed("Ses02F_impro01_F000", "Neutral"))
    assert [(p.where, p.utterance) for p in load(tmp_path).problems] == [(str(moved), "")]


# ---- the counts of a complete release


def release():
    return list(made_up.all_of_iemocap(votes=True).utterances)


def differ(counts):
    return {c.what: (c.found, c.expected) for c in counts if c.found != c.expected}


def test_known_counts_of_the_improvised_dialogs():
    counts = expected_counts.compare(release(), False, False)
    assert np.sum([*expected_counts.IMPROVISED_SPEAKERS.values()], axis=0).tolist() == [1099, 284, 608, 289]
    assert len(counts) == 5 + 5 + 50 and not differ(counts)
    assert expected_counts.compare(release(), False, True) == ()  # no known counts for this choice


@pytest.mark.parametrize(("merge_excited", "added", "total"), [(False, 0, 4490), (True, 1041, 5531)])
def test_known_counts_of_all_dialogs(merge_excited, added, total):
    rows = release()
    for label, count in enumerate((1708 - 1099, 595 - 284 + added, 1084 - 608, 1103 - 289)):
        rows += [Utterance("u", None, "2M", "M", "2", label)] * count
    counts = expected_counts.compare(rows, True, merge_excited)
    assert len(rows) == total and len(counts) == 5 and not differ(counts)


def test_unexpected_counts_are_reported():
    rows = release()
    angry = next(n for n, u in enumerate(rows) if u.speaker == "4M" and u.label == 3)
    rows[angry] = replace(rows[angry], label=2, votes=(("sadness",), ("sadness",), ("surprise",)))
    counts = expected_counts.compare(rows, False, False)
    total, of_4m = {"anger": (288, 289), "sadness": (609, 608)}, {"anger": (36, 37), "sadness": (41, 40)}
    assert differ(counts) == {**total, **{f"speaker 4M {name}": pair for name, pair in of_4m.items()}}
