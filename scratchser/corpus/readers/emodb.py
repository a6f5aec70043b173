"""EmoDB (Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss 2005), whole or in part: a folder of wav files.

Everything is in the file name: 03a01Wa.wav is speaker 03, sentence a01, emotion W, take a. No annotators, no sessions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scratchser.corpus.readers.labels import class_list
from scratchser.corpus.table import Corpus, CorpusError, Problem, Utterance

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
    """The folder of the wav files: `root` itself, or its subfolder wav as in the original archive."""
    return root / "wav" if (root / "wav").is_dir() else root


def looks_like(root: Path) -> bool:
    """True where at least one wav file is named as EmoDB names them."""
    return any(NAME.fullmatch(path.stem) for path in _wav_files(root))


def load(root: Path, *, classes: Sequence[str] | None = None) -> Corpus:
    """All wav files of the folder whose emotion is one of the classes; the other emotions are counted and left aside.

    Raises CorpusError where there is no wav file or a class is not EmoDB's. A wav file of another name is a Problem.
    """
    chosen = class_list(classes, EMOTIONS.values(), "EmoDB")
    utterances, problems, aside = [], [], Counter[str]()
    seen: dict[str, str] = {}  # a.wav and a.WAV are one utterance twice
    files = _wav_files(root)
    if not files:
        raise CorpusError(f"{folder(root)}: no wav files")
    for path in files:
        parts = NAME.fullmatch(path.stem)
        if not parts or parts["emotion"] not in EMOTIONS:
            what = f"unknown label {parts['emotion']!r}" if parts else "not named like EmoDB's files, 03a01Wa.wav"
            problems.append(Problem(str(path), what))
            continue
        emotion, speaker = EMOTIONS[parts["emotion"]], parts["speaker"]
        if emotion not in chosen:
            aside[emotion] += 1
            continue
        if path.stem in seen:
            problems.append(Problem(str(path), f"duplicate of {seen[path.stem]}", path.stem))
            continue
        seen[path.stem] = path.name
        label, gender = chosen.index(emotion), GENDERS.get(speaker, "")
        utterances.append(Utterance(path.stem, path, speaker, gender, "", label, source=str(path)))
    return Corpus("emodb", chosen, tuple(utterances), tuple(problems), root, other_labels=tuple(aside.most_common()))


def _wav_files(root: Path) -> list[Path]:
    """In the order of their names, .WAV too; "._" files, which some systems add when copying, are none."""
    paths = (path for path in folder(root).glob("*") if path.suffix.lower() == ".wav")
    return sorted((path for path in paths if not path.name.startswith(".")), key=lambda path: path.name)
