"""The fixed problem of the bench: one model and one set of utterances, which do not change with the presets.

The lengths are log-normal like IEMOCAP's at a shift of 32 ms: median 109 frames, 21 ... 909. The values are noise: the
time of a kernel depends on values only for denormal numbers, which noise does not contain.
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
GEMM = 2048  # rows and columns of the matrices that tell the rate of the machine
CONV_FRAMES = 128  # of each utterance, if a conv layer is timed alone: no padding


def config() -> Config:
    """Four conv layers with ReLU, a Bi-LSTM and a dense layer."""
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


def random_order() -> np.ndarray:
    return np.random.default_rng(2).permutation(UTTERANCES)


def batch_lengths() -> np.ndarray:
    """(16,) int64 frames of the first random batch."""
    return lengths()[random_order()[:BATCH]]


@dataclass(frozen=True)
class Batch:
    x: np.ndarray  # (B, T, F, 1) float32, zero past an utterance's end
    lengths: np.ndarray  # (B,) int64
    targets: np.ndarray  # (B, K) float32, one-hot


def batches(bins: int, similar: bool) -> list[Batch]:
    """All utterances in twelve batches: in random order, or utterances of similar length together."""
    all_lengths = lengths()
    order = np.argsort(all_lengths, kind="stable") if similar else random_order()
    rng = np.random.default_rng(3)
    result = []
    for first in range(0, UTTERANCES, BATCH):
        chosen = all_lengths[order[first : first + BATCH]]
        x = padded_noise(rng, chosen, bins)[..., None]
        targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, BATCH)]
        result.append(Batch(x, chosen, targets))
    return result


def padded_noise(rng: np.random.Generator, lengths: np.ndarray, features: int) -> np.ndarray:
    """(B, T, features) float32, zero past an utterance's end."""
    x = rng.standard_normal((BATCH, lengths.max(), features), np.float32)
    for b, length in enumerate(lengths):
        x[b, length:] = 0
    return x


def sound(samples: int) -> np.ndarray:
    """Noise as loud as a recording, (samples,) float32."""
    return np.random.default_rng(4).standard_normal(samples, np.float32) * np.float32(0.1)


def conv_input(bins: int, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """x (16, T, F, C) and lengths of the layer's input (1 ... 4) for utterances of CONV_FRAMES frames."""
    T, F, C = CONV_FRAMES, bins, 1
    for D, stride in zip(config().conv_channels[: layer - 1], config().conv_strides, strict=False):
        T, F, C = -(-T // stride[0]), -(-F // stride[1]), D
    x = np.random.default_rng(5).standard_normal((BATCH, T, F, C), np.float32)
    return x, np.full(BATCH, T, np.int64)


def lstm_input(features: int, shrink: int) -> tuple[np.ndarray, np.ndarray]:
    """x (16, T, features) and lengths: those of the first random batch divided by `shrink`, in falling order."""
    shrunk = np.sort(-(-batch_lengths() // shrink))[::-1].copy()
    return padded_noise(np.random.default_rng(6), shrunk, features), shrunk


# ---- useful operations of a batch: multiplications and additions of real frames -------------------------------------

PARTS = "forward", "dW", "dx"


def lstm_operations(frames: int, D: int, H: int) -> dict[str, int]:
    """The products of both directions, by part; the few operations of a cell are left out."""
    return dict.fromkeys(PARTS, 2 * frames * 8 * H * (D + H))


def operations(batch_lengths: np.ndarray, bins: int) -> dict[str, dict[str, int]]:
    """By layer and part. The first layer needs no dx."""
    settings, result = config(), {}
    C, F, frames = 1, bins, batch_lengths
    layers = zip(settings.conv_channels, settings.conv_kernels, settings.conv_strides, strict=True)
    for n, (D, (I, J), stride) in enumerate(layers, 1):
        frames, F = output_lengths(frames, stride[0]), -(-F // stride[1])
        result[f"conv{n}"] = dict.fromkeys(PARTS if n > 1 else PARTS[:2], 2 * int(frames.sum()) * F * I * J * C * D)
        C = D
    H = settings.lstm_units
    result["lstm1"] = lstm_operations(int(frames.sum()), F * C, H)
    result["dense"] = dict.fromkeys(PARTS, 2 * len(batch_lengths) * 2 * H * CLASSES)
    return result
