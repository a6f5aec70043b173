"""The training algorithm of one fold (section 3): train, validate and remember the best epoch. No files, no terminal.

All randomness of an epoch comes from (seed, fold, epoch). Training that continues from a saved `state` therefore gives
the same bits as training that was never interrupted. cv/fold.py saves the state and tests the fold.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from scratchser import metrics
from scratchser.corpus.batches import Dataset, minibatches, rng_of, validation_alphas
from scratchser.corpus.normalisation import PER_BIN, Bins, Normalisation
from scratchser.corpus.split import Fold
from scratchser.evaluate import embeddings, scores
from scratchser.kernels import softmax
from scratchser.kernels.machine.device import CPU, Array, Device
from scratchser.model import Model
from scratchser.optim import GradientNorms, Optimiser
from scratchser.presets import Config
from scratchser.support.errors import ProcessingError


class DivergedError(ProcessingError):
    """The training loss is not finite. The message names the settings to change."""


class Training:
    """The state of a fold between epochs. Everything but `rows` is on one device, the features included.

    model        the network after the last epoch
    best         (n,) the parameters of the best epoch, or of the last one with select_epoch=false
    best_epoch   its number, from 1; 0 before the first epoch that counts
    rows         one line of metrics.jsonl for each epoch
    """

    def __init__(self, data: Dataset, fold: Fold, config: Config, seed: int, device: Device = CPU) -> None:
        self.fold, self.config, self.seed, self.device = fold, config, seed, device
        self.train = data.of_speakers(*fold.training(config))
        self.validation = data.of_speakers(*(fold.validation,) if config.select_epoch else ())
        features = data.features.at(device)
        normalised_over = np.arange(len(data.labels)) if config.normalisation == "whole-corpus" else self.train
        self.normalisation = Normalisation.of(features, normalised_over, config.normalisation)
        self.bins = Bins.of(features, self.train) if config.normalisation in PER_BIN else None
        if self.bins:
            features = self.bins.normalise(features, data.voices, config)
        self.data = replace(data, features=features)
        bins = data.features.values.shape[1]
        self.model = Model(config, bins, len(data.classes), [seed, fold.number], device=device)
        self.optimiser = Optimiser(self.model.parameters, config)
        self.best = device.zeros(self.model.parameters.values.shape, np.float32)
        device.copy(self.model.parameters.values, self.best)
        self.best_epoch = 0
        self.rows: list[dict[str, Any]] = []

    @property
    def finished(self) -> bool:
        done = len(self.rows)
        return done >= self.config.epochs or 0 < self.best_epoch <= done - self.config.patience

    def run_epoch(self) -> dict[str, Any]:
        """Train and validate once. Returns the epoch's row of metrics.jsonl."""
        epoch = len(self.rows) + 1
        started = time.perf_counter()
        train, frames, norms = self._train_epoch(epoch)
        trained = time.perf_counter()
        row: dict[str, Any] = {
            "epoch": epoch,
            "train": train,
            "validation": self._validate(epoch),
            "gradient_norms": norms,
            "learning_rate_factor": self.config.factor(epoch),
            "frames_per_second": frames / (trained - started),
            "seconds": time.perf_counter() - started,
        }
        self.rows.append(row)
        if epoch == self.config.epochs:
            self._fit_norm()
        if not self.config.select_epoch or (epoch >= self.config.first_selectable and self._is_best(row["validation"])):
            self.best_epoch = epoch
            self.device.copy(self.model.parameters.values, self.best)
        return row

    def _fit_norm(self) -> None:
        """For readout_norm: the statistics of the training speakers, towards which those of a test speaker shrink."""
        if self.model.norm:
            z = embeddings(self.model, self.data.features, self.normalisation, self.train, np.ones(len(self.train)))
            self.model.norm.fit(z, self.data.voices[self.train])

    def _is_best(self, validation: dict[str, float]) -> bool:
        """Higher validation UA than the best epoch so far, or the same UA and a lower loss."""
        if self.best_epoch == 0:
            return True
        best = self.rows[self.best_epoch - 1]["validation"]
        return (validation["ua"], -validation["loss"]) > (best["ua"], -best["loss"])

    def _train_epoch(self, epoch: int) -> tuple[dict[str, float], int, dict[str, float]]:
        """Update on all minibatches. Returns loss and scores, the number of frames, and the gradient norms."""
        norms, factor = GradientNorms(self.model.parameters), self.config.factor(epoch)
        confusion = np.zeros((len(self.data.classes),) * 2, np.int64)
        total_loss, count, frames = 0.0, 0, 0
        rng = rng_of(self.seed, self.fold.number, epoch)
        for batch in minibatches(self.data, self.train, self.config, self.normalisation, rng):
            speakers = np.zeros(len(batch.utterances), np.int64)  # for readout_norm, a minibatch is of one speaker
            logits = self.model.forward(batch.x, batch.lengths, True, speakers)
            loss, dlogits = softmax.loss(logits, batch.targets, batch.weights)
            if not np.isfinite(loss):
                raise DivergedError(
                    f"fold {self.fold.number}, epoch {epoch}: training diverged, the loss is {loss};"
                    " lower the settings learning_rate and conv_learning_rate"
                )
            self.model.backward(dlogits)
            norms.add()
            self.optimiser.step(factor)
            predicted = self.device.download(logits).argmax(axis=1)
            confusion += metrics.confusion(self.data.labels[batch.utterances], predicted, len(confusion))
            total_loss += loss * len(logits)
            count += len(logits)
            frames += int(batch.lengths.sum())
        train = {"loss": total_loss / count, "wa": metrics.wa(confusion), "ua": metrics.ua(confusion)}
        return train, frames, norms.means()

    def _validate(self, epoch: int) -> dict[str, float]:
        chosen = self.validation
        if not len(chosen):
            return dict.fromkeys(("loss", "wa", "ua"), float("nan"))
        alphas = validation_alphas(self.config, len(chosen), rng_of(self.seed, self.fold.number, epoch))
        logits = scores(self.model, self.data.features, self.normalisation, chosen, alphas)
        loss, _ = softmax.loss(logits, self.data.targets[chosen], self.data.weights[chosen])
        confusion = metrics.confusion(self.data.labels[chosen], logits.argmax(axis=1), len(self.data.classes))
        return {"loss": loss, "wa": metrics.wa(confusion), "ua": metrics.ua(confusion)}

    def state(self) -> dict[str, Array]:
        """The arrays that a checkpoint holds, on the device: to continue, copy the saved ones into them."""
        return {"values": self.model.parameters.values, "velocity": self.optimiser.velocity, "best": self.best}
