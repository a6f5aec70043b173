"""The reader of CSV files."""

import pytest

from scratchser.corpus import CorpusError, load

GOOD = """\
path,speaker,emotion,gender,session,votes,remark
anna/1.wav,anna,neutral,F,1,"neu|neu,sad|oth",slow
anna/2.wav,anna,hap,female,1,Happiness|happiness,
bert/1.wav,bert,Anger,m,1,,"two
lines"

carl/1.wav,carl,fru,M,2,,
dora/1.wav,dora,sad,F,2,,
"""


def manifest(folder, text, name="manifest.csv", encoding="utf-8"):
    file = folder / name
    file.write_bytes(text.encode(encoding, "surrogateescape"))
    return file


def test_reads_names_codes_and_votes(tmp_path):
    file = manifest(tmp_path, GOOD)
    corpus = load(file)
    assert not corpus.problems
    anna, again, bert, dora = corpus.utterances
    assert (anna.name, anna.speaker, anna.gender, anna.session) == ("anna/1.wav", "anna", "F", "1")
    assert anna.votes == (("neutral",), ("neutral", "sadness"), ("other",))
    assert again.votes == (("happiness",), ("happiness",)) and bert.votes == ()
    assert [corpus.classes[u.label] for u in corpus.utterances] == ["neutral", "happiness", "anger", "sadness"]
    assert anna.path == tmp_path / "anna/1.wav" and corpus.root == tmp_path
    assert anna.source == f"{file}:2" and dora.source == f"{file}:8"
    assert corpus.other_labels == (("frustration", 1),)
    assert any("remark" in note for note in corpus.notes)


TABLE = "path,speaker,emotion\na.wav,anna,neutral\nb.wav,bert,hap\n"
FORMS = {
    "semicolons": (TABLE.replace(",", ";"), "utf-8"),
    "Windows": (TABLE.replace("\n", "\r\n"), "utf-8-sig"),
    "UTF-16 with tabs": (TABLE.replace(",", "\t"), "utf-16"),
    "capital letters": (TABLE.replace("path,speaker", "Path,SPEAKER"), "utf-8"),
    "commas at the ends": (TABLE.replace("\n", ",,\n"), "utf-8"),
    "names of the rows without a heading": (TABLE.replace("\n", "\n7,").removesuffix("7,"), "utf-8"),
    "an index": (TABLE.replace("\n", "\n7,").removesuffix("7,").replace("path", ",path"), "utf-8"),
}


@pytest.mark.parametrize("case", FORMS)
def test_other_forms_of_a_table(tmp_path, case):
    text, encoding = FORMS[case]
    corpus = load(manifest(tmp_path, text, encoding=encoding))
    assert not corpus.problems
    assert [(u.name, u.speaker, u.label) for u in corpus.utterances] == [("a.wav", "anna", 0), ("b.wav", "bert", 1)]


@pytest.mark.parametrize(
    "written", ["d/E\u0301t\u00e9.wav", "d\\\u00c9te\u0301.WAV", "d/\u00e9t\u00e9", "d/\u00c9T\u00c9.flac"]
)
def test_other_spellings_of_a_file_name(tmp_path, written):
    (tmp_path / "d").mkdir()
    file = tmp_path / "d" / "\u00c9t\u00e9.wav"
    file.touch()
    table = manifest(tmp_path, f"path,speaker,emotion\n{written},anna,neutral\nd/Ete.wav,anna,neutral\n")
    first, second = sorted(load(table).utterances, key=lambda u: u.source)
    assert first.path.samefile(file) and second.path == tmp_path / "d" / "Ete.wav"
    file.with_suffix(".flac").touch()
    unclear = load(manifest(tmp_path, "path,speaker,emotion\nd/\u00e9t\u00e9,anna,neutral\n")).utterances[0]
    assert unclear.path == tmp_path / "d" / "\u00e9t\u00e9"


def test_labels_in_another_unicode_form(tmp_path):
    file = manifest(tmp_path, "path,speaker,emotion\na,s,\u00c4rger\nb,t,A\u0308rger\n")
    corpus = load(file, classes=["A\u0308rger", "neutral"])
    assert [u.label for u in corpus.utterances] == [0, 0] and not corpus.problems


