"""The formulas once more: slow, plain NumPy, one utterance after the other, written without a look at the kernels.

The tests compare the kernels with them, and scratchser.check a learner's. Those of the trained ops take complex
arguments too, for scratchser.gradcheck.complex_step.
"""

from scratchser.reference import batchnorm, conv2d, linear, lstm, nesterov, pool, softmax, stft, vtlp

__all__ = ["batchnorm", "conv2d", "linear", "lstm", "nesterov", "pool", "softmax", "stft", "vtlp"]
