"""Tables 4 and 5: label files in IEMOCAP's form whose tables are known before they are read, and the paper's."""

from dataclasses import replace

import made_up
import pytest
from trees import agreed, block, dialog

from scratchser.corpus import CLASSES, CorpusError, load
from scratchser.corpus.table import SYNTHETIC_MARKER, Corpus, Problem, Utterance
from scratchser.paper.figures import figure1
from scratchser.paper.tables import table4, table5

PAPER_4 = {
    "neutral": "331 30.1 768 69.9 1099",
    "happiness": "51 18.0 233 82.0 284",
    "sadness": "312 51.3 296 48.7 608",
    "anger": "138 47.8 151 52.2 289",
    "total": "832 36.5 1448 63.5 2280",
}
PAPER_5 = {  # true label, annotators as the table writes them, hard label, soft label, weight, subset
    "Ses01F_impro05_M020": ("neu", "oth", "neu, sad", "neu", "1 0 0 0", "0.75 0 0.25 0", "0.67", "amb"),
    "Ses02M_impro08_F023": ("hap", "hap", "hap", "neu", "0 1 0 0", "0.33 0.67 0 0", "1", "amb"),
    "Ses02M_impro06_M012": ("sad", "sad, ang", "sad", "sad", "0 0 1 0", "0 0 0.83 0.17", "1", "una"),
    "Ses01F_impro01_M011": ("ang", "ang", "oth, ang", "oth", "0 0 0 1", "0 0 0 1", "0.5", "amb"),
}


def row(made, name):
    (found,) = (cells for cells in made.rows if cells[0] == name)
    return tuple(found[1:])


RELEASE = made_up.all_of_iemocap(votes=True)


def test_table_4_of_the_whole_release_is_the_papers():
    made = table4.build(RELEASE).tables["table4"]
    for name, figures in PAPER_4.items():
        assert row(made, name) == (*figures.split(), *figures.split())  # ours, and the paper's beside it
    assert [cells[0] for cells in made.rows] == [*CLASSES, "total"]
    assert made.columns[1:6] == [column.removeprefix("paper: ") for column in made.columns[6:]]


def test_a_class_without_utterances_has_no_share(tmp_path):
    dialog(tmp_path, "Ses04F_impro03", agreed("Ses04F_impro03_F000", "Anger"))
    assert row(table4.build(load(tmp_path)).tables["table4"], "sadness")[:5] == ("0", "-", "0", "-", "0")


def test_the_papers_figures_stand_beside_the_papers_corpus_only(tmp_path):
    by_class = sorted(RELEASE.utterances, key=lambda u: u.label)
    part = table4.build(replace(RELEASE, utterances=tuple(by_class[:1100]), notes=("a note",))).tables["table4"]
    assert row(part, "happiness")[:5] == ("1", "100.0", "0", "0.0", "1") and part.notes[-1] == "a note"
    assert row(part, "anger")[5:] == tuple(PAPER_4["anger"].split())
    (tmp_path / SYNTHETIC_MARKER).touch()
    for other in (replace(RELEASE, root=tmp_path), replace(RELEASE, classes=("a", "b", "c", "d"))):
        made = table4.build(other).tables["table4"]
        assert len(made.columns) == 6 and "paper" not in str(made)
        assert ("SYNTHETIC" in made.notes[-1]) == ("synthetic" in made.title) == other.synthetic


def corpus(*votes, classes=CLASSES, problems=()):
    """Utterances a, b, c, ... of the first class of a corpus of one's own."""
    rows = (Utterance("abcdefghij"[n], None, "1", "", "", 0, given) for n, given in enumerate(votes))
    return Corpus("csv", classes, tuple(rows), problems)


NEU, SAD, FRU = ("neutral",), ("sadness",), ("frustration",)


def test_utterances_without_annotators_are_not_counted_as_a_note_says():
    made = table4.build(corpus((NEU, NEU), (), (NEU, SAD), ())).tables["table4"]
    assert row(made, "neutral") == ("1", "50.0", "1", "50.0", "2")
    assert "not counted: 2 utterances without annotators" in made.notes


def test_broken_entries_of_the_labels_are_noted():
    broken = (Problem("labels.txt:3", "an annotator without a label", "b"), Problem("labels.txt:9", "no header"))
    for module in (table4, table5, figure1):
        (made,) = module.build(corpus((NEU, NEU), (NEU, ()), (NEU, SAD), problems=broken)).tables.values()
        assert "2 broken entries in the labels; python -m scratchser.corpus lists them" in made.notes
        (made,) = module.build(corpus((NEU, NEU))).tables.values()
        assert "broken" not in str(made.notes)


