"""python -m scratchser.corpus: look at a corpus before anything is trained."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scratchser.corpus import KINDS, baselines, load, wants_synthetic
from scratchser.corpus.audio import check_audio, has_audio
from scratchser.corpus.split import Fold, make_folds
from scratchser.corpus.summary import Json, render, summarise
from scratchser.corpus.table import Corpus, CorpusError, Utterance
from scratchser.support import terminal

DESCRIPTION = """\
Counts per class, speaker and agreement, durations, and all that is broken, with file and line. Labels are
counted even where there is no audio. docs/corpora.md tells how each kind of corpus is laid out.
"""
EXAMPLES = """\
examples
  python -m scratchser.corpus IEMOCAP_full_release              improvised dialogs, the paper's four classes
  python -m scratchser.corpus IEMOCAP_full_release --scripted --merge-excited
  python -m scratchser.corpus emodb/wav --baselines             what does clip length alone give away?
  python -m scratchser.corpus mine.csv --classes calm,joy,grief --json
  python -m scratchser.corpus synthetic --write tree            the built-in corpus as an IEMOCAP release tree

exit code  0 nothing is broken   1 something is, or a complete release does not have its known counts   2 usage
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if wants_synthetic(options.dir):
        options.dir = None
    try:
        if options.write is not None:
            return _write(parser, options)
        return _show(options)
    except CorpusError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scratchser.corpus",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "dir", metavar="DIR", nargs="?", type=Path, help="folder or CSV file; nothing or synthetic: built-in"
    )
    parser.add_argument("--corpus", choices=KINDS, default="auto", help="what DIR holds (default: auto, and says why)")
    parser.add_argument("--classes", metavar="A,B,...", help="these labels instead of neutral,happiness,sadness,anger")
    parser.add_argument("--scripted", action="store_true", help="IEMOCAP: the scripted dialogs too")
    parser.add_argument("--merge-excited", action="store_true", help="IEMOCAP: excited counts as happiness")
    parser.add_argument("--baselines", action="store_true", help="evaluate trivial baselines, leave-one-speaker-out")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    parser.add_argument("--write", metavar="DIR", type=Path, help="synthetic only: write it as an IEMOCAP release tree")
    return parser


def _show(options: argparse.Namespace) -> int:
    corpus = load(
        options.dir,
        options.corpus,
        scripted=options.scripted,
        merge_excited=options.merge_excited,
        classes=options.classes.split(",") if options.classes else None,
    )
    heard = check_audio(corpus, progress=_bar("listening")) if has_audio(corpus) else None
    summary = summarise(corpus, heard)
    sound = corpus.without({problem["utterance"] for problem in summary["problems"]} - {None})
    folds = _folds(sound, summary)
    if options.baselines:
        found = baselines.evaluate(sound, folds, _bar("measuring")) if folds else ()
        summary["baselines"] = {each.name: each.as_dict() for each in found}
    terminal.write(json.dumps(summary, indent=1) if options.json else render(summary))
    return _verdict(summary, in_full=not options.json)


def _bar(what: str) -> Any:
    def progress(utterances: Sequence[Utterance]) -> Iterable[Utterance]:
        return tqdm(utterances, desc=what, unit=" utterances", leave=False, disable=None)

    return progress


def _folds(corpus: Corpus, summary: Json) -> tuple[Fold, ...]:
    """Enters the folds of the unbroken part, or the reason why there are none."""
    try:
        folds = make_folds(corpus)
    except ValueError as error:
        folds = ()
        summary["warnings"].append(f"no folds can be made: {error}")
    summary["folds"] = [
        {"fold": fold.number, "test": fold.test, "validation": fold.validation, "train": list(fold.train)}
        for fold in folds
    ]
    return folds


def _verdict(summary: Json, in_full: bool) -> int:
    """Names all problems on the error output; gives the exit code."""
    problems = summary["problems"]
    if problems:
        lines = [f"broken: {problem['where']}: {problem['what']}" for problem in problems] if in_full else []
        print(*lines, f"{len(problems)} broken", sep="\n", file=sys.stderr)
    differ = summary["expected_counts"]["differ"] if summary["expected_counts"] else []
    if differ:
        print(f"{len(differ)} counts differ from those of the complete release", file=sys.stderr)
    return 1 if problems or differ else 0


def _write(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.dir is not None:
        parser.error("--write belongs to the synthetic corpus: python -m scratchser.corpus synthetic --write DIR")
    from scratchser.corpus.synthetic.tree import write_iemocap_tree  # imported only here: it compiles the synthesiser

    folder = options.write
    try:
        count = write_iemocap_tree(folder)
    except OSError as error:
        exists = isinstance(error, FileExistsError)
        parser.exit(2 if exists else 1, f"{parser.prog}: {error.filename or folder}: {error.strerror}\n")
    terminal.write(
        f"SYNTHETIC speech, {count} utterances, written to {folder}; look:\n  {parser.prog} {folder} --scripted"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
