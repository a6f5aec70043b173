"""The runs behind a table: each variant of the best model with each seed, in OUT/runs, trained in one pool of workers.

Each run is an ordinary run folder, as `scratchser.cv` writes it. Its name contains the changes from the preset, a hash
of the configuration and the seed, so that tables with the same OUT share their runs.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from scratchser.corpus.table import Corpus
from scratchser.cv import experiment
from scratchser.cv.experiment import Experiment, RunFolds
from scratchser.cv.prepare import Prepared
from scratchser.paper import output
from scratchser.presets import PRESETS, Config, SettingError, column, with_settings
from scratchser.report.text import SYNTHETIC, counted, setting
from scratchser.runs import result as results
from scratchser.runs import run as run_dir
from scratchser.runs.folder import CONFIG, RunError, saved_settings
from scratchser.runs.run import Record
from scratchser.support import files
from scratchser.support.files import exists, plain, read_json
from scratchser.support.terminal import say


@dataclass(frozen=True)
class Variant:
    """One of the configurations that a table compares: a column of table 1, then `change`."""

    name: str
    column: str = "best"
    change: Callable[[Config], Config] = lambda config: config

    def config(self, best: Config) -> Config:
        """The configuration, derived from that of the best model."""
        return self.change(column(self.column, best))


@dataclass(frozen=True)
class Base:
    """The best model, from which the variants are derived.

    config    with the user's changes
    default   without them: the preset `best`, or a small model for the built-in corpus
    small     whether it is the small model
    changes   the user's, key=value each
    """

    config: Config
    default: Config
    small: bool
    changes: tuple[str, ...] = ()

    def preset(self, variant: Variant) -> str:
        """The preset that a run of the variant is compared with."""
        return "demo" if self.small else variant.column

    def folder(self, variant: Variant, seed: int) -> str:
        """The name of the run's folder: readable, and different for every other configuration."""
        preset, config, default = (
            plain(c) for c in (column(variant.column, self.default), variant.config(self.config), Config())
        )
        # without the defaults, settings that a later version adds do not change the names
        hashed = json.dumps({key: value for key, value in config.items() if value != default[key]}, sort_keys=True)
        digest = hashlib.sha256(hashed.encode()).hexdigest()[:8]
        changes = [(key, value) for key, value in config.items() if value != preset[key]]
        words = [key if isinstance(value, list) else f"{key}={setting(value)}" for key, value in changes]
        small = ["demo"] if self.small else []
        return "-".join([*small, variant.column, *words[:3], digest, f"seed{seed}"])

    def notes(self) -> list[str]:
        """Notes for the reader of a table."""
        notes = []
        if self.small:
            notes.append("the model and its training are those of the preset demo, small and quick, at the table's kHz")
        if self.changes:
            notes.append(f"changed from the presets: {', '.join(self.changes)}")
        return notes


def base_for(variants: Sequence[Variant], changes: Sequence[str] = (), *, built_in: bool = False) -> Base:
    """The base of these variants with the user's `changes`, key=value each.

    Raises SettingError for a wrong setting, for one that a variant sets itself, and if two variants become the same.
    """
    default = replace(PRESETS["demo"], frequency_khz=PRESETS["best"].frequency_khz) if built_in else PRESETS["best"]
    config = with_settings(default, changes)
    before, after = ([variant.config(base) for variant in variants] for base in (default, config))
    for key in (field.name for field in fields(Config) if getattr(config, field.name) != getattr(default, field.name)):
        if any(getattr(old, key) == getattr(new, key) for old, new in zip(before, after, strict=True)):
            raise SettingError(f"{key} cannot be set: this command compares different values of it")
    if len(set(after)) < len(set(before)):
        raise SettingError(f"with {', '.join(changes)} the compared configurations would be the same")
    for variant_config in after:
        experiment.check_model(variant_config)
    return Base(config, default, built_in, tuple(changes))


@dataclass(frozen=True)
class SweepRun:
    """A run of a sweep, in the folder `path`; `settings` as config.json holds them."""

    path: Path
    config: Config
    settings: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def begun(self) -> bool:
        return exists(self.path / CONFIG)

    @property
    def record(self) -> Record:
        """What the folder holds. Raises RunError before the run has begun, and for a run with other settings."""
        return run_dir.read(self.path, self.settings)

    @property
    def finished(self) -> bool:
        return self.begun and self.record.done and exists(self.path / "report.html")  # the page is written last

    @cached_property
    def result(self) -> dict[str, Any]:
        """What result.json holds, once the run is finished."""
        return read_json(self.path / "result.json")


