"""Exercise: one step of an LSTM. Judge it by

python -m scratchser.check tutorials/exercises/lstm_cell_forward.py
"""

import numpy as np

EXERCISE = "lstm_cell_forward"


def lstm_cell_forward(z: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gates, c_after, h), of z's dtype.

        i, f, g, o = σ, σ, tanh, σ of the four parts of z
        c_after    = f c + i g
        h          = o tanh c_after

    z, gates     (B, 4H)   before and after σ and tanh: H elements of i, then H of f, of g, of o; x Wx + h Wh + b is
                           computed already
    c, c_after   (B, H)    cell state before and after the step
    h            (B, H)    state

    float32 or float64.
    """
    raise NotImplementedError
