"""The EmoDB reader."""

from collections import Counter

import pytest
from trees import wav

from scratchser.corpus import CorpusError, load
from scratchser.corpus.check import check


@pytest.fixture
def original(tmp_path):
    """Seven emotions, as the original archive is laid out."""
    for name in ("03a01Wa", "03a01Nc", "03a02La", "08b03Tb", "16a05Fd", "09b10Ea", "10a07Aa", "11b01Ab"):
        wav(tmp_path / "wav" / f"{name}.wav", 0.1)
    (tmp_path / "wav" / "._03a01Wa.wav").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "lablaut").mkdir()
    (tmp_path / "erkennung.txt").write_text("07a01La 0.98\n")
    return tmp_path


def test_four_classes_and_counts_of_the_others(original):
    corpus = load(original)
    assert corpus.name == "emodb" and not corpus.problems
    rows = {u.name: (u.speaker, u.gender, u.session, corpus.classes[u.label], u.votes) for u in corpus.utterances}
    assert rows == {
        "03a01Nc": ("03", "M", "", "neutral", ()),
        "03a01Wa": ("03", "M", "", "anger", ()),
        "08b03Tb": ("08", "F", "", "sadness", ()),
        "16a05Fd": ("16", "F", "", "happiness", ()),
    }
    assert corpus.other_labels == (("fear", 2), ("boredom", 1), ("disgust", 1))
    assert load(original / "wav").fingerprint() == corpus.fingerprint()


def test_other_classes(original):
    corpus = load(original, classes=["bor", "Disgust", "fear", "anger"])
    counts = Counter(corpus.classes[u.label] for u in corpus.utterances)
    assert counts == {"boredom": 1, "disgust": 1, "fear": 2, "anger": 1}
    with pytest.raises(CorpusError, match="excited"):
        load(original, classes=["anger", "excited"])


def test_files_with_other_names_are_reported(original):
    stranger = wav(original / "wav" / "intro.wav", 0.1)
    unknown = wav(original / "wav" / "03a01Xa.wav", 0.1)
    problems = {p.where: p.what for p in load(original).problems}
    assert set(problems) == {str(stranger), str(unknown)}
    assert "'X'" in problems[str(unknown)]


def test_capital_letters_in_the_file_types_name(tmp_path):
    wav(tmp_path / "03a01Wa.WAV", 0.1)
    corpus = load(tmp_path)
    assert [(u.name, u.path) for u in corpus.utterances] == [("03a01Wa", tmp_path / "03a01Wa.WAV")]
    assert check(corpus)[0] == ()
    (tmp_path / "03a01Wa.wav").write_bytes((tmp_path / "03a01Wa.WAV").read_bytes())
    if len(list(tmp_path.iterdir())) == 2:  # else the file system ignores case
        twice = load(tmp_path)
        what = f"duplicate utterance: 03a01Wa, first at {tmp_path / '03a01Wa.WAV'}"
        assert [(p.what, p.utterance) for p in twice.problems] == [(what, "03a01Wa")]
        assert len(twice.utterances) == 1 and not twice.without({"03a01Wa"}).utterances
