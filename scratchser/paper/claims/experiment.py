"""All trials of all claims, several corpora at a time in the worker pool of cv/workers.py.

More corpora can be added with --resume. Do not add them until an interval looks right: that makes it worthless.
"""

import time
from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from scratchser.corpus.features import extract
from scratchser.cv.workers import run_folds
from scratchser.paper import estimate
from scratchser.paper.claims import annotators, corpora, outcome, oversampling, rates, vtlp
from scratchser.paper.claims.claim import Claim, Trial
from scratchser.paper.output import Output
from scratchser.runs import folder
from scratchser.support import environment, terminal
from scratchser.support.files import plain
from scratchser.support.gpu import describe
from scratchser.support.terminal import say

CLAIMS: tuple[Claim, ...] = (vtlp.CLAIM, oversampling.CLAIM, annotators.CLAIM, rates.CLAIM)


def run(args: Namespace) -> int:
    """Train what the claims need, print the tables and write their files."""
    out = args.out or Path("runs") / f"claims-{datetime.now():%Y%m%d-%H%M%S}"
    workers = args.workers or environment.cores()
    if args.dry_run:
        terminal.write(forecast(CLAIMS, out, args.corpora, workers, resume=args.resume))
        return 0
    result = build(CLAIMS, out, args.corpora, workers, resume=args.resume)
    say(f"results in {out}")  # before the text, which may be piped into `head`
    terminal.write("\n\n".join(table.text() for name, table in result.tables.items() if name != "claims_corpora"))
    return 0


def build(claims: Sequence[Claim], out: Path, number: int, workers: int, *, resume: bool) -> Output:
    """Train what `number` corpora of each claim need, and write the tables and the figure into `out`.

    Raises RunError if `out` holds something else or was begun with other settings, StorageError if it cannot be written
    or another process writes there.
    """
    result = outcome.output(claims, train(claims, out, number, workers, resume=resume))
    result.write(out)
    return result


def train(claims: Sequence[Claim], out: Path, number: int, workers: int, *, resume: bool) -> dict[str, list[Trial]]:
    """The finished trials by claim; errors as in `build`."""
    trials = plan(claims, out, number)
    here = environment.describe(describe("cpu"), workers)
    with folder.begin(out, _settings(claims), here, resume=resume), estimate.kernel_threads(1):  # one: small models
        todo = [trial for trial in trials if trial.unfinished()]
        started = time.monotonic()
        for done, (trial, _) in enumerate(run_folds(todo, workers, lambda trial, row: None), 1):
            left = (time.monotonic() - started) / done * (len(todo) - done) / 60
            say(f"{trial.claim}, corpus {trial.number}: {done} of {len(todo)} done, about {left:.0f} min left")
    return {claim.name: [trial for trial in trials if trial.claim == claim.name] for claim in claims}


def plan(claims: Sequence[Claim], out: Path, number: int) -> list[Trial]:
    """All trials, finished or not."""
    return [claim.trial(n, out) for n in range(1, number + 1) for claim in claims]


def _settings(claims: Sequence[Claim]) -> dict[str, Any]:
    """What --resume must find unchanged."""
    return plain({claim.name: {"first": claim.first_seed, "corpus 1": claim.arms(claim.seed(1))} for claim in claims})


def forecast(claims: Sequence[Claim], out: Path, number: int, workers: int, *, resume: bool) -> str:
    """What `build` would train, and the time, estimated from one corpus of each claim. Errors as in `build`."""
    folder.check(out, _settings(claims), resume=resume)
    todo = {(trial.claim, trial.number): trial.unfinished() for trial in plan(claims, out, number)}
    corpora_left, trainings = sum(map(bool, todo.values())), sum(map(len, todo.values()))
    lines = [f"{corpora_left} corpora to go, {trainings} trainings; {len(claims)} claims, {number} corpora each"]
    if trainings:
        say("measuring a corpus of each claim")
        seconds = {claim.name: _seconds(claim.trial(1, out)) for claim in claims}
        total = sum(seconds[claim][arm] for (claim, _), arms in todo.items() for arm in arms)
        at_once = min(workers, corpora_left)
        lines.append(f"about {estimate.duration(total / at_once)}, an estimate: {at_once} at a time, one thread each")
        lines.append("measured now; other work of this machine makes the estimate longer")
    return "\n".join(lines)


def _seconds(trial: Trial) -> dict[str, float]:
    """The time of each arm."""
    seconds = {}
    with estimate.kernel_threads(1):
        for name, arm in trial.arms.items():
            started = time.monotonic()
            corpus, fold = corpora.corpus(arm.spec, trial.seed), corpora.fold(trial.number)
            frames = extract(corpus, arm.config).lengths
            sounds = time.monotonic() - started  # of all arms with this spec
            speed = estimate.measure(corpus, frames, fold, arm.config, "cpu")
            training = estimate.seconds(corpus, frames, fold, arm.config, arm.config.epochs, speed)
            seconds[name] = training + sounds / sum(other.spec == arm.spec for other in trial.arms.values())
    return seconds
