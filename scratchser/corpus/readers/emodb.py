"""EmoDB (Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss 2005) or a part of it: a folder of wav files.

The file name has everything: 03a01Wa.wav is speaker 03, sentence a01, emotion W, take a. There are no annotators and no
sessions.
"""

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
    """The folder of the wav files: `root`, or its subfolder wav as in the original archive."""
    return root / "wav" if (root / "wav").is_dir() else root


def looks_like(root: Path) -> bool:
    """True if at least one wav file has a name of EmoDB's form."""
    return any(NAME.fullmatch(path.stem) for path in _wav_files(root))


def load(root: Path, *, classes: Sequence[str] | None = None) -> Corpus:
    """All wav files with one of the classes. Other emotions are only counted; a file with another name is a Problem.

    Raises CorpusError if there is no wav file or a class is not EmoDB's.
    """
    chosen = class_list(classes, EMOTIONS.values(), "EmoDB")
    utterances, problems, other_labels = [], [], Counter[str]()
    seen: dict[str, str] = {}  # a.wav and a.WAV are the same utterance
    files = _wav_files(root)
    if not files:
        raise CorpusError(f"{folder(root)}: no wav files")
    for path in files:
        parts = NAME.fullmatch(path.stem)
        if not parts or parts["emotion"] not in EMOTIONS:
            problem = f"unknown label {parts['emotion']!r}" if parts else "the name is not like EmoDB's, 03a01Wa.wav"
            problems.append(Problem(str(path), problem))
            continue
        emotion, speaker = EMOTIONS[parts["emotion"]], parts["speaker"]
        if emotion not in chosen:
            other_labels[emotion] += 1
            continue
        if path.stem in seen:
            problems.append(Problem(str(path), f"duplicate of {seen[path.stem]}", path.stem))
            continue
        seen[path.stem] = path.name
        label, gender = chosen.index(emotion), GENDERS.get(speaker, "")
        utterances.append(Utterance(path.stem, path, speaker, gender, "", label, source=str(path)))
    return Corpus(
        "emodb", chosen, tuple(utterances), tuple(problems), root, other_labels=tuple(other_labels.most_common())
    )


def _wav_files(root: Path) -> list[Path]:
    """Sorted by name, with .WAV, without the "._" files that some systems add when copying."""
    paths = (path for path in folder(root).glob("*") if path.suffix.lower() == ".wav")
    return sorted((path for path in paths if not path.name.startswith(".")), key=lambda path: path.name)
