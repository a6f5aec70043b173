"""Figure 3: the network, layer by layer, with the shapes of all outputs and tensors.

It is read from a Model and its layers. T is the number of frames of an utterance; a layer with stride s keeps ceil(T/s)
of them, so that layers with the strides s and r together keep ceil(T/(s r)).
"""

import math
import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from scratchser.corpus.features import Signal
from scratchser.layers import Conv2d, NormedBiLSTM
from scratchser.model import Model
from scratchser.paper.output import Output, Table
from scratchser.presets import Config
from scratchser.report.figures import DPI, PALETTE

LEARNED = ("conv", "rest")  # groups of section 3.2; the statistics of batch normalisation are not learned


class Step(NamedTuple):
    """A layer, or what happens between two layers, as a row of the table; "-" for what it does not have.

    output       shape of its output for an utterance of T frames
    tensors      names and shapes of what it learns
    parameters   number of elements of these tensors
    """

    layer: str
    kind: str
    kernel: str = "-"
    stride: str = "-"
    width: str = ""
    output: str = ""
    tensors: str = ""
    parameters: int = 0


def build(config: Config, classes: int) -> Output:
    """The network of a configuration. Raises SettingError for an impossible signal."""
    bins = Signal.of(config).size
    found = steps(Model(config, bins, classes), bins)
    total = sum(step.parameters for step in found)
    rows = [tuple(map(str, step)) for step in found]
    rows.append(("total", *[""] * (len(Step._fields) - 2), str(total)))
    notes = (
        "output: of an utterance of T frames, frames x positions x channels; kernel, stride: time x frequency",
        "the paper does not give the sizes of its figure 3: these are ours",
    )
    table = Table("Figure 3: the network", Step._fields, rows, notes)
    return Output({"figure3": table}, {"figure3": _draw(found, total)})


def steps(model: Model, bins: int) -> list[Step]:
    """The model from its input with `bins` frequency bins to the probabilities of the classes."""

    def learned(layer: str) -> dict[str, Any]:
        specs = [spec for spec in model.parameters.specs if spec.layer == layer and spec.group in LEARNED]
        shapes = (f"{spec.name.partition('.')[2]} {_product(*spec.shape)}" for spec in specs)
        return {"tensors": ", ".join(shapes), "parameters": sum(spec.size for spec in specs)}

    found = [Step("input", "log spectrogram", output=_product("T", bins, 1))]
    frames, stride, sizes = "T", 1, (bins, 1)
    for layer in model.convs:
        if isinstance(layer, Conv2d):
            stride *= layer.stride[0]
            sizes = layer.output_shape(1, sizes[0])[1:]
            kernel, width = _product(*layer.W.shape[:2]), f"{sizes[1]} channels"
            step = Step(layer.name, "convolution, ReLU", kernel, _product(*layer.stride), width, **learned(layer.name))
        else:
            stride *= layer.window[0]
            sizes = layer.output_shape(1, *sizes)[1:]
            step = Step("pool", "max pooling", width=f"window {_product(*layer.window)}")
        frames = "T" if stride == 1 else f"ceil(T/{stride})"
        found.append(step._replace(output=_product(frames, *sizes)))
    found.append(Step("flatten", "one vector a frame", output=_product(frames, math.prod(sizes))))
    for lstm in model.lstms:
        kind = "Bi-LSTM, batch normalisation" if isinstance(lstm, NormedBiLSTM) else "Bi-LSTM"
        units = lstm.Wh.shape[1]
        output = _product(frames, 2 * units)
        found.append(Step(lstm.name, kind, width=f"2 x {units} units", output=output, **learned(lstm.name)))
    inputs, classes = (str(size) for size in model.dense.W.shape)
    return [
        *found,
        Step("readout", "last state of each direction", output=inputs),
        Step("dense", "dense", width=f"{classes} units", output=classes, **learned("dense")),
        Step("softmax", "probabilities of the classes", output=classes),
    ]


def _product(*sizes: object) -> str:
    return " x ".join(map(str, sizes))


# ---- the drawing ----------------------------------------------------------------------------------------------------

WIDTH, LEFT, RIGHT = 7.4, 0.15, 6.2  # inches: the figure, and the sides of its boxes
MIDDLE = (LEFT + RIGHT) / 2
NAME_X = LEFT + 0.15
GAP, LINE = 0.32, 0.19  # between two boxes, and the height of a line
NO_BREAK = "\N{NO-BREAK SPACE}"
ARROW = {"arrowstyle": "-|>", "color": "black", "lw": 1.0, "shrinkA": 0, "shrinkB": 0}
SMALL: dict[str, Any] = {"va": "center", "fontsize": 9}


def _draw(found: Sequence[Step], total: int) -> Figure:
    """A box for each step, top to bottom, with shapes beside the arrows and numbers of parameters at the right."""
    heights = [0.14 + LINE * len(_lines(step)) for step in found]
    height = sum(heights) + GAP * (len(found) - 1) + 0.75
    figure = Figure(figsize=(WIDTH, height), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))  # in inches, downwards
    axes.set_axis_off()
    legend = "of an utterance of T frames: frames × positions × channels"
    axes.text(MIDDLE, 0.2, legend, ha="center", color=PALETTE[0], **SMALL)
    axes.text(WIDTH - 0.15, 0.2, "parameters", ha="right", **SMALL)
    kinds = list(dict.fromkeys(step.kind for step in found if step.tensors))
    lines_x = NAME_X + 0.2 + 0.095 * max(len(step.layer) for step in found)
    top = 0.35
    for step, box_height in zip(found, heights, strict=True):
        colour = PALETTE[kinds.index(step.kind) % len(PALETTE)] if step.tensors else "grey"
        _box(axes, step, top, box_height, colour, lines_x)
        top += box_height
        if step is not found[-1]:  # an arrow to the next box, with the shape of what is passed on
            axes.annotate("", (MIDDLE, top + GAP), (MIDDLE, top), arrowprops=ARROW)
            axes.text(MIDDLE + 0.12, top + GAP / 2, step.output.replace(" x ", " × "), color=PALETTE[0], **SMALL)
            top += GAP
    axes.text(WIDTH - 0.15, top + 0.2, f"{total:,} in all", ha="right", weight="bold", **SMALL)
    return figure


def _lines(step: Step) -> list[str]:
    """The text of a box beside its name."""
    sizes = "" if step.kernel == "-" else f"kernel {step.kernel}, stride {step.stride}"
    shapes = re.sub("(?<!,) ", NO_BREAK, step.tensors)  # break lines only between tensors
    lines = (", ".join(filter(None, [step.kind, sizes, step.width])), *wrap(shapes, 65))
    return [line.replace(NO_BREAK, " ").replace(" x ", " × ") for line in lines]


def _box(axes: Axes, step: Step, top: float, height: float, colour: str, lines_x: float) -> None:
    box = FancyBboxPatch((LEFT, top), RIGHT - LEFT, height, "round,pad=0,rounding_size=0.08")
    box.set(facecolor="#F5F5F5", edgecolor=colour, linewidth=1.3)
    axes.add_patch(box)
    middle = top + height / 2
    axes.text(NAME_X, middle, step.layer, va="center", fontsize=9.5, weight="bold")
    lines = _lines(step)
    for n, line in enumerate(lines):
        y = middle + LINE * (n - (len(lines) - 1) / 2)
        axes.text(lines_x, y, line, color="dimgrey" if n else "black", **SMALL)
    if step.parameters:
        axes.text(WIDTH - 0.15, middle, f"{step.parameters:,}", ha="right", **SMALL)