def test_your_own_classes(tmp_path):
    file = manifest(tmp_path, 'path,speaker,emotion,votes\na,s,Zorn,"Zorn|Trauer,neu"\nb,t,Trauer,\nc,t,neutral,\n')
    corpus = load(file, classes=["Zorn", "Trauer"])
    assert not corpus.problems
    assert [(u.label, u.votes) for u in corpus.utterances] == [(0, (("Zorn",), ("Trauer", "neutral"))), (1, ())]
    assert corpus.other_labels == (("neutral", 1),)
    assert len(load(file).problems) == 2  # neither is a known word without the list


BROKEN = {
    "unknown label": ("x.wav,s,mad,,,", "unknown label: 'mad'", ""),
    "similar label": ("x.wav,s,happy,,,", "sadness, anger; did you mean 'happiness'?", ""),
    "line break": ('"x\n.wav",s,neu,,,', "a line break or another control character", ""),
    "long folder": (f"{'x' * 300}/y.wav,s,neu,,,", "no access to the sound file: ", ""),
    "no speaker": ("x.wav,,neu,,,", "no speaker", ""),
    "no path": (",s,neu,,,", "no path", ""),
    "too many fields": ("x.wav,s,neu,,,neu|neu,sad", "7 fields instead of 6", ""),
    "duplicate": ("./good/../good.wav,s,neu,,,", "duplicate utterance: good.wav, first at ", "good.wav"),
    "unknown gender": ("x.wav,s,neu,x,,", "unknown gender: 'x'", "x.wav"),
    "unknown vote": ("x.wav,s,neu,,,neu|glad", "an unknown label in 'glad'", "x.wav"),
    "vote twice": ('x.wav,s,neu,,,"neu,neutral|sad"', "a label twice", "x.wav"),
    "another gender": ("x.wav,good,neu,M,,", "speaker with two genders: good, first at ", "x.wav"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_rows_are_reported(tmp_path, case):
    row, what, utterance = BROKEN[case]
    file = manifest(tmp_path, f"path,speaker,emotion,gender,session,votes\ngood.wav,good,neu,F,,\n{row}\n")
    (problem,) = load(file).problems
    assert problem.where == f"{file}:{3 + row.count(chr(10))}"
    assert what in problem.what
    assert problem.utterance == utterance


def test_sessions_for_all_or_none_and_one_per_speaker(tmp_path):
    file = manifest(tmp_path, "path,speaker,emotion,session\na,s,neu,1\nb,t,neu,\nc,s,sad,2\n")
    assert [(p.where, p.what, p.utterance) for p in load(file).problems] == [
        (f"{file}:3", "no session, but other rows have one", "b"),
        (f"{file}:4", f"speaker in two sessions: s, first at {file}:2", "c"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path,speaker\na,b\n", ":1: no column emotion; found: 'path', 'speaker'; required: path, speaker, emotion"),
        ("wav_path;speaker_id;label\n", "rename 'wav_path' to path, 'speaker_id' to speaker, 'label' to emotion"),
        ("path,speaker,emotion,path\na,b,neu,c\n", ":1: the column path appears twice: rename"),
        ("", ":1: no header line: write"),
        ('path,speaker,emotion\na,b,neu\n"c,d,neu\ne,f,neu\n', ":3: not a CSV file: .*is a quote missing"),
        (TABLE * 2000 + "\udce4", ":6001: not in UTF-8: .*; save the file as UTF-8"),
        ("path,speaker,emotion\na,b,fru\n", "no utterance of the classes"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text, reason):
    with pytest.raises(CorpusError, match=reason):
        load(manifest(tmp_path, text))


def test_two_tables_in_a_folder_need_a_choice(tmp_path):
    manifest(tmp_path, GOOD, "one.csv")
    manifest(tmp_path, "measurement,value\n1,2\n", "other.csv")
    (tmp_path / "folder.csv").mkdir()
    assert len(load(tmp_path).utterances) == 4
    manifest(tmp_path, GOOD, "two.csv")
    with pytest.raises(CorpusError, match=r"one\.csv, two\.csv"):
        load(tmp_path)
