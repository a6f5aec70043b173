"""python -m scratchser.corpus: look at a corpus before training."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchser.corpus.options import add_corpus, folder, load
from scratchser.support import terminal
from scratchser.support.errors import UsageError, exit_code
from scratchser.support.terminal import bar

DESCRIPTION = """\
Print counts per class, speaker and agreement, durations, and everything that is broken, with file and line. Labels are
counted even without audio. docs/corpora.md explains the layout of each kind of corpus.
"""
EPILOG = """\
examples
  python -m scratchser.corpus IEMOCAP_full_release              improvised dialogs, the paper's four classes
  python -m scratchser.corpus IEMOCAP_full_release --scripted --merge-excited
  python -m scratchser.corpus emodb/wav --baselines             how well does the duration alone predict the class?
  python -m scratchser.corpus mine.csv --classes calm,joy,grief --json
  python -m scratchser.corpus synthetic --write tree            write the built-in corpus as an IEMOCAP release tree

exit code  0 nothing is broken   1 something is broken, or a complete release has unexpected counts   2 a wrong command
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    args = _parser().parse_args(arguments)
    return exit_code(_write if args.write else _show, args)


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m scratchser.corpus",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_corpus(p)
    p.add_argument(
        "--baselines",
        action="store_true",
        help="evaluate baselines in the same folds: one number of an utterance, and openSMILE with an SVM if installed",
    )
    p.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    p.add_argument("--write", metavar="DIR", type=Path, help="synthetic corpus: write it as an IEMOCAP release tree")
    return p


def _show(args: argparse.Namespace) -> int:
    from scratchser.corpus import baselines, svm  # these take seconds to import
    from scratchser.corpus.audio import AudioReport, has_audio
    from scratchser.corpus.check import describe, read_audio
    from scratchser.corpus.split import Fold, FoldsError, class_warnings, make_folds
    from scratchser.corpus.summary import render, summarise
    from scratchser.presets import TUNED_ON, Config

    corpus = load(args)
    report = AudioReport()
    if has_audio(corpus):
        report = read_audio(corpus, progress=lambda items: bar(items, "checking audio"))
    problems = (*corpus.problems, *report.problems)
    summary = summarise(corpus, report)
    good = corpus.without({problem.utterance for problem in problems})
    folds: tuple[Fold, ...] = ()
    try:
        folds = make_folds(good, args.groups)
        summary["warnings"] += class_warnings(good, folds, Config())
    except FoldsError as error:
        if args.groups is not None:
            raise
        summary["warnings"].append(f"no folds can be made: {error}")
    summary["folds"] = [
        {"fold": fold.number, "test": " ".join(fold.tested), "validation": fold.validation, "train": list(fold.train)}
        for fold in folds
    ]
    if args.baselines:
        found = baselines.evaluate(good, folds, lambda items: bar(items, "baselines")) if folds else ()
        if has_audio(good) and not svm.installed():
            terminal.say(svm.MISSING)
        elif has_audio(good) and folds:
            found += svm.evaluate(good, folds, lambda items: bar(items, "openSMILE"))
        tuned = TUNED_ON.get(good.name, good.speakers)
        untuned = [speaker for speaker in good.speakers if speaker not in tuned]
        summary["baselines"] = {
            each.name: {**each.as_dict(), "untuned": each.only(untuned).as_dict() if untuned else None}
            for each in found
        }
    terminal.write(json.dumps(summary, indent=1) if args.json else render(summary))
    for line in describe(problems):
        print(line, file=sys.stderr)
    return 1 if problems or any(count.found != count.expected for count in corpus.expected_counts) else 0


def _write(args: argparse.Namespace) -> int:
    if folder(args) is not None:
        raise UsageError("--write needs the synthetic corpus: python -m scratchser.corpus synthetic --write DIR")
    from scratchser.corpus.synthetic.tree import write_iemocap_tree  # compiles the synthesiser

    count = write_iemocap_tree(args.write)
    terminal.write(
        f"SYNTHETIC speech, {count} utterances, written to {args.write}. Look at it with\n"
        f"  python -m scratchser.corpus {args.write} --scripted"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
