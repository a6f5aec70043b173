"""The same tasks as a user would write them with PyTorch; see ours.py for what a task is."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch._dynamo
import torch._inductor.config
from torch.nn.functional import conv2d, cross_entropy, relu
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from scratchser.bench import problem
from scratchser.bench.clock import seconds_per_call
from scratchser.bench.ours import Conv, Lstm, Stft
from scratchser.kernels.conv2d import output_lengths

# On a GPU PyTorch multiplies in TF32 if nobody objects, which keeps 10 bits of a number; ours keeps float32's 23
for _products in (torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.cuda.matmul):
    _products.fp32_precision = "ieee"


def conv_weight(W: np.ndarray) -> torch.Tensor:
    """Ours (I, J, C, D) as PyTorch's (D, C, I, J)."""
    return torch.from_numpy(W.transpose(3, 2, 0, 1).copy())


def load_lstm(layer: torch.nn.LSTM, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray) -> None:
    """Gates lie in the same order in both, i f g o. PyTorch's second bias stays 0: with both
    training, their sum would learn twice as fast as ours."""
    with torch.no_grad():
        for direction, suffix in enumerate(("", "_reverse")):
            getattr(layer, f"weight_ih_l0{suffix}").copy_(torch.from_numpy(Wx[:, direction].T.copy()))
            getattr(layer, f"weight_hh_l0{suffix}").copy_(torch.from_numpy(Wh[direction].T.copy()))
            getattr(layer, f"bias_ih_l0{suffix}").copy_(torch.from_numpy(b[direction].copy()))
            getattr(layer, f"bias_hh_l0{suffix}").zero_().requires_grad_(False)


