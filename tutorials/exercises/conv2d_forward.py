"""Exercise: a strided convolution over time and frequency, with bias, ReLU and lengths. Judge it by

python -m scratchser.check tutorials/exercises/conv2d_forward.py
"""

import numpy as np

EXERCISE = "conv2d_forward"


def conv2d_forward(
    x: np.ndarray, lengths: np.ndarray, W: np.ndarray, bias: np.ndarray, stride: tuple[int, int]
) -> np.ndarray:
    """y (B, T', F', D), of x's dtype.

        y[b, t, f, d] = ReLU( bias[d] + Σ_i Σ_j Σ_c x[b, t st + i - pt, f sf + j - pf, c] W[i, j, c, d] )

    x         (B, T, F, C)    frame, frequency bin, input channel; float32 or float64
    lengths   (B,)            int64: frames of each utterance. What lies past them in x is padding: it reads as 0
    W         (I, J, C, D)    kernel, time x frequency;   bias (D,)
    stride    (st, sf)        in time and in frequency
    y         (B, T', F', D)  T' = ⌈T / st⌉, F' = ⌈F / sf⌉; 0 from frame ⌈length / st⌉ on
    pt, pf    ()              ⌊(I - 1) / 2⌋ and ⌊(J - 1) / 2⌋

    Outside of 0 ... length - 1 and 0 ... F - 1 everything reads 0. Plain loops are slow: put them into a function of
    their own under @numba.njit.
    """
    raise NotImplementedError
