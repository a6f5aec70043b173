"""The same tasks as a user would write them with PyTorch. ours.py describes a task."""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch._dynamo
import torch._inductor.config
from torch import Tensor
from torch.nn.functional import conv2d, cross_entropy, relu
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from scratchser.bench import problem
from scratchser.bench.ours import Conv, Lstm, Stft
from scratchser.kernels.conv2d import output_lengths

# On a GPU, PyTorch's default is TF32, with 10 bits of precision; our kernels use float32 with 23
for _products in (torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.cuda.matmul):
    _products.fp32_precision = "ieee"

# ---- our parameters and PyTorch's -----------------------------------------------------------------------------------

# For each parameter: our name, the index in our array, PyTorch's parameter, and its axes in our order
Pair = tuple[str, Any, torch.nn.Parameter, tuple[int, ...]]


def lstm_pairs(lstm: torch.nn.LSTM) -> Iterator[Pair]:
    """Both have the gates in the order i f g o."""
    for direction, suffix in enumerate(("", "_reverse")):
        yield "Wx", (slice(None), direction), getattr(lstm, f"weight_ih_l0{suffix}"), (1, 0)
        yield "Wh", (direction,), getattr(lstm, f"weight_hh_l0{suffix}"), (1, 0)
        yield "b", (direction,), getattr(lstm, f"bias_ih_l0{suffix}"), (0,)