def lstm_gradients(layer: torch.nn.LSTM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dWx, dWh, db in our shapes."""

    def both(name: str) -> list[np.ndarray]:
        return [getattr(layer, f"{name}_l0{suffix}").grad.numpy() for suffix in ("", "_reverse")]

    return (
        np.stack([g.T for g in both("weight_ih")], axis=1),
        np.stack([g.T for g in both("weight_hh")]),
        np.stack(both("bias_ih")),
    )


class Network(torch.nn.Module):
    """The model of problem.py, with the same weights. What lies past an utterance's end is masked as we mask it."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        W = problem.model(bins).parameters.W
        self.convs = torch.nn.ModuleList()
        for n, stride in enumerate(problem.config().conv_strides, 1):
            D, C, *kernel = conv_weight(W[f"conv{n}.W"]).shape
            layer = torch.nn.Conv2d(C, D, kernel, stride, padding=(2, 2))
            with torch.no_grad():
                layer.weight.copy_(conv_weight(W[f"conv{n}.W"]))
                layer.bias.copy_(torch.from_numpy(W[f"conv{n}.b"]))
            self.convs.append(layer)
        features, H = W["lstm1.Wx"].shape[0], problem.config().lstm_units
        self.lstm = torch.nn.LSTM(features, H, batch_first=True, bidirectional=True)
        load_lstm(self.lstm, *(W[f"lstm1.{part}"] for part in ("Wx", "Wh", "b")))
        self.dense = torch.nn.Linear(2 * H, problem.CLASSES)
        with torch.no_grad():
            self.dense.weight.copy_(torch.from_numpy(W["dense.W"].T.copy()))
            self.dense.bias.copy_(torch.from_numpy(W["dense.b"]))

    def rectified(self, z: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return relu(z) * mask

    def frames(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        for conv in self.convs:
            x, lengths = conv(x), output_lengths(lengths, conv.stride[0])
            mask = torch.arange(x.shape[2], device=x.device) < lengths.to(x.device)[:, None]
            x = self.rectified(x, mask[:, None, :, None])
        return x.permute(0, 2, 3, 1).flatten(2)  # (B, T, F C), as ours

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        frames = self.frames(x, lengths)
        for conv in self.convs:
            lengths = output_lengths(lengths, conv.stride[0])
        _, (h, _) = self.lstm(pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False))
        return self.dense(torch.cat([h[0], h[1]], dim=1))


class ExpertNetwork(Network):
    """In place, and with the mask in front of the ReLU: its result then serves two backward passes, the ReLU's own and
    the next layer's, where `relu(z) * mask` keeps two tensors (and torch.compile a slow one of booleans)."""

    def rectified(self, z: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return relu(z.mul_(mask), inplace=True)


def compile_frames(frames: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Only the time axis varies. dynamic=True would let all axes vary and ends in an error of the compiler's (2.13);
    with this one it makes a graph for each of the batches' lengths."""
    torch._dynamo.reset()  # what was compiled for another number of bins would make that axis vary too
    torch._dynamo.config.recompile_limit = 2 * problem.BATCHES
    torch._inductor.config.compile_threads = 1  # its other way is child processes, which a daemonic one may not have
    function = torch.compile(frames)

    def call(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        torch._dynamo.mark_dynamic(x, 2)
        return function(x, lengths)

    return call


class Step:
    """A training step as anybody writes it: random padded batches, masks, a packed LSTM, default layout."""

    cycle = problem.BATCHES
    network_class, similar, layout, compiled = Network, False, torch.contiguous_format, False

    def __init__(self, bins: int, device: str = "cpu") -> None:
        self.bins, self.device = bins, torch.device(device)
        self.batches = [self._tensors(batch) for batch in problem.batches(bins, self.similar)]
        self.network = self.network_class(bins).to(self.device, memory_format=self.layout)
        if self.compiled:
            self.network.frames = compile_frames(self.network.frames)
        self.optimiser = self._optimiser()
        self.turn = 0

    def _tensors(self, batch: problem.Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = torch.from_numpy(batch.x).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)
        targets = torch.from_numpy(batch.targets)
        return x.to(self.device), torch.from_numpy(batch.lengths), targets.to(self.device)  # lengths shape the launches

    def _optimiser(self) -> torch.optim.Optimizer:
        c, groups = problem.config(), []
        for name, parameter in self.network.named_parameters():
            rate, decay = (c.conv_learning_rate, c.conv_l2) if name.startswith("convs") else (c.learning_rate, c.l2)
            groups.append({"params": [parameter], "lr": rate, "weight_decay": 0.0 if "bias" in name else decay})
        return torch.optim.SGD(groups, momentum=c.momentum, nesterov=True)

    def _gradients(
        self, x: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.network(x, lengths)
        loss = cross_entropy(logits, targets)
        self.optimiser.zero_grad()
        loss.backward()
        return logits, loss

    def run(self) -> None:
        self._gradients(*self.batches[self.turn % len(self.batches)])
        self.optimiser.step()
        self.turn += 1

    def timed(self, times: int) -> float:
        """Seconds of a run, on a GPU by its own clock."""
        if self.device.type == "cpu":
            return seconds_per_call(self.run, times)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(times):
            self.run()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1000 / times

    def answer(self) -> dict[str, np.ndarray]:
        """Of the first random batch, whatever batches are timed."""
        fresh = type(self)(self.bins, str(self.device))
        logits, loss = fresh._gradients(*self._tensors(problem.batches(self.bins, similar=False)[0]))
        fresh.network.cpu()
        result = {"logits": logits.detach().cpu().numpy(), "loss": loss.detach().cpu().numpy()}
        for n, conv in enumerate(fresh.network.convs, 1):
            result[f"d conv{n}.W"] = conv.weight.grad.numpy().transpose(2, 3, 1, 0)
            result[f"d conv{n}.b"] = conv.bias.grad.numpy()
        for name, value in zip(("Wx", "Wh", "b"), lstm_gradients(fresh.network.lstm), strict=True):
            result[f"d lstm1.{name}"] = value
        result["d dense.W"] = fresh.network.dense.weight.grad.numpy().T
        result["d dense.b"] = fresh.network.dense.bias.grad.numpy()
        return result


class ExpertStep(Step):
    """As an expert writes it: batches of similar length, channels last."""

    network_class, similar, layout = ExpertNetwork, True, torch.channels_last


class CompiledStep(ExpertStep):
    """And the conv stack through torch.compile."""

    compiled = True


class TorchConv:
    """One product of one conv layer, ReLU included. Nothing is padded here, so no mask is needed."""

    layout = torch.contiguous_format

    def __init__(self, bins: int, layer: int, part: str) -> None:
        ours = Conv(bins, layer, part)
        self.part, self.stride = part, list(ours.stride)

        def tensor(a: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(a.transpose(0, 3, 1, 2).copy()).contiguous(memory_format=self.layout)

        self.x, self.y, self.dy = tensor(ours.x), tensor(ours.y), tensor(ours.dy)
        self.W = conv_weight(ours.W).contiguous(memory_format=self.layout)
        self.bias = torch.from_numpy(ours.bias)

    def run(self) -> None:
        with torch.no_grad():
            if self.part == "forward":
                self.result: Sequence[torch.Tensor] = [relu(conv2d(self.x, self.W, self.bias, self.stride, (2, 2)))]
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


class ExpertConv(TorchConv):
    layout = torch.channels_last


class PackedLstm:
    """PyTorch's packed Bi-LSTM, forward and backward."""

    def __init__(self, features: int, shrink: int) -> None:
        ours = Lstm(features, shrink)
        self.layer = torch.nn.LSTM(features, problem.config().lstm_units, batch_first=True, bidirectional=True)
        load_lstm(self.layer, *ours.parameters)
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
        weights = dict(zip(("dWx", "dWh", "db"), lstm_gradients(self.layer), strict=True))
        return {"y": self.y.detach().numpy(), "dx": self.x.grad.numpy(), **weights}


class TorchStft(Stft):
    def spectrogram(self, x: np.ndarray) -> np.ndarray:
        window = torch.from_numpy(self.window)
        Z = torch.stft(
            torch.from_numpy(x), problem.WINDOW, problem.HOP, window=window, center=False, return_complex=True
        )
        return Z.abs().square_().clamp_(min=self.floor).log_().numpy().T


TASKS: dict[str, dict[str, Callable[..., Any]]] = {
    "torch": {"step": Step, "conv": TorchConv, "lstm": PackedLstm, "stft": TorchStft},
    "torch, expert": {"step": ExpertStep, "conv": ExpertConv},
    "torch, compiled": {"step": CompiledStep},
}
