"""The synthetic corpus as a release tree: the real form, and reading it back."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scratchser.corpus import synthetic
from scratchser.corpus.readers import iemocap
from scratchser.corpus.synthetic import tree as iemocap_tree
from scratchser.corpus.synthetic.voice import RATE
from scratchser.corpus.table import CorpusError
from scratchser.support.files import StorageError

WORDS = ["Neutral", "Happiness", "Sadness", "Anger", "Excited", "Frustration", "Surprise", "Fear", "Disgust", "Other"]
CODES = dict(zip(["neu", "hap", "sad", "ang", "exc", "fru", "sur", "fea", "dis", "oth"], WORDS, strict=True))
HEADER = re.compile(
    r"\[(\d+\.\d{4}) - (\d+\.\d{4})\]\t(Ses0[1-5][FM]_\w+_[FM]\d{3})\t([a-z]{3})\t\[(?:[1-5]\.\d{4}, ){2}[1-5]\.\d{4}\]"
)
CATEGORY = re.compile(rf"C-([EFM])([1-6]):\t(;|(?:{'|'.join(WORDS)});(?: (?:{'|'.join(WORDS)});)?)\t\(([^()]*)\)")
SCALES = re.compile(r"A-[EFM][1-6]:\tval [1-5]; act [1-5]; dom  [1-5];\t\([^()]*\)")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "below" / "tree"
    count = iemocap_tree.write_iemocap_tree(folder, seed=5, size=40)
    blocks = blocks_of(folder)
    assert len(blocks) == count
    return folder, blocks


def blocks_of(tree):
    """{utterance: (file, rows)} over all label files, each file's first line and blank lines checked."""
    found = {}
    for file in sorted(tree.glob("Session*/dialog/EmoEvaluation/*.txt")):
        text = file.read_bytes().decode("ascii")
        assert text.startswith("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n[") and "\r" not in text
        for block in text.rstrip("\n").split("\n\n")[1:]:
            rows = block.split("\n")
            found[rows[0].split("\t")[1]] = (file, rows)
    return found


def test_label_files_have_the_real_form(tree):
    seen, clock = set(), {}
    for name, (file, rows) in tree[1].items():
        start, end, _, code = HEADER.fullmatch(rows[0]).groups()
        assert float(end) > float(start) > clock.get(file, 0.0)  # in order of time, without overlap
        clock[file] = float(end)
        matches = [CATEGORY.fullmatch(row) for row in rows[1:5]]
        assert [m[1] for m in matches] == ["E", "E", "E", name[-4]]  # three annotators, then the self-evaluation
        assert [int(m[2]) for m in matches[:3]] == sorted({int(m[2]) for m in matches[:3]})
        assert all(SCALES.fullmatch(row) for row in rows[5:]) and len(rows) == 8
        counts = Counter(word for m in matches[:3] for word in set(re.findall(r"\w+", m[3])))
        twice = [word for word, votes in counts.items() if votes >= 2]
        assert CODES.get(code) == (twice[0] if len(twice) == 1 else None) and (code in CODES or code == "xxx")
        own = "none" if matches[3][3] == ";" else CODES.get(code, "no majority") in matches[3][3]
        seen |= {code, own, *("; comment" for m in matches if ";" in m[4]), *(m[3].count(";") for m in matches[:3])}
    assert seen >= {"neu", "hap", "sad", "ang", "exc", "fru", "xxx", "none", True, False, "; comment", 2}


def test_dialogs_have_the_releases_unusual_names_and_both_speakers(tree):
    speakers = {}
    for utterance, (file, _) in tree[1].items():
        assert utterance.startswith(f"{file.stem}_") and file.parents[2].name == f"Session{utterance[4]}"
        speakers.setdefault(file.stem, set()).add(utterance[-4])
    assert {"Ses03M_impro05a", "Ses03M_impro05b", "Ses05M_script01_1", "Ses05M_script01_1b"} <= set(speakers)
    assert len(speakers) == 31 and all(both == {"F", "M"} for both in speakers.values())


def test_wav_files_are_16_khz_mono_pcm_as_long_as_the_labels_say(tree):
    folder, blocks = tree
    wavs = {file.stem: file for file in folder.glob("Session*/sentences/wav/*/*.wav")}
    assert set(wavs) == set(blocks)
    for name, file in wavs.items():
        info = soundfile.info(file)
        assert (info.samplerate, info.channels, info.format, info.subtype) == (16000, 1, "WAV", "PCM_16")
        start, end = map(float, HEADER.fullmatch(blocks[name][1][0]).groups()[:2])
        assert info.frames / RATE == pytest.approx(end - start, abs=1e-4)


def test_reading_the_tree_gives_the_same_table_and_the_same_sound(tree):
    direct, read = synthetic.load(seed=5, size=40), iemocap.load(tree[0])

    def rows(corpus):
        return [(u.name, u.speaker, u.gender, u.session, corpus.classes[u.label], u.votes) for u in corpus.utterances]

    assert rows(read) == rows(direct) and len(rows(read)) == 40
    assert read.problems == () and dict(read.other_labels) == dict(direct.other_labels)
    assert direct.synthetic and read.synthetic and "No human speaks" in (tree[0] / "SYNTHETIC.txt").read_text()
    for u, v in zip(read.utterances, direct.utterances, strict=True):
        (a, rate_a), (b, rate_b) = read.read(u), direct.read(v)
        assert rate_a == rate_b == RATE
        np.testing.assert_array_equal(a, b)


def test_the_same_arguments_write_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setattr(iemocap_tree, "sound", lambda turn, seed: np.zeros(RATE + len(turn.name)))
    contents = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()  # an empty folder is allowed
        iemocap_tree.write_iemocap_tree(folder, size=10)
        contents.append({file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.*")})
    assert contents[0] == contents[1]


@pytest.mark.parametrize("file", ["full/thesis.txt", "full"])
def test_nothing_is_overwritten(tmp_path, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("mine")
    with pytest.raises(CorpusError, match="not an empty folder"):
        iemocap_tree.write_iemocap_tree(tmp_path / "full", size=10)
    assert (tmp_path / file).read_text() == "mine" and len(list(tmp_path.rglob("*.*"))) == ("." in file)


def test_a_full_disk_leaves_an_empty_folder(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left"):
        iemocap_tree.write_iemocap_tree(tmp_path / "tree", size=10)
    assert list((tmp_path / "tree").iterdir()) == []
