"""Exercise: backpropagation through time with lengths, for one direction of an LSTM. Judge it by

python -m scratchser.check tutorials/exercises/lstm_backward.py
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
    """(dx, dh0, dc0) of the loss, given dy; adds to dWx, dWh and db.

    The forward pass was h[n], c[n] = cell(x[n] Wx + h[n-1] Wh + b, c[n-1]) with h[-1] = h0, c[-1] = c0 (see
    lstm_cell_forward.py). The backward pass goes from the last frame of the utterance, n = length - 1, to 0, and begins
    with dh = dc = 0:

        dh      = dy[n] + dz[n+1] Whᵀ                       from the layer above and from the next step
        dc      = dh o (1 - tanh² c[n]) + f[n+1] dc[n+1]
        dz[n]   = ( dc g i (1-i),  dc c[n-1] f (1-f),  dc i (1-g²),  dh tanh c[n] o (1-o) )
        dx[n]   = dz[n] Wxᵀ             dh0 = dz[0] Whᵀ          dc0 = f[0] dc[0]
        dWx    += Σ x[n]ᵀ dz[n]         dWh += Σ h[n-1]ᵀ dz[n]   db += Σ dz[n]   over utterances and steps

    x, dx      (B, T, D)    frames;   lengths (B,) int64. What lies past the end of an utterance in x, dy, gates, c
                            and y is padding, and dx is 0 there
    gates      (B, T, 4H)   i f g o of every step, after their σ and tanh
    c, y, dy   (B, T, H)    cell states, states (y[b, n] is h[n]), and the gradient of the states
    h0, c0     (B, H)       initial states
    Wx, Wh     (D, 4H), (H, 4H);   db (4H,)
    dWx, dWh, db            contain gradients already, which stay in the sum

    All of one dtype, float32 or float64.
    """
    raise NotImplementedError
