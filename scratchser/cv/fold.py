"""One fold in its folder: train it or continue it, save after each epoch, then test it once.

The test speakers' utterances are used in `_test` alone, after everything has been selected.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from scratchser import metrics
from scratchser.corpus.batches import Dataset
from scratchser.corpus.split import Fold
from scratchser.evaluate import copies, copy_probabilities, vote
from scratchser.fit import DivergedError, Training
from scratchser.kernels.machine.device import CPU, Device, OutOfDeviceMemory
from scratchser.presets import Config
from scratchser.runs.fold_dir import FoldDir
from scratchser.runs.result import fold_result, group_result


def run_fold(
    data: Dataset,
    fold: Fold,
    config: Config,
    seed: int,
    folder: FoldDir,
    notify: Callable[[dict[str, Any]], None],
    device: Device = CPU,
) -> dict[str, Any]:
    """Train and test a fold, or continue it; a finished fold is not run again. Returns its entry of result.json.

    `notify` gets each epoch's row of metrics.jsonl. The files after each epoch are enough to continue with the same
    bits.
    """
    with folder.locked():
        finished = folder.result()
        if finished is not None:
            return finished
        try:
            training = Training(data, fold, config, seed, device)
            restore(training, folder)
            while not training.finished:
                row = training.run_epoch()
                save(training, folder)
                notify(row)
            result = _test(training, folder)
        except DivergedError as error:
            raise DivergedError(f"{folder.path}: {error}") from error
        except OutOfDeviceMemory as error:
            smaller = f"try --set batch_size={config.batch_size // 2} instead of {config.batch_size}"
            advice = smaller if config.batch_size > 1 else "the model or the corpus is too large for it"
            raise OutOfDeviceMemory(f"{error}: {advice}") from error
        folder.finish(result)
        return result


def save(training: Training, folder: FoldDir) -> None:
    folder.write_metrics(training.rows)
    arrays = {name: training.device.download(array) for name, array in training.state().items()}
    if training.bins:  # for predict
        arrays |= {"bin_mean": training.bins.mean, "bin_variance": training.bins.variance}
    folder.save_checkpoint(arrays, {"epoch": len(training.rows), "best_epoch": training.best_epoch})


def restore(training: Training, folder: FoldDir) -> None:
    """Continue from the folder's checkpoint, if it has one."""
    saved = folder.checkpoint()
    if saved is not None:
        arrays, meta = saved
        for name, array in training.state().items():
            training.device.copy(arrays[name], array)
        training.best_epoch = meta["best_epoch"]
        training.rows = folder.metrics(until=meta["epoch"])


def _test(training: Training, folder: FoldDir) -> dict[str, Any]:
    """Test the best parameters on the test speakers, by a single pass or by test-time augmentation (TTA)."""
    data, fold, rows = training.data, training.fold, training.rows
    started = time.perf_counter()
    training.device.copy(training.best, training.model.parameters.values)
    chosen = data.of_speakers(*fold.tested)
    alphas = copies(training.config)
    given = training.model, data.features, training.normalisation, chosen, alphas, data.voices[chosen]
    prediction = vote(copy_probabilities(*given))
    folder.write_predictions(
        data.classes,
        [data.utterances[n] for n in chosen],
        prediction.mean,
        prediction.first,
        prediction.second,
        prediction.votes if len(alphas) > 1 else None,
    )
    measured = {
        "best_epoch": training.best_epoch,
        "epochs_run": len(rows),
        "validation": rows[training.best_epoch - 1]["validation"],
        "normalisation": asdict(training.normalisation),
        "seconds": sum(row["seconds"] for row in rows) + time.perf_counter() - started,
        "frames_per_second": float(np.mean([row["frames_per_second"] for row in rows])),
    }
    fold = replace(fold, train=fold.training(training.config))
    genders = {u.speaker: u.gender for u in data.utterances}
    entries = []
    for speaker in fold.tested:
        own = np.isin(chosen, data.of_speakers(speaker))
        confusion = metrics.confusion(data.labels[chosen][own], prediction.first[own], len(data.classes))
        one = replace(fold, test=speaker, gender=genders.get(speaker, ""), more=())
        entries.append(fold_result(one, data.classes, confusion, **measured))
    return group_result(fold, entries, **measured) if fold.more else entries[0]
