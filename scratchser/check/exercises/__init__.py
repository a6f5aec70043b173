"""The exercises, one module each, named like the exercise and like the learner's function.

exercise    what an exercise is, and what several of them share
"""

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scratchser.check.exercises.exercise import Exercise

NAMES = (  # in the order of the tutorials
    "cuda_saxpy", "cuda_block_sum", "cuda_find_the_race", "cuda_reduction", "stft", "vtlp", "conv2d_forward",
    "conv2d_backward", "cuda_conv2d_forward", "cuda_matmul_tiled", "lstm_cell_forward", "cuda_lstm_cell",
    "lstm_backward", "batch_norm", "nesterov", "softmax_loss", "cuda_row_softmax", "linear_backward",
    "cuda_weight_gradient",
)  # fmt: skip


def load(name: str) -> "Exercise":
    """The exercise of this name. Only its own module is imported: the kernels of all of them take a second."""
    return replace(import_module(f"{__name__}.{name}").EXERCISE, name=name)
