"""What a training step asks of the CUDA kernels, and what is asked besides, at the paper's shapes.

Preset `best`, a batch of 16 of the bench's utterances. Every function below makes the calls of one entry point; they
are recorded on simulated memory (scratchser.costs.recorded) and not run, so that what is compiled, counted and
accounted for without a GPU is what is launched, and no list of kernels or types is kept by hand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scratchser import costs
from scratchser.bench import problem
from scratchser.features import Signal
from scratchser.kernels import linear, nesterov, norms, softmax
from scratchser.kernels._device import SIMULATED
from scratchser.model import Model
from scratchser.parameters import Parameters
from scratchser.presets import PRESETS

CONFIG = PRESETS["best"]
BATCH, CLASSES, UNITS = CONFIG.batch_size, problem.CLASSES, CONFIG.lstm_units


@dataclass(frozen=True)
class Sizes:
    """Of the paper's training step, and arrays of one dtype."""

    dtype: type

    def array(self, *shape: int) -> Any:
        """Simulated memory. Nobody looks into it, so the system never has to provide it."""
        return SIMULATED.zeros(shape, self.dtype)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(B,) int64, frames."""
        return problem.batch_lengths()

    @cached_property
    def parameters(self) -> Parameters:
        return Model(CONFIG, Signal.of(CONFIG).bins, CLASSES).parameters


# ---- a training step, in its order ----------------------------------------------------------------------------------


def dense_forward(s: Sizes) -> None:
    linear.forward(s.array(BATCH, 2 * UNITS), s.array(2 * UNITS, CLASSES), s.array(CLASSES))


def loss(s: Sizes) -> None:
    softmax.loss(s.array(BATCH, CLASSES), s.array(BATCH, CLASSES), s.array(BATCH))


def dense_backward(s: Sizes) -> None:
    W, b = (2 * UNITS, CLASSES), (CLASSES,)
    linear.backward(s.array(BATCH, CLASSES), s.array(BATCH, 2 * UNITS), s.array(*W), s.array(*W), s.array(*b))


def gradient_norms(s: Sizes) -> None:
    norms.squares(s.array(len(s.parameters.values)), s.parameters.ends)


def update(s: Sizes) -> None:
    W, V, dW = (s.array(len(s.parameters.values)) for _ in range(3))
    segments = np.ones(len(s.parameters.ends))
    nesterov.step(W, V, dW, s.parameters.ends, segments, segments, CONFIG.momentum)


# ---- asked besides: features before training, scores after it -------------------------------------------------------


def probabilities(s: Sizes) -> None:
    softmax.forward(s.array(BATCH, CLASSES))


STEP = (dense_forward, loss, dense_backward, gradient_norms, update)
BESIDES = (probabilities,)


def recorded(calls: tuple[Callable[[Sizes], None], ...], dtype: type = np.float32) -> list[costs.Launch]:
    """The launches of these calls, in order."""
    return costs.recorded(lambda: make(calls, dtype))


def make(calls: tuple[Callable[[Sizes], None], ...], dtype: type) -> None:
    sizes = Sizes(dtype)
    for call in calls:
        call(sizes)


def step() -> None:
    """All calls of a training step, for whoever records them."""
    make(STEP, np.float32)
