"""Writes the synthetic corpus as an IEMOCAP release tree, so that the reader can be tried without IEMOCAP.

    SYNTHETIC.txt                                           marks the speech as synthetic
    SessionN/sentences/wav/<dialog>/<utterance>.wav         16 kHz, mono, 16-bit PCM
    SessionN/dialog/EmoEvaluation/<dialog>.txt              labels in the form that iemocap.py describes

It has what makes the real label files difficult: all codes, several labels from one annotator, semicolons and label
words in comments, self-evaluations, scripted dialogs, and dialogs with M in the name in which a woman speaks.
"""

import io
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from scratchser.corpus.readers.labels import CODES
from scratchser.corpus.synthetic import EXPRESSIONS, SIZE, Line, script, sound
from scratchser.corpus.synthetic.voice import RATE
from scratchser.corpus.table import SYNTHETIC_MARKER, CorpusError
from scratchser.support.files import StorageError

CODE_OF = {name: code for code, name in CODES.items()}
COMMENTS = ("", "", "", "", "tired", "loud; then quiet", "Anger; or is it Frustration;", "sighs")
MARKER = """\
No human speaks in this folder: it was synthesised by scratchser in the layout of an IEMOCAP release.
It is not IEMOCAP and contains nothing of it; results on it say nothing about speech.
seed {}, {} improvised utterances of the four classes
"""


def write_iemocap_tree(folder: Path, seed: int = 0, size: int = SIZE) -> int:
    """Write all utterances of `synthetic.script(seed, size)`. Returns their number.

    Reading the tree gives the same rows and bits as `synthetic.load(seed, size)`. Equal arguments give equal files.
    Raises CorpusError if `folder` is a file or not empty, and as `load`; StorageError if it cannot be written (it is
    then left empty).
    """
    lines = script(seed, size)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CorpusError(f"{folder} exists and is not an empty folder: choose another one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".unfinished-") as unfinished:
            tree = Path(unfinished)
            for dialog, turns in groupby(lines, key=lambda line: line.dialog):
                _write_dialog(tree, dialog, list(turns), seed)
            # the marker first: if the program is stopped, no part of the tree passes as real speech
            (folder / SYNTHETIC_MARKER).write_text(MARKER.format(seed, size), encoding="utf-8", newline="\n")
            for session in sorted(tree.iterdir()):
                session.rename(folder / session.name)
    except OSError as error:
        raise StorageError(f"cannot write {error.filename or folder}: {error.strerror}") from error
    return len(lines)


def _write_dialog(tree: Path, dialog: str, turns: list[Line], seed: int) -> None:
    session = tree / f"Session{int(dialog[3:5])}"
    wavs, labels = session / "sentences" / "wav" / dialog, session / "dialog" / "EmoEvaluation"
    wavs.mkdir(parents=True)
    labels.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 3, *dialog.encode()])
    annotators = np.sort(rng.choice(np.arange(1, 7), 3, replace=False))
    blocks, now = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"], 5.0
    for turn in turns:
        samples = sound(turn, seed)
        wav = io.BytesIO()  # Python reports why a file cannot be written, libsndfile does not
        soundfile.write(wav, samples, RATE, format="WAV", subtype="PCM_16")
        (wavs / f"{turn.name}.wav").write_bytes(wav.getvalue())
        start = now + round(rng.uniform(0.2, 2.5), 4)
        now = start + len(samples) / RATE
        blocks.append(_block(turn, start, now, annotators, rng))
    (labels / f"{dialog}.txt").write_text("\n".join([*blocks, ""]), encoding="utf-8", newline="\n")


def _block(turn: Line, start: float, end: float, annotators: np.ndarray, rng: np.random.Generator) -> str:
    code = CODE_OF[turn.take.label or "undecided"]
    scales = rng.integers(1, 6, (3, 3))  # valence, activation, dominance, independent of the emotion
    mean = ", ".join(f"{value:.4f}" for value in scales[:2].mean(axis=0))
    own = f"{turn.speaker[1]}1"  # the actors' self-evaluation
    rows = [f"[{start:.4f} - {end:.4f}]\t{turn.name}\t{code}\t[{mean}]"]
    rows += [_category(f"E{e}", labels, rng) for e, labels in zip(annotators, turn.take.votes, strict=True)]
    rows.append(_category(own, _self_evaluation(turn, rng), rng))
    for rater, (valence, activation, dominance) in zip([f"E{e}" for e in annotators[:2]] + [own], scales, strict=True):
        rows.append(f"A-{rater}:\tval {valence}; act {activation}; dom  {dominance};\t({rng.choice(COMMENTS)})")
    return "\n".join(rows) + "\n"


def _category(rater: str, labels: tuple[str, ...], rng: np.random.Generator) -> str:
    words = " ".join(f"{label.capitalize()};" for label in labels) or ";"
    return f"C-{rater}:\t{words}\t({rng.choice(COMMENTS)})"


def _self_evaluation(turn: Line, rng: np.random.Generator) -> tuple[str, ...]:
    others = tuple(str(label) for label in rng.choice(list(EXPRESSIONS), 2, replace=False))
    return ((), (turn.take.emotion,), (turn.take.emotion,), others[:1], others)[rng.integers(5)]
