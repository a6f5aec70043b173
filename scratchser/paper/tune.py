"""Tune: choose settings with the speakers of some sessions.

Each candidate is trained in the folds that test these speakers. The one with the highest UA, mean over the folds and
the seeds, is written to OUT/tuned.json. All other speakers only train there, so their later results with the chosen
settings (--tuned OUT/tuned.json) are unbiased.
"""

from collections.abc import Sequence
from functools import partial

from scratchser.corpus.split import Fold, FoldsError, make_folds
from scratchser.corpus.table import Corpus, natural
from scratchser.paper.output import Output, Table
from scratchser.paper.scores import score_cells, scores
from scratchser.paper.sweep import Sweep, Variant
from scratchser.presets import with_settings
from scratchser.report.text import setting
from scratchser.runs import result
from scratchser.runs.tuned_settings import TunedSettings

# what the paper leaves open and what has the largest effect: learning rates, L2, width
CANDIDATES = (
    "learning_rate=0.0025 conv_learning_rate=0.005",
    "learning_rate=0.01 conv_learning_rate=0.02",
    "l2=0.01 conv_l2=0.02",
    "l2=0.06 conv_l2=0.12",
    "conv_channels=[32,48,64,64] lstm_units=64",
)


def variants(candidates: Sequence[str] | None) -> tuple[Variant, ...]:
    """The unchanged settings, then the candidates, "key=value ..." each."""
    names = dict.fromkeys(" ".join(text.split()) for text in candidates or CANDIDATES)
    changed = (Variant(name, change=partial(with_settings, settings=name.split())) for name in names)
    return (Variant("as it is"), *changed)


def folds(corpus: Corpus, sessions: str | None) -> tuple[Fold, ...]:
    """The folds that test the speakers of the sessions "A,B,..."; of the first two by default.

    Raises FoldsError for a session that does not exist, and if no speaker is left for an unbiased result.
    """
    all_folds = make_folds(corpus)
    known = sorted({fold.session for fold in all_folds}, key=natural)
    wanted = sessions.split(",") if sessions else known[:2]
    if wrong := [session for session in wanted if session not in known]:
        raise FoldsError(f"--sessions {sessions}: there is no session {wrong[0]!r}; this corpus has {', '.join(known)}")
    chosen = tuple(fold for fold in all_folds if fold.session in wanted)
    if {speaker for fold in chosen for speaker in (fold.test, fold.validation)} == set(corpus.speakers):
        raise FoldsError("these are all speakers, none is left to test the chosen settings: give fewer --sessions")
    return chosen


def build(sweep: Sweep) -> Output:
    """A row for each candidate; the first one with the highest UA is chosen."""
    ua = {name: scores(of_seeds, "ua")["mean"] for name, of_seeds in sweep.by_variant.items()}
    best = max(ua, key=lambda name: ua[name])
    settings = sweep.by_variant[best][0].settings
    speakers = dict.fromkeys(speaker for fold in sweep.ready.folds for speaker in (fold.test, fold.validation))
    chosen = TunedSettings(
        preset=settings["preset"],
        settings=tuple(f"{key}={setting(value)}" for key, value in result.changed(settings).items()),
        speakers=tuple(speakers),
        tried=len(set(sweep.configs.values())),
        ua=ua[best],
        fingerprint=sweep.corpus.fingerprint(),
    )
    rows = []
    for name, of_seeds in sweep.by_variant.items():
        wa, _, _, *ua_cells = score_cells(of_seeds, ("mean", "std_folds", "std_seeds"))
        rows.append((name, *ua_cells, wa, "chosen" if name == best else ""))
    hint = "one seed says nothing about chance: use --seeds 3" if sweep.seeds == 1 else "see the std over seeds"
    notes = (
        chosen.sentence(),
        "the largest of several means is too high, because it was chosen: test the settings on the other speakers, with"
        f" python -m scratchser.cv --tuned; ignore differences as small as those between seeds ({hint})",
        *(note for note in sweep.notes() if not note.startswith("not all folds")),
    )
    columns = ("settings", "UA %", "std over folds", "std over seeds", "WA %", "")
    table = Table(f"Tuning on {', '.join(speakers)}: {sweep.title}", columns, rows, notes)
    return Output({"tune": table}, tuned=chosen)
