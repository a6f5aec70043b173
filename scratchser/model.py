"""The paper's network, section 3 and figure 3.

spectrogram (B, T, F, 1) -> conv, optional max pooling ... -> one vector for each frame -> Bi-LSTM ... Bi-LSTM ->
last states -> dense -> scores (B, K)

Ours: no Bi-LSTM, statistics over all frames instead of the last states, and their normalisation.
"""

from collections.abc import Sequence

import numpy as np

from scratchser.kernels.machine.device import CPU, Array, Device
from scratchser.layers import (
    BiLSTM,
    Conv2d,
    Dense,
    LastStates,
    MaxPool,
    NormedBiLSTM,
    Parameters,
    SpeakerNorm,
    Spec,
    StatisticsPool,
    views,
)
from scratchser.presets import Config, SettingError

MAX_PARAMETERS = 2**31 - 1  # the CUDA kernels index with int32


class Model:
    """The network of a Config for spectrograms of `bins` frequency bins and `classes` emotions.

    `seed`, as numpy's default_rng takes it, fixes the initial weights, the same on every device. float32 is for
    training, float64 for gradient checks.
    """

    def __init__(
        self,
        config: Config,
        bins: int,
        classes: int,
        seed: int | Sequence[int] = 0,
        dtype: type = np.float32,
        device: Device = CPU,
    ) -> None:
        specs, kind = tensors(config, bins, classes), config.batchnorm
        values = initial(specs, np.random.default_rng(seed), gamma=0.1 if kind.startswith("frame") else 1.0)
        self.parameters = Parameters(specs, np.dtype(dtype), values, device)
        self.convs: list[Conv2d | MaxPool] = []
        for n, (stride, window) in enumerate(zip(config.conv_strides, config.windows, strict=True), 1):
            self.convs.append(Conv2d(f"conv{n}", self.parameters, stride, first=n == 1))
            if window != (1, 1):
                self.convs.append(MaxPool(window, device))
        self.lstms = [
            BiLSTM(f"lstm{n}", self.parameters) if kind == "off" else NormedBiLSTM(f"lstm{n}", self.parameters, kind)
            for n in range(1, config.lstm_layers + 1)
        ]
        self.readout = LastStates() if config.readout == "last" else StatisticsPool()
        self.norm = SpeakerNorm("norm", self.parameters) if config.readout_norm == "speaker" else None
        self.dense = Dense("dense", self.parameters)

    @property
    def device(self) -> Device:
        return self.parameters.device

    def forward(
        self, x: Array, lengths: np.ndarray, training: bool = False, speakers: np.ndarray | None = None
    ) -> Array:
        """Scores (B, K) of x (B, T, F, 1) with lengths (B,) int64; what lies past an utterance's end has no influence.

        x and the scores are on the model's device, lengths is NumPy's. `backward` needs a forward in `training`. With
        batch normalisation, an utterance's scores depend on its batch only in `training`. For speakers, see `classify`.
        """
        return self.classify(self.embed(x, lengths, training), speakers, training)

    def embed(self, x: Array, lengths: np.ndarray, training: bool = False) -> Array:
        """One vector for each utterance, (B, D): everything before the normalisation by speakers."""
        for conv in self.convs:
            x, lengths = conv.forward(x, lengths)
        self.conv_shape = x.shape
        x = x.reshape(*x.shape[:2], x.shape[2] * x.shape[3])
        for layer in self.lstms:
            x, lengths = layer.forward(x, lengths, training)
        return self.readout.forward(x, lengths)

    def classify(self, z: Array, speakers: np.ndarray | None = None, training: bool = False) -> Array:
        """Scores (B, K) of the vectors (B, D).

        speakers   (B,) int64, from 0: the speaker of each utterance, for readout_norm. The vectors are normalised over
                   those of the same speaker in z: give all of a test speaker at once
        """
        if self.norm:
            if speakers is None:
                raise ValueError("readout_norm needs the speaker of each utterance")
            z = self.norm.forward(z, speakers, training)
        return self.dense.forward(z)

    def backward(self, dscores: Array) -> None:
        """Add the gradients of all parameters, from the gradient (B, K) of the scores of the last forward."""
        dz = self.dense.backward(dscores)
        if self.norm:
            dz = self.norm.backward(dz)
        dx = self.readout.backward(dz)
        for layer in reversed(self.lstms):
            dx = layer.backward(dx)
        dx = dx.reshape(self.conv_shape)
        for conv in reversed(self.convs):
            dx = conv.backward(dx)


