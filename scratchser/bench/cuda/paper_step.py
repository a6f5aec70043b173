"""What a training step asks of the CUDA kernels, and what is asked besides, at the paper's shapes.

Preset `best`, a batch of 16 of the bench's utterances. The calls are recorded on simulated memory
(scratchser.bench.cuda.costs.recorded) and not run, so that what is compiled, counted and accounted for without a GPU is what is
launched, and no list of kernels or types is kept by hand.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scratchser.bench import problem
from scratchser.bench.cuda import costs
from scratchser.bench.report import table
from scratchser.corpus.audio import RATE
from scratchser.corpus.batches import Normalisation, assemble
from scratchser.corpus.features import Features, Signal
from scratchser.kernels import batchnorm, matmul, mean_variance, norms, pool, softmax, stft, vtlp
from scratchser.kernels.conv2d import output_lengths
from scratchser.kernels.machine.device import SIMULATED, blocks
from scratchser.layers import NormedBiLSTM
from scratchser.model import Model
from scratchser.optim import Optimiser
from scratchser.presets import PRESETS, pooled

CONFIG = PRESETS["best"]
BATCH, CLASSES = CONFIG.batch_size, problem.CLASSES
ALPHA = 1.05  # of a warp


@dataclass(frozen=True)
class Sizes:
    """Of the paper's training step, and arrays of one dtype."""

    dtype: type

    def array(self, *shape: int) -> Any:
        """Simulated memory. Nobody looks into it, so the system never has to provide it."""
        return SIMULATED.zeros(shape, self.dtype)

    @cached_property
    def signal(self) -> Signal:
        return Signal.of(CONFIG)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(B,) int64, frames."""
        return problem.batch_lengths()

    @cached_property
    def features(self) -> Features:
        """A corpus of nothing but this batch."""
        starts = np.cumsum(self.lengths) - self.lengths
        return Features(self.array(int(self.lengths.sum()), self.signal.bins), starts, self.lengths)


def training_step(s: Sizes) -> None:
    """From the corpus to the updated weights, as train.py does it."""
    model = Model(CONFIG, s.signal.bins, CLASSES, dtype=s.dtype, device=SIMULATED)
    x, lengths = assemble(s.features, Normalisation(0.0, 1.0), np.arange(BATCH), np.full(BATCH, ALPHA))
    targets: np.ndarray = np.zeros((BATCH, CLASSES), s.dtype)
    _, dlogits = softmax.loss(model.forward(x, lengths), targets, targets[:, 0].copy())
    model.backward(dlogits)
    norms.squares(model.parameters.gradients, model.parameters.ends)
    Optimiser(model.parameters, CONFIG).step(1.0)


# ---- asked besides: features before training, scores after it, and what no training needs ---------------------------


def spectrogram(s: Sizes) -> None:
    """Of ten seconds."""
    window = s.array(s.signal.window)
    stft.forward(s.array(10 * RATE), window, s.signal.hop, s.signal.bins, s.signal.floor)


def statistics(s: Sizes) -> None:
    """Of eq. (5)."""
    mean_variance.moments(s.features.values, s.features.starts, s.features.lengths)


def long_sum(s: Sizes) -> None:
    """The recurrent weights' gradient of one direction over so many frames that the sum is cut into parts."""
    H, frames = CONFIG.lstm_units, 2048
    h, dz, dWh = s.array(frames * H), s.array(frames * 4 * H), s.array(H * 4 * H)
    matmul.product(h, 1, H, dz, 4 * H, 1, dWh, H, 4 * H, frames)


def pooling(s: Sizes) -> None:
    """Behind the first layer of the preset's form with pooling, there and back."""
    config = pooled(CONFIG)
    (time, frequency), window = config.conv_strides[0], config.windows[0]
    lengths = output_lengths(s.lengths, time)
    x = s.array(BATCH, int(lengths.max()), blocks(s.signal.bins, frequency), config.conv_channels[0])
    pool.backward(pool.forward(x, lengths, window), x, lengths, window)


def normalised(s: Sizes) -> None:
    """A second Bi-LSTM layer with batch normalisation, in training and at inference: frame-wise, and layer-wise."""
    D, M = 2 * CONFIG.lstm_units, 4 * CONFIG.lstm_units
    lengths = -(-s.lengths // np.prod([time for time, _ in CONFIG.conv_strides]))
    x, Wx, Wh = s.array(BATCH, lengths.max(), D), s.array(D, 2, M), s.array(2, CONFIG.lstm_units, M)
    for kind in ("frame-9", "layer"):
        tensors = (s.array(*spec.shape) for spec in NormedBiLSTM.specs("lstm1", D, CONFIG.lstm_units, kind)[2:])
        norm = batchnorm.Norm(kind, *tensors)
        batchnorm.forward(x, lengths, Wx, Wh, norm)
        y, cache = batchnorm.forward(x, lengths, Wx, Wh, norm, training=True)
        batchnorm.backward(y, cache, Wx, Wh, norm, Wx, Wh, norm.gamma, norm.beta)


def probabilities(s: Sizes) -> None:
    softmax.forward(s.array(BATCH, CLASSES))


def warp(s: Sizes) -> None:
    vtlp.forward(s.features.values, ALPHA)


def warp_backward(s: Sizes) -> None:
    vtlp.backward(s.features.values, ALPHA)


STEP = (training_step,)
BESIDES = (spectrogram, statistics, long_sum, pooling, normalised, probabilities, warp, warp_backward)


def recorded(calls: tuple[Callable[[Sizes], None], ...], dtype: type = np.float32) -> list[costs.RecordedLaunch]:
    """The launches of these calls, in order."""
    return costs.recorded(lambda: make(calls, dtype))


def make(calls: tuple[Callable[[Sizes], None], ...], dtype: type) -> None:
    sizes = Sizes(dtype)
    for call in calls:
        call(sizes)


def step() -> None:
    """A training step, for whoever records it."""
    make(STEP, np.float32)


def launches_of(step: Callable[[], Any]) -> dict[str, int]:
    """By kernel, in the order in which they come first. `step` works on simulated memory; no kernel is run."""
    return dict(Counter(launch.name for launch in costs.recorded(step)))


def text(counts: dict[str, int]) -> str:
    rows = [["kernel", "launches"], *([name, str(count)] for name, count in counts.items())]
    return table([*rows, ["together", str(sum(counts.values()))]], left=1) + "\n"
