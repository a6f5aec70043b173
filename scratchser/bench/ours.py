"""The tasks with our own kernels.

`run` of a task is timed. `answer` of a new task is what the other contestants must agree with. A task with a `cycle`
runs that many different batches in turn; on a GPU, `finish` waits for its end.
"""

import itertools
from dataclasses import replace

import numpy as np

from scratchser.bench import problem
from scratchser.bench.clock import finish_of
from scratchser.kernels import conv2d, lstm, softmax, stft, vtlp
from scratchser.kernels.machine.device import Array
from scratchser.optim import Optimiser
from scratchser.support.gpu import open_device


class TrainingStep:
    """Forward, backward and update of one random batch after the other."""

    cycle = problem.BATCHES

    def __init__(self, bins: int, device: str = "cpu") -> None:
        self.device = open_device(device)
        batches = [replace(batch, x=self.device.upload(batch.x)) for batch in problem.batches(bins, similar=False)]
        self.turns = itertools.cycle(batches)
        self.model = problem.model(bins, self.device)
        self.optimiser = Optimiser(self.model.parameters, problem.config())
        self.finish = finish_of(self.device)

    def _gradients(self) -> tuple[Array, float]:
        """Scores and loss of the next batch."""
        batch = next(self.turns)
        logits = self.model.forward(batch.x, batch.lengths)
        loss, dlogits = softmax.loss(logits, batch.targets, np.ones(problem.BATCH, np.float32))
        self.model.backward(dlogits)
        return logits, loss

    def run(self) -> None:
        self._gradients()
        self.optimiser.step(1.0)

    def answer(self) -> dict[str, np.ndarray]:
        logits, loss = self._gradients()
        gradients = {f"d {name}": self.device.download(value) for name, value in self.model.parameters.dW.items()}
        return {"logits": self.device.download(logits), "loss": np.array(loss), **gradients}


class Conv:
    """One product of one conv layer: `part` is forward, dW or dx."""

    def __init__(self, bins: int, layer: int, part: str) -> None:
        self.x, self.lengths = problem.conv_input(bins, layer)
        parameters = problem.model(bins).parameters
        self.W, self.bias = parameters.W[f"conv{layer}.W"], parameters.W[f"conv{layer}.b"]
        self.stride = problem.config().conv_strides[layer - 1]
        self.part = part
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.bias)
        self.dx, self.blocks = np.zeros_like(self.x), conv2d.blocks_of(self.lengths, self.stride[0])
        self.y = conv2d.forward(self.x, self.lengths, self.W, self.bias, self.stride)
        self.dy = np.random.default_rng(7).standard_normal(self.y.shape, np.float32)

    def run(self) -> None:
        if self.part == "forward":
            conv2d.forward(self.x, self.lengths, self.W, self.bias, self.stride, out=self.y)
        elif self.part == "dW":
            self.dW[:], self.db[:] = 0, 0
            conv2d.weight_gradient_cpu(
                self.dy, self.x, self.y, self.lengths, *self.stride, True, self.blocks, self.dW, self.db
            )
        else:
            conv2d.input_gradient_cpu(self.dy, self.y, self.lengths, self.W, *self.stride, True, self.blocks, self.dx)

    def answer(self) -> dict[str, np.ndarray]:
        self.run()
        return {"forward": {"y": self.y}, "dW": {"dW": self.dW, "db": self.db}, "dx": {"dx": self.dx}}[self.part]


class Lstm:
    """Forward and backward of the Bi-LSTM over unequal lengths."""

    def __init__(self, features: int, shrink: int) -> None:
        self.x, self.lengths = problem.lstm_input(features, shrink)
        rng, H = np.random.default_rng(8), problem.config().lstm_units
        shapes = (features, 2, 4 * H), (2, H, 4 * H), (2, 4 * H)
        self.parameters = [rng.uniform(-0.05, 0.05, shape).astype(np.float32) for shape in shapes]
        self.gradients = [np.zeros_like(parameter) for parameter in self.parameters]
        self.dy = rng.standard_normal((*self.x.shape[:2], 2 * H), np.float32)

    def run(self) -> None:
        for gradient in self.gradients:
            gradient[:] = 0
        Wx, Wh, b = self.parameters
        self.y, cache = lstm.forward(self.x, self.lengths, Wx, Wh, b)
        self.dx, _, _ = lstm.backward(self.dy, cache, Wx, Wh, *self.gradients)

    def answer(self) -> dict[str, np.ndarray]:
        self.run()
        return {"y": self.y, "dx": self.dx, **dict(zip(("dWx", "dWh", "db"), self.gradients, strict=True))}


class Stft:
    """The log power spectrogram."""

    floor = 1e-2

    def __init__(self, samples: int) -> None:
        self.x, self.window = problem.sound(samples), stft.hann(problem.WINDOW)

    def spectrogram(self, x: np.ndarray) -> np.ndarray:
        return stft.forward(x, self.window, problem.HOP, problem.WINDOW // 2 + 1, self.floor)

    def run(self) -> None:
        self.spectrogram(self.x)

    def answer(self) -> dict[str, np.ndarray]:
        return {"first minute": self.spectrogram(self.x[: 60 * problem.RATE])}


class Batches:
    """Build one random batch after the other: warped, normalised and padded."""

    cycle = problem.BATCHES

    def __init__(self, bins: int) -> None:
        self.lengths = problem.lengths()
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.values = np.random.default_rng(9).standard_normal((int(self.lengths.sum()), bins), np.float32)
        self.alphas = np.random.default_rng(10).uniform(0.9, 1.1, problem.UTTERANCES)
        self.turns = itertools.cycle(np.split(problem.random_order(), problem.BATCHES))

    def run(self) -> None:
        chosen = next(self.turns)
        lengths = self.lengths[chosen]
        vtlp.batch(self.values, self.starts[chosen], lengths, self.alphas[chosen], 0.1, 0.9, int(lengths.max()))


TASKS = {"ours": {"step": TrainingStep, "conv": Conv, "lstm": Lstm, "stft": Stft, "batch": Batches}}
