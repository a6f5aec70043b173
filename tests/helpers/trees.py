"""Small corpora written to disk in their real formats, for the tests that read them."""

from pathlib import Path

import numpy as np
import soundfile

CODES = {"Neutral": "neu", "Happiness": "hap", "Sadness": "sad", "Anger": "ang", "Excited": "exc", "Frustration": "fru"}


def wav(path: Path, seconds: float = 0.5, rate: int = 16000, channels: int = 1) -> Path:
    """Quiet noise, 16 bit, another one for each name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(list(path.name.encode())).normal(0, 0.05, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def block(name: str, code: str, *votes: str, start: float = 6.2901) -> str:
    """One utterance as a label file has it; `votes` are the label words of the three annotators, ';' between them."""
    lines = [f"[{start:.4f} - {start + 1.9456:.4f}]\t{name}\t{code}\t[2.5000, 2.5000, 2.5000]"]
    lines += [f"C-E{number}:\t{words};\t()" for number, words in enumerate(votes, start=2)]
    lines += ["C-F1:\t;\t()", "A-E3:\tval 3; act 2; dom  2;\t()", "A-F1:\tval 3; act 2; dom  1;\t(curious)"]
    return "\n".join(lines) + "\n"


def agreed(name: str, word: str) -> str:
    """An utterance that all three annotators hear alike."""
    return block(name, CODES[word], word, word, word)


def dialog(root: Path, stem: str, *blocks: str, newline: str = "\n") -> Path:
    """A label file in its place; gives its path."""
    file = root / f"Session{stem[4]}" / "dialog" / "EmoEvaluation" / f"{stem}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + "\n".join(blocks) + "\n"
    file.write_bytes(text.replace("\n", newline).encode())
    return file


def sentence(root: Path, name: str) -> Path:
    """Where the wav file of an utterance belongs."""
    stem = name.rpartition("_")[0]
    return root / f"Session{stem[4]}" / "sentences" / "wav" / stem / f"{name}.wav"
