"""Exercise: derive the backward pass of the strided convolution, and write it. Judge it by

python -m scratchser.check tutorials/exercises/conv2d_backward_derive.py

conv2d_backward.py gives the formulas; solve one of the two.
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
    """dx (B, T, F, C) of the loss, given dy; adds to dW and dbias. Forward was:

        y[b, t, f, d] = ReLU( bias[d] + Σ_i Σ_j Σ_c x[b, t st + i - pt, f sf + j - pf, c] W[i, j, c, d] )

    Derive dx = ∂loss / ∂x, dW = ∂loss / ∂W and dbias = ∂loss / ∂bias from dy = ∂loss / ∂y. Begin with ReLU: where does
    it let the gradient dy through? y is given, so you need not compute the sum again. Then take one product x W of the
    sum. What does it add to dx, and what to dW? Loops like those of the forward pass visit each product once.

    x, dx      (B, T, F, C)     utterance, frame, frequency bin, input channel
    W, dW      (I, J, C, D)     kernel, time x frequency;   dbias (D,)
    dy, y      (B, T', F', D)   T' = ⌈T / st⌉, F' = ⌈F / sf⌉
    lengths    (B,)             int64: frames of each utterance in x; in y and dy they are ⌈length / st⌉. What lies
                                past them in x, y and dy is padding: x reads as 0 there, and dx is 0
    stride                      (st, sf);   pt = ⌊(I - 1) / 2⌋, pf = ⌊(J - 1) / 2⌋. x outside of the bins is 0, too
    dW, dbias                   contain gradients already, which stay in the sum: +=

    All of one dtype, float32 or float64.
    """
    raise NotImplementedError
