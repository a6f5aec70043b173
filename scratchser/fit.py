"""One fold: train, choose the epoch by the validation speaker, test once.

The test speaker's utterances are touched in `_test` alone, after everything has been chosen. All randomness of an
epoch comes from (seed, fold, epoch), so a run that was killed goes on as if it had not been.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from scratchser import metrics
from scratchser.corpus.batches import Dataset, Normalisation, minibatches, rng_of, validation_alphas
from scratchser.corpus.split import Fold
from scratchser.evaluate import copies, predict, scores
from scratchser.kernels import softmax
from scratchser.kernels.machine.device import CPU, Array, Device, OutOfDeviceMemory
from scratchser.model import Model
from scratchser.optim import GradientNorms, Optimiser
from scratchser.presets import Config
from scratchser.runs.result import fold_result
from scratchser.runs.run import FoldDir


def run_fold(
    data: Dataset,
    fold: Fold,
    config: Config,
    seed: int,
    folder: FoldDir,
    notify: Callable[[dict[str, Any]], None],
    device: Device = CPU,
) -> dict[str, Any]:
    """Train and test one fold on a device, or go on with it; the fold's entry of result.json.

    `notify` gets each epoch's line of metrics.jsonl. What is on the disk after each epoch is enough to go on to the
    bit.
    """
    with folder:
        finished = folder.result()
        if finished is not None:
            return finished
        try:
            training = _Training(data, fold, config, seed, device)
            training.restore(folder)
            while not training.over:
                row = training.epoch()
                training.save(folder)
                notify(row)
            result = _test(training, folder)
        except DivergedError as error:
            raise DivergedError(f"{folder.path}: {error}") from error
        except OutOfDeviceMemory as error:
            smaller = f"try --set batch_size={config.batch_size // 2} instead of {config.batch_size}"
            remedy = smaller if config.batch_size > 1 else "the model or the corpus is too large for it"
            raise OutOfDeviceMemory(f"{error}: {remedy}") from error
        folder.finish(result)
        return result


class DivergedError(ArithmeticError):
    """Training went astray; the message says where and what to change."""


class _Training:
    """A fold between epochs: parameters, velocity, the best epoch's parameters, and the rows of metrics.jsonl.

    All but the rows is on one device, the spectrograms of the whole corpus included: a GPU gets nothing but labels and
    lengths from an epoch, and gives back losses, scores and gradient norms.
    """

    def __init__(self, data: Dataset, fold: Fold, config: Config, seed: int, device: Device = CPU) -> None:
        self.fold, self.config, self.seed, self.device = fold, config, seed, device
        self.train, self.validation = data.of_speakers(*fold.train), data.of_speakers(fold.validation)
        heard = np.arange(len(data.labels)) if config.normalisation == "whole-corpus" else self.train
        self.data = replace(data, features=data.features.at(device))
        self.normalisation = Normalisation.of(self.data.features, heard, config.normalisation)
        bins = data.features.values.shape[1]
        self.model = Model(config, bins, len(data.classes), [seed, fold.number], device=device)
        self.optimiser = Optimiser(self.model.parameters, config)
        self.best = device.zeros(self.model.parameters.values.shape, np.float32)
        device.copy(self.model.parameters.values, self.best)
        self.best_epoch = 0
        self.rows: list[dict[str, Any]] = []

    @property
    def over(self) -> bool:
        done = len(self.rows)
        return done >= self.config.epochs or 0 < self.best_epoch <= done - self.config.patience

    def epoch(self) -> dict[str, Any]:
        """Train and validate once; the new row of metrics.jsonl."""
        number = len(self.rows) + 1
        started = time.perf_counter()
        train, frames, norms = self._pass(number)
        trained = time.perf_counter()
        row = {
            "epoch": number,
            "train": train,
            "validation": self._validate(number),
            "gradient_norms": norms,
            "learning_rate_factor": self.config.factor(number),
            "frames_per_second": frames / (trained - started),
            "seconds": time.perf_counter() - started,
        }
        self.rows.append(row)
        if number >= self.config.first_selectable and self._better(row):
            self.best_epoch = number
            self.device.copy(self.model.parameters.values, self.best)
        return row

    def _better(self, row: dict[str, Any]) -> bool:
        """Higher validation UA than the best epoch so far, or the same and a lower loss."""
        if self.best_epoch == 0:
            return True
        new, old = row["validation"], self.rows[self.best_epoch - 1]["validation"]
        return (new["ua"], -new["loss"]) > (old["ua"], -old["loss"])

    def _pass(self, number: int) -> tuple[dict[str, float], int, dict[str, float]]:
        """One pass over the training utterances: scores, real frames, gradient norms."""
        norms, factor = GradientNorms(self.model.parameters), self.config.factor(number)
        confusion = np.zeros((len(self.data.classes),) * 2, np.int64)
        loss, count, frames = 0.0, 0, 0
        rng = rng_of(self.seed, self.fold.number, number)
        for batch in minibatches(self.data, self.train, self.config, self.normalisation, rng):
            logits = self.model.forward(batch.x, batch.lengths, training=True)
            batch_loss, dlogits = softmax.loss(logits, batch.targets, batch.weights)
            if not np.isfinite(batch_loss):
                raise DivergedError(
                    f"fold {self.fold.number}, epoch {number}: the loss is {batch_loss}, no result can come of this;"
                    " lower the settings learning_rate and conv_learning_rate"
                )
            self.model.backward(dlogits)
            norms.add()
            self.optimiser.step(factor)
            guessed = self.device.download(logits).argmax(axis=1)
            confusion += metrics.confusion(self.data.labels[batch.utterances], guessed, len(confusion))
            loss, count, frames = (
                loss + batch_loss * len(logits),
                count + len(logits),
                frames + int(batch.lengths.sum()),
            )
        return {"loss": loss / count, "wa": metrics.wa(confusion), "ua": metrics.ua(confusion)}, frames, norms.means()

    def _validate(self, number: int) -> dict[str, float]:
        chosen = self.validation
        alphas = validation_alphas(self.config, len(chosen), rng_of(self.seed, self.fold.number, number))
        logits = scores(self.model, self.data.features, self.normalisation, chosen, alphas)
        loss, _ = softmax.loss(logits, self.data.targets[chosen], self.data.weights[chosen])
        confusion = metrics.confusion(self.data.labels[chosen], logits.argmax(axis=1), len(self.data.classes))
        return {"loss": loss, "wa": metrics.wa(confusion), "ua": metrics.ua(confusion)}

    def save(self, folder: FoldDir) -> None:
        folder.write_metrics(self.rows)
        arrays = {name: self.device.download(array) for name, array in self._state().items()}
        folder.save_checkpoint(arrays, {"epoch": len(self.rows), "best_epoch": self.best_epoch})

    def _state(self) -> dict[str, Array]:
        return {"values": self.model.parameters.values, "velocity": self.optimiser.velocity, "best": self.best}

    def restore(self, folder: FoldDir) -> None:
        saved = folder.checkpoint()
        if saved is not None:
            arrays, meta = saved
            for name, array in self._state().items():
                self.device.copy(arrays[name], array)
            self.best_epoch = meta["best_epoch"]
            self.rows = folder.metrics(until=meta["epoch"])


def _test(training: _Training, folder: FoldDir) -> dict[str, Any]:
    """The only look at the test speaker: the best epoch's parameters, a single pass or the vote of copies."""
    data, fold, rows = training.data, training.fold, training.rows
    started = time.perf_counter()
    training.device.copy(training.best, training.model.parameters.values)
    chosen = data.of_speakers(fold.test)
    alphas = copies(training.config)
    prediction = predict(training.model, data.features, training.normalisation, chosen, alphas)
    folder.write_predictions(
        data.classes,
        [data.utterances[n] for n in chosen],
        prediction.mean,
        prediction.first,
        prediction.second,
        prediction.votes if len(alphas) > 1 else None,
    )
    return fold_result(
        fold,
        data.classes,
        metrics.confusion(data.labels[chosen], prediction.first, len(data.classes)),
        validation=rows[training.best_epoch - 1]["validation"],
        normalisation=asdict(training.normalisation),
        best_epoch=training.best_epoch,
        epochs_run=len(rows),
        seconds=sum(row["seconds"] for row in rows) + time.perf_counter() - started,
        frames_per_second=float(np.mean([row["frames_per_second"] for row in rows])),
    )