@pytest.mark.parametrize(("module", "what"), [(table4, "table 4"), (table5, "table 5")])
def test_without_annotators_there_is_no_table(module, what):
    with pytest.raises(CorpusError, match=f"{what} needs the choice of each annotator"):
        module.build(corpus((), ()))


@pytest.fixture
def four(tmp_path):
    """The paper's four utterances, with what the release's annotators said, among others."""
    first = agreed("Ses01F_impro01_F000", "Anger")
    angry = block("Ses01F_impro01_M011", "ang", "Anger", "Disgust; Anger", "Frustration")
    dialog(tmp_path, "Ses01F_impro01", first, angry)
    neutral = block("Ses01F_impro05_M020", "neu", "Frustration", "Neutral; Sadness", "Neutral")
    dialog(tmp_path, "Ses01F_impro05", neutral)
    dialog(tmp_path, "Ses02M_impro08", block("Ses02M_impro08_F023", "hap", "Happiness", "Happiness", "Neutral"))
    dialog(tmp_path, "Ses02M_impro06", block("Ses02M_impro06_M012", "sad", "Sadness; Anger", "Sadness", "Sadness"))
    return tmp_path


def test_table_5_is_the_papers(four):
    made = table5.build(load(four)).tables["table5"]
    assert made.columns == (
        "utterance", "true", "ann. 1", "ann. 2", "ann. 3", "hard label", "soft label", "weight", "subset"
    )  # fmt: skip
    assert made.rows == [(name, *cells) for name, cells in PAPER_5.items()]
    assert "soft labels, weights and subsets equal the paper's" in made.notes


def test_a_synthetic_tree_with_the_papers_names_is_not_the_papers(four):
    (four / SYNTHETIC_MARKER).touch()
    made = table5.build(load(four)).tables["table5"]
    assert "all choose only the label" in made.notes[2] and "SYNTHETIC" in made.notes[-1]
    assert not any("paper" in note for note in made.notes)


def test_other_votes_than_the_papers_are_noted(four):
    file = four / "Session2/dialog/EmoEvaluation/Ses02M_impro08.txt"
    file.write_text(file.read_text().replace("C-E4:\tNeutral", "C-E4:\tSadness"))
    (four / "Session2/dialog/EmoEvaluation/Ses02M_impro06.txt").unlink()
    made = table5.build(load(four)).tables["table5"]
    assert len(made.rows) == 3 and row(made, "Ses02M_impro08_F023")[5] == "0 0.67 0.33 0"
    assert "soft labels, weights and subsets differ from the paper: Ses02M_impro08_F023" in made.notes
    assert "the paper's examples that this corpus lacks: Ses02M_impro06_M012" in made.notes


def test_one_example_of_each_kind():
    kinds = table5.KINDS
    examples = (
        (NEU, NEU + SAD, NEU),  # another class too
        (NEU, NEU, NEU),
        (NEU, FRU, NEU),
        (NEU, NEU, NEU),  # a second one of its kind
        (SAD, NEU, NEU),
        (NEU, FRU + NEU, SAD),
        (NEU, NEU, NEU + FRU),
    )
    made = table5.build(corpus(*examples)).tables["table5"]
    assert {cells[0]: cells[6:] for cells in made.rows} == {
        "b": ("1 0 0 0", "1", "una"),
        "a": ("0.83 0 0.17 0", "1", "una"),
        "g": ("1 0 0 0", "0.83", "una"),
        "e": ("0.67 0 0.33 0", "1", "amb"),
        "c": ("1 0 0 0", "0.67", "amb"),
        "f": ("0.6 0 0.4 0", "0.83", "amb"),
    }
    assert [cells[0] for cells in made.rows] == list("bagecf")
    assert [f"{name}: {kind}" for name, kind in zip("bagecf", kinds, strict=True)] == list(made.notes[2:8])


def test_a_broken_utterance_is_no_example():
    problem = Problem("labels.csv:2", "unknown label", "b")
    made = table5.build(corpus(((), NEU), (NEU, NEU), (NEU, NEU), (), problems=(problem,))).tables["table5"]
    assert [cells[0] for cells in made.rows] == ["c"]
