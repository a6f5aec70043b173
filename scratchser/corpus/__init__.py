"""Corpora of emotional speech, from the files to the batches of an epoch.

docs/corpora.md explains how each kind of corpus is laid out on disk.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scratchser.corpus.readers import csv_manifest, emodb, iemocap
from scratchser.corpus.table import CLASSES, Corpus, CorpusError, Origin, Problem, Utterance

__all__ = ["CLASSES", "KINDS", "Corpus", "CorpusError", "Problem", "Utterance", "detect", "load", "wants_synthetic"]

READERS = {"csv": csv_manifest, "iemocap": iemocap, "emodb": emodb}
KINDS = ("auto", "iemocap", "emodb", "csv", "synthetic")


def load(
    root: Path | None,
    kind: str = "auto",
    *,
    scripted: bool = False,
    merge_excited: bool = False,
    classes: Sequence[str] | None = None,
) -> Corpus:
    """Returns the corpus in the folder `root`. None, or the kind `synthetic`, is the built-in corpus.

    Parameters
    ----------
    root : folder, or CSV file
    kind : one of KINDS; "auto" detects it from the folder
    scripted : IEMOCAP: use all dialogs instead of the improvised ones
    merge_excited : IEMOCAP: count excited as happiness
    classes : labels to use instead of the paper's four

    Single broken things become the corpus's `problems`. Raises CorpusError if the folder is no corpus, its kind is not
    clear, an option does not fit, or no utterance is left.
    """
    notes: tuple[str, ...] = ()
    if kind == "auto" and root is None:
        kind = "synthetic"
    elif kind == "auto" and root is not None:
        kind, reason = detect(root)
        notes = (f"detected as {kind}: {reason}",)
    if kind != "iemocap" and (scripted or merge_excited):
        raise CorpusError(f"--scripted and --merge-excited are for IEMOCAP, but this corpus is {kind}")
    origin = Origin(root and root.absolute(), kind, scripted, merge_excited, tuple(classes) if classes else None)
    if kind == "synthetic":
        if root is not None or classes is not None:
            raise CorpusError("the synthetic corpus is built-in: it takes no folder and no classes")
        from scratchser.corpus import synthetic  # compiles the synthesiser, which other corpora do not need

        return replace(synthetic.load(), origin=origin)
    if root is None:
        raise CorpusError(f"the corpus {kind} needs its folder")
    _check_access(root)
    options = {"scripted": scripted, "merge_excited": merge_excited} if kind == "iemocap" else {}
    corpus: Corpus = READERS[kind].load(root, classes=classes, **options)
    if not corpus.utterances and not corpus.problems:
        others = ", ".join(f"{label} {count}" for label, count in corpus.other_labels) or "none"
        hint = " (--scripted adds the scripted dialogs)" if kind == "iemocap" and not scripted else ""
        raise CorpusError(f"{root}: no utterance of the classes {', '.join(corpus.classes)}{hint}; of others: {others}")
    return replace(corpus, notes=notes + corpus.notes, origin=origin)


def wants_synthetic(folder: Path | None) -> bool:
    """True for the word synthetic instead of a folder, unless there is a folder with that name."""
    return folder == Path("synthetic") and not folder.exists()


def _check_access(root: Path) -> None:
    """Raises CorpusError if there is no such file or folder, or no permission to use it."""
    try:
        mode = root.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CorpusError(f"{root}: {'a dangling link' if root.is_symlink() else 'no such file or folder'}") from error
    except OSError as error:
        raise CorpusError(f"{root}: {error.strerror}") from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise CorpusError(f"{root}: neither a folder nor a file")
    if not os.access(root, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        raise CorpusError(f"{root}: no permission to read it")


def detect(root: Path) -> tuple[str, str]:
    """Returns the kind of the corpus in `root` and the reason. Raises CorpusError unless exactly one kind fits."""
    _check_access(root)
    found = {kind: reason for kind, reader in READERS.items() if (reason := reader.detect(root))}
    if len(found) == 1:
        return found.popitem()
    if found:
        raise CorpusError(f"{root}: could be {' or '.join(found)}: choose one with --corpus")
    raise CorpusError(
        f"{root}: no corpus found. Looked for SessionN/dialog/EmoEvaluation (iemocap), wav files with names like "
        f"03a01Wa.wav (emodb) and a CSV file with the columns {', '.join(csv_manifest.NEEDED)} (csv)"
        + csv_manifest.complaint(root)
    )
