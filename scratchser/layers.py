"""The layers: parameters, and the activations that backward needs. The arithmetic is in scratchser.kernels.

Each layer has `specs(...)`, the tensors that it needs; `forward(x, lengths)`, which returns y and the lengths of y; and
`backward(dy)`, which returns dx and adds to the gradients of the parameters. A layer keeps its activations until the
next forward. All arrays are on the device of the parameters; only the lengths are always NumPy's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scratchser.kernels import batchnorm, conv2d, group_norm, linear, lstm, pool, statistics_pool
from scratchser.kernels.machine.device import CPU, Array, Device

STEPS = 256  # time steps with separate running statistics (frame-wise kinds); later steps use the last ones


@dataclass(frozen=True)
class Spec:
    """One tensor: its name "layer.tensor", its shape, its group, and whether L2 applies.

    The groups are "conv" and "rest" (section 3.2), and "statistics", which a layer computes from data. Their
    gradient and learning rate are always 0; they are among the parameters so that checkpoints hold them.
    """

    name: str
    shape: tuple[int, ...]
    group: str
    decays: bool

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def layer(self) -> str:
        return self.name.partition(".")[0]


class Parameters:
    """All parameters in one flat buffer `values` (n,), all gradients in another; W[name] and dW[name] are their views.

    ends     (G,) int64, NumPy: where each tensor ends
    values   (n,) NumPy: the initial values, zeros if not given
    """

    def __init__(
        self, specs: Sequence[Spec], dtype: np.dtype, values: np.ndarray | None = None, device: Device = CPU
    ) -> None:
        self.specs, self.device = tuple(specs), device
        self.ends = np.cumsum([spec.size for spec in specs]).astype(np.int64)
        n = int(self.ends[-1])
        self.values = device.zeros(n, dtype) if values is None else device.upload(values.astype(dtype))
        self.gradients = device.zeros(n, dtype)
        self.W, self.dW = views(specs, self.values), views(specs, self.gradients)

    def of(self, layer: str, *tensors: str) -> list[Array]:
        """These tensors of a layer, and then their gradients."""
        names = [f"{layer}.{tensor}" for tensor in tensors]
        return [*(self.W[name] for name in names), *(self.dW[name] for name in names)]


def views(specs: Sequence[Spec], flat: Array) -> dict[str, Array]:
    """By name, the tensors that lie one after the other in a flat buffer."""
    named, start = {}, 0
    for spec in specs:
        named[spec.name] = flat[start : start + spec.size].reshape(spec.shape)
        start += spec.size
    return named


class Conv2d:
    """Strided convolution with bias and ReLU: x (B, T, F, C) -> y (B, ⌈T/st⌉, ⌈F/sf⌉, D)."""

    def __init__(self, name: str, parameters: Parameters, stride: tuple[int, int], first: bool) -> None:
        self.name, self.stride, self.first = name, stride, first
        self.W, self.b, self.dW, self.db = parameters.of(name, "W", "b")
        self._y, self._dx = _Workspace(parameters.device), _Workspace(parameters.device)

    @staticmethod
    def specs(name: str, kernel: tuple[int, int], channels_in: int, channels_out: int) -> list[Spec]:
        shape = (*kernel, channels_in, channels_out)
        return [Spec(f"{name}.W", shape, "conv", True), Spec(f"{name}.b", (channels_out,), "conv", False)]

    def output_shape(self, T: int, F: int) -> tuple[int, int, int]:
        return -(-T // self.stride[0]), -(-F // self.stride[1]), self.W.shape[3]

    def forward(self, x: Array, lengths: np.ndarray) -> tuple[Array, np.ndarray]:
        out = self._y.take((len(x), *self.output_shape(x.shape[1], x.shape[2])), x.dtype)
        self.x, self.lengths = x, lengths
        self.y = conv2d.forward(x, lengths, self.W, self.b, self.stride, out=out)
        return self.y, conv2d.output_lengths(lengths, self.stride[0])

    def backward(self, dy: Array) -> Array | None:
        """Returns None for the first layer, since the gradient of the data is not needed."""
        out = None if self.first else self._dx.take(self.x.shape, self.x.dtype)
        return conv2d.backward(
            dy, self.x, self.y, self.lengths, self.W, self.stride, self.dW, self.db, need_dx=not self.first, out=out
        )


class MaxPool:
    """Max pooling over windows that do not overlap: x (B, T, F, C) -> y (B, ⌈T/I⌉, ⌈F/J⌉, C)."""

    def __init__(self, window: tuple[int, int], device: Device) -> None:
        self.window, self._y, self._dx = window, _Workspace(device), _Workspace(device)

    def output_shape(self, T: int, F: int, C: int) -> tuple[int, int, int]:
        return -(-T // self.window[0]), -(-F // self.window[1]), C

    def forward(self, x: Array, lengths: np.ndarray) -> tuple[Array, np.ndarray]:
        self.x, self.lengths = x, lengths
        out = self._y.take((len(x), *self.output_shape(*x.shape[1:])), x.dtype)
        return pool.forward(x, lengths, self.window, out=out), conv2d.output_lengths(lengths, self.window[0])

    def backward(self, dy: Array) -> Array:
        out = self._dx.take(self.x.shape, self.x.dtype)
        return pool.backward(dy, self.x, self.lengths, self.window, out=out)


class BiLSTM:
    """x (B, T, D) -> y (B, T, 2H), the states of the forward and the backward direction side by side."""

    def __init__(self, name: str, parameters: Parameters) -> None:
        self.name = name
        self.Wx, self.Wh, self.b, self.dWx, self.dWh, self.db = parameters.of(name, "Wx", "Wh", "b")

    @staticmethod
    def specs(name: str, features: int, units: int) -> list[Spec]:
        return [
            Spec(f"{name}.Wx", (features, 2, 4 * units), "rest", True),
            Spec(f"{name}.Wh", (2, units, 4 * units), "rest", True),
            Spec(f"{name}.b", (2, 4 * units), "rest", False),
        ]

    def forward(self, x: Array, lengths: np.ndarray, training: bool = False) -> tuple[Array, np.ndarray]:
        y, self.cache = lstm.forward(x, lengths, self.Wx, self.Wh, self.b)
        return y, lengths

    def backward(self, dy: Array) -> Array:
        dx, _, _ = lstm.backward(dy, self.cache, self.Wx, self.Wh, self.dWx, self.dWh, self.db)
        return dx


class NormedBiLSTM:
    """A BiLSTM with batch normalisation, section 3.1; `kind` is one of batchnorm.KINDS.

    `training` normalises with the statistics of the batch and updates the running statistics, which inference uses.
    There is no backward after inference.
    """

    def __init__(self, name: str, parameters: Parameters, kind: str) -> None:
        self.name = name
        self.Wx, self.Wh, gamma, beta, *self.gradients = parameters.of(name, "Wx", "Wh", "gamma", "beta")
        statistics = (parameters.W[f"{name}.{tensor}"] for tensor in ("mean", "variance", "updates"))
        self.norm = batchnorm.Norm(kind, gamma, beta, *statistics)

    @staticmethod
    def specs(name: str, features: int, units: int, kind: str) -> list[Spec]:
        G, S = batchnorm.KINDS[kind], STEPS if kind.startswith("frame") else 1
        return [
            *BiLSTM.specs(name, features, units)[:2],  # without the bias: beta takes its place
            Spec(f"{name}.gamma", (G, 2, 4 * units), "rest", False),
            Spec(f"{name}.beta", (2, 4 * units), "rest", False),
            Spec(f"{name}.mean", (G, S, 2, 4 * units), "statistics", False),
            Spec(f"{name}.variance", (G, S, 2, 4 * units), "statistics", False),
            Spec(f"{name}.updates", (S,), "statistics", False),
        ]

    def forward(self, x: Array, lengths: np.ndarray, training: bool = False) -> tuple[Array, np.ndarray]:
        y, self.cache = batchnorm.forward(x, lengths, self.Wx, self.Wh, self.norm, training=training)
        return y, lengths

    def backward(self, dy: Array) -> Array:
        dx, _, _ = batchnorm.backward(dy, self.cache, self.Wx, self.Wh, self.norm, *self.gradients)
        return dx


class LastStates:
    """The last state of each direction: y (B, T, 2H) -> z (B, 2H)."""

    def forward(self, y: Array, lengths: np.ndarray) -> Array:
        self.lengths, self.frames = lengths, y.shape[1]
        return lstm.readout_forward(y, lengths)

    def backward(self, dz: Array) -> Array:
        return lstm.readout_backward(dz, self.lengths, self.frames)


class StatisticsPool:
    """Mean, deviation and maximum over the frames of an utterance: x (B, T, D) -> z (B, 3D)."""

    NUMBER = 3

    def forward(self, x: Array, lengths: np.ndarray) -> Array:
        self.x, self.lengths = x, lengths
        self.z = statistics_pool.forward(x, lengths)
        return self.z

    def backward(self, dz: Array) -> Array:
        return statistics_pool.backward(dz, self.x, self.z, self.lengths)


class SpeakerNorm:
    """Normalises z (B, D) over the utterances of each speaker.

    In training, these are the utterances of the minibatch. In inference, the statistics of a speaker are mixed with a
    prior that counts as PRIOR utterances. `fit` sets it after training: mean (D,), the mean over the training speakers
    of their means, and variance (D,), the mean of their variances.
    """

    PRIOR = 2.0

    def __init__(self, name: str, parameters: Parameters) -> None:
        self.mean, self.variance = (parameters.W[f"{name}.{tensor}"] for tensor in ("mean", "variance"))
        self.device = parameters.device

    @staticmethod
    def specs(name: str, features: int) -> list[Spec]:
        return [Spec(f"{name}.{tensor}", (features,), "statistics", False) for tensor in ("mean", "variance")]

    def fit(self, z: Array, speakers: np.ndarray) -> None:
        count, mean, variance = self._statistics(z, speakers)
        for statistic, own in ((self.mean, mean), (self.variance, variance)):
            self.device.copy(own[count > 0].mean(axis=0).astype(z.dtype), statistic)

    def forward(self, z: Array, speakers: np.ndarray, training: bool) -> Array:
        if training:
            y, self.cache = group_norm.forward(z, speakers)
            return y
        count, mean, variance = self._statistics(z, speakers)
        prior = self.device.download(self.mean), self.device.download(self.variance)
        mixed = group_norm.shrink(count, mean, variance, self.PRIOR, *prior)
        return group_norm.apply(z, speakers, *(self.device.upload(array.astype(z.dtype)) for array in mixed))

    def backward(self, dy: Array) -> Array:
        return group_norm.backward(dy, self.cache)

    def _statistics(self, z: Array, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """count (G,), mean and variance (G, D) of each speaker, NumPy's."""
        count, *statistics = group_norm.statistics(z, speakers)
        mean, variance = (self.device.download(array).astype(np.float64) for array in statistics)
        return count, mean, variance


class Dense:
    """x (B, D) -> scores (B, K)."""

    def __init__(self, name: str, parameters: Parameters) -> None:
        self.name = name
        self.W, self.b, self.dW, self.db = parameters.of(name, "W", "b")

    @staticmethod
    def specs(name: str, features: int, classes: int) -> list[Spec]:
        return [Spec(f"{name}.W", (features, classes), "rest", True), Spec(f"{name}.b", (classes,), "rest", False)]

    def forward(self, x: Array) -> Array:
        self.x = x
        return linear.forward(x, self.W, self.b)

    def backward(self, dy: Array) -> Array:
        return linear.backward(dy, self.x, self.W, self.dW, self.db)


class _Workspace:
    """Memory that grows to the largest batch and is used again: new memory for each step costs page faults."""

    def __init__(self, device: Device) -> None:
        self.device, self.flat = device, device.zeros(0, np.float32)

    def take(self, shape: tuple[int, ...], dtype: np.dtype) -> Array:
        """An array with old contents: nothing is read past an utterance's end."""
        size = math.prod(shape)
        if self.flat.size < size or self.flat.dtype != dtype:
            self.flat = self.device.zeros(size, dtype)
        return self.flat[:size].reshape(shape)
