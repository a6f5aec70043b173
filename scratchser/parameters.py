"""All parameters of a model in one flat buffer, all gradients in another.

One kernel updates everything at once, a checkpoint is one array, and a copy of the best epoch is one copy. A layer
works on named views of its part:

    values     │ conv1.W │ conv1.b │ conv2.W │ ... │ dense.W │ dense.b │
    gradients  │ the same places                                       │
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scratchser.kernels.machine.device import CPU, Array, Place


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
    """values and gradients (n,) of one dtype at one place; W[name], dW[name] the views.

    ends     (G,) int64, NumPy's: where each tensor ends
    values   (n,) NumPy's, what to begin with; zeros if not given
    """

    def __init__(
        self, specs: Sequence[Spec], dtype: np.dtype, values: np.ndarray | None = None, place: Place = CPU
    ) -> None:
        self.specs, self.place = tuple(specs), place
        self.ends = np.cumsum([spec.size for spec in specs]).astype(np.int64)
        n = int(self.ends[-1])
        self.values = place.zeros(n, dtype) if values is None else place.upload(values.astype(dtype))
        self.gradients = place.zeros(n, dtype)
        self.W, self.dW = views(specs, self.values), views(specs, self.gradients)


def views(specs: Sequence[Spec], flat: Array) -> dict[str, Array]:
    """The tensors that lie in a flat buffer one after the other, by name."""
    named, start = {}, 0
    for spec in specs:
        named[spec.name] = flat[start : start + spec.size].reshape(spec.shape)
        start += spec.size
    return named
