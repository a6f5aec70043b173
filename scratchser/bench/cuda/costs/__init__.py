"""What the launch of a CUDA kernel costs: two independent formulas for each of the kernels.

    needed    bytes and operations that any implementation needs: each input is read once, each result is written once,
              and a multiplication, an addition, a comparison and an exponential are one operation each
    issued    reads and writes of global and shared memory that our kernel issues, counted in elements

The tests compare `issued` with the accesses that the tracer counts, for every traced launch (tests/conftest.py).

    launches      a launch, recorded instead of run, and the table of formulas
    features      spectrogram, VTLP, mean and variance
    conv2d        convolution and pooling
    lstm          Bi-LSTM and the copies around it
    batchnorm     batch normalisation inside the Bi-LSTM
    matmul        matrix product and dense layer
    training      softmax and loss, gradient norms, update
"""

from scratchser.bench.cuda.costs import batchnorm, conv2d, features, lstm, matmul, training  # noqa: F401
from scratchser.bench.cuda.costs.launches import Issued, Needed, RecordedLaunch, issued, kernel_names, needed, recorded

__all__ = ["Issued", "Needed", "RecordedLaunch", "issued", "kernel_names", "needed", "recorded"]
