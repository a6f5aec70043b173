"""All trainings of all claims, several corpora at a time, each on the disk as soon as it is done.

    OUT/settings.json       the arms' settings: what --resume must find the same
    OUT/environment.json    a list: versions, commit, machine of the first start and of every --resume
    OUT/vtlp/wide/folds/01/ metrics.jsonl  predictions.csv  result.json of corpus 1 in this claim's arm `wide`

A corpus is one piece of work: its sounds are made once and all its arms learn from them. More corpora can be added by
--resume; to add them until an interval is as one would like it makes the interval worthless.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba

from scratchser.corpus.batches import Dataset
from scratchser.corpus.features import extract
from scratchser.cv.fold import run_fold
from scratchser.cv.workers import Row, run_folds
from scratchser.paper.claims import corpora
from scratchser.paper.claims.claim import Arm, Claim, Corpus
from scratchser.paper.claims.corpora import World
from scratchser.runs.fold_dir import FoldDir
from scratchser.runs.folder import RunError
from scratchser.support import environment, files
from scratchser.support.files import plain, read_json, write_json
from scratchser.support.gpu import describe
from scratchser.support.terminal import say

FEWEST = 2  # corpora that make an interval
SETTINGS, ENVIRONMENT = "settings.json", "environment.json"


@dataclass(frozen=True)
class Work:
    """A corpus, and the arms that learn from it, each in its folder."""

    claim: str
    number: int
    seed: int
    arms: Mapping[str, Arm]
    folders: Mapping[str, FoldDir]

    @property
    def done(self) -> bool:
        return not self.todo()

    def todo(self) -> dict[World, list[str]]:
        """The arms that are not done, by their world, whose sounds they share."""
        names: dict[World, list[str]] = {}
        for name, arm in self.arms.items():
            if self.folders[name].result() is None:
                names.setdefault(arm.world, []).append(name)
        return names

    def run(self, notify: Callable[[Row], None]) -> dict[str, Any]:
        """Train and test what is not done yet; UA by arm."""
        for world, here in self.todo().items():
            heard = corpora.corpus(world, self.seed)
            features = extract(heard, self.arms[here[0]].config)
            for name in here:
                arm, folder = self.arms[name], self.folders[name]
                data = Dataset.of(heard.classes, heard.utterances, features, arm.config)
                run_fold(data, corpora.fold(self.number), arm.config, 2 * self.seed + arm.again, folder, notify)
                folder.remove_checkpoint()
        return {name: (folder.result() or {})["ua"] for name, folder in self.folders.items()}


def work(claim: Claim, number: int, out: Path) -> Work:
    """Corpus `number` of a claim, from 1, in the folder of all claims."""
    seed = claim.seed(number)
    arms = claim.arms(seed)
    folders = {name: FoldDir(out / claim.name / name, number, synthetic=True) for name in arms}
    return Work(claim.name, number, seed, arms, folders)


def run(out: Path, claims: Sequence[Claim], number: int, workers: int, resume: bool) -> dict[str, list[Corpus]]:
    """Train what `number` corpora of each claim need, or go on with it; the corpora by the name of their claim.

    Raises RunError where `out` holds other files and is not to be gone on with, or was begun with other settings;
    StorageError where it cannot be written or another process writes there.
    """
    with files.hold(out):
        todo = plan(out, claims, number, resume)
        _begin(out, claims, workers, resume)
        _train([piece for piece in todo if not piece.done], workers)
        return {
            claim.name: [
                Corpus(piece.number, piece.seed, piece.arms, piece.folders)
                for piece in todo
                if piece.claim == claim.name
            ]
            for claim in claims
        }


def plan(out: Path, claims: Sequence[Claim], number: int, resume: bool) -> list[Work]:
    """All there is to do, whether it is done or not. Raises RunError as `run`."""
    if number < FEWEST:
        raise RunError(f"--corpora {number}: an interval needs at least {FEWEST}")
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is no folder: name another with --out")
    path = out / SETTINGS
    there = {entry.name for entry in out.iterdir()} if out.exists() else set()
    if not resume and (foreign := sorted(there - {files.LOCK, ENVIRONMENT})):
        raise RunError(f"{out} holds {foreign[0]} already: go on with it by --resume, or name another with --out")
    if resume and not path.exists():
        raise RunError(f"{out} holds no claims to go on with: start without --resume, or correct --out")
    if resume and read_json(path) != _settings(claims):
        raise RunError(f"{out} was begun with other settings: start anew with another --out")
    return [work(claim, n, out) for n in range(1, number + 1) for claim in claims]


def _settings(claims: Sequence[Claim]) -> dict[str, Any]:
    return plain({claim.name: {"first": claim.first, "corpus 1": claim.arms(claim.seed(1))} for claim in claims})


def _begin(out: Path, claims: Sequence[Claim], workers: int, resume: bool) -> None:
    before = read_json(out / ENVIRONMENT) if resume else []
    write_json(out / ENVIRONMENT, [*before, environment.describe(describe("cpu"), workers)])
    write_json(out / SETTINGS, _settings(claims))  # last: with it, there is something to go on with


def _train(todo: Sequence[Work], workers: int) -> None:
    before, started = numba.get_num_threads(), time.monotonic()
    numba.set_num_threads(1)  # these models are too small to share
    try:
        for done, (piece, _) in enumerate(_each(todo, workers), 1):
            left = (time.monotonic() - started) / done * (len(todo) - done) / 60
            say(f"{piece.claim}, corpus {piece.number}: {done} of {len(todo)} done, about {left:.0f} min left")
    finally:
        numba.set_num_threads(before)


def _each(todo: Sequence[Work], workers: int) -> Iterator[tuple[Work, dict[str, Any]]]:
    return run_folds(todo, workers, lambda piece, row: None)
