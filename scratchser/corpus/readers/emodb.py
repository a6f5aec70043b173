"""EmoDB (Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss 2005) or a part of it: a folder of wav files.

The file name has everything: 03a01Wa.wav is speaker 03, sentence a01, emotion W, take a. There are no annotators and no
sessions.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from scratchser.corpus.readers.labels import class_list
from scratchser.corpus.readers.rows import Rows, names_in
from scratchser.corpus.table import Corpus, CorpusError, Utterance

EMOTIONS = {  # the first letter of the German word
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
GENDERS = {speaker: "F" for speaker in ("08", "09", "13", "14", "16")} | {
    speaker: "M" for speaker in ("03", "10", "11", "12", "15")
}
NAME = re.compile(r"(?P<speaker>\d\d)[ab]\d\d(?P<emotion>[A-Z])[a-z]?")


def folder(root: Path) -> Path:
    """The folder of the wav files: `root`, or its subfolder wav as in the original archive."""
    return root / "wav" if (root / "wav").is_dir() else root


def detect(root: Path) -> str:
    """Why the folder is of this kind, or ""."""
    found = any(NAME.fullmatch(path.stem) for path in _wav_files(root))
    return f"{folder(root).name} holds wav files with names like 03a01Wa.wav" * found


def load(root: Path, *, classes: Sequence[str] | None = None) -> Corpus:
    """All wav files with one of the classes. Other emotions are only counted; a file with another name is a Problem.

    Raises CorpusError if there is no wav file or a class is not EmoDB's.
    """
    rows = Rows(class_list(classes, EMOTIONS.values(), "EmoDB"))
    files = _wav_files(root)
    if not files:
        raise CorpusError(f"{folder(root)}: no wav files")
    for path in files:
        parts, where = NAME.fullmatch(path.stem), str(path)
        if not parts:
            rows.problem(where, "the name is not like EmoDB's, 03a01Wa.wav")
        elif parts["emotion"] not in EMOTIONS:
            rows.problem(where, f"unknown label: {parts['emotion']!r}")
        elif rows.accepts(path.stem, where, EMOTIONS[parts["emotion"]]):  # a.wav and a.WAV are the same utterance
            speaker, label = parts["speaker"], rows.classes.index(EMOTIONS[parts["emotion"]])
            gender = GENDERS.get(speaker, "")
            rows.utterances.append(Utterance(path.stem, path, speaker, gender, "", label, source=where))
    return rows.corpus("emodb", root)


def _wav_files(root: Path) -> list[Path]:
    """Sorted, with .WAV."""
    return [folder(root) / name for name in names_in(folder(root)) if name.lower().endswith(".wav")]
