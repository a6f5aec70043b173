"""All trials of all claims, several corpora at a time in the worker pool of cv/workers.py.

More corpora can be added with --resume. Do not add them until an interval looks right: that makes it worthless.
"""

import time
from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numba

from scratchser.cv.options import resumable
from scratchser.cv.workers import run_folds
from scratchser.paper import estimate
from scratchser.paper.claims import annotators, outcome, oversampling, rates, vtlp
from scratchser.paper.claims.claim import Claim, Trial
from scratchser.runs import folder
from scratchser.support import environment, terminal
from scratchser.support.files import plain
from scratchser.support.gpu import describe
from scratchser.support.terminal import say

CLAIMS = (vtlp.CLAIM, oversampling.CLAIM, annotators.CLAIM, rates.CLAIM)


def run(args: Namespace, claims: Sequence[Claim] = CLAIMS) -> int:
    """Train what the claims need, print the tables and write their files.

    Raises RunError if OUT holds something else or was begun with other settings, StorageError if it cannot be written
    or another process writes there.
    """
    out = args.out or Path("runs") / f"claims-{datetime.now():%Y%m%d-%H%M%S}"
    workers = args.workers or environment.cores()
    trials = [claim.trial(number, out) for number in range(1, args.corpora + 1) for claim in claims]
    # --resume must find these unchanged
    settings = plain(
        {claim.name: {"first": claim.first_seed, "corpus 1": claim.arms(claim.seed(1))} for claim in claims}
    )
    if args.dry_run:
        folder.check(out, settings, resume=args.resume)
        terminal.write(forecast(claims, trials, workers))
        return 0
    here = environment.describe(describe("cpu"), workers)
    with folder.begin(out, settings, here, resume=args.resume), resumable(out):
        train(trials, workers)
    result = outcome.output(claims, trials)
    result.write(out)
    say(f"results in {out}")  # before the text, which may be piped into `head`
    terminal.write("\n\n".join(table.text() for name, table in result.tables.items() if name != "claims_corpora"))
    return 0


def train(trials: Sequence[Trial], workers: int) -> None:
    """Train what is not finished."""
    numba.set_num_threads(1)  # small models
    unfinished = [trial for trial in trials if trial.unfinished()]
    started = time.monotonic()
    for done, (trial, _) in enumerate(run_folds(unfinished, workers, lambda trial, row: None), 1):
        left = (time.monotonic() - started) / done * (len(unfinished) - done) / 60
        say(f"{trial.claim}, corpus {trial.number}: {done} of {len(unfinished)} done, about {left:.0f} min left")


def forecast(claims: Sequence[Claim], trials: Sequence[Trial], workers: int) -> str:
    """What would be trained, and the time, estimated by training corpus 1 of each claim in a temporary folder."""
    unfinished = [(trial.claim, len(arms)) for trial in trials if (arms := trial.unfinished())]
    todo, trainings, number = len(unfinished), sum(arms for _, arms in unfinished), trials[-1].number
    lines = [f"{todo} corpora to go, {trainings} trainings; {len(claims)} claims, {number} corpora each"]
    if trainings:
        say("measuring a corpus of each claim")
        seconds = {claim.name: _seconds_per_arm(claim) for claim in claims}
        total = sum(seconds[claim] * arms for claim, arms in unfinished)
        at_once = min(workers, todo)
        lines.append(f"about {estimate.duration(total / at_once)}, an estimate: {at_once} at a time, one thread each")
        lines.append("measured now; other work of this machine makes the estimate longer")
    return "\n".join(lines)


def _seconds_per_arm(claim: Claim) -> float:
    numba.set_num_threads(1)
    with TemporaryDirectory() as folder:
        trial = claim.trial(1, Path(folder))
        started = time.monotonic()
        trial.run(lambda row: None)
        return (time.monotonic() - started) / len(trial.arms)
