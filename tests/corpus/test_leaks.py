"""The same recording twice, and one speaker under two names."""

import os
import shutil
import unicodedata

import pytest
from trees import wav

from scratchser.corpus import load
from scratchser.corpus.check import check, label_warnings

CLASSES = ("neutral", "happiness", "sadness", "anger")


@pytest.fixture
def corpus(tmp_path):
    """Writes a manifest of 16 recordings, with other names of speakers and with rows added, and loads it."""

    def write(*rows, names=None, heading="", values=None):
        lines = [f"path,speaker,emotion{heading}"]
        for speaker in "abcd":
            for label in CLASSES:
                wav(tmp_path / f"{speaker}-{label}.wav", 0.1)
                value = f",{(values or {}).get(speaker, '')}" if heading else ""
                lines.append(f"{speaker}-{label}.wav,{(names or {}).get(speaker, speaker)},{label}{value}")
        (tmp_path / "mine.csv").write_text("\n".join([*lines, *rows]), encoding="utf-8")
        return load(tmp_path / "mine.csv")

    return write


COPY = {
    "absolute path": lambda path, copy: path,
    "link": lambda path, copy: copy.symlink_to(path),
    "hard link": lambda path, copy: os.link(path, copy),
    "copy": lambda path, copy: shutil.copy(path, copy),
}


@pytest.mark.parametrize("row", ["b,neutral", "a,anger"])
@pytest.mark.parametrize("kind", COPY)
def test_the_same_recording_of_another_speaker_or_class_is_broken(corpus, tmp_path, kind, row):
    path, copy = wav(tmp_path / "a-neutral.wav", 0.1), tmp_path / "copy.wav"
    second = COPY[kind](path, copy) or copy
    table = corpus(f"{second},{row}")
    first, last = sorted(check(table)[0], key=lambda problem: len(problem.where))
    assert first.where.endswith("mine.csv:2") and f"also {last.where}" in first.what
    assert last.where.endswith("mine.csv:18") and last.what.startswith("the same recording twice: ")
    good = table.without({first.utterance, last.utterance})
    assert len(good.utterances) == 15 and check(good)[0] == ()


@pytest.mark.parametrize(("kind", "broken"), [("absolute path", 2), ("link", 2), ("hard link", 2), ("copy", 0)])
def test_a_copy_of_the_same_speaker_and_class_is_only_a_warning(corpus, tmp_path, kind, broken):
    path, copy = wav(tmp_path / "a-neutral.wav", 0.1), tmp_path / "copy.wav"
    second = COPY[kind](path, copy) or copy
    problems, notes = check(corpus(f"{second},a,neutral"))
    assert len(problems) == broken and ("2 sound files with the same bytes" in str(notes)) == (not broken)


SIMILAR = {
    "case": ("Anna", "anna", "'Anna' = 'anna'"),
    "Unicode form": (*(unicodedata.normalize(form, "Zoë") for form in ("NFD", "NFC")), r"'Zoe\u0308' = 'Zoë'"),
    "spaces": ("anna b", "anna  b", "'anna  b' = 'anna b'"),
    "no-break space": ("anna b", "anna\u00a0b", r"'anna b' = 'anna\xa0b'"),
    "invisible": ("anna", "anna\u200b", r"'anna' = 'anna\u200b'"),
    "decimals": ("1", "1.0", "'1' = '1.0'"),
    "zeros": ("s1", "s01", "'s01' = 's1'"),
}


@pytest.mark.parametrize("case", SIMILAR)
def test_names_that_may_mean_one_speaker(corpus, case):
    first, second, shown = SIMILAR[case]
    (warning,) = label_warnings(corpus(names={"a": first, "b": second}))
    assert warning.startswith(f"different names that may mean one speaker: {shown}; ")


def test_names_of_sessions_and_missing_values(corpus):
    sessions = dict(zip("abcd", ("1", "1.0", "2", "2"), strict=True))
    (warning,) = label_warnings(corpus(heading=",session", values=sessions))
    assert "may mean one session: '1' = '1.0'" in warning
    assert label_warnings(corpus(names={"a": "NaN"})) == ("speaker 'NaN': is it a missing value?",)


def test_different_names_are_no_warning(corpus):
    assert label_warnings(corpus(names={"a": "s1", "b": "s10", "c": "1.5", "d": "15"})) == ()
