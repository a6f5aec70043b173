"""Figure 3: the network, layer by layer, with the shape of everything.

It is drawn from a Model: its layers are found in it, watched during forward passes, and asked for their kernels and
strides, so that no second text says how a model is built. T is the number of frames of an utterance; how many each
layer leaves of them is read off passes over utterances of 1, 2, 3, ... frames.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from scratchser.corpus.features import Signal
from scratchser.layers import BiLSTM, Conv2d, Dense
from scratchser.model import Model
from scratchser.paper.output import Output, Table
from scratchser.presets import Config
from scratchser.report.figures import DPI, PALETTE

BATCH = 16  # utterances of a watched pass
LONGEST = 512  # frames of the longest utterance tried; strides that leave one frame of it have no formula
LEARNED = ("conv", "rest")  # groups of section 3.2: whatever else lies among the parameters is not learned
FILL = "#F5F5F5"


@dataclass(frozen=True)
class Step:
    """A layer, or what happens to the numbers between two layers.

    frames    of the output as a formula in T, "" where it has no time axis
    sizes     the other axes of the output: positions and channels, or the length of a vector
    tensors   the parameters' names and shapes
    """

    name: str
    kind: str
    frames: str
    sizes: tuple[int, ...]
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    width: str = ""  # channels, units or window
    tensors: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def parameters(self) -> int:
        return sum(math.prod(shape) for _, shape in self.tensors)

    @property
    def output(self) -> str:
        return " x ".join([self.frames] * bool(self.frames) + [str(size) for size in self.sizes])

    @property
    def shapes(self) -> str:
        return ", ".join(f"{name} {_times(shape)}" for name, shape in self.tensors)


def build(config: Config, classes: int) -> Output:
    """The network of a config for so many classes. Raises SettingError for a signal that cannot be."""
    model = Model(config, Signal.of(config).bins, classes)
    made = steps(model, Signal.of(config).bins)
    total = sum(spec.size for spec in model.parameters.specs if spec.group in LEARNED)
    rows = [
        (s.name, s.kind, _times(s.kernel), _times(s.stride), s.width, s.output, s.shapes, str(s.parameters))
        for s in made
    ]
    columns = ("layer", "kind", "kernel", "stride", "width", "output", "tensors", "parameters")
    table = Table(
        "Figure 3: the network",
        columns,
        (*rows, ("total", *[""] * (len(columns) - 2), str(total))),
        (
            "output: of an utterance of T frames, frames x positions x channels; kernel, stride: time x frequency",
            "the paper's text does not give the numbers of its figure 3: these are ours",
        ),
    )
    return Output({"figure3": table}, {"figure3": _draw(made, total)})


# ---- what there is to draw ------------------------------------------------------------------------------------------


def steps(model: Model, bins: int) -> list[Step]:
    """The model from its input of `bins` frequency bins to the probabilities of the classes."""
    made = [Step("input", "log spectrogram", "T", (bins, 1))]
    for call in _watched(model, bins):
        if between := _between(made[-1], call):
            made.append(between)
        name = getattr(call.layer, "name", type(call.layer).__name__)
        own = [spec for spec in model.parameters.specs if spec.layer == name and spec.group in LEARNED]
        tensors = tuple((spec.name.partition(".")[2], spec.shape) for spec in own)
        step = Step(name, "", _formula(call.frames) if call.frames else "", call.sizes, tensors=tensors)
        made.append(replace(step, **_of_its_kind(call.layer)))
    return [*made, Step("softmax", "probabilities of the classes", "", made[-1].sizes)]


def _of_its_kind(layer: Any) -> dict[str, Any]:
    if isinstance(layer, Conv2d):
        kernel, channels = layer.W.shape[:2], layer.W.shape[3]
        return {"kind": "convolution, ReLU", "kernel": kernel, "stride": layer.stride, "width": f"{channels} channels"}
    if isinstance(layer, BiLSTM):
        return {"kind": "Bi-LSTM", "width": f"2 x {layer.Wh.shape[1]} units"}
    if isinstance(layer, Dense):
        return {"kind": "dense", "width": f"{layer.W.shape[1]} units"}
    window = f"window {_times(layer.window)}" if hasattr(layer, "window") else ""
    return {"kind": type(layer).__name__, "stride": getattr(layer, "stride", ()), "width": window}


@dataclass
class _Call:
    """A layer's forward: the axes behind the frames of what it took and gave, and for T = 1, 2, 3, ... its frames."""

    layer: Any
    taken: tuple[int, ...]
    sizes: tuple[int, ...]
    frames: list[int] = field(default_factory=list)


def _watched(model: Model, bins: int) -> list[_Call]:
    """The calls of the model's layers in their order."""
    calls: list[_Call] = []
    dtype = model.parameters.values.dtype
    for longest in range(BATCH, LONGEST + 1, BATCH):
        with _listening(model) as heard:
            lengths = np.arange(longest - BATCH + 1, longest + 1)
            model.forward(model.device.upload(np.zeros((BATCH, longest, bins, 1), dtype)), lengths)
        calls = calls or heard
        for call, again in zip(calls, heard, strict=True):
            if call is not again:
                call.frames += again.frames
        if all(call.frames[-1] > 1 for call in calls if call.frames):
            break
    return calls


