"""Launches that are recorded instead of run, and what each launch of a training step needs.

Needed are the bytes and operations of any implementation: each input is read once and each result is written once, in
real frames only. A multiplication, an addition, a comparison and an exponential are one operation each.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from scratchser.kernels import conv2d, linear, lstm, matmul, nesterov, norms, softmax, vtlp
from scratchser.kernels.machine import device
from scratchser.kernels.machine.device import blocks
from scratchser.kernels.parts import frames as frame_copies
from scratchser.kernels.parts import stream


@dataclass(frozen=True)
class RecordedLaunch:
    """One launch. The arguments have the names that the kernel gives them; arrays are NumPy's."""

    kernel: Any
    grid: int | tuple[int, ...]
    block: int | tuple[int, ...]
    shared_bytes: int
    arguments: dict[str, Any]

    @staticmethod
    def of(kernel: Any, grid: Any, block: Any, shared_bytes: int, arguments: tuple) -> "RecordedLaunch":
        """Takes the arguments of a launcher of scratchser.kernels.machine.device."""
        bound = inspect.signature(kernel.py_func).bind(*map(device.plain, arguments)).arguments
        return RecordedLaunch(kernel, grid, block, shared_bytes, bound)

    @property
    def name(self) -> str:
        return name_of(self.kernel)

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return int(np.prod(self.block))


def recorded(function: Callable[[], Any]) -> list[RecordedLaunch]:
    """Record the launches of a function. No kernel runs, so the results are arbitrary."""
    launches: list[RecordedLaunch] = []
    with device.launched_by(lambda *launch: launches.append(RecordedLaunch.of(*launch))):
        function()
    return launches


def name_of(kernel: Any) -> str:
    """The name with its module: "softmax.loss_cuda"."""
    return f"{kernel.py_func.__module__.rpartition('.')[2]}.{kernel.py_func.__name__}"


class Needed(NamedTuple):
    bytes: int
    operations: int


def needed(launch: RecordedLaunch) -> Needed:
    """What any implementation of this launch needs. Raises KeyError for a kernel outside a training step."""
    return FORMULAS[launch.kernel](SimpleNamespace(grid=launch.grid, **launch.arguments))


# ---- formulas; `a` has the arguments of the kernel by their names, and `grid` ---------------------------------------


def batch(a) -> Needed:
    """For an element of a real frame: 1 - w, two products, their sum, minus the mean, times the scale."""
    elements = int(a.lengths.sum()) * a.X.shape[2]
    bytes = elements * a.values.itemsize + a.X.nbytes + a.starts.nbytes + a.lengths.nbytes + a.alphas.nbytes
    return Needed(bytes, 6 * elements)


def sums_of_squares(a) -> Needed:
    """A sum for each chunk: a product and an addition for each element."""
    elements = int(np.diff(a.chunks).sum())
    return Needed(elements * a.sums.itemsize + a.chunks.nbytes + a.sums.nbytes, 2 * elements)


