"""The runs that a table is made of: every setting with every seed, in OUT/runs, trained in one pool.

A setting is a column of table 1 and what is changed from it. Its run with a seed is an ordinary run folder, as
`scratchser.cv` writes it, named by what is changed from the preset, a hash of the configuration and the seed; so tables
that share a run find it in the same place. What is on the disk decides what there is to do, and config.json whether a
run is the one that is meant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from scratchser.corpus.table import Corpus
from scratchser.cv import experiment
from scratchser.cv.experiment import Experiment, OpenRun, RunFolds
from scratchser.cv.prepare import Prepared
from scratchser.paper import output
from scratchser.presets import PRESETS, Config, SettingError, column, with_settings
from scratchser.report.text import SYNTHETIC, setting
from scratchser.runs import result as results
from scratchser.runs import run as rundir
from scratchser.runs.folder import RunError
from scratchser.runs.run import Record
from scratchser.support import files
from scratchser.support.files import plain, read_json
from scratchser.support.terminal import say


def _as_it_is(config: Config) -> Config:
    return config


@dataclass(frozen=True)
class Setting:
    """One of those that a table compares: `change` of a column of table 1."""

    name: str
    column: str = "best"
    change: Callable[[Config], Config] = _as_it_is

    def config(self, best: Config) -> Config:
        """From the settings of the best model."""
        return self.change(column(self.column, best))


@dataclass(frozen=True)
class Base:
    """The best model, which every setting is derived from: the paper's, or a small one for the built-in corpus.

    best, start   with and without what the user asked for      asked   that, key=value each
    """

    best: Config
    start: Config
    small: bool
    asked: tuple[str, ...] = ()

    @classmethod
    def of(cls, built_in: bool, asked: Sequence[str], epochs: int | None, settings: Sequence[Setting]) -> Base:
        """Raises SettingError for a wrong setting, and for one that would not be as asked in all that is compared."""
        asked = [*asked, *([f"epochs={epochs}"] if epochs is not None else [])]
        start = replace(PRESETS["demo"], frequency_khz=PRESETS["best"].frequency_khz) if built_in else PRESETS["best"]
        best = with_settings(start, asked)
        before, after = ([made.config(config) for made in settings] for config in (start, best))
        for key in (field.name for field in fields(Config) if getattr(best, field.name) != getattr(start, field.name)):
            if any(getattr(was, key) == getattr(now, key) for was, now in zip(before, after, strict=True)):
                raise SettingError(f"{key} cannot be set: what is compared here has it in a way of its own")
        if len(set(after)) < len(set(before)):
            raise SettingError(f"with {', '.join(asked)} what is compared here would be the same")
        for config in after:
            experiment.check(config)
        return cls(best, start, built_in, tuple(asked))

    def preset(self, made: Setting) -> str:
        """What a run of this setting is a change of."""
        return "demo" if self.small else made.column

    def folder(self, made: Setting, seed: int) -> str:
        """The name of a run's folder: readable, and another one for every other configuration."""
        like, now, usual = (plain(c) for c in (column(made.column, self.start), made.config(self.best), Config()))
        # what is as usual does not count: a setting that a later version brings leaves the names as they are
        unusual = {key: value for key, value in now.items() if value != usual[key]}
        digest = hashlib.sha256(json.dumps(unusual, sort_keys=True).encode()).hexdigest()[:8]
        changes = [(key, value) for key, value in now.items() if value != like[key]]
        changed = [key if isinstance(value, list) else f"{key}={setting(value)}" for key, value in changes]
        return "-".join([*["demo"] * self.small, made.column, *changed[:3], digest, f"seed{seed}"])

    def notes(self) -> tuple[str, ...]:
        """Sentences for a reader of the figures."""
        small = "the model and its training are those of the preset demo, small and quick, at the table's kHz"
        said = [small] if self.small else []
        return (*said, *([f"changed from the presets: {', '.join(self.asked)}"] if self.asked else []))


@dataclass(frozen=True)
class Planned:
    """A run that is to be there in the end."""

    path: Path
    config: Config
    seed: int
    settings: dict[str, Any]  # as config.json holds them
    said: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def begun(self) -> bool:
        return (self.path / "config.json").exists()

    def record(self) -> Record | None:
        """What is there of it. Raises RunError where it is a run of other settings."""
        return rundir.read(self.path, self.settings) if self.begun else None

    def finished(self) -> bool:
        """The page is a run's last file."""
        record = self.record()
        return record is not None and record.done and (self.path / "report.html").exists()