def tensors(config: Config, bins: int, classes: int) -> list[Spec]:
    """The tensors of all layers. Raises SettingError for more than MAX_PARAMETERS elements."""
    specs: list[Spec] = []
    channels, positions = 1, bins
    for n, (out, kernel, stride, window) in enumerate(
        zip(config.conv_channels, config.conv_kernels, config.conv_strides, config.windows, strict=True), 1
    ):
        specs += Conv2d.specs(f"conv{n}", kernel, channels, out)
        channels, positions = out, -(-positions // (stride[1] * window[1]))
    features = channels * positions
    for n in range(1, config.lstm_layers + 1):
        sizes = f"lstm{n}", features, config.lstm_units
        specs += BiLSTM.specs(*sizes) if config.batchnorm == "off" else NormedBiLSTM.specs(*sizes, config.batchnorm)
        features = 2 * config.lstm_units
    if config.readout == "statistics":
        features *= StatisticsPool.NUMBER
    if config.readout_norm == "speaker":
        specs += SpeakerNorm.specs("norm", features)
    specs += Dense.specs("dense", features, classes)
    if (total := sum(spec.size for spec in specs)) > MAX_PARAMETERS:
        largest = max(specs, key=lambda spec: spec.size)
        raise SettingError(
            f"the model would have {total:,} parameters, at most {MAX_PARAMETERS:,} are possible; the largest tensor is"
            f" {largest.name} of shape {largest.shape}: use fewer lstm_units, conv_channels or layers"
        )
    return specs


def initial(specs: Sequence[Spec], rng: np.random.Generator, gamma: float = 1.0) -> np.ndarray:
    """The flat buffer of initial values. The paper does not give them; this is our choice.

    Conv weights are He normal; recurrent weights orthogonal, for each gate and direction; all others Glorot uniform.
    Biases, and beta of batch normalisation in their place, are 0, those of the forget gate 1; running means are 0 and
    variances 1. `gamma` is 0.1 for the frame-wise kinds: with unit variance at each step the states saturate and
    gradients vanish (Cooijmans et al. 2017). The other kinds normalise only the input part, for which Glorot's Wx would
    give about unit variance, so it is 1.
    """
    values = np.zeros(sum(spec.size for spec in specs))
    tensors = views(specs, values)
    for spec in specs:
        W, kind = tensors[spec.name], spec.name.rpartition(".")[2]
        if kind in ("gamma", "variance"):
            W[...] = gamma if kind == "gamma" else 1
        elif kind in ("b", "beta", "mean", "updates"):  # zeros
            if kind in ("b", "beta") and spec.layer.startswith("lstm"):
                units = W.shape[1] // 4
                W[:, units : 2 * units] = 1
        elif spec.layer.startswith("conv"):
            W[...] = rng.standard_normal(spec.shape) * np.sqrt(2 / np.prod(spec.shape[:3]))
        elif kind == "Wh":
            units = spec.shape[1]
            for direction in range(2):
                for gate in range(4):
                    Q, R = np.linalg.qr(rng.standard_normal((units, units)))
                    W[direction, :, gate * units : (gate + 1) * units] = Q * np.sign(np.diag(R))
        else:  # in Wx (D, 2, 4H), each gate of each direction is a matrix (D, H)
            fan_in, fan_out = spec.shape[0], spec.shape[-1] // 4 if kind == "Wx" else spec.shape[-1]
            limit = np.sqrt(6 / (fan_in + fan_out))
            W[...] = rng.uniform(-limit, limit, spec.shape)
    return values
