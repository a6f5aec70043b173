"""Exercise: derive backpropagation through time for one direction of an LSTM, and write it. Judge it by

python -m scratchser.check tutorials/exercises/lstm_backward_derive.py

lstm_backward.py gives the formulas; solve one of the two.
"""

import numpy as np

EXERCISE = "lstm_backward"


def lstm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    lengths: np.ndarray,
    Wx: np.ndarray,
    Wh: np.ndarray,
    h0: np.ndarray,
    c0: np.ndarray,
    gates: np.ndarray,
    c: np.ndarray,
    y: np.ndarray,
    dWx: np.ndarray,
    dWh: np.ndarray,
    db: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dh0, dc0) of the loss, given dy; adds to dWx, dWh and db. Forward was, for n = 0, ..., length - 1:

        z[n]         = x[n] Wx + h[n-1] Wh + b               h[-1] = h0, c[-1] = c0
        i, f, g, o   = σ, σ, tanh, σ of the four parts of z[n]
        c[n]         = f c[n-1] + i g
        h[n]         = o tanh c[n]

    dy[n] is the part of ∂loss / ∂h[n] that does not come through later steps. Derive one step: given dh = ∂loss / ∂h[n]
    and the part of dc = ∂loss / ∂c[n] that comes from step n + 1, what are dc, dz[n], and what goes on to h[n-1] and
    c[n-1]? h[n] also depends on c[n]. The derivatives of σ and tanh need only their results: σ' = σ (1 - σ) and
    tanh' = 1 - tanh². Then go from the last frame of the utterance to the first. A weight is used in every step.

    x, dx      (B, T, D)    frames;   lengths (B,) int64. What lies past the end of an utterance in x, dy, gates, c
                            and y is padding, and dx is 0 there
    gates      (B, T, 4H)   i f g o of every step, after their σ and tanh
    c, y, dy   (B, T, H)    cell states, states (y[b, n] is h[n]), and dy
    h0, c0     (B, H)       initial states;   dh0, dc0 their gradients
    Wx, Wh     (D, 4H), (H, 4H);   db (4H,), the gradient of b
    dWx, dWh, db            contain gradients already, which stay in the sum: +=

    All of one dtype, float32 or float64.
    """
    raise NotImplementedError
