"""The synthetic corpus as a release tree: the real form, and reading it back."""

import re
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

HEADER = re.compile(
    r"\[(\d+\.\d{4}) - (\d+\.\d{4})\]\t(Ses0[1-5][FM]_\w+_[FM]\d{3})\t([a-z]{3})\t\[(?:[1-5]\.\d{4}, ){2}[1-5]\.\d{4}\]"
)
CATEGORY = re.compile(r"C-([EFM])[1-6]:\t(;|[A-Z][a-z]+;(?: [A-Z][a-z]+;)?)\t\([^()]*\)")
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


def test_label_and_sound_files_have_the_real_form(tree):
    clock = {}
    for name, (file, rows) in tree[1].items():
        start, end = HEADER.fullmatch(rows[0]).groups()[:2]
        assert float(end) > float(start) > clock.get(file, 0.0)  # in order of time, without overlap
        clock[file] = float(end)
        matches = [CATEGORY.fullmatch(row) for row in rows[1:5]]
        assert [m[1] for m in matches] == ["E", "E", "E", name[-4]]  # three annotators, then the self-evaluation
        assert all(SCALES.fullmatch(row) for row in rows[5:]) and len(rows) == 8
        info = soundfile.info(file.parents[2] / "sentences" / "wav" / file.stem / f"{name}.wav")
        assert (info.samplerate, info.channels, info.format, info.subtype) == (16000, 1, "WAV", "PCM_16")
        assert info.frames / RATE == pytest.approx(float(end) - float(start), abs=1e-4)


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
