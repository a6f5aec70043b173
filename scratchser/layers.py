"""The layers: parameters, and what forward leaves behind for backward. All arithmetic is in scratchser.kernels.

Every layer has `specs(...)`, the tensors it needs; `forward(x, lengths)` -> (y, lengths of y); and `backward(dy)` ->
dx, which adds to the gradients of its parameters. A layer keeps its activations until the next forward. Everything is
where the parameters are, but for the lengths, which are NumPy's everywhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scratchser.kernels import batchnorm, conv2d, linear, lstm, pool
from scratchser.kernels.machine.device import CPU, Array, Device

STEPS = 256  # of a walk, whose running statistics are kept frame-wise; later ones use the last's


@dataclass(frozen=True)
class Spec:
    """One tensor: "layer.tensor", its shape, its group, and whether L2 applies.

    Groups are "conv" and "rest" (section 3.2), and "statistics": what a layer's forward counts and nothing learns.
    Their gradient is always 0 and their rate too, so they only travel with the parameters, into checkpoints and back.
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
    """values and gradients (n,) of one dtype on one device; W[name], dW[name] the views.

    ends     (G,) int64, NumPy's: where each tensor ends
    values   (n,) NumPy's, what to begin with; zeros if not given
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


def views(specs: Sequence[Spec], flat: Array) -> dict[str, Array]:
    """The tensors that lie in a flat buffer one after the other, by name."""
    named, start = {}, 0
    for spec in specs:
        named[spec.name] = flat[start : start + spec.size].reshape(spec.shape)
        start += spec.size
    return named


class Conv2d:
    """Strided convolution with bias and ReLU: x (B, T, F, C) -> y (B, ⌈T/st⌉, ⌈F/sf⌉, D)."""

    def __init__(self, name: str, parameters: Parameters, stride: tuple[int, int], first: bool) -> None:
        self.name, self.stride, self.first = name, stride, first
        self.W, self.b = parameters.W[f"{name}.W"], parameters.W[f"{name}.b"]
        self.dW, self.db = parameters.dW[f"{name}.W"], parameters.dW[f"{name}.b"]
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
        """None for the first layer: nobody asks for the gradient of the data."""
        out = None if self.first else self._dx.take(self.x.shape, self.x.dtype)
        return conv2d.backward(
            dy, self.x, self.y, self.lengths, self.W, self.stride, self.dW, self.db, need_dx=not self.first, out=out
        )


class MaxPool:
    """Window beside window without parameters: x (B, T, F, C) -> y (B, ⌈T/I⌉, ⌈F/J⌉, C)."""

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
    """x (B, T, D) -> y (B, T, 2H), forward and backward states side by side."""

    def __init__(self, name: str, parameters: Parameters) -> None:
        self.name = name
        self.Wx, self.Wh, self.b = (parameters.W[f"{name}.{part}"] for part in ("Wx", "Wh", "b"))
        self.dWx, self.dWh, self.db = (parameters.dW[f"{name}.{part}"] for part in ("Wx", "Wh", "b"))

    @staticmethod
    def specs(name: str, features: int, units: int) -> list[Spec]:
        return [
            Spec(f"{name}.Wx", (features, 2, 4 * units), "rest", True),
            Spec(f"{name}.Wh", (2, units, 4 * units), "rest", True),
            Spec(f"{name}.b", (2, 4 * units), "rest", False),
        ]

    def forward(self, x: Array, lengths: np.ndarray, training: bool = False) -> tuple[Array, np.ndarray]:
        """The same in training and at inference."""
        y, self.cache = lstm.forward(x, lengths, self.Wx, self.Wh, self.b)
        return y, lengths

    def backward(self, dy: Array) -> Array:
        dx, _, _ = lstm.backward(dy, self.cache, self.Wx, self.Wh, self.dWx, self.dWh, self.db)
        return dx


class NormedBiLSTM:
    """A BiLSTM with batch normalisation of one of batchnorm.KINDS, section 3.1.

    `training` normalises by the batch, and moves the running statistics, by which an utterance is normalised at
    inference; only the former has a backward.
    """

    def __init__(self, name: str, parameters: Parameters, kind: str) -> None:
        self.name = name
        W, dW = parameters.W, parameters.dW
        self.Wx, self.Wh = W[f"{name}.Wx"], W[f"{name}.Wh"]
        self.norm = batchnorm.Norm(
            kind, *(W[f"{name}.{part}"] for part in ("gamma", "beta", "mean", "variance", "updates"))
        )
        self.gradients = [dW[f"{name}.{part}"] for part in ("Wx", "Wh", "gamma", "beta")]

    @staticmethod
    def specs(name: str, features: int, units: int, kind: str) -> list[Spec]:
        G, S = batchnorm.KINDS[kind], STEPS if kind.startswith("frame") else 1
        return [
            *BiLSTM.specs(name, features, units)[:2],  # but for the bias
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


class Dense:
    """x (B, D) -> scores (B, K)."""

    def __init__(self, name: str, parameters: Parameters) -> None:
        self.name = name
        self.W, self.b = parameters.W[f"{name}.W"], parameters.W[f"{name}.b"]
        self.dW, self.db = parameters.dW[f"{name}.W"], parameters.dW[f"{name}.b"]

    @staticmethod
    def specs(name: str, features: int, classes: int) -> list[Spec]:
        return [Spec(f"{name}.W", (features, classes), "rest", True), Spec(f"{name}.b", (classes,), "rest", False)]

    def forward(self, x: Array) -> Array:
        self.x = x
        return linear.forward(x, self.W, self.b)

    def backward(self, dy: Array) -> Array:
        return linear.backward(dy, self.x, self.W, self.dW, self.db)


class _Workspace:
    """A piece of memory that grows to the largest batch and is used again: a fresh one each step costs page faults."""

    def __init__(self, device: Device) -> None:
        self.device, self.flat = device, device.zeros(0, np.float32)

    def take(self, shape: tuple[int, ...], dtype: np.dtype) -> Array:
        """An array of this shape with what was left in it: past an utterance's end nothing is read."""
        size = math.prod(shape)
        if self.flat.size < size or self.flat.dtype != dtype:
            self.flat = self.device.zeros(size, dtype)
        return self.flat[:size].reshape(shape)