def convolution(a, *others: Any, outputs: int, each: int) -> Needed:
    """Products with zeros outside an utterance or a frame are not needed.

    others    arrays that are read or written beside x and y, which are read or written without padding
    outputs   how often an element of y is: 1, or 2 with its gradient
    each      operations for each element of y after the products: bias, ReLU
    """
    _, frame, length = a.frames.astype(np.int64).T
    bins = blocks(a.F, a.sf)
    taps_t = overlap(frame * a.st - (a.I - 1) // 2, a.I, length).sum()
    taps_f = overlap(np.arange(bins) * a.sf - (a.J - 1) // 2, a.J, a.F).sum()
    x, y = int(length[frame == 0].sum()) * a.F * a.C, len(frame) * bins * a.D
    bytes = (x + outputs * y) * others[0].itemsize + sum(array.nbytes for array in others) + a.frames.nbytes
    return Needed(bytes, 2 * int(taps_t * taps_f) * a.C * a.D + each * y)


def overlap(first: np.ndarray, count: int, end: np.ndarray | int) -> np.ndarray:
    """How many of first, first + 1 ... first + count - 1 lie in 0 ... end - 1."""
    return np.maximum(0, np.minimum(first + count, end) - np.maximum(first, 0))


CELL, CELL_GRADIENT = 28, 27  # operations of a unit; σ and tanh are four each


def time_loop(a, *arrays: Any, cell: int) -> Needed:
    """Both directions, with these arrays read or written; `cell` operations for each unit beside the product h Wh."""
    H = a.c.shape[2]
    return Needed(sum(array.nbytes for array in arrays), 2 * len(a.c) * H * (8 * H + cell))


def product(a) -> Needed:
    parts = blocks(a.K, a.part)  # of each sum over K, with a result each
    products = a.grid[1] // parts
    start = a.M * a.N if a.pitch else a.N
    elements = a.M * a.K + a.K * a.N + start + parts * a.M * a.N
    return Needed(products * elements * a.A.itemsize, products * 2 * a.M * a.N * a.K)


# ---- the kernels of a training step ---------------------------------------------------------------------------------

FORMULAS: dict[Any, Callable[[Any], Needed]] = {
    vtlp.batch_cuda: batch,
    conv2d.forward_cuda: lambda a: convolution(a, a.W, a.bias, outputs=1, each=2),
    conv2d.input_gradient_cuda: lambda a: convolution(a, a.W, outputs=2, each=1),
    conv2d.weight_gradient_cuda: lambda a: convolution(a, a.sums, outputs=2, each=2),
    conv2d.add_weight_gradient_cuda: lambda a: Needed(
        a.sums.nbytes + 2 * a.dW.nbytes + 2 * a.dbias.nbytes, a.sums.size
    ),
    # z becomes the gates, and these become dz; y and dy without padding are as large as c
    lstm.forward_cuda: lambda a: time_loop(a, a.z, a.z, a.Wh, a.h0, a.c0, a.sequences, a.c, a.c, cell=CELL),
    lstm.backward_cuda: lambda a: time_loop(
        a, a.gates, a.gates, a.Wt, a.c0, a.c, a.c, a.sequences, a.dh0, a.dc0, cell=CELL_GRADIENT
    ),
    lstm.readout_forward_cuda: lambda a: Needed(2 * a.r.nbytes + a.lengths.nbytes, 0),
    lstm.readout_backward_cuda: lambda a: Needed(2 * a.dr.nbytes + a.lengths.nbytes, 0),
    frame_copies.gather_cuda: lambda a: Needed(2 * a.frames.nbytes + 2 * a.lengths.nbytes, 0),
    frame_copies.scatter_cuda: lambda a: Needed(a.frames.nbytes + 2 * a.lengths.nbytes + a.x.nbytes, 0),
    frame_copies.states_before_cuda: lambda a: Needed(2 * a.before.nbytes + 2 * a.lengths.nbytes, 0),
    frame_copies.add_columns_cuda: lambda a: Needed(a.dz.nbytes + 2 * a.db.nbytes, a.dz.size),
    stream.transpose_cuda: lambda a: Needed(a.W.nbytes + a.Wt.nbytes, 0),
    matmul.product_cuda: product,
    linear.forward_cuda: lambda a: Needed(
        a.x.nbytes + a.W.nbytes + a.b.nbytes + a.y.nbytes, 2 * len(a.x) * a.W.size + a.y.size
    ),
    # dW and db accumulate: they are read and written
    linear.backward_cuda: lambda a: Needed(
        a.dy.nbytes + 2 * a.x.nbytes + 3 * a.W.nbytes + 2 * a.db.nbytes, 4 * len(a.x) * a.W.size + a.dy.size
    ),
    softmax.loss_cuda: lambda a: Needed(3 * a.z.nbytes + 2 * a.w.nbytes, 12 * a.z.size),
    norms.chunks_cuda: sums_of_squares,
    norms.segments_cuda: lambda a: Needed(a.sums.nbytes + a.ends.nbytes + a.squares.nbytes, a.sums.size),
    nesterov.step_cuda: lambda a: Needed(6 * a.W.nbytes, 8 * a.W.size),  # W, V and dW are read and written
}
