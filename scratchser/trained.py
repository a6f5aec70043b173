"""A fold's model once it is trained: the best epoch's parameters, and the normalisation of its training speakers."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scratchser.corpus.batches import Normalisation
from scratchser.corpus.features import Signal
from scratchser.model import Model
from scratchser.presets import Config, from_json
from scratchser.runs.run import FoldDir, Record, RunError
from scratchser.support.files import StorageError


@dataclass(frozen=True)
class Trained:
    """What a fold leaves behind to be used."""

    fold: int
    model: Model
    normalisation: Normalisation


def load(record: Record, fold: int | None = None) -> list[Trained]:
    """The models of a run's finished folds, or of one of them.

    Raises RunError where there is none, or where an older version left out what is needed; StorageError where a file
    is damaged; SettingError where another version made the run.
    """
    done = {folder.number: folder for folder in record.folds if folder.result() is not None}
    if not done:
        raise RunError(f"{record.path} has no finished fold yet: wait for one, or go on with the run by --resume")
    if fold is not None and fold not in done:
        raise RunError(f"--fold {fold}: the finished folds of {record.path} are {', '.join(map(str, done))}")
    chosen = [done[fold]] if fold is not None else list(done.values())
    if old := [folder for folder in chosen if _normalisation(folder) is None]:
        raise RunError(_remedy(record.path, old))
    config, classes = from_json(record.settings["config"]), len(record.settings["corpus"]["classes"])
    return [_load(folder, config, classes) for folder in chosen]


def _load(folder: FoldDir, config: Config, classes: int) -> Trained:
    model = Model(config, Signal.of(config).bins, classes)
    checkpoint, normalisation = folder.checkpoint(), _normalisation(folder)
    if checkpoint is None or normalisation is None:
        raise StorageError(f"{folder.path} has a result and no checkpoint: restore it, or start a new run with --out")
    values, best = model.parameters.values, checkpoint[0]["best"]
    if best.shape != values.shape:
        raise StorageError(
            f"{folder.path} holds {best.size} parameters, this version's model has {values.size}: use the version"
            " that made the run"
        )
    model.place.copy(best, values)
    return Trained(folder.number, model, normalisation)


def _normalisation(folder: FoldDir) -> Normalisation | None:
    """Of a finished fold; None where an older version finished it."""
    kept = (folder.result() or {}).get("normalisation")
    return Normalisation(**kept) if kept else None


def _remedy(run: Path, old: Iterable[FoldDir]) -> str:
    files = " ".join(str(folder.path / "result.json") for folder in old)
    return (
        f"an older version made {run} and did not keep eq. (5)'s mean and scale of its folds: remove {files} and give"
        " the run's command again with --resume; these folds are then tested again, not trained"
    )