@contextmanager
def _listening(model: Model) -> Iterator[list[_Call]]:
    """Inside, every call of a layer of the model is appended to the list."""
    heard: list[_Call] = []

    def spy(layer: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
        def listen(x: Any, *others: Any, **named: Any) -> Any:
            result = forward(x, *others, **named)
            y, lengths = result if isinstance(result, tuple) else (result, others[0] if others else None)
            timed = y.ndim > 2
            frames = [int(n) for n in lengths] if timed and lengths is not None else []
            heard.append(_Call(layer, x.shape[2 if x.ndim > 2 else 1 :], y.shape[2 if timed else 1 :], frames))
            return result

        return listen

    layers = _layers(model)
    for layer in layers:
        layer.forward = spy(layer, layer.forward)
    try:
        yield heard
    finally:
        for layer in layers:
            del layer.forward  # its class has the real one


def _layers(model: Model) -> list[Any]:
    """Everything in the model, or in a list in it, that goes forward and backward."""
    found: dict[int, Any] = {}
    for value in vars(model).values():
        for item in value if isinstance(value, list | tuple) else [value]:
            if hasattr(item, "forward") and hasattr(item, "backward"):
                found[id(item)] = item
    return list(found.values())


def _between(before: Step, call: _Call) -> Step | None:
    """What turns the output of a step into what the next layer takes, which is smaller by an axis; None if nothing."""
    if before.frames and not call.frames and len(before.sizes) == 1:
        return Step("readout", "last state of each direction", "", call.taken)
    if before.sizes != call.taken:
        return Step("flatten", "one vector a frame", before.frames, call.taken)
    return None


def _formula(frames: Sequence[int]) -> str:
    """The frames left of T = 1, 2, 3, ... as ⌈T / d⌉, or where that is not what they are, the longest one's."""
    d = next((T - 1 for T, left in enumerate(frames, 1) if left > 1), 0)
    if not d or any(left != -(-T // d) for T, left in enumerate(frames, 1)):
        return f"{frames[-1]} of {len(frames)}"
    return "T" if d == 1 else f"ceil(T/{d})"


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes)) or "-"


# ---- the drawing ----------------------------------------------------------------------------------------------------


WIDTH, LEFT, RIGHT = 7.4, 0.15, 6.2  # inches: the figure, and its boxes' sides
NAMES = LEFT + 0.15  # where a box's name begins
GAP, LINE = 0.32, 0.19
NO_BREAK = "\N{NO-BREAK SPACE}"


def _draw(made: Sequence[Step], total: int) -> Figure:
    """A box for each step, top to bottom; shapes beside the arrows between them, parameters at the right."""
    heights = [0.14 + LINE * len(_lines(step)) for step in made]
    tall = sum(heights) + GAP * (len(made) - 1) + 0.75
    figure = Figure(figsize=(WIDTH, tall), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(tall, 0))  # in inches, downwards
    axes.set_axis_off()
    right = {"ha": "right", "va": "center", "fontsize": 9}
    axes.text(WIDTH - 0.15, 0.2, "parameters", right)
    legend = "of an utterance of T frames: frames × positions × channels"
    axes.text((LEFT + RIGHT) / 2, 0.2, legend, ha="center", va="center", fontsize=9, color=PALETTE[0])
    kinds = list(dict.fromkeys(step.kind for step in made if step.tensors))
    beside = NAMES + 0.2 + 0.095 * max(len(step.name) for step in made)  # where the lines begin
    top = 0.35
    for step, height in zip(made, heights, strict=True):
        colour = PALETTE[kinds.index(step.kind) % len(PALETTE)] if step.tensors else "grey"
        _box(axes, step, top, height, colour, beside)
        if step.parameters:
            axes.text(WIDTH - 0.15, top + height / 2, f"{step.parameters:,}", right)
        top += height
        if step is not made[-1]:
            top = _arrow(axes, step.output, top)
    axes.text(WIDTH - 0.15, top + 0.2, f"{total:,} in all", right, weight="bold")
    return figure


def _lines(step: Step) -> list[str]:
    """What stands in a box beside its name."""
    numbers = (
        step.kind,
        f"kernel {_times(step.kernel)}" if step.kernel else "",
        f"stride {_times(step.stride)}" if step.stride else "",
        step.width,
    )
    whole = re.sub("(?<!,) ", NO_BREAK, step.shapes)  # a line ends between tensors only
    lines = (", ".join(filter(None, numbers)), *wrap(whole, 65))
    return [line.replace(NO_BREAK, " ").replace(" x ", " × ") for line in lines]


def _box(axes: Axes, step: Step, top: float, height: float, colour: str, beside: float) -> None:
    box = FancyBboxPatch((LEFT, top), RIGHT - LEFT, height, "round,pad=0,rounding_size=0.08")
    box.set(facecolor=FILL, edgecolor=colour, linewidth=1.3)
    axes.add_patch(box)
    axes.text(NAMES, top + height / 2, step.name, va="center", fontsize=9.5, weight="bold")
    lines = _lines(step)
    for n, line in enumerate(lines):
        y = top + height / 2 + LINE * (n - (len(lines) - 1) / 2)
        axes.text(beside, y, line, va="center", fontsize=9, color="dimgrey" if n else "black")


def _arrow(axes: Axes, shape: str, top: float) -> float:
    """The output of a step on its way to the next; where that begins."""
    middle, end = (LEFT + RIGHT) / 2, top + GAP
    arrow = {"arrowstyle": "-|>", "color": "black", "lw": 1.0, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (middle, end), (middle, top), arrowprops=arrow)
    axes.text(middle + 0.12, (top + end) / 2, shape.replace(" x ", " × "), va="center", fontsize=9, color=PALETTE[0])
    return end