@dataclass(frozen=True)
class Sweep:
    """All runs of a command.

    ready         what is trained and tested on
    of            by the setting's name, a run for each seed; settings that come to the same share their runs
    """

    ready: Prepared
    base: Base
    configs: Mapping[str, Config]
    of: Mapping[str, tuple[Planned, ...]]

    @classmethod
    def plan(
        cls,
        settings: Sequence[Setting],
        base: Base,
        ready: Prepared,
        seeds: int,
        out: Path,
    ) -> Sweep:
        """With the seeds 0 ... `seeds` - 1, in the folder `out`. `tuned` is where settings of the base came from.

        Raises RunError where they were chosen on another corpus, and where `out` holds runs of another one.
        """
        _same_corpus(out, ready.corpus)
        numbers = [fold.number for fold in ready.folds]
        configs, runs = {made.name: made.config(base.best) for made in settings}, {}
        for made in settings:
            config, preset = configs[made.name], base.preset(made)
            said = (*ready.notes, *experiment.oversample_notes(config, ready.corpus.classes, base.asked))
            runs[made.name] = tuple(
                Planned(
                    out / "runs" / base.folder(made, seed),
                    config,
                    seed,
                    rundir.settings(
                        ready.corpus,
                        config,
                        preset=preset,
                        seed=seed,
                        folds=numbers,
                        left_out=ready.left_out,
                        tuned=ready.tuned,
                    ),
                    said,
                )
                for seed in range(seeds)
            )
        return cls(ready, base, configs, runs)

    @property
    def runs(self) -> list[Planned]:
        """Each once."""
        return list({run.path: run for runs in self.of.values() for run in runs}.values())

    def train(self, out: Path, *, resume: bool, environment: dict[str, Any], run_folds: RunFolds, device: str) -> Runs:
        """Train what is not done yet; what a table is made from.

        Raises RunError where `out` holds runs and `resume` is not asked for, where it holds none and it is, and where a
        run there has other settings.
        """
        check(out, resume)
        with ExitStack() as held:
            held.enter_context(files.hold(out))
            unfinished = [run for run in self.runs if not run.finished()]  # all are compared before one is touched
            open_runs = []
            for run in unfinished:
                opened = held.enter_context(rundir.open_run(run.path, run.settings, environment, resume=run.begun))
                open_runs.append(OpenRun(opened, run.config, run.seed, run.said, run.name))
            say(f"{len(self.runs)} runs in {out / 'runs'}, {len(self.runs) - len(unfinished)} of them done already")
            if open_runs:
                Experiment(open_runs, self.ready.corpus, self.ready.folds, device, out / "features").train(run_folds)
        return self.results()

    def results(self) -> Runs:
        """Of runs that are done."""
        return Runs(
            self.ready.corpus,
            self.configs,
            {
                name: tuple(Finished(rundir.read(run.path), read_json(run.path / "result.json")) for run in runs)
                for name, runs in self.of.items()
            },
            self.base.notes(),
            every_fold=len(self.ready.folds) == len(self.ready.corpus.speakers),
        )


@dataclass(frozen=True)
class Finished:
    """A run that is done: its folder, and what result.json holds."""

    record: Record
    result: dict[str, Any]


@dataclass(frozen=True)
class Runs:
    """What a table is made from.

    configs      by setting             of      by setting, a run for each seed
    said         what a reader should know about all of them
    every_fold   all speakers were tested
    """

    data: Corpus
    configs: Mapping[str, Config]
    of: Mapping[str, tuple[Finished, ...]]
    said: tuple[str, ...]
    every_fold: bool

    @property
    def first(self) -> Finished:
        return next(iter(self.of.values()))[0]

    @property
    def seeds(self) -> int:
        return len(next(iter(self.of.values())))

    @property
    def of_the_paper(self) -> bool:
        """Whether the paper's figures may stand beside these: its utterances, all folds, and no setting changed."""
        return self.every_fold and not self.said and results.of_the_paper(self.first.record.settings)

    @property
    def title(self) -> str:
        """The corpus and the seeds, for a table's title."""
        seeds = "seed 0" if self.seeds == 1 else f"{self.seeds} seeds"
        return f"{output.name(self.data)}, {len(self.first.result['folds'])} folds, {seeds}"

    def notes(self) -> tuple[str, ...]:
        """Sentences that belong under every table of these runs."""
        found = [run.result for runs in self.of.values() for run in runs]
        heard = [warning for result in found for warning in result["warnings"] if warning not in self.data.notes]
        left_out = len(found[0]["left_out"])
        return (
            *[SYNTHETIC] * self.data.synthetic,
            *self.said,
            *([] if self.every_fold else ["not all folds were run: another choice of speakers gives other figures"]),
            *([f"{left_out} broken utterances were left out"] if left_out else []),
            *dict.fromkeys(heard),
        )


def check(out: Path, resume: bool) -> None:
    """Raises RunError where runs would be mixed up with others that the user may not know of, or do not exist."""
    there = (out / "runs").exists()
    if there and not resume:
        raise RunError(f"{out} holds runs already: use them and go on by --resume, or name another folder with --out")
    if resume and not there:
        raise RunError(f"{out} holds no runs to go on with: start without --resume, or correct --out")


def _same_corpus(out: Path, data: Corpus) -> None:
    """Its runs would have other names perhaps, but its tables and figures have those that are written now."""
    for path in sorted((out / "runs").glob("*/config.json")):
        there = rundir.read(path.parent).settings["corpus"]
        if there["fingerprint"] != data.fingerprint():
            which = f"corpus {there['name']}, {path.parent.name}"
            raise RunError(f"{out} holds runs of other utterances ({which}): name another folder with --out")
