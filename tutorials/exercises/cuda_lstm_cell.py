"""Exercise: one step of an LSTM, one thread for each unit of an utterance. Judge it by

python -m scratchser.check tutorials/exercises/cuda_lstm_cell.py
"""

import math  # noqa: F401, for math.exp and math.tanh

from numba import cuda, float32  # noqa: F401, float32 is for constants, float32(1)

EXERCISE = "cuda_lstm_cell"
THREADS = 8  # of a block; any number from 1 to 64 must work


@cuda.jit
def cuda_lstm_cell(z, c, c_after, h):
    """The step of unit u of utterance b:

        i, f, g, o      = σ, σ, tanh, σ of z[b, u], z[b, H + u], z[b, 2H + u], z[b, 3H + u]
        c_after[b, u]   = f c[b, u] + i g
        h[b, u]         = o tanh c_after[b, u]                         σ(a) = 1 / (1 + exp(-a))

    z            (B, 4H)   float32, the gates before σ and tanh: x Wx + h Wh + b is computed already
    c            (B, H)    float32, cell state before the step
    c_after, h   (B, H)    float32, cell state and state after the step; contain arbitrary numbers

    Launched with (⌈H / THREADS⌉, B) blocks of THREADS threads: cuda.grid(1) counts the units, cuda.blockIdx.y is the
    utterance. The last block of an utterance may have more threads than units.

    Neighbouring threads read neighbouring elements of each gate. All that happens between z and h stays in registers:
    the judge counts 5 reads and 2 writes for each unit.

    A helper function needs a decorator, too: @cuda.jit(device=True). In Numba, 1 plus a float32 number is float64,
    which is slow on a GPU: write float32(1). The judge does not see this difference.
    """
    raise NotImplementedError
