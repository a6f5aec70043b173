"""All parameters of a model in one flat buffer, all gradients in another.

One kernel updates everything at once, a checkpoint is one array, and a copy of the best epoch is one copy. A layer
works on named views of its part:

    values     │ conv1.W │ conv1.b │ conv2.W │ ... │ dense.W │ dense.b │
    gradients  │ the same places                                       │
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spec:
    """One tensor: "layer.tensor", its shape, its group ("conv" or "rest", section 3.2), and whether L2 applies."""

    name: str
    shape: tuple[int, ...]
    group: str
    decays: bool

    @property
    def layer(self) -> str:
        return self.name.partition(".")[0]


class Parameters:
    """values and gradients (n,) of one dtype; ends (G,) where each tensor ends; W[name], dW[name] the views."""

    def __init__(self, specs: Sequence[Spec], dtype: np.dtype) -> None:
        sizes = [int(np.prod(spec.shape)) for spec in specs]
        self.specs = tuple(specs)
        self.ends = np.cumsum(sizes).astype(np.int64)
        self.values = np.zeros(sum(sizes), dtype)
        self.gradients = np.zeros_like(self.values)
        self.W = self._views(self.values)
        self.dW = self._views(self.gradients)

    def _views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        parts = np.split(flat, self.ends[:-1])
        return {spec.name: part.reshape(spec.shape) for spec, part in zip(self.specs, parts, strict=True)}
