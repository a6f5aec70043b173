"""The launches of a training step at the paper's shapes, and of every entry point that a step does not call.

The shapes are those of the preset `best` and a batch of 16 of the bench's utterances. The calls are recorded on
simulated memory and no kernel runs, so what is compiled and counted without a GPU is what a GPU launches.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scratchser.bench import problem
from scratchser.bench.cuda import costs
from scratchser.bench.report import table
from scratchser.corpus.audio import RATE
from scratchser.corpus.batches import assemble
from scratchser.corpus.features import Features, Signal
from scratchser.corpus.normalisation import Normalisation
from scratchser.kernels import bin_norm, matmul, mean_variance, mel, mixup, norms, softmax, stft, vtlp
from scratchser.kernels.machine.device import SIMULATED
from scratchser.kernels.matmul import Operand
from scratchser.model import Model
from scratchser.optim import Optimiser
from scratchser.presets import PRESETS, Config, pooled

CONFIG = PRESETS["best"]
SIGNAL = Signal.of(CONFIG)
BATCH, CLASSES = CONFIG.batch_size, problem.CLASSES
WARP_FACTOR = 1.05


@dataclass(frozen=True)
class Sizes:
    """The lengths of a batch, and arrays of one dtype."""

    dtype: type
    lengths: np.ndarray = field(default_factory=problem.batch_lengths)  # (B,) int64 frames

    def array(self, *shape: int) -> Any:
        """Simulated memory. It is never touched, so the system never has to provide it."""
        return SIMULATED.zeros(shape, self.dtype)

    def features(self) -> Features:
        """The spectrograms of the batch."""
        starts = np.cumsum(self.lengths) - self.lengths
        return Features(self.array(int(self.lengths.sum()), SIGNAL.bins), starts, self.lengths)


def training_step(s: Sizes, config: Config = CONFIG) -> None:
    """From the spectrograms to the updated weights, as in training."""
    model = Model(config, SIGNAL.bins, CLASSES, dtype=s.dtype, device=SIMULATED)
    x, lengths = assemble(s.features(), Normalisation(0.0, 1.0), np.arange(BATCH), np.full(BATCH, WARP_FACTOR))
    targets: np.ndarray = np.zeros((BATCH, CLASSES), s.dtype)
    logits = model.forward(x, lengths, training=True, speakers=np.zeros(BATCH, np.int64))
    _, dlogits = softmax.loss(logits, targets, targets[:, 0].copy())
    model.backward(dlogits)
    norms.squares(model.parameters.gradients, model.parameters.ends)
    Optimiser(model.parameters, config).step(1.0)


# ---- what a training step does not call -----------------------------------------------------------------------------


def long_sum(s: Sizes) -> None:
    """The gradient of one direction's recurrent weights over so many frames that the sum is cut into parts."""
    H, frames = CONFIG.lstm_units, 2048
    h, dz, dWh = s.array(frames * H), s.array(frames * 4 * H), s.array(H * 4 * H)
    matmul.product(Operand(h, 1, H), Operand(dz, 4 * H, 1), dWh, H, 4 * H, frames)


def other_layers(s: Sizes) -> None:
    """Pooling with frame-wise batch normalisation, layer-wise batch normalisation, and our own parts."""
    training_step(s, replace(pooled(CONFIG), batchnorm="frame-9"))
    training_step(s, replace(CONFIG, batchnorm="layer"))
    config = replace(CONFIG, readout="statistics", readout_norm="speaker", select_epoch=False, clip_norm=1.0)
    training_step(s, config)


def outside_training(s: Sizes) -> None:
    """The spectrogram of ten seconds, its mel axis, normalisations, the warp alone, probabilities, and mixup."""
    S = stft.forward(s.array(10 * RATE), s.array(SIGNAL.window), SIGNAL.hop, SIGNAL.bins, SIGNAL.floor)
    axis = mel.triangles(SIGNAL.bins, PRESETS["mel"].mel_bands, CONFIG.frequency_khz * 1000, s.dtype)
    Y = mel.forward(S, axis)
    mel.backward(Y, S, Y, axis)
    features = s.features()
    ranges = features.values, features.starts, features.lengths
    mean_variance.mean_and_variance(*ranges)
    groups = np.zeros(BATCH, np.int64)
    with np.errstate(invalid="ignore"):  # no kernel runs, so its sums are what the memory held before
        _, mean, variance = bin_norm.mean_and_variance(*ranges, groups)
    bin_norm.normalise(*ranges, groups, mean, variance)
    vtlp.forward(features.values, WARP_FACTOR)
    vtlp.backward(features.values, WARP_FACTOR)
    softmax.forward(s.array(BATCH, CLASSES))
    share: np.ndarray = np.ones(BATCH, s.dtype)
    x = s.array(BATCH, int(s.lengths.max()), SIGNAL.bins)
    mixup.forward(x, s.lengths, share, np.arange(BATCH), share)


ALL = training_step, outside_training, long_sum, other_layers


def recorded(calls: Sequence[Callable[[Sizes], None]], dtype: type = np.float32) -> list[costs.RecordedLaunch]:
    """The launches of these calls, in order."""
    sizes = Sizes(dtype)
    return costs.recorded(lambda: [call(sizes) for call in calls])


def kernel_names() -> list[str]:
    """The names of all CUDA kernels, in order."""
    return sorted({launch.name for launch in recorded(ALL)})


def launch_table() -> str:
    """The launches of a training step, counted by kernel."""
    counts = Counter(launch.name for launch in recorded([training_step]))
    return table({"kernel": name, "launches": count} for name, count in [*counts.items(), ("total", counts.total())])