@dataclass(frozen=True)
class Sweep:
    """All runs of a command: a table is made from a sweep whose runs are finished.

    by_variant   a run for each seed; variants with equal configurations share their runs
    """

    ready: Prepared
    base: Base
    by_variant: Mapping[str, tuple[SweepRun, ...]]

    @classmethod
    def plan(cls, variants: Sequence[Variant], base: Base, ready: Prepared, seeds: int, out: Path) -> Self:
        """With the seeds 0 ... `seeds` - 1, in OUT = `out`. Raises RunError if `out` holds runs of another corpus."""
        _check_corpus(out, ready.corpus)

        def run(variant: Variant, seed: int) -> SweepRun:
            config = variant.config(base.config)
            settings = run_dir.settings(
                ready.corpus,
                config,
                preset=base.preset(variant),
                seed=seed,
                folds=[fold.number for fold in ready.folds],
                groups=ready.groups,
                left_out=ready.left_out,
                tuned=ready.tuned,
            )
            notes = experiment.oversample_notes(config, ready.corpus.classes, base.changes)
            return SweepRun(out / "runs" / base.folder(variant, seed), config, settings, (*ready.notes, *notes))

        by_variant = {variant.name: tuple(run(variant, seed) for seed in range(seeds)) for variant in variants}
        return cls(ready, base, by_variant)

    @property
    def runs(self) -> list[SweepRun]:
        """Each run once."""
        return list({run.path: run for runs in self.by_variant.values() for run in runs}.values())

    def train(self, out: Path, environment: Mapping[str, Any], run_folds: RunFolds) -> None:
        """Train what is not finished. Raises RunError if a run there has other settings; then none has been changed."""
        with ExitStack() as locks:
            locks.enter_context(files.hold(out))
            unfinished = [run for run in self.runs if not run.finished]
            opened = []
            for run in unfinished:
                folder = run_dir.open_run(run.path, run.settings, environment, run.notes, resume=run.begun)
                opened.append(locks.enter_context(folder))
            finished = len(self.runs) - len(unfinished)
            say(f"{counted(len(self.runs), 'run')} in {out / 'runs'}, {finished} of them finished already")
            if opened:
                ready = self.ready
                Experiment(opened, ready.corpus, ready.folds, ready.device, out / "features").train(run_folds)

    # ---- what a table tells about its runs --------------------------------------------------------------------------

    @property
    def corpus(self) -> Corpus:
        return self.ready.corpus

    @property
    def configs(self) -> dict[str, Config]:
        return {name: runs[0].config for name, runs in self.by_variant.items()}

    @property
    def first(self) -> SweepRun:
        return self.runs[0]

    @property
    def seeds(self) -> int:
        return len(next(iter(self.by_variant.values())))

    @property
    def every_fold(self) -> bool:
        """Whether all speakers were tested."""
        return sum(len(fold.tested) for fold in self.ready.folds) == len(self.corpus.speakers)

    @property
    def untuned_speakers(self) -> list[str]:
        """The tested speakers that no hyper-parameter was tuned on; empty if none was tuned on any."""
        headline = self.first.result["headline"]
        return headline["speakers"] if headline else []

    @property
    def comparable_with_paper(self) -> bool:
        """The same utterances, all folds, and no setting changed."""
        return self.every_fold and not self.base.notes() and results.of_the_paper(self.first.settings)

    @property
    def title(self) -> str:
        """The corpus, the number of folds and the seeds."""
        seeds = "seed 0" if self.seeds == 1 else f"{self.seeds} seeds"
        return f"{output.corpus_name(self.corpus)}, {counted(len(self.ready.folds), 'fold')}, {seeds}"

    def notes(self) -> list[str]:
        """Notes that belong under every table of these runs."""
        warnings = [warning for runs in self.by_variant.values() for run in runs for warning in run.result["warnings"]]
        notes = [SYNTHETIC] if self.corpus.synthetic else []
        notes += self.base.notes()
        if self.ready.groups:
            notes.append("--groups: a fold tests several speakers; the folds of means and deviations are test speakers")
        if not self.every_fold:
            notes.append("not all folds were run; other speakers give other results")
        if left_out := len(self.ready.left_out):
            notes.append(f"{left_out} broken utterances were left out")
        return notes + list(dict.fromkeys(warning for warning in warnings if warning not in self.corpus.notes))


def check_out(out: Path, resume: bool) -> None:
    """Raises RunError if `out` holds runs and `resume` is not requested, and the other way round."""
    begun = exists(out / "runs")
    if begun and not resume:
        raise RunError(f"{out} holds runs already: use them with --resume, or choose another folder with --out")
    if resume and not begun:
        raise RunError(f"{out} holds no runs to continue: start without --resume, or correct --out")


def _check_corpus(out: Path, corpus: Corpus) -> None:
    """The runs of two corpora could lie side by side, but the tables of one would overwrite those of the other."""
    for path in sorted((out / "runs").glob(f"*/{CONFIG}")):
        other = saved_settings(path.parent)["corpus"]
        if other["fingerprint"] != corpus.fingerprint():
            name = f"corpus {other['name']}, {path.parent.name}"
            raise RunError(f"{out} holds runs of other utterances ({name}): choose another folder with --out")
