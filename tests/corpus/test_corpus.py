"""What holds for every corpus: detection, the audio check, warnings, and the command that prints it all."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from process import exit_code
from trees import agreed, block, dialog, sentence, wav

from scratchser.corpus import CorpusError, detect, load, svm, wants_synthetic
from scratchser.corpus.__main__ import main
from scratchser.corpus.audio import check_audio
from scratchser.corpus.check import check, describe, label_warnings
from scratchser.corpus.table import Problem

WORDS = ("Neutral", "Happiness", "Sadness", "Anger")


@pytest.fixture
def tree(tmp_path):
    """Two sessions, four speakers, a clip of each class; 2M is never angry. With audio."""
    root = tmp_path / "tree"
    for stem in ("Ses01F_impro01", "Ses02F_impro01"):
        names = [f"{stem}_{gender}{k:03d}" for gender in "FM" for k in range(4)]
        names = [name for name in names if name != "Ses02F_impro01_M003"]
        dialog(root, stem, *(agreed(name, WORDS[int(name[-1])]) for name in names))
        for name in names:
            wav(sentence(root, name), 0.2 + 0.1 * int(name[-1]))
    return root


def run(capsys, *arguments):
    """Exit code, standard output, error output."""
    return exit_code(main, *arguments), *capsys.readouterr()


class TestKinds:
    def test_detected_with_a_reason(self, tree, tmp_path):
        wav(tmp_path / "emodb" / "03a01Wa.wav", 0.1)
        (tmp_path / "emodb" / "labels.csv").write_text("file,emotion\na.wav,neu\n")
        (tmp_path / "mine.csv").write_text("path,speaker,emotion\na.wav,s,neu\n")
        assert detect(tree)[0] == "iemocap"
        assert detect(tmp_path / "emodb") == ("emodb", "emodb holds wav files with names like 03a01Wa.wav")
        assert detect(tmp_path) == ("csv", "mine.csv has the columns path, speaker, emotion")
        assert load(tmp_path).notes[0] == "detected as csv: mine.csv has the columns path, speaker, emotion"

    def test_unclear_or_none(self, tree, tmp_path):
        (tree / "mine.csv").write_text("path,speaker,emotion\na.wav,s,neu\n")
        with pytest.raises(CorpusError, match="csv or iemocap: choose one with --corpus"):
            load(tree)
        assert load(tree, "iemocap").name == "iemocap"
        with pytest.raises(CorpusError, match="no corpus found"):
            detect(tmp_path)

    @pytest.mark.skipif(os.name == "nt", reason="links and pipes")
    def test_a_folder_without_access(self, tmp_path):
        (tmp_path / "link").symlink_to("nowhere")
        (tmp_path / "loop").symlink_to("loop")
        os.mkfifo(tmp_path / "pipe")
        reasons = {
            "nowhere": "no such file or folder",
            "link": "a dangling link",
            "loop": "Too many levels of symbolic links",
            "pipe": "neither a folder nor a file",
            "x" * 300: "File name too long",
        }
        for name, reason in reasons.items():
            for kind in ("auto", "iemocap", "emodb", "csv"):
                with pytest.raises(CorpusError, match=f"/{name}: {reason}$"):
                    load(tmp_path / name, kind)

    def test_a_folder_without_permission(self, tmp_path):
        (tmp_path / "closed").mkdir(mode=0)
        if os.access(tmp_path / "closed", os.R_OK):
            pytest.skip("root, or Windows")
        with pytest.raises(CorpusError, match=r"/closed: no permission to read it$"):
            load(tmp_path / "closed")
        with pytest.raises(CorpusError, match=r"/closed/mine\.csv: Permission denied$"):
            load(tmp_path / "closed" / "mine.csv")

    def test_a_csv_file_with_other_columns_is_mentioned(self, tmp_path):
        (tmp_path / "mine.csv").write_text("file,speaker,emotion\na.wav,s,neu\n")
        with pytest.raises(CorpusError, match=r"no corpus found.* mine\.csv:1: no column path.*rename 'file' to path"):
            detect(tmp_path)
        (tmp_path / "mine.csv").rename(tmp_path / "mine.txt").with_suffix(".csv").symlink_to("nowhere")
        with pytest.raises(CorpusError, match=r" mine\.csv: a dangling link$"):
            load(tmp_path, "csv")

    def test_the_word_synthetic(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert wants_synthetic(Path("synthetic"))
        assert not any(map(wants_synthetic, (None, Path("emodb"), tmp_path / "synthetic")))
        (tmp_path / "synthetic").mkdir()
        assert not wants_synthetic(Path("synthetic"))


class TestTable:
    def test_a_problem_names_an_utterance_of_the_table_or_none(self, tree):
        """So what is left out is what is missing in the counts."""
        turns = [block("Ses01M_impro01_F000", "ang", "Anger", "Anger"), block("Ses01M_impro01_F001", "xxx", "Anger")]
        dialog(tree, "Ses01M_impro01", *turns)
        names = {problem.where.rpartition(":")[2]: problem.utterance for problem in load(tree).problems}
        assert sorted(names.values()) == ["", "Ses01M_impro01_F000"]

    def test_fingerprint_depends_on_the_content_and_not_on_the_path(self, tree):
        corpus = load(tree)
        before = corpus.fingerprint()
        assert not corpus.synthetic
        moved = tree.rename(tree.parent / "elsewhere")
        assert load(moved).fingerprint() == before
        first = load(moved).utterances[0]
        for change in ({"label": 1}, {"speaker": "9F"}, {"votes": (("anger",),)}, {"name": "x"}, {"session": "7"}):
            changed = replace(load(moved), utterances=(replace(first, **change), *corpus.utterances[1:]))
            assert changed.fingerprint() != before
        wav(first.path, 0.9)
        assert load(moved).fingerprint() != before


class TestAudio:
    def test_everything_broken_is_reported_at_once(self, tree):
        paths = [u.path for u in load(tree).utterances]
        paths[0].unlink()
        paths[1].write_bytes(b"")
        paths[2].write_bytes(b"this is not a wav file at all")
        wav(paths[3], 0.0)
        soundfile.write(paths[4], np.zeros(1023, dtype="float32"), 16000)
        soundfile.write(paths[5], np.full(2000, np.nan, dtype="float32"), 16000, subtype="FLOAT")
        soundfile.write(paths[6], np.full(2823 - 1, 0.1, dtype="float32"), 44100)  # 63.99 ms
        soundfile.write(paths[7], np.linspace(-1e30, 1, 2000), 16000, subtype="FLOAT")
        corpus = load(tree)
        problems = check(corpus)[0]
        expected = ["missing", "0 bytes", "unreadable", "no samples", "63.9 ms of at least 64 ms", "not finite"]
        expected += ["63.9 ms of at least 64 ms", "samples up to 1e+30, where 1 is full scale"]
        assert len(problems) == len(expected)
        for problem, utterance, what in zip(problems, corpus.utterances, expected, strict=False):
            assert what in problem.what and str(utterance.path) in problem.what
            assert re.fullmatch(r".*/Ses01F_impro01\.txt:\d+", problem.where)
            assert problem.utterance == utterance.name
        assert check(corpus.without({p.utterance for p in problems}))[0] == ()

    @pytest.mark.parametrize(
        ("rate", "samples", "broken"), [(16000, 1024, 0), (8000, 512, 0), (8000, 511, 1), (44100, 2823, 0)]
    )
    def test_one_window_is_enough_at_any_rate(self, tree, rate, samples, broken):
        soundfile.write(load(tree).utterances[0].path, 0.1 * np.sin(np.arange(samples)), rate)
        assert len(check(load(tree))[0]) == broken

    def test_an_interrupted_copy_is_noticed(self, tree):
        path = load(tree).utterances[0].path
        path.write_bytes(path.read_bytes()[:-1000])
        assert check_audio(load(tree)).truncated == [path]
        problems, (warning,) = check(load(tree))
        assert problems == () and str(path) in warning and "1 sound file shorter than the header says" in warning
        path.unlink()
        problems, notes = check(load(tree))
        assert problems == check(load(tree))[0] and len(problems) == 1 and notes == ()


class TestWarnings:
    def test_a_label_that_few_annotators_gave(self, tree):
        dialog(tree, "Ses02M_impro08", block("Ses02M_impro08_M000", "ang", "Anger", "Sadness", "Sadness"))
        (warning,) = label_warnings(load(tree))
        assert "1 utterances" in warning and "Ses02M_impro08_M000" in warning

    def test_classes_and_speakers_with_few_utterances(self, tree):
        """2M is never angry. Here 1F and 1M are not either, nobody is sad, and 2F has nothing else than one clip."""
        corpus = load(tree)
        left = tuple(u for u in corpus.utterances if u.label != 2 and (u.speaker == "2F") == (u.label == 3))
        assert label_warnings(replace(corpus, utterances=left)) == (
            "no utterance is sadness: the UA is the mean over the other classes",
            "speakers 1F, 1M, 2M have no anger: the UA is the mean over the other classes there",
            "speaker 2F has no neutral or happiness: the UA is the mean over the other classes there",
            "only one utterance of class anger: too few to learn from or to measure on",
            "only one utterance of speaker 2F: too few to learn from or to measure on",
        )


class TestCommand:
    def test_prints_all_counts(self, tree, capsys):
        code, out, err = run(capsys, tree)
        assert code == 0 and err == ""
        lines = {line.split()[0]: line.split() for line in out.splitlines() if line}
        assert lines["happiness"][1:4] == ["4", "26.7", "4"]
        assert lines["2M"][:8] == ["2M", "M", "2", "1", "1", "1", "0", "3"]
        assert lines["all"][1] == "15"
        assert "2 of 151 label files" in out and "speaker 2M has no anger" in out
        assert "16 kHz mono, 15 utterances" in out

    def test_json_is_one_document(self, tree, monkeypatch, capsys):
        monkeypatch.setattr(svm, "installed", lambda: False)
        code, out, _ = run(capsys, tree, "--json", "--baselines")
        shown = json.loads(out)
        assert code == 0
        assert shown["all"]["counts"] == {"neutral": 4, "happiness": 4, "sadness": 4, "anger": 3}
        assert shown["all"]["unanimous"] == 15 and shown["all"]["ambiguous"] == 0
        assert shown["all"]["seconds"] == pytest.approx({"all": 5.1, "min": 0.2, "median": 0.3, "max": 0.5})
        assert [fold["test"] for fold in shown["folds"]] == ["1F", "1M", "2F", "2M"]
        assert shown["baselines"]["duration"]["ua_mean"] == 1.0  # here the length gives the class away
        assert set(shown["baselines"]) == {"majority", "duration", "loudness", "mean F0"}

    def test_groups_of_speakers_and_untuned_speakers(self, tmp_path, monkeypatch, capsys):
        """A CSV file whose sound files have RAVDESS's names is RAVDESS, where eight actors chose settings."""
        monkeypatch.setattr(svm, "installed", lambda: False)
        rows = ["path,speaker,emotion,gender"]
        for actor in range(1, 11):
            for code, emotion in (("01", "neutral"), ("05", "anger")):
                name = f"03-01-{code}-01-01-01-{actor:02d}.wav"
                wav(tmp_path / name, 0.2 + 0.1 * (emotion == "anger"))
                rows.append(f"{name},{actor:02d},{emotion},{'FM'[actor % 2]}")
        (tmp_path / "mine.csv").write_text("\n".join(rows))
        code, out, err = run(capsys, tmp_path, "--json", "--baselines", "--groups", 5)
        shown = json.loads(out)
        assert code == 0 and shown["corpus"] == "ravdess" and "pip install -e '.[baselines]'" in err
        assert [fold["test"] for fold in shown["folds"]] == ["02 01", "04 03", "06 05", "08 07", "10 09"]
        duration = shown["baselines"]["duration"]
        assert duration["untuned"]["ua_mean"] == 1.0 and sum(map(sum, duration["pooled"]["confusion"])) == 20
        assert sum(map(sum, duration["untuned"]["pooled"]["confusion"])) == 4  # actors 09 and 10
        assert run(capsys, tmp_path, "--groups", 11)[0] == 2
        (tmp_path / "mine.csv").write_text("\n".join(rows).replace(",10,", ",ten,"))
        assert load(tmp_path).name == "csv"

    def test_problems_go_to_stderr(self, tree, capsys):
        (gone,) = (u.path for u in load(tree).utterances if u.session == "2" and u.label == 3)
        gone.unlink()
        code, out, err = run(capsys, tree, "--baselines")
        assert "no training speaker has anger, which cannot be learned, in folds: 1, 2" in out
        assert code == 1
        assert f"missing sound file: {gone}" in err and "1 broken" in err
        assert "baseline" in out and str(gone) not in out

    def test_equal_problems_take_one_line_and_ten_of_a_kind_are_printed(self):
        rows = [Problem(f"mine.csv:{n}", "2 fields instead of 3") for n in range(30)]
        gone = [Problem(f"mine.csv:{n}", f"missing sound file: {n}.wav") for n in range(13)]
        first, *middle, more, last = describe([*rows, *gone])
        assert first == "mine.csv:0: 2 fields instead of 3 (and 29 more like this)"
        assert len(middle) == 10 and middle[9] == "mine.csv:9: missing sound file: 9.wav"
        assert more.startswith("3 more: missing sound file;") and last == "43 broken"

    def test_nothing_that_can_be_used(self, tmp_path, capsys):
        (tmp_path / "mine.csv").write_text("path,speaker,emotion\nb.wav,,neu\n")
        code, out, _ = run(capsys, tmp_path)
        assert code == 1 and "none: labels only" in out and "no utterance is" not in out
        assert check(load(tmp_path)) == (load(tmp_path).problems, ())

    def test_labels_only(self, tree, capsys):
        for path in tree.rglob("*.wav"):
            path.unlink()
        code, out, err = run(capsys, tree, "--baselines")
        assert code == 0 and err == ""
        assert "labels only" in out and "majority" in out and "duration" not in out
        with pytest.raises(CorpusError, match="labels only"):
            check(load(tree))

    def test_no_folds_is_a_warning(self, tmp_path, capsys):
        dialog(tmp_path, "Ses01F_impro01", agreed("Ses01F_impro01_F000", "Anger"))
        code, out, _ = run(capsys, tmp_path, "--baselines", "--classes", "ang,sad")
        assert code == 0
        assert "no folds can be made: " in out and "too few speakers, 1:" in out

    def test_a_closed_pipe_is_no_error(self, tree):
        reading, writing = os.pipe()
        os.close(reading)
        command = [sys.executable, "-m", "scratchser.corpus", str(tree)]
        with os.fdopen(writing, "wb") as gone:
            buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
            done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, env=buffered)
        assert (done.returncode, done.stderr) == (1, "")

    @pytest.mark.parametrize(
        "arguments",
        [
            ["no\nwhere" * 1000],
            ["--scripted"],
            [".", "--corpus", "synthetic"],
            [".", "--write", "new"],
            ["synthetic", "--write", "."],  # not an empty folder
        ],
    )
    def test_usage(self, arguments, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mine.txt").write_text("mine")
        code, out, err = run(capsys, *arguments)
        assert code == 2 and out == "" and "Traceback" not in err and "\nwhere" not in err and 0 < len(err) < 1500
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    def test_unexpected_counts_fail(self, tree, capsys, monkeypatch):
        monkeypatch.setattr("scratchser.corpus.readers.expected_counts.DIALOGS", {"Ses01F_impro01", "Ses02F_impro01"})
        code, out, _ = run(capsys, tree)
        assert code == 1 and "60 counts are not those" in out
        assert re.search(r"^speaker 5M all +0 +259$", out, re.M)
