"""Tune: choose settings by the speakers of some sessions, and by nobody else.

Each candidate is trained in the folds whose test speakers are of these sessions, and the one of the highest UA, mean
over these folds and the seeds, is written to OUT/tuned.json. All other speakers train in these folds and are never
validated or tested, so what they say later about the chosen settings (--tuned OUT/tuned.json) is not spoilt.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from scratchser.corpus.split import Fold, FoldsError, make_folds
from scratchser.corpus.table import Corpus, natural
from scratchser.paper import scores
from scratchser.paper.output import Output, Table
from scratchser.paper.scores import percent
from scratchser.paper.sweep import Runs, Setting
from scratchser.presets import Config, with_settings
from scratchser.report.text import setting
from scratchser.runs import result
from scratchser.runs.tuned_settings import TunedSettings

AS_IT_IS = "as it is"
# What the paper leaves open and what moves most: rates, L2, width. A candidate is a --try of its own
CANDIDATES = (
    "learning_rate=0.0025 conv_learning_rate=0.005",
    "learning_rate=0.01 conv_learning_rate=0.02",
    "l2=0.01 conv_l2=0.02",
    "l2=0.06 conv_l2=0.12",
    "conv_channels=[32,48,64,64] lstm_units=64",
)


def add_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--sessions", metavar="A,B", help="tune: sessions whose speakers choose (default: the corpus's first two)"
    )
    p.add_argument(
        "--try",
        action="append",
        dest="candidates",
        metavar="'KEY=VALUE ...'",
        help="tune: a candidate, one or more settings; repeatable (default: five, in scratchser/paper/tune.py)",
    )


def settings(args: argparse.Namespace) -> tuple[Setting, ...]:
    """The candidates, the unchanged settings first. Their values are checked when their configurations are made."""
    asked = dict.fromkeys(" ".join(text.split()) for text in args.candidates or CANDIDATES)
    return (Setting(AS_IT_IS), *(Setting(text, change=_changed(text)) for text in asked))


def _changed(text: str) -> Callable[[Config], Config]:
    return lambda config: with_settings(config, text.split())


def folds(data: Corpus, asked: str | None) -> tuple[Fold, ...]:
    """Those that test the speakers of the sessions "A,B", or of the first two.

    Raises FoldsError for a session that does not exist, and where nobody would be left for a headline.
    """
    all_folds = make_folds(data)
    known = sorted({fold.session for fold in all_folds}, key=natural)
    wanted = asked.split(",") if asked else known[:2]
    if wrong := [session for session in wanted if session not in known]:
        raise FoldsError(f"--sessions {asked}: there is no session {wrong[0]!r}; this corpus has {', '.join(known)}")
    chosen = tuple(fold for fold in all_folds if fold.session in wanted)
    if set(_speakers(chosen)) == set(data.speakers):
        raise FoldsError("all speakers would choose, nobody would be left to test the choice: name fewer --sessions")
    return chosen


def _speakers(chosen: Sequence[Fold]) -> tuple[str, ...]:
    """All who test or validate there: their scores are looked at."""
    return tuple(dict.fromkeys(speaker for fold in chosen for speaker in (fold.test, fold.validation)))


def build(runs: Runs) -> Output:
    """The candidates beside each other, and which is chosen; of equal ones the first."""
    names = list(runs.of)
    found = {name: scores.of(runs.of[name], "ua") for name in names}
    best = max(names, key=lambda name: found[name].mean)
    chosen = choice(runs, best, found[best].mean)
    rows = tuple(
        (
            name,
            *map(percent, (found[name].mean, found[name].over_folds, found[name].over_seeds)),
            percent(scores.of(runs.of[name], "wa").mean),
            "chosen" if name == best else "",
        )
        for name in names
    )
    spread = "one seed says nothing about chance: --seeds 3" if runs.seeds == 1 else "see the std over seeds"
    notes = (
        chosen.sentence(),
        "the largest of several means is too good by the choice: what the settings are worth is what the other speakers"
        f" say, python -m scratchser.cv with --tuned; differences that another seed would make mean nothing ({spread})",
        *(note for note in runs.notes() if not note.startswith("not all folds")),
    )
    head = "settings", "UA %", "std over folds", "std over seeds", "WA %", ""
    made = Table(f"Tuning on {', '.join(chosen.speakers)}: {runs.title}", head, rows, notes)
    return Output({"tune": made}, tuned=chosen)


def choice(runs: Runs, best: str, ua: float) -> TunedSettings:
    """The candidate's settings with the speakers of the folds that were run."""
    run = runs.of[best][0].record.settings
    changes = tuple(f"{key}={setting(value)}" for key, value in result.changed(run).items())
    done = runs.first.result["folds"]
    speakers = dict.fromkeys(speaker for fold in done for speaker in (fold["test_speaker"], fold["validation_speaker"]))
    return TunedSettings(
        run["preset"], changes, tuple(speakers), len(set(runs.configs.values())), ua, runs.data.fingerprint()
    )
