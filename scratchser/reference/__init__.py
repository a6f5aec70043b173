"""Reference implementations: the formulas in slow, plain NumPy, independent of the kernels.

The tests compare the kernels with them, and scratchser.check a learner's code. Those of the trained ops also take
complex arguments, for scratchser.gradcheck.complex_step.
"""

from scratchser.reference import (
    batchnorm,
    conv2d,
    group_norm,
    linear,
    lstm,
    nesterov,
    pool,
    softmax,
    statistics_pool,
    stft,
    vtlp,
)

__all__ = [
    "batchnorm",
    "conv2d",
    "group_norm",
    "linear",
    "lstm",
    "nesterov",
    "pool",
    "softmax",
    "statistics_pool",
    "stft",
    "vtlp",
]
