"""What is measured: one model and one set of utterances, fixed for good, whatever the presets become.

The lengths are log-normal like IEMOCAP's at a shift of 32 ms: median 109 frames, 21 ... 909. Pixels are noise: no
kernel's time depends on their values, but on denormal numbers, which noise does not have.
"""

from dataclasses import dataclass, replace

import numpy as np

from scratchser.kernels.conv2d import output_lengths
from scratchser.kernels.machine.device import CPU, Device
from scratchser.model import Model
from scratchser.presets import Config

CLASSES, BATCH, UTTERANCES = 4, 16, 192
BATCHES = UTTERANCES // BATCH
RATE, SAMPLES = 16000, 3600 * 16000  # an hour of audio
WINDOW, HOP = 1024, 512
CONV_FRAMES = 128  # of the utterances that a conv layer alone is timed with: nothing is padded


def config() -> Config:
    """conv 16-24-32-48, kernels 5 x 5, strides 2 x 2, ReLU; Bi-LSTM 128; dense 4."""
    return replace(
        Config(),
        conv_channels=(16, 24, 32, 48),
        conv_kernels=((5, 5),) * 4,
        conv_strides=((2, 2),) * 4,
        lstm_layers=1,
        lstm_units=128,
        batch_size=BATCH,
        momentum=0.9,
        learning_rate=0.005,
        l2=0.03,
        conv_learning_rate=0.01,
        conv_l2=0.06,
    )


def model(bins: int, device: Device = CPU) -> Model:
    return Model(config(), bins, CLASSES, seed=0, device=device)


def lengths() -> np.ndarray:
    """(192,) int64 frames."""
    drawn = np.random.default_rng(1).lognormal(np.log(109), 0.5, UTTERANCES)
    return np.clip(np.rint(drawn), 21, 909).astype(np.int64)


def batch_lengths() -> np.ndarray:
    """(16,) int64 frames of the first random batch."""
    return lengths()[np.random.default_rng(2).permutation(UTTERANCES)[:BATCH]]


@dataclass(frozen=True)
class Batch:
    x: np.ndarray  # (B, T, F, 1) float32, zero past an utterance's end
    lengths: np.ndarray  # (B,) int64
    targets: np.ndarray  # (B, K) float32, one-hot
    weights: np.ndarray  # (B,) float32


def batches(bins: int, similar: bool) -> list[Batch]:
    """All utterances in twelve batches: in random order, or with those of similar length together."""
    all_lengths = lengths()
    order = np.argsort(all_lengths, kind="stable") if similar else np.random.default_rng(2).permutation(UTTERANCES)
    rng = np.random.default_rng(3)
    result = []
    for at in range(0, UTTERANCES, BATCH):
        chosen = all_lengths[order[at : at + BATCH]]
        x = rng.standard_normal((BATCH, chosen.max(), bins, 1), np.float32)
        for b, length in enumerate(chosen):
            x[b, length:] = 0
        targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, BATCH)]
        result.append(Batch(x, chosen, targets, np.ones(BATCH, np.float32)))
    return result


def sound(samples: int) -> np.ndarray:
    """Noise of a full-scale recording's size, (samples,) float32."""
    return np.random.default_rng(4).standard_normal(samples, np.float32) * np.float32(0.1)


def conv_input(bins: int, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """x (16, T, F, C) and lengths of the layer's input (1 ... 4) for utterances of CONV_FRAMES frames."""
    T, F, C = CONV_FRAMES, bins, 1
    for D, stride in zip(config().conv_channels[: layer - 1], config().conv_strides, strict=False):
        T, F, C = -(-T // stride[0]), -(-F // stride[1]), D
    x = np.random.default_rng(5).standard_normal((BATCH, T, F, C), np.float32)
    return x, np.full(BATCH, T, np.int64)


def lstm_input(features: int, shrink: int) -> tuple[np.ndarray, np.ndarray]:
    """x (16, T, features) and lengths: those of the first random batch, divided by `shrink`, the longest first."""
    shrunk = np.sort(-(-batch_lengths() // shrink))[::-1].copy()
    x = np.random.default_rng(6).standard_normal((BATCH, shrunk.max(), features), np.float32)
    for b, length in enumerate(shrunk):
        x[b, length:] = 0
    return x, shrunk


# ---- useful operations: a multiplication or an addition each, of real frames alone --------------------------------


@dataclass(frozen=True)
class Work:
    """Operations of one layer for one batch. The first layer's dx is nobody's use."""

    forward: int
    dW: int
    dx: int

    @property
    def total(self) -> int:
        return self.forward + self.dW + self.dx


def conv_work(frames_out: int, positions: int, kernel: tuple[int, int], C: int, D: int, first: bool) -> Work:
    one = 2 * frames_out * positions * kernel[0] * kernel[1] * C * D
    return Work(one, one, 0 if first else one)


def lstm_work(frames: int, D: int, H: int) -> Work:
    """Input part and recurrent part of both directions; the gates' handful of operations is left out."""
    one = 2 * frames * 8 * H * (D + H)
    return Work(one, one, one)


def work(batch_lengths: np.ndarray, bins: int) -> dict[str, Work]:
    """By layer, for a batch of these lengths."""
    settings, result = config(), {}
    C, positions, now = 1, bins, batch_lengths
    for n, (D, kernel, stride) in enumerate(
        zip(settings.conv_channels, settings.conv_kernels, settings.conv_strides, strict=True), 1
    ):
        now, positions = output_lengths(now, stride[0]), -(-positions // stride[1])
        result[f"conv{n}"] = conv_work(int(now.sum()), positions, kernel, C, D, first=n == 1)
        C = D
    result["lstm1"] = lstm_work(int(now.sum()), positions * C, settings.lstm_units)
    dense = 2 * len(batch_lengths) * 2 * settings.lstm_units * CLASSES
    result["dense"] = Work(dense, dense, dense)
    return result
