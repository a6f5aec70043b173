"""Exercise: the backward pass of the strided convolution. Judge it by

python -m scratchser.check tutorials/exercises/conv2d_backward.py
"""

import numpy as np

EXERCISE = "conv2d_backward"


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    lengths: np.ndarray,
    W: np.ndarray,
    stride: tuple[int, int],
    dW: np.ndarray,
    dbias: np.ndarray,
) -> np.ndarray:
    """dx (B, T, F, C) of the loss, given dy; adds to dW and dbias.

        dz[b, t, f, d]   = dy[b, t, f, d] where y > 0, else 0
        dx[b, u, v, c]   = Σ dz[b, t, f, d] W[i, j, c, d]     over d and all t, i, f, j with
                                                              u = t st + i - pt and v = f sf + j - pf
        dW[i, j, c, d]  += Σ_b Σ_t Σ_f x[b, t st + i - pt, f sf + j - pf, c] dz[b, t, f, d]
        dbias[d]        += Σ_b Σ_t Σ_f dz[b, t, f, d]

    x, dx      (B, T, F, C)     as in conv2d_forward, and so are W (I, J, C, D), stride (st, sf), pt and pf
    dy, y      (B, T', F', D)   gradient of the output, and the output
    lengths    (B,)             int64: frames of each utterance in x; in y and dy they are ⌈length / st⌉. What lies
                                past them in x, y and dy is padding, and dx is 0 there
    dW, dbias                   contain gradients already, which stay in the sum

    All of one dtype, float32 or float64.
    """
    raise NotImplementedError