def load(pairs: Iterator[Pair], ours: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        for name, index, parameter, axes in pairs:
            parameter.permute(axes).copy_(torch.from_numpy(ours[name][index]))


def gradients(pairs: Iterator[Pair], ours: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """PyTorch's gradients, with our names and shapes."""
    result = {name: np.empty_like(array) for name, array in ours.items()}
    for name, index, parameter, axes in pairs:
        assert parameter.grad is not None
        result[name][index] = parameter.grad.cpu().permute(axes).numpy()
    return result


def new_lstm(features: int) -> torch.nn.LSTM:
    """A Bi-LSTM with a single bias as in ours: PyTorch adds two, and their sum would learn twice as fast."""
    lstm = torch.nn.LSTM(features, problem.config().lstm_units, batch_first=True, bidirectional=True)
    for bias in (lstm.bias_hh_l0, lstm.bias_hh_l0_reverse):
        bias.requires_grad_(False).zero_()
    return lstm


# ---- the training step ----------------------------------------------------------------------------------------------


class Network(torch.nn.Module):
    """The model of problem.py with the same weights. Frames past an utterance's end are masked, as in ours.

    expert   mask in place before the ReLU: one tensor then serves two backward passes, that of the ReLU and that of the
             next layer, where `relu(z) * mask` keeps two
    """

    def __init__(self, bins: int, expert: bool) -> None:
        super().__init__()
        self.expert = expert
        W = problem.model(bins).parameters.W
        self.convs = torch.nn.ModuleList()
        for n, stride in enumerate(problem.config().conv_strides, 1):
            I, J, C, D = W[f"conv{n}.W"].shape
            self.convs.append(torch.nn.Conv2d(C, D, (I, J), stride, padding=(2, 2)))
        self.lstm = new_lstm(len(W["lstm1.Wx"]))
        self.dense = torch.nn.Linear(*W["dense.W"].shape)
        load(self.pairs(), W)

    def pairs(self) -> Iterator[Pair]:
        for n, conv in enumerate(self.convs, 1):
            yield f"conv{n}.W", (), conv.weight, (2, 3, 1, 0)
            yield f"conv{n}.b", (), conv.bias, (0,)
        for name, *rest in lstm_pairs(self.lstm):
            yield f"lstm1.{name}", *rest
        yield "dense.W", (), self.dense.weight, (1, 0)
        yield "dense.b", (), self.dense.bias, (0,)

    def frames(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The input of the LSTM, (B, T, F C) as in ours, and its lengths."""
        for conv in self.convs:
            x, lengths = conv(x), output_lengths(lengths, conv.stride[0])
            mask = (torch.arange(x.shape[2], device=x.device) < lengths.to(x.device)[:, None])[:, None, :, None]
            x = relu(x.mul_(mask), inplace=True) if self.expert else relu(x) * mask
        return x.permute(0, 2, 3, 1).flatten(2), lengths

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        frames, lengths = self.frames(x, lengths)
        _, (h, _) = self.lstm(pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False))
        return self.dense(torch.cat([h[0], h[1]], dim=1))


class TrainingStep:
    """The plain way: random padded batches, masks, a packed LSTM, the default memory layout.

    expert     as an expert writes it: batches of similar length, channels last, see Network
    compiled   the conv layers are compiled by torch.compile
    """

    cycle = problem.BATCHES

    def __init__(self, bins: int, device: str = "cpu", expert: bool = False, compiled: bool = False) -> None:
        self.bins, self.device, self.compiled = bins, torch.device(device), compiled
        self.layout = torch.channels_last if expert else torch.contiguous_format
        self.turns = itertools.cycle([self._tensors(batch) for batch in problem.batches(bins, similar=expert)])
        self.network = Network(bins, expert).to(self.device, memory_format=self.layout)
        if compiled:
            torch._dynamo.reset()  # else the number of bins would also vary, if another one was compiled before
            torch._dynamo.config.recompile_limit = 2 * problem.BATCHES
            torch._inductor.config.compile_threads = 1  # in this process
            self.network.frames = torch.compile(self.network.frames)
        self.optimiser = self._optimiser()
        self.finish = None if device == "cpu" else partial(torch.cuda.synchronize, self.device)

    def _tensors(self, batch: problem.Batch) -> tuple[Tensor, Tensor, Tensor]:
        x = torch.from_numpy(batch.x).permute(0, 3, 1, 2).contiguous(memory_format=self.layout).to(self.device)
        if self.compiled:  # only the time axis varies: with dynamic=True all axes do, and PyTorch 2.13 fails
            torch._dynamo.mark_dynamic(x, 2)
        lengths = torch.from_numpy(batch.lengths)  # on the CPU, for packing
        return x, lengths, torch.from_numpy(batch.targets).to(self.device)

    def _optimiser(self) -> torch.optim.Optimizer:
        c, groups = problem.config(), []
        for name, parameter in self.network.named_parameters():
            rate, decay = (c.conv_learning_rate, c.conv_l2) if name.startswith("convs") else (c.learning_rate, c.l2)
            groups.append({"params": [parameter], "lr": rate, "weight_decay": 0.0 if "bias" in name else decay})
        return torch.optim.SGD(groups, momentum=c.momentum, nesterov=True)

    def _backward(self, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, lengths, targets = batch
        logits = self.network(x, lengths)
        loss = cross_entropy(logits, targets)
        self.optimiser.zero_grad()
        loss.backward()
        return logits, loss

    def run(self) -> None:
        self._backward(next(self.turns))
        self.optimiser.step()

    def answer(self) -> dict[str, np.ndarray]:
        """For the first random batch, even if other batches are timed."""
        logits, loss = self._backward(self._tensors(problem.batches(self.bins, similar=False)[0]))
        found = gradients(self.network.pairs(), problem.model(self.bins).parameters.W)
        result = {f"d {name}": gradient for name, gradient in found.items()}
        return {"logits": logits.detach().cpu().numpy(), "loss": loss.detach().cpu().numpy(), **result}


# ---- single layers --------------------------------------------------------------------------------------------------


class TorchConv:
    """One product of one conv layer, with ReLU. There is no padding, so no mask is needed."""

    def __init__(self, bins: int, layer: int, part: str, layout: torch.memory_format = torch.contiguous_format) -> None:
        ours = Conv(bins, layer, part)
        self.part, self.stride = part, list(ours.stride)

        def tensor(a: np.ndarray, axes: Sequence[int] = (0, 3, 1, 2)) -> Tensor:
            return torch.from_numpy(a).permute(*axes).contiguous(memory_format=layout)

        self.x, self.y, self.dy = tensor(ours.x), tensor(ours.y), tensor(ours.dy)
        self.W, self.bias = tensor(ours.W, (3, 2, 0, 1)), torch.from_numpy(ours.bias)

    def run(self) -> None:
        with torch.no_grad():
            if self.part == "forward":
                self.result: Sequence[Tensor] = [relu(conv2d(self.x, self.W, self.bias, self.stride, (2, 2)))]
                return
            dz = torch.ops.aten.threshold_backward(self.dy, self.y, 0)
            mask = [True, False, False] if self.part == "dx" else [False, True, True]
            self.result = torch.ops.aten.convolution_backward(
                dz, self.x, self.W, [len(self.bias)], self.stride, [2, 2], [1, 1], False, [0, 0], 1, mask
            )

    def answer(self) -> dict[str, np.ndarray]:
        self.run()
        if self.part == "dW":
            return {"dW": self.result[1].numpy().transpose(2, 3, 1, 0), "db": self.result[2].numpy()}
        return {"y" if self.part == "forward" else "dx": self.result[0].numpy().transpose(0, 2, 3, 1)}


class PackedLstm:
    """PyTorch's Bi-LSTM on packed sequences, forward and backward."""

    def __init__(self, features: int, shrink: int) -> None:
        ours = Lstm(features, shrink)
        self.parameters = dict(zip(("Wx", "Wh", "b"), ours.parameters, strict=True))
        self.layer = new_lstm(features)
        load(lstm_pairs(self.layer), self.parameters)
        self.lengths = torch.from_numpy(ours.lengths)
        self.x = torch.from_numpy(ours.x).requires_grad_()
        self.dy = torch.from_numpy(ours.dy)

    def run(self) -> None:
        self.layer.zero_grad()
        self.x.grad = None
        y, _ = self.layer(pack_padded_sequence(self.x, self.lengths, batch_first=True))
        self.y, _ = pad_packed_sequence(y, batch_first=True)
        self.y.backward(self.dy)

    def answer(self) -> dict[str, np.ndarray]:
        self.run()
        assert self.x.grad is not None
        found = gradients(lstm_pairs(self.layer), self.parameters)
        weights = {f"d{name}": gradient for name, gradient in found.items()}
        return {"y": self.y.detach().numpy(), "dx": self.x.grad.numpy(), **weights}


class TorchStft(Stft):
    def spectrogram(self, x: np.ndarray) -> np.ndarray:
        sound, window = torch.from_numpy(x), torch.from_numpy(self.window)
        Z = torch.stft(sound, problem.WINDOW, problem.HOP, window=window, center=False, return_complex=True)
        return Z.abs().square_().clamp_(min=self.floor).log_().numpy().T


TASKS = {
    "torch": {"step": TrainingStep, "conv": TorchConv, "lstm": PackedLstm, "stft": TorchStft},
    "torch, expert": {
        "step": partial(TrainingStep, expert=True),
        "conv": partial(TorchConv, layout=torch.channels_last),
    },
    "torch, compiled": {"step": partial(TrainingStep, expert=True, compiled=True)},
}
