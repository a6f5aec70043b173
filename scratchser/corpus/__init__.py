"""Corpora of emotional speech as one table of utterances; docs/corpora.md tells how each is laid out on disk.

`python -m scratchser.corpus DIR` shows what a folder holds before anything is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scratchser.corpus.readers import csv_manifest, emodb, iemocap
from scratchser.corpus.table import CLASSES, Corpus, CorpusError, Origin, Problem, Utterance

__all__ = ["CLASSES", "KINDS", "Corpus", "CorpusError", "Problem", "Utterance", "detect", "load", "wants_synthetic"]

KINDS = ("auto", "iemocap", "emodb", "csv", "synthetic")


def load(
    root: Path | None,
    kind: str = "auto",
    *,
    scripted: bool = False,
    merge_excited: bool = False,
    classes: Sequence[str] | None = None,
) -> Corpus:
    """The corpus in the folder `root`; None, or the kind `synthetic`, is the one that the package makes itself.

    `scripted` and `merge_excited` belong to IEMOCAP: all dialogs instead of the improvised ones, and excited counted
    as happiness. `classes` replaces the paper's four. Raises CorpusError where the folder is no corpus, the kind is
    not clear, an option does not fit, or no utterance is left; single broken things are the corpus's `problems`.
    """
    if kind not in KINDS:
        raise CorpusError(f"unknown kind of corpus {kind!r}: choose from {', '.join(KINDS)}")
    reasons: tuple[str, ...] = ()
    if root is None and kind == "auto":
        kind = "synthetic"
    elif kind == "auto" and root is not None:
        kind, reason = detect(root)
        reasons = (f"detected as {kind}: {reason}",)
    if kind != "iemocap" and (scripted or merge_excited):
        raise CorpusError(f"scripted dialogs and excited speech are IEMOCAP's; this corpus is {kind}")
    asked = Origin(root and root.absolute(), kind, scripted, merge_excited, tuple(classes) if classes else None)
    if kind == "synthetic":
        return replace(_synthetic(root, classes), origin=asked)
    if root is None or not root.exists():
        raise CorpusError(f"{root}: no such folder" if root else f"the corpus {kind} needs its folder")
    if kind == "iemocap":
        corpus = iemocap.load(root, scripted=scripted, merge_excited=merge_excited, classes=classes)
    else:
        corpus = (emodb if kind == "emodb" else csv_manifest).load(root, classes=classes)
    if not corpus.utterances and not corpus.problems:
        raise CorpusError(f"{root}: {_nothing_left(corpus, scripted)}")
    return replace(corpus, notes=reasons + corpus.notes, problems=_named(corpus), origin=asked)


def wants_synthetic(place: Path | None) -> bool:
    """True for the word synthetic in the folder's place, unless there is a folder of that name."""
    return place == Path("synthetic") and not place.exists()


def detect(root: Path) -> tuple[str, str]:
    """The kind of the corpus in `root` and the reason. Raises CorpusError where no kind fits or more than one does."""
    if not root.exists():
        raise CorpusError(f"{root}: no such folder")
    found = {}
    if manifests := csv_manifest.find(root):
        found["csv"] = f"{manifests[0].name} has the columns {', '.join(csv_manifest.NEEDED)}"
    if root.is_dir() and iemocap.looks_like(root):
        found["iemocap"] = "it holds SessionN/dialog/EmoEvaluation"
    if root.is_dir() and emodb.looks_like(root):
        found["emodb"] = f"{emodb.folder(root).name} holds wav files named like 03a01Wa.wav"
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        raise CorpusError(f"{root}: could be {' or '.join(found)}: say which with --corpus")
    raise CorpusError(
        f"{root}: no corpus found. Looked for SessionN/dialog/EmoEvaluation (iemocap), wav files named like "
        f"03a01Wa.wav (emodb) and a CSV file with the columns {', '.join(csv_manifest.NEEDED)} (csv)"
    )


def _synthetic(root: Path | None, classes: Sequence[str] | None) -> Corpus:
    if root is not None or classes is not None:
        raise CorpusError("the synthetic corpus is made by the package: it takes no folder and no class list")
    from scratchser.corpus import synthetic  # imported only here: other corpora need none of its machinery

    return synthetic.load()


def _named(corpus: Corpus) -> tuple[Problem, ...]:
    """The problems, each with an utterance's name only where that utterance is in the table and can be skipped."""
    names = {u.name for u in corpus.utterances}
    return tuple(p if p.utterance in names else replace(p, utterance="") for p in corpus.problems)


def _nothing_left(corpus: Corpus, scripted: bool) -> str:
    aside = ", ".join(f"{label} {count}" for label, count in corpus.other_labels)
    improvised = corpus.name == "iemocap" and not scripted
    where = " in the improvised dialogs (--scripted reads the others too)" if improvised else ""
    return f"no utterance of the classes {', '.join(corpus.classes)}{where}; of others: {aside or 'none'}"
