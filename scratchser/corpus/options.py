"""The options that choose a corpus, for all commands that need one. Only light imports, so that --help is quick."""

import argparse
from pathlib import Path

from scratchser import corpus


def add_corpus(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "dir",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="folder or CSV file of the corpus; nothing or synthetic: the built-in one",
    )
    p.add_argument("--corpus", choices=corpus.KINDS, default="auto", help="kind of corpus (default: detected)")
    p.add_argument("--scripted", action="store_true", help="IEMOCAP: the scripted dialogs too")
    p.add_argument("--merge-excited", action="store_true", help="IEMOCAP: count excited as happiness")
    p.add_argument(
        "--groups",
        type=int,
        metavar="N",
        help="N folds that test a group of speakers each, women and men spread evenly (default: one fold per speaker)",
    )
    p.add_argument("--classes", type=_names, metavar="A,B,...", help="other classes than the paper's four")


def folder(args: argparse.Namespace) -> Path | None:
    """DIR, None for the built-in corpus."""
    return None if corpus.wants_synthetic(args.dir) else args.dir


def load(args: argparse.Namespace) -> corpus.Corpus:
    """The corpus of the options of `add_corpus`."""
    return corpus.load(
        folder(args),
        args.corpus,
        scripted=args.scripted,
        merge_excited=args.merge_excited,
        classes=args.classes,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))
